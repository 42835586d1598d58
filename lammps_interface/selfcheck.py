"""The check that every conversion passes: the file's potential against its source.

Small random structures of the elements in use are evaluated twice: by the source, in
float64, through the model's own periodic graph; and by the object that LAMMPS will
hold, read back from the file's bytes, through the calls that LAMMPS makes, with ghost
rows and the exchange of their features (`PeriodicRank`). The two share no code between
the structure and the layers of the potential.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list
from torch import Tensor

from lamplighter.arrays import AnyArray, Floats
from lamplighter.errors import CheckFailedError, explain
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.model import Potential, Prediction, graph_from_atoms, predict

TOLERANCES: Final[dict[str, dict[str, float]]] = {
    "float64": {"energy": 1e-9, "forces": 1e-8, "virial": 1e-8},
    "float32": {"energy": 5e-4, "forces": 2e-3, "virial": 2e-3},
}
"""Largest deviations per dtype: energy and virial in eV/atom, forces in eV/Å.

Where a quantity exceeds 1 in these units, the tolerance grows with it.
"""

COMPILED_TOLERANCES: Final[dict[str, dict[str, float]]] = {
    "float64": {"energy": 1e-7, "forces": 5e-6, "virial": 1e-5},
    "float32": TOLERANCES["float32"],
}
"""Those of a compiled potential, whose functions of the distance are tables."""

_ATOMS_PER_STRUCTURE: Final = 8


class PeriodicRank:
    """One structure as LAMMPS shows it to a single rank, without LAMMPS.

    Periodic images within the cutoff are ghost rows, owned by their originals. Has the
    attributes and methods of [`PairData`][lamplighter.lammps_interface.mliap.PairData].

    Attributes:
        f: forces [ntotal, 3] in eV/Å; ghost rows are folded by `forces`.
        virial: -sum rij (x) dE/d rij in eV, [3, 3].
    """

    def __init__(self, atoms: Atoms, cutoff: float, elements: Sequence[str]) -> None:
        """Build rows and pairs of `atoms` for an interaction radius `cutoff` in Å."""
        i, j, shift, vector = neighbor_list("ijSD", atoms, cutoff)
        n = len(atoms)
        is_image = shift.any(axis=1)
        keys = np.column_stack([j, shift])[is_image]
        images, inverse = np.unique(keys, axis=0, return_inverse=True)
        j = j.copy()
        j[is_image] = n + inverse.reshape(-1)
        self._owner = torch.from_numpy(np.concatenate([np.arange(n), images[:, 0]]))
        species = [list(elements).index(symbol) for symbol in atoms.symbols]
        self.nlocal = self.nlistatoms = self.natomneigh = n
        self.ntotal = n + len(images)
        self.npairs = len(i)
        self.iatoms = np.arange(n, dtype=np.int32)
        self.pair_i = i.astype(np.int32)
        self.pair_j = j.astype(np.int32)
        self.rij = np.ascontiguousarray(vector)
        self.elems = np.asarray(species, dtype=np.int32)[self._owner.numpy()]
        self.energy = 0.0
        self.eatoms: AnyArray = np.zeros(n)
        self.f = np.zeros((self.ntotal, 3))
        self.virial = np.zeros((3, 3))

    def update_pair_forces(self, fij: Floats) -> None:
        """Add `fij` to the centres, subtract it from the neighbours (LAMMPS' rule)."""
        np.add.at(self.f, self.pair_i, fij)
        np.subtract.at(self.f, self.pair_j, fij)
        self.virial -= self.rij.T @ fij

    def forward_exchange(self, src: Tensor, dst: Tensor, n: int) -> None:
        """Copy `src` [ntotal, n] to `dst`, images replaced by their originals."""
        dst.copy_(src.reshape(self.ntotal, n)[self._owner.to(src.device)])

    def reverse_exchange(self, src: Tensor, dst: Tensor, n: int) -> None:
        """Add the rows of images in `src` to their originals; zero them in `dst`."""
        dst.zero_()
        dst.index_add_(0, self._owner.to(src.device), src.reshape(self.ntotal, n))

    def forces(self) -> Floats:
        """Return the forces on the structure's atoms, [n, 3] in eV/Å."""
        folded = np.zeros((self.nlocal, 3))
        np.add.at(folded, self._owner.numpy(), self.f)
        return folded


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """Largest deviations of a converted potential from its source.

    Attributes:
        energy: eV/atom. forces: eV/Å. virial: eV/atom.
        n_structures: how many structures were compared.
        message_width: numbers per atom in one ghost exchange, as observed.
    """

    energy: float
    forces: float
    virial: float
    n_structures: int
    message_width: int

    def as_header(self, limits: Mapping[str, float]) -> dict[str, float]:
        """Return deviations and tolerances as the flat table of a file header."""
        table = {
            "energy": self.energy,
            "forces": self.forces,
            "virial": self.virial,
            "n_structures": float(self.n_structures),
        }
        return table | {f"{name}_tolerance": x for name, x in limits.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A structure of the check, and what the source says about it.

    Attributes:
        atoms: the structure.
        prediction: of the source, in float64.
    """

    atoms: Atoms
    prediction: Prediction


def expected(
    source: Potential, head: str, elements: Sequence[str], *, seed: int = 0
) -> list[Expected]:
    """Return the structures of the check with what they are compared with.

    Args:
        source: the potential that is converted, in float64, with all its heads.
        head: the head that is converted.
        elements: those of the file.
        seed: seed of the structures.
    """
    found = []
    for atoms in check_structures(elements, seed=seed):
        graph = graph_from_atoms(atoms, source.config, head, dtype=torch.float64)
        found.append(Expected(atoms=atoms, prediction=predict(source, graph)))
    return found


def self_check(
    wanted: Sequence[Expected],
    model: MliapModel,
    tolerances: Mapping[str, float] | None = None,
) -> SelfCheck:
    """Compare `model` with its source on random structures of the model's elements.

    Args:
        wanted: see `expected`.
        model: the object that LAMMPS will hold.
        tolerances: those of its dtype and backend if not given.

    Returns:
        The largest deviations found; all are within the tolerances.

    Raises:
        CheckFailedError: a deviation is above its tolerance.
    """
    limits = tolerances or tolerances_of(model)
    worst = dict.fromkeys(("energy", "forces", "virial"), 0.0)
    for one in wanted:
        for name, deviation in _deviations(one, model).items():
            if not deviation <= limits[name]:
                message = _disagreement(name, deviation, limits[name], one.atoms)
                raise CheckFailedError(message)
            worst[name] = max(worst[name], deviation)
    width = _observed_width(model, wanted[0].atoms)
    return SelfCheck(**worst, n_structures=len(wanted), message_width=width)


def tolerances_of(model: MliapModel) -> dict[str, float]:
    """Return the tolerances of a model's dtype and backend."""
    return (COMPILED_TOLERANCES if model.compiled else TOLERANCES)[model.header.dtype]


def check_structures(elements: Sequence[str], *, seed: int = 0) -> Iterator[Atoms]:
    """Yield the structures of the check, the same ones for the same seed.

    Dense triclinic periodic structures in which every element occurs, then one
    slab-like structure with vacuum, then every element as an isolated atom.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, len(elements), _ATOMS_PER_STRUCTURE):
        group = list(elements[start : start + _ATOMS_PER_STRUCTURE])
        yield _dense(group, rng)
        yield _dense(group, rng)
    slab = _dense(list(elements[:2]), rng)
    slab.set_pbc((True, True, False))
    yield slab
    for symbol in elements:
        yield Atoms(symbol, cell=np.eye(3) * 30.0, pbc=True)


def _dense(group: list[str], rng: np.random.Generator) -> Atoms:
    """Return eight rattled atoms on a strained 2x2x2 grid, elements in random order."""
    symbols = [group[k % len(group)] for k in range(_ATOMS_PER_STRUCTURE)]
    radius = np.mean([covalent_radii[atomic_numbers[symbol]] for symbol in symbols])
    spacing = max(1.8, 1.7 * float(radius))
    grid = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3)
    cell = 2.0 * spacing * (np.eye(3) + rng.uniform(-0.12, 0.12, (3, 3)))
    rattle = rng.normal(scale=0.06 * spacing, size=(len(grid), 3))
    positions = grid / 2.0 @ cell + rattle
    order = rng.permutation(len(symbols))
    return Atoms([symbols[k] for k in order], positions=positions, cell=cell, pbc=True)


def _deviations(one: Expected, model: MliapModel) -> dict[str, float]:
    """Return |difference| / max(1, size) of energy, forces and virial per atom."""
    atoms, wanted = one.atoms, one.prediction
    rank = PeriodicRank(atoms, model.header.cutoff, model.element_types)
    model.compute_forces(rank)
    n = len(atoms)
    interaction = abs(float(wanted.interaction_energy.detach())) / n
    energy = abs(rank.energy - float(wanted.energy.detach())) / n
    per_atom = np.abs(rank.eatoms - wanted.atomic_energies.detach().numpy()).max()
    forces = wanted.forces.detach().numpy()
    virial = wanted.virial.detach().numpy()[0] / n
    return {
        "energy": max(energy, float(per_atom)) / max(1.0, interaction),
        "forces": _relative(rank.forces(), forces),
        "virial": _relative(rank.virial / n, virial),
    }


def _relative(found: Floats, wanted: Floats) -> float:
    return float(np.abs(found - wanted).max() / max(1.0, float(np.abs(wanted).max())))


def _observed_width(model: MliapModel, atoms: Atoms) -> int:
    """Return how many numbers per atom one exchange carries, by watching one."""
    widths = model.evaluate(
        PeriodicRank(atoms, model.header.cutoff, model.element_types)
    )
    return max(widths, default=0)


def _disagreement(name: str, deviation: float, limit: float, atoms: Atoms) -> str:
    return explain(
        f"the converted potential disagrees with its source in {name}",
        got=f"{deviation:.2e} for {atoms.get_chemical_formula()}",
        wanted=f"at most {limit:.0e} (eV, Å, per atom)",
        fix="no file was written; convert with --dtype float64, or report the model",
    )
