"""Classical potentials that ASE and LAMMPS compute from the same parameters.

No neural network: what these disagree about is a defect of an engine. Each potential
is the same *function* on both sides, cutoff included. Parameters of silicon: Tersoff,
Phys. Rev. B 39, 5566 (1989); Stillinger and Weber, Phys. Rev. B 31, 5262 (1985). The
embedded-atom functions are of no metal, only smooth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.eam import EAM
from ase.calculators.lj import LennardJones
from ase.calculators.morse import MorsePotential
from ase.calculators.tersoff import Tersoff
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress


@dataclass(frozen=True, kw_only=True)
class Potential:
    """One potential twice: an ASE calculator, and the lines of a LAMMPS input."""

    calculator: Callable[[], Calculator]
    lines: tuple[str, ...]
    elements: tuple[str, ...]
    crystal: Callable[[], Atoms]


def lennard_jones(_: Path) -> Potential:
    return Potential(
        calculator=lambda: LennardJones(sigma=2.3, epsilon=0.2, rc=6.0, smooth=False),
        lines=(
            "pair_style lj/cut 6.0",
            "pair_coeff * * 0.2 2.3",
            "pair_modify shift yes",
        ),
        elements=("Cu", "Ni"),
        crystal=lambda: bulk("Cu", a=3.6, cubic=True),
    )


def morse(_: Path) -> Potential:
    """Steep enough that it has ended at the cutoff: ASE smooths it, LAMMPS cuts it."""
    r0, steepness, cutoff = 2.5, 10.0, 10.0
    return Potential(
        calculator=lambda: MorsePotential(
            epsilon=0.3,
            r0=r0,
            rho0=steepness,
            rcut1=cutoff / r0,
            rcut2=cutoff / r0 + 1e-3,
        ),
        lines=(
            f"pair_style morse {cutoff}",
            f"pair_coeff * * 0.3 {steepness / r0:.17g} {r0}",
        ),
        elements=("Cu",),
        crystal=lambda: bulk("Cu", a=3.6, cubic=True),
    )


SILICON = {
    "crystal": lambda: bulk("Si", a=5.43, cubic=True),
    "elements": ("Si",),
}


def tersoff(folder: Path) -> Potential:
    # e1 e2 e3 m gamma lambda3 c d costheta0 n beta lambda2 B R D lambda1 A
    file = folder / "own.tersoff"
    file.write_text(
        "Si Si Si 3.0 1.0 0.0 1.0039e5 16.217 -0.59825 0.78734 1.1e-6 "
        "1.7322 471.18 2.85 0.15 2.4799 1830.8\n"
    )
    return Potential(
        calculator=lambda: Tersoff.from_lammps(file),
        lines=("pair_style tersoff", f'pair_coeff * * "{file}" Si'),
        **SILICON,
    )


def stillinger_weber(folder: Path) -> Potential:
    # e1 e2 e3 epsilon sigma a lambda gamma costheta0 A B p q tol
    file = folder / "own.sw"
    numbers = " ".join(f"{value:.17g}" for value in SW.values())
    file.write_text(f"Si Si Si {numbers} 0.0\n")
    return Potential(
        calculator=StillingerWeber,
        lines=("pair_style sw", f'pair_coeff * * "{file}" Si'),
        **SILICON,
    )


SW = {
    "epsilon": 2.1683,
    "sigma": 2.0951,
    "a": 1.80,
    "lambda": 21.0,
    "gamma": 1.20,
    "costheta0": -1.0 / 3.0,
    "A": 7.049556277,
    "B": 0.6022245584,
    "p": 4.0,
    "q": 0.0,
}


class StillingerWeber(Calculator):
    """Stillinger and Weber's silicon, in float64 and as few lines as it takes."""

    implemented_properties = ("energy", "free_energy", "energies", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), changes=all_changes):
        super().calculate(atoms, properties, changes)
        n, s = len(atoms), SW
        i, j, d, v = neighbor_list("ijdD", atoms, s["a"] * s["sigma"] - 1e-10)
        energies, forces, virial = np.zeros(n), np.zeros((n, 3)), np.zeros((3, 3))

        def add(energy, gradient, vectors, first, second):
            np.add.at(energies, first, energy)
            np.add.at(forces, first, gradient)
            np.add.at(forces, second, -gradient)
            virial[:] += np.einsum("pa,pb->ab", vectors, gradient)

        # pairs, each found twice
        ratio, gap = s["sigma"] / d, d - s["a"] * s["sigma"]
        end = np.exp(s["sigma"] / gap)
        core = s["B"] * ratio ** s["p"] - ratio ** s["q"]
        slope = (s["q"] * ratio ** s["q"] - s["p"] * s["B"] * ratio ** s["p"]) / d
        slope = s["A"] * s["epsilon"] * end * (slope - core * s["sigma"] / gap**2)
        pair = s["A"] * s["epsilon"] * core * end
        add(pair / 2, (slope / d / 2)[:, None] * v, v, i, j)

        # triplets j - i - k, j before k in the list of i
        one, two = _pairs_of_pairs(i)
        vj, vk, dj, dk = v[one], v[two], d[one], d[two]
        cosine = (vj * vk).sum(axis=1) / dj / dk
        gj, gk = dj - s["a"] * s["sigma"], dk - s["a"] * s["sigma"]
        decay = np.exp(s["gamma"] * s["sigma"] * (1 / gj + 1 / gk))
        strength = s["lambda"] * s["epsilon"] * decay
        away = cosine - s["costheta0"]
        for mine, other, dm, do, gm, neighbour in (
            (vj, vk, dj, dk, gj, j[one]),
            (vk, vj, dk, dj, gk, j[two]),
        ):
            bend = other / (dm * do)[:, None] - (cosine / dm**2)[:, None] * mine
            radial = -s["gamma"] * s["sigma"] / gm**2 * away**2 / dm
            gradient = (2 * strength * away)[:, None] * bend
            gradient += (strength * radial)[:, None] * mine
            add(strength * away**2 / 3, gradient, mine, i[one], neighbour)
            # a third to each neighbour: one here, one in the other turn
            np.add.at(energies, neighbour, strength * away**2 / 3)
        np.add.at(energies, i[one], -strength * away**2 / 3)

        self.results = {"energy": energies.sum(), "free_energy": energies.sum()}
        self.results |= {"energies": energies, "forces": forces}
        if atoms.cell.rank == 3:
            stress = virial / atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)


def _pairs_of_pairs(centres):
    """Return the positions of all pairs of neighbours of the same centre."""
    order = np.arange(len(centres))
    found = [
        (a, b)
        for centre in np.unique(centres)
        for mine in [order[centres == centre]]
        for k, a in enumerate(mine)
        for b in mine[k + 1 :]
    ]
    pairs = np.array(found, dtype=int).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


EAM_CUTOFF = 4.5


def _ended(function, derivative):
    """Return a function brought to zero at the cutoff with three derivatives."""

    def value(r):
        x = np.clip(1 - (r / EAM_CUTOFF) ** 2, 0, None)
        return function(r) * x**4

    def slope(r):
        x = np.clip(1 - (r / EAM_CUTOFF) ** 2, 0, None)
        return derivative(r) * x**4 - 8 * r / EAM_CUTOFF**2 * function(r) * x**3

    return value, slope


def _density(scale, decay):
    return _ended(
        lambda r: scale * np.exp(-decay * r),
        lambda r: -decay * scale * np.exp(-decay * r),
    )


def _pair(scale, decay, depth):
    return _ended(
        lambda r: scale * np.exp(-decay * r) - depth,
        lambda r: -decay * scale * np.exp(-decay * r),
    )


def _embedding(strength):
    return (
        lambda rho: -strength * rho / np.sqrt(1 + rho),
        lambda rho: -strength * (1 + rho / 2) / (1 + rho) ** 1.5,
    )


_RHO = (_density(6.0, 1.0), _density(8.0, 1.1))
_PHI = (_pair(60.0, 2.0, 0.1), _pair(70.0, 2.05, 0.15), _pair(80.0, 2.1, 0.1))
_F = (_embedding(0.9), _embedding(1.1))


def embedded_atom(folder: Path, n_r: int = 9001, n_rho: int = 20001) -> Potential:
    """Analytic in ASE, a table in LAMMPS: fine enough that its cubics are exact."""
    file = folder / "own.eam.alloy"
    _write_setfl(file, n_r, n_rho)
    phi = [[_PHI[0], _PHI[1]], [_PHI[1], _PHI[2]]]

    def calculator():
        return EAM(
            elements=["Cu", "Ni"],
            form="alloy",
            cutoff=EAM_CUTOFF,
            embedded_energy=np.array([f for f, _ in _F]),
            d_embedded_energy=np.array([d for _, d in _F]),
            electron_density=np.array([f for f, _ in _RHO]),
            d_electron_density=np.array([d for _, d in _RHO]),
            phi=np.array([[f for f, _ in row] for row in phi]),
            d_phi=np.array([[d for _, d in row] for row in phi]),
        )

    return Potential(
        calculator=calculator,
        lines=("pair_style eam/alloy", f'pair_coeff * * "{file}" Cu Ni'),
        elements=("Cu", "Ni"),
        crystal=lambda: bulk("Cu", a=3.6, cubic=True),
    )


def _write_setfl(file: Path, n_r: int, n_rho: int) -> None:
    r = np.linspace(0, EAM_CUTOFF, n_r)
    rho = np.linspace(0, 40.0, n_rho)
    head = ["analytic embedded-atom functions", "of no metal", "tabulated", "2 Cu Ni"]
    head.append(f"{n_rho} {rho[1]:.17g} {n_r} {r[1]:.17g} {EAM_CUTOFF}")
    columns = []
    for number, mass, (embed, _), (density, _) in zip(
        (29, 28), (63.546, 58.6934), _F, _RHO, strict=True
    ):
        columns += [f"{number} {mass} 3.6 fcc", *map(_digits, embed(rho))]
        columns += map(_digits, density(r))
    for value, _ in _PHI:
        columns += map(_digits, r * value(r))
    file.write_text("\n".join([*head, *columns]) + "\n")


def _digits(value: float) -> str:
    return f"{value:.17g}"


POTENTIALS = {
    "Lennard-Jones": lennard_jones,
    "Morse": morse,
    "EAM": embedded_atom,
    "Tersoff": tersoff,
    "Stillinger-Weber": stillinger_weber,
}


def difficult(crystal: Atoms, elements: tuple[str, ...]) -> dict[str, Atoms]:
    """Return structures that an interface gets wrong first."""
    rng = np.random.default_rng(17)
    rattled = crystal.copy()
    rattled.positions += rng.normal(0, 0.08, rattled.positions.shape)
    if len(elements) > 1:
        rattled.symbols[::3] = elements[1]
    found = {"rattled": rattled, "reversed order": rattled[::-1]}
    for sign in (1.0, -1.0):
        tilted = rattled.copy()
        strain = sign * np.array([[0.02, 0.15, -0.1], [0.1, -0.01, 0.2], [0, 0, 0.01]])
        tilted.set_cell(tilted.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        tilted.rotate(50 * sign, (3, -1, 2), rotate_cell=True)
        found[f"triclinic {sign:+.0f}"] = tilted
    mirror = found["triclinic +1"].copy()
    mirror.set_cell(mirror.cell.array[[1, 0, 2]])
    found["left-handed"] = mirror
    slab = rattled.copy()
    slab.pbc = (True, True, False)
    found["slab"] = slab
    # A cube: ASE's Tersoff divides by zero for an atom with one neighbour only.
    corners = 2.4 * np.array(list(np.ndindex(2, 2, 2)))
    found["molecule"] = Atoms(
        rattled.get_chemical_symbols()[:1] * 7 + [elements[-1]],
        corners + rng.normal(0, 0.08, (8, 3)),
    )
    return found
