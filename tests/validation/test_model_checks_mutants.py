"""Potentials with one thing wrong: the right check sees it, others do not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones

from lamplighter.model import neighbor_pairs
from lamplighter.validation.model_checks import (
    CHECKS,
    ModelReport,
    check_model,
    smoothness,
    subject_of_calculator,
)

CUTOFF = 4.5
ELEMENTS = ("Cu", "Au")
NEVER = frozenset({"batch", "dtype"})  # skipped without a Lamplighter potential
EVERY = frozenset(CHECKS) - NEVER
Pairs = dict[str, Any]


class Smooth(Calculator):
    """A many-body potential that is as it should be: pairs, and a root of a density."""

    implemented_properties = ["energy", "free_energy", "forces", "stress", "energies"]  # noqa: RUF012

    def pairs(self, atoms: Atoms) -> Pairs:
        i, j, d = neighbor_pairs(atoms, CUTOFF)
        r = np.linalg.norm(d, axis=1)
        u2 = (r / CUTOFF) ** 2
        cut = (1 - u2) ** 4
        return {
            "i": i,
            "j": j,
            "r": r,
            "d": d,
            "cut": cut,
            "slope": -8 * (1 - u2) ** 3 * r / CUTOFF**2,
            "weight": 1 + 0.01 * (atoms.numbers[i] + atoms.numbers[j]),
        }

    def pair_energy(self, p: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """Half the energy of each directed pair, and its gradient by the vector."""
        bare = 20 * p["weight"] * np.exp(-2 * p["r"])
        radial = bare * (p["slope"] - 2 * p["cut"])
        return bare * p["cut"], radial[:, None] * p["d"] / p["r"][:, None]

    def calculate(
        self, atoms=None, properties=("energy",), system_changes=all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        p = self.pairs(self.atoms)
        n = len(self.atoms)
        energy, gradient = self.pair_energy(p)
        bare = np.exp(-p["r"])
        density = 1 + np.bincount(p["i"], bare * p["cut"], n)
        energies = 1 - np.sqrt(density) + np.bincount(p["i"], energy, n)
        radial = -0.5 / np.sqrt(density[p["i"]]) * bare * (p["slope"] - p["cut"])
        gradient = gradient + (radial / p["r"])[:, None] * p["d"]
        forces = np.zeros((n, 3))
        np.add.at(forces, p["i"], gradient)
        np.add.at(forces, p["j"], -gradient)
        self.results = {
            "energy": energies.sum(),
            "energies": energies,
            "forces": forces,
        }
        if self.atoms.pbc.all():
            virial = p["d"].T @ gradient / self.atoms.get_volume()
            stress = 0.5 * (virial + virial.T)
            self.results["stress"] = stress.ravel()[[0, 4, 8, 5, 2, 1]]
        self.spoil(self.atoms, self.results, p)
        self.results["free_energy"] = self.results["energy"]

    def spoil(self, atoms: Atoms, results: dict[str, Any], p: Pairs) -> None:
        """What a mutant does to the results."""


class QuadraticInX(Smooth):
    def spoil(self, atoms, results, p):  # noqa: ARG002
        results["energy"] += 1e-3 * (atoms.positions[:, 0] ** 2).sum()
        results["forces"][:, 0] -= 2e-3 * atoms.positions[:, 0]


class LikesX(Smooth):
    """Pairs along x are different: consistent, but not the same when turned."""

    def pair_energy(self, p):
        energy, gradient = super().pair_energy(p)
        x = p["d"][:, 0]
        radial = 1e-3 * p["slope"] * x**2 / p["r"]
        gradient = gradient + radial[:, None] * p["d"]
        gradient[:, 0] += 2e-3 * p["cut"] * x
        return energy + 1e-3 * p["cut"] * x**2, gradient


class Handed(Smooth):
    """Adds a pseudoscalar of each atom's neighbourhood to the energy."""

    def spoil(self, atoms, results, p):
        n, r = len(atoms), p["r"]
        weights = [p["cut"] * r**k for k in range(3)]
        moments = np.array(
            [
                [np.bincount(p["i"], w * p["d"][:, k], n) for k in range(3)]
                for w in weights
            ]
        )
        results["energy"] += 1e-3 * np.linalg.det(moments.transpose(2, 0, 1)).sum()


class WrongSignForces(Smooth):
    def spoil(self, atoms, results, p):  # noqa: ARG002
        results["forces"] *= -1


class WrongSignStress(Smooth):
    def spoil(self, atoms, results, p):  # noqa: ARG002
        if "stress" in results:
            results["stress"] *= -1


class CountsOrder(Smooth):
    def spoil(self, atoms, results, p):  # noqa: ARG002
        signs = (-1.0) ** np.arange(len(atoms))
        results["energy"] += 1e-6 * (signs * atoms.numbers).sum()


class CountsOutsiders(Smooth):
    """Energy for each atom outside the cell."""

    def spoil(self, atoms, results, p):  # noqa: ARG002
        if atoms.pbc.all():
            fractions = np.linalg.solve(atoms.cell.array.T, atoms.positions.T)
            outside = ((fractions < 0) | (fractions >= 1)).any(axis=0)
            results["energy"] += 1e-4 * outside.sum()


class HardCutoff(Smooth):
    """A constant for each pair in range: only the energy jumps."""

    def pair_energy(self, p):
        energy, gradient = super().pair_energy(p)
        return energy + 1e-4, gradient


class Kinked(Smooth):
    """A harmonic cutoff: its second derivative jumps."""

    def pair_energy(self, p):
        energy, gradient = super().pair_energy(p)
        rest = CUTOFF - p["r"]
        radial = -2e-3 * rest / p["r"]
        return energy + 1e-3 * rest**2, gradient + radial[:, None] * p["d"]


class RootOfNumber(Smooth):
    def spoil(self, atoms, results, p):  # noqa: ARG002
        results["energy"] += 1e-4 * np.sqrt(len(atoms))


class LongRange(Smooth):
    """Free atoms also feel those beyond the cutoff, weakly."""

    def spoil(self, atoms, results, p):  # noqa: ARG002
        if atoms.pbc.any() or len(atoms) < 2:
            return
        d = atoms.positions[None] - atoms.positions[:, None]
        r = np.linalg.norm(d, axis=2) + np.eye(len(atoms))
        term = 1e-4 * np.exp(-r / 10) * (1 - np.eye(len(atoms)))
        results["energy"] += term.sum() / 2
        results["forces"] -= np.einsum("ij,ijk->ik", term / 10 / r, d)


class Hole(Smooth):
    def pair_energy(self, p):
        energy, gradient = super().pair_energy(p)
        rest = (p["r"] - 1.0) / 0.15
        well = -10 * np.exp(-(rest**2))
        radial = -2 * rest / 0.15 * well / p["r"]
        return energy + well, gradient + radial[:, None] * p["d"]


class Restless(Smooth):
    generator = np.random.default_rng(0)

    def spoil(self, atoms, results, p):  # noqa: ARG002
        results["energy"] += 1e-7 * self.generator.normal()


class Remembers(Smooth):
    """Part of the forces is left over from the call before."""

    last = 0.0

    def spoil(self, atoms, results, p):  # noqa: ARG002
        here = results["energy"]
        results["forces"] += 1e-6 * self.last
        self.last = here


class NetForce(Smooth):
    def spoil(self, atoms, results, p):  # noqa: ARG002
        if len(atoms) > 1:
            results["forces"][:, 2] += 1e-5


class Twisting(Smooth):
    """Forces across the line between two atoms, with their reaction: a torque."""

    def spoil(self, atoms, results, p):  # noqa: ARG002
        across = 1e-5 * p["cut"][:, None] * np.cross(p["d"], [0.0, 0.0, 1.0])
        np.add.at(results["forces"], p["i"], across)


class NoLoneAtoms(Smooth):
    def spoil(self, atoms, results, p):  # noqa: ARG002
        if len(atoms) == 1:
            results["energy"] = np.nan


@dataclasses.dataclass(frozen=True)
class Case:
    """A mutant, the records that must fail, the checks that may fail as well."""

    mutant: Callable[[], Calculator]
    must: tuple[str, ...]
    may: frozenset[str] = frozenset()


CASES = {
    "x squared": Case(
        QuadraticInX,
        ("rotation.energy", "rotation.forces", "translation.energy"),
        EVERY
        - {"permutation", "determinism", "smoothness", "close_approach", "inversion"},
    ),
    "likes x": Case(
        LikesX,
        ("rotation.energy", "rotation.forces", "rotation.stress"),
        frozenset({"conservation", "cells"}),
    ),
    "handed": Case(Handed, ("inversion.energy",), frozenset({"derivatives"})),
    "force sign": Case(WrongSignForces, ("derivatives.forces",)),
    "stress sign": Case(WrongSignStress, ("derivatives.stress",)),
    "order": Case(
        CountsOrder, ("permutation.energy",), frozenset({"extensivity", "cells"})
    ),
    "outside the cell": Case(
        CountsOutsiders, ("wrapping.energy",), frozenset({"translation", "cells"})
    ),
    "hard cutoff": Case(HardCutoff, ("smoothness.energy",)),
    "kinked": Case(Kinked, ("smoothness.slope",)),
    "root of N": Case(RootOfNumber, ("extensivity.energy", "cells.energy")),
    "long range": Case(
        LongRange,
        ("locality.separate", "locality.forces"),
        frozenset({"cells", "extensivity"}),
    ),
    "hole": Case(Hole, ("close_approach.hole",)),
    "restless": Case(
        Restless,
        ("determinism.energy",),
        EVERY - {"conservation", "isolated", "locality", "close_approach"},
    ),
    "remembers": Case(
        Remembers,
        ("determinism.forces",),
        EVERY - {"close_approach"},
    ),
    "net force": Case(
        NetForce,
        ("conservation.force", "derivatives.forces"),
        frozenset({"rotation", "inversion", "locality", "smoothness", "cells"}),
    ),
    "torque": Case(
        Twisting,
        ("conservation.torque", "derivatives.forces"),
        frozenset({"rotation", "inversion", "cells", "smoothness"}),
    ),
    "no lone atoms": Case(
        NoLoneAtoms, ("isolated.energy",), frozenset({"close_approach"})
    ),
}


def judge(calculator: Calculator) -> ModelReport:
    subject = subject_of_calculator(calculator, ELEMENTS, cutoff=CUTOFF)
    return check_model(subject)


def test_the_unspoiled_potential_passes_everything() -> None:
    report = judge(Smooth())
    assert report.failed == ()
    skipped = {r.check for r in report.records if r.status == "skipped"}
    # E0 is unknown; the others need a Lamplighter potential
    assert skipped == {*NEVER, "isolated"}


@pytest.mark.parametrize("name", CASES)
def test_a_mutant_is_caught_by_the_right_check(name: str) -> None:
    case = CASES[name]
    report = judge(case.mutant())
    failed = {record.name for record in report.failed}
    assert failed.issuperset(case.must)
    plausible = {record.partition(".")[0] for record in case.must} | case.may
    assert report.failed_checks <= plausible


def test_the_tolerance_of_a_jump_grows_as_the_energy() -> None:
    class Strong(Smooth):
        factor = 1.0

        def calculate(self, *args: Any, **kwargs: Any) -> None:
            super().calculate(*args, **kwargs)
            for name in ("energy", "forces"):
                self.results[name] = self.factor * self.results[name]

    found = []
    for factor in (1e2, 1e4):
        calculator = Strong()
        calculator.factor = factor
        subject = subject_of_calculator(calculator, ELEMENTS, cutoff=CUTOFF)
        *_, path = smoothness._paths(subject)
        found.append(smoothness.jumps(subject, path, CUTOFF))
    for quantity in ("energy", "force"):
        weak, strong = (one[quantity].tolerance for one in found)
        assert strong / weak == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize(
    ("smooth", "failed"),
    [
        # shifted to zero at the cutoff, so that only force and slope jump
        (False, {"smoothness.force", "smoothness.slope"}),
        # its switching function has one continuous derivative
        (True, {"smoothness.slope"}),
    ],
)
def test_a_truncated_lennard_jones_is_not_smooth(
    smooth: bool, failed: set[str]
) -> None:
    calculator = LennardJones(sigma=2.3, epsilon=0.2, rc=6.0, smooth=smooth)
    subject = subject_of_calculator(calculator, ("Cu",), cutoff=6.0)
    checks = ("rotation", "derivatives", "smoothness", "extensivity", "locality")
    report = check_model(subject, checks=checks)
    # a finite difference across the cutoff sees the kink, too
    found = {r.name for r in report.failed if r.check != "derivatives"}
    assert found == failed
