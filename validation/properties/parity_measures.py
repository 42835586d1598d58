"""How each point of the preflight is measured: numbers, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ase import Atoms

from lamplighter.errors import EngineError
from lamplighter.validation.engines.base import WANT_ALL, Engine, Result
from lamplighter.validation.engines.family import Family, family_of
from lamplighter.validation.engines.variants import (
    STEPS,
    Lammps,
    Life,
    VariantError,
    lammps_of,
    life,
)
from lamplighter.validation.properties.parity_terms import (
    Tolerances,
    fraction,
    largest,
)

Level = Literal["none", "quick", "full"]

OF_LIMITS: Final = "of ΔE, ΔF, Δσ limits"

FAR: Final = 12.0
"""Å between the images of a free atom: beyond the cutoff of any local potential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the points are tried on.

    Attributes:
        engines: reference and deployed engine.
        name: of the structure.
        atoms: a structure that is periodic in three directions if there is one.
        result: of the deployed engine for it.
        limits: tolerances.
        level: ``quick`` or ``full``.
    """

    engines: tuple[Engine, Engine]
    name: str
    atoms: Atoms
    result: Result
    limits: Tolerances
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A point before it was tried."""

    number: int
    key: str
    label: str
    measure: Measure
    limit: Callable[[Tolerances], float] = lambda _: 1.0
    unit: str = OF_LIMITS
    at_least: bool = False


class Lives:
    """What several points of a bench look at, computed when the first one does."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._found: Life | None = None
        self._other: tuple[Result, Result] | None = None

    def other_head(self) -> tuple[Result, Result]:
        """Return what another head gives in the reference and the deployed engine.

        Raises:
            VariantError: there is no other head.
        """
        if self._other is None:
            self._other = _other(self._bench)
        return self._other

    def get(self) -> Life:
        """Return the life of the structure.

        Raises:
            VariantError: the structure cannot be moved in a periodic box.
        """
        if self._found is None:
            bench = self._bench
            if not bench.atoms.pbc.all() or len(bench.atoms) < 2:
                raise VariantError(
                    reason="no structure with two atoms or more is periodic in three "
                    "directions"
                )
            self._found = life(_lammps(bench), bench.atoms)
        return self._found


Measure: TypeAlias = Callable[[Bench, Lives], float | tuple[float, str]]
"""What a point measures, and what there is to tell about it."""


def _lammps(bench: Bench) -> Lammps:
    found = lammps_of(bench.engines[1])
    if found is None:
        raise VariantError(
            reason=f"engine '{bench.engines[1].info.name}' is not LAMMPS"
        )
    return found


def _family(bench: Bench) -> Family:
    found = family_of(bench.engines[1])
    if found is None:
        raise VariantError(
            reason=f"engine '{bench.engines[1].info.name}' has no heads: its potential "
            "is not one of this project"
        )
    return found


def _same(bench: Bench, engine: Engine) -> float:
    return fraction(bench.result, engine.compute(bench.atoms, WANT_ALL), bench.limits)


def _types_reversed(bench: Bench, _: Lives) -> float:
    lammps = _lammps(bench)
    style = lammps.style.with_types_reversed()
    if style is None:
        raise VariantError(
            reason="one type only"
            if len(lammps.style.elements) < 2
            else "the pair_coeff lines name types by number"
        )
    return _same(bench, lammps.with_style(style))


def _extensivity(bench: Bench, _: Lives) -> float:
    """Return how far a cell beside its image is from twice the cell."""
    if not bench.atoms.pbc[0]:
        raise VariantError(reason="no structure is periodic")
    one, two = (
        bench.result,
        bench.engines[1].compute(bench.atoms.repeat((2, 1, 1)), WANT_ALL),
    )
    n = len(bench.atoms)
    half = Result(
        energy=two.energy / 2.0,
        forces=two.forces[:n],
        stress=two.stress,
        energies=None if two.energies is None else two.energies[n:],
        info=two.info,
        wall_s=0.0,
    )
    return fraction(one, half, bench.limits)


def _free_atoms(bench: Bench, _: Lives) -> tuple[float, str]:
    """Return the largest difference of a free atom between the engines, eV.

    How far free atoms are from E0 belongs to the model and is told: a potential need
    not give E0 where an atom has no neighbours.
    """
    family = family_of(bench.engines[1])
    apart: list[float] = []
    farthest, which = 0.0, ""
    for symbol in sorted(set(bench.atoms.get_chemical_symbols())):
        atom = Atoms(symbol, positions=[[1.0, 2.0, 3.0]])
        atom.set_cell([2 * FAR, 2 * FAR + 1, 2 * FAR + 2])
        atom.pbc = True
        a, b = (engine.compute(atom).energy for engine in bench.engines)
        apart.append(abs(a - b))
        if family is not None:
            away = abs(b - family.reference_energies[symbol])
            farthest, which = max((farthest, which), (away, symbol))
    if family is None:
        return largest(apart), "no E0 is known of a foreign potential"
    return largest(apart), f"from E0: {farthest:.3g} eV {which}".rstrip()


def _other(bench: Bench) -> tuple[Result, Result]:
    """Return what another head gives in both engines."""
    deployed = _family(bench)
    reference = family_of(bench.engines[0])
    others = [name for name in deployed.heads if name != deployed.head]
    if not others:
        raise VariantError(reason="the potential has one head for these elements")
    if reference is None:
        raise VariantError(reason="the reference engine has no heads")
    with reference.open(others[0]) as a, deployed.open(others[0]) as b:
        return a.compute(bench.atoms, WANT_ALL), b.compute(bench.atoms, WANT_ALL)


def _same_head(bench: Bench, _: Lives) -> float:
    family = _family(bench)
    with family.open(family.head) as engine:
        return _same(bench, engine)


def _other_head_agrees(bench: Bench, lives: Lives) -> float:
    reference, deployed = lives.other_head()
    return fraction(reference, deployed, bench.limits)


def _other_head_differs(bench: Bench, lives: Lives) -> float:
    return fraction(bench.result, lives.other_head()[1], bench.limits)


def _run(*preamble: str, ranks: int | None = None) -> Callable[[Bench, Lives], float]:
    """Return the measure of a variant of the LAMMPS run."""

    def measure(bench: Bench, _: Lives) -> float:
        return _same(bench, _lammps(bench).variant(*preamble, ranks=ranks))

    return measure


def _two_ranks(bench: Bench, lives: Lives) -> tuple[float, str]:
    """Return what two ranks change, or one where the engine itself has two."""
    own = _lammps(bench).ranks
    if own == 2:
        return _run(ranks=1)(bench, lives), "1 rank: the engine itself runs on 2"
    return _run(ranks=2)(bench, lives), ""


def _newton(flag: str) -> Callable[[Bench, Lives], float]:
    def measure(bench: Bench, lives: Lives) -> float:
        try:
            return _run(f"newton {flag}")(bench, lives)
        except EngineError as error:
            said = re.search(r"ERROR[^\n;]*newton[^\n;(]*", str(error))
            if said is None:
                raise
            raise VariantError(reason=f"LAMMPS says {said[0].strip()}") from error

    return measure


def _more_ghosts(bench: Bench, _: Lives) -> float:
    """Return what a wide skin changes, and with it more ghosts and longer lists."""
    return _same(bench, _lammps(bench).variant(skin=2.0))


def _dynamics(which: int) -> Callable[[Bench, Lives], float]:
    def measure(bench: Bench, lives: Lives) -> float:
        found = lives.get()
        fresh = bench.engines[which].compute(found.atoms, WANT_ALL)
        return fraction(fresh, found.moved, bench.limits)

    return measure


def _reneighboured(bench: Bench, lives: Lives) -> float:
    found = lives.get()
    return fraction(found.moved, found.reneighboured, bench.limits)


def _restarted(bench: Bench, lives: Lives) -> float:
    found = lives.get()
    return fraction(found.moved, found.restarted, bench.limits)


def tests(level: Level) -> Sequence[Test]:
    """Return the points of a level, in the order of the list."""
    found = [
        Test(number=3, key="types", label="types reversed", measure=_types_reversed),
        Test(number=4, key="extensivity", label="2×1×1 replica", measure=_extensivity),
        Test(
            number=4,
            key="free atoms",
            label="free atoms",
            measure=_free_atoms,
            limit=lambda limits: limits.energy,
            unit="eV",
        ),
        Test(number=5, key="head", label="same head again", measure=_same_head),
        Test(
            number=5,
            key="other head",
            label="other head, between the engines",
            measure=_other_head_agrees,
        ),
        Test(
            number=5,
            key="heads differ",
            label="other head, against this one",
            measure=_other_head_differs,
            at_least=True,
        ),
        Test(number=6, key="2 ranks", label="2 ranks", measure=_two_ranks),
    ]
    if level == "full":
        found += [
            Test(
                number=6,
                key=f"grid {x} {y} {z}",
                label=f"{x * y * z} ranks, grid {x}×{y}×{z}",
                measure=_run(f"processors {x} {y} {z}", ranks=x * y * z),
            )
            for x, y, z in ((2, 1, 1), (1, 1, 2), (2, 2, 1), (1, 1, 4))
        ]
    for flag in ("on", "off") if level == "full" else ("off",):
        found.append(
            Test(
                number=6,
                key=f"newton {flag}",
                label=f"newton {flag}",
                measure=_newton(flag),
            )
        )
    found += [
        Test(number=6, key="ghosts", label="skin of 2 Å", measure=_more_ghosts),
        Test(
            number=7,
            key="dynamics",
            label=f"run 0 after {STEPS} steps",
            measure=_dynamics(1),
        ),
        Test(
            number=7,
            key="dynamics, reference",
            label=f"reference after {STEPS} steps",
            measure=_dynamics(0),
        ),
        Test(
            number=7,
            key="neighbours",
            label="lists built at every step",
            measure=_reneighboured,
        ),
        Test(number=8, key="restart", label="through a restart", measure=_restarted),
    ]
    return found
