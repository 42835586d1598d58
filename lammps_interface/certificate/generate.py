"""The structures on which ranks could disagree, made from a file's own elements."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from lamplighter.arrays import Floats
from lamplighter.lammps_interface.certificate.cases import (
    NOBODY,
    SKIN,
    STEPS,
    Case,
    heights,
    make_case,
    moving,
    travel,
)
from lamplighter.lammps_interface.placement import place

_GROUP: Final = 4  # elements in one crystal
_RATTLE: Final = 0.03  # of the spacing
_SHORTEST: Final = 2.0  # Å between neighbours, whatever the covalent radii
_WIDEST: Final = 5  # sites along an edge, however strongly a cell is skewed


def generated_cases(
    elements: Sequence[str], cutoff: float, *, seed: int = 0
) -> list[Case]:
    """Return the cases for a set of elements.

    Args:
        elements: chemical symbols, in the order of the file.
        cutoff: interaction radius of one layer, Å.
        seed: of the displacements; the same seed gives the same cases.
    """
    return list(_Maker(elements, cutoff, seed).cases())


class _Maker:
    """Makes all cases of one file; its generator advances from case to case."""

    def __init__(self, elements: Sequence[str], cutoff: float, seed: int) -> None:
        self._elements = tuple(elements)
        self._group = self._elements[:_GROUP]
        self._rng = np.random.default_rng(seed)
        self._reach = cutoff + SKIN
        self._spacing = _spacing(self._group)

    def cases(self) -> Iterator[Case]:
        yield from self._crystals()
        yield from self._surfaces()
        yield from self._clusters()
        yield from self._few_atoms()
        yield from self._types()
        yield from self._moving()

    def _crystals(self) -> Iterator[Case]:
        """Yield dense cells of all shapes."""
        solid = self._crystal()
        yield make_case("crystal", "every rank sees ghosts on all sides", solid)
        double = self._crystal(repeat=(2, 1, 1))
        yield make_case("long box", "ranks along x", double, grid="* 1 1")
        tilts: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
            ("tilted", "positive tilt factors", (0.2, 0.13, 0.17)),
            ("tilted back", "negative tilt factors", (-0.23, -0.11, -0.19)),
            ("tilted both ways", "tilt factors of both signs", (0.3, -0.25, 0.2)),
            ("skewed", "tilt factors above half of the box", (0.8, -0.6, 0.6)),
        )
        for (name, shows, shear), grid in zip(
            tilts, ("* * *", "* * *", "1 * 1", "* * *"), strict=True
        ):
            atoms = self._crystal(shear=shear)
            yield make_case(name, shows, atoms, grid=grid)
        for start in range(_GROUP, len(self._elements), _GROUP):
            group = self._elements[start : start + _GROUP]
            atoms = self._crystal(group=group)
            name = f"crystal of {' '.join(group)}"
            yield make_case(name, "further elements of the file", atoms)
        yield make_case(
            "primitive", "a cell smaller than the cutoff", self._primitive()
        )
        outside = solid.copy()
        steps = self._rng.integers(-3, 4, (len(outside), 3))
        outside.positions += steps @ outside.cell.array
        yield make_case("outside", "atoms given outside of the cell", outside)

    def _surfaces(self) -> Iterator[Case]:
        """Yield slabs and a wire; most ranks are empty."""
        for name, shows, axes, wall, grid in (
            ("slab", "vacuum: ranks without atoms", 3, "f", "1 1 *"),
            ("open slab", "no periodicity along z", 2, "f", "1 1 *"),
            ("wrapped slab", "a box that shrinks to the slab", 2, "s", "* * *"),
        ):
            atoms = self._crystal(layers=2)
            atoms.set_pbc([axis < axes for axis in range(3)])
            atoms.cell[2, 2] = 4.0 * self._reach
            atoms.positions[:, 2] += 1.0
            yield make_case(name, shows, atoms, wall=wall, grid=grid)
        wire = self._cluster()
        wire.set_cell([self._reach + 1.0, 3.0 * self._reach, 3.0 * self._reach])
        wire.set_pbc((True, False, False))
        wire.positions += 1.0
        yield make_case("wire", "periodic along x alone", wire)

    def _clusters(self) -> Iterator[Case]:
        """Yield a molecule in a big box, with all kinds of boundaries."""
        edge = 3.0 * self._reach
        for name, shows, periodic, wall, shift in (
            ("cluster", "a molecule in a corner of an open box", False, "f", 1.0),
            ("wrapped cluster", "a box that shrinks to a molecule", False, "s", 1.0),
            (
                "cluster across corners",
                "a molecule in eight pieces",
                True,
                "f",
                -0.5 * self._spacing,
            ),
        ):
            atoms = self._cluster()
            atoms.set_cell([edge] * 3)
            atoms.set_pbc(periodic)
            atoms.positions += shift
            yield make_case(name, shows, atoms, wall=wall)
        atoms = self._cluster()
        atoms.set_cell([edge] * 3)
        atoms.set_pbc(True)
        atoms.positions += 1.0
        far = Atoms(self._group[:1], [[0.6 * edge] * 3])
        yield make_case(
            "cluster and far atom",
            "an atom without neighbours beside others",
            atoms + far,
        )

    def _few_atoms(self) -> Iterator[Case]:
        """Yield as many atoms as ranks, or fewer."""
        for n in (2, 3, 4):
            edge = max(self._reach + 0.1, n * self._spacing)
            z = (np.arange(n) + 0.5) * edge / n
            positions = np.column_stack([np.full((n, 2), 0.5 * edge), z])
            positions += self._displacements(n)
            names = [self._group[k % len(self._group)] for k in range(n)]
            chain = Atoms(names, positions, cell=[edge] * 3, pbc=True)
            yield make_case(
                f"chain of {n}", f"one atom on each of {n} ranks", chain, grid="1 1 *"
            )
        edge = 2.2 * self._reach
        alone = Atoms(self._group[-1:], [[0.3 * edge] * 3], cell=[edge] * 3, pbc=True)
        yield make_case("one atom", "no pair on any rank", alone)
        yield make_case("far atoms", "every element without neighbours", self._far())

    def _types(self) -> Iterator[Case]:
        """Yield cases in which LAMMPS' types are not the file's elements."""
        pure = self._crystal(group=self._group[:1])
        types = self._elements if len(self._elements) > 1 else self._elements * 2
        yield make_case("absent types", "types that no atom has", pure, types=types)
        solid = self._crystal()
        names = (*self._group[::-1], self._group[0])
        kinds = [names.index(symbol) + 1 for symbol in solid.symbols]
        first = [k for k, symbol in enumerate(solid.symbols) if symbol == names[-1]]
        for k in first[::2]:
            kinds[k] = len(names)
        yield make_case(
            "doubled type",
            "types in another order, one element twice",
            solid,
            types=names,
            kinds=tuple(kinds),
        )
        mixed = self._crystal()
        hidden = self._rng.choice(len(mixed), len(mixed) // 4, replace=False)
        mixed.symbols[hidden] = NOBODY
        yield make_case(
            "hidden atoms",
            "hybrid/overlay with a NULL type",
            mixed,
            types=(*self._group, NOBODY),
        )

    def _moving(self) -> Iterator[Case]:
        """Yield cases that take steps before they are compared."""
        solid = self._crystal()
        drift = moving(1.0, 0.7, 0.4, travel(solid, fraction=0.5))
        yield make_case(
            "moving", "atoms move from rank to rank", solid, steps=STEPS, dynamics=drift
        )
        slab = self._crystal(layers=2)
        slab.cell[2, 2] = 4.0 * self._reach
        yield make_case(
            "moving, balanced",
            "atoms and the borders between ranks move",
            slab,
            steps=STEPS,
            dynamics=moving(0.2, 0.3, 1.0, travel(slab, fraction=0.5)),
            balance={
                "brick": "fix lc_balance all balance 4 1.0 shift xyz 5 1.01",
                "tiled": "fix lc_balance all balance 4 1.0 rcb",
            },
        )
        strained = self._crystal(shear=(0.1, -0.05, 0.05))
        deform = (
            "fix lc_box all deform 5 x erate 6.0 xy erate -8.0 yz erate 6.0 remap x"
        )
        yield make_case(
            "deforming",
            "the box and its tilt change",
            strained,
            steps=STEPS,
            dynamics=(*moving(0.0, 0.0, 0.0, 1.0), deform),
        )

    def _crystal(
        self,
        *,
        group: Sequence[str] = (),
        shear: tuple[float, float, float] = (0.0, 0.0, 0.0),
        repeat: tuple[int, int, int] = (1, 1, 1),
        layers: int = 0,
    ) -> Atoms:
        """Return rattled atoms on a grid that is wider than the communication cutoff.

        Args:
            group: elements, by default the first ones of the file.
            shear: tilt factors xy, xz, yz as fractions of the box lengths.
            repeat: how many times as long as necessary the box is.
            layers: sites along z, by default as many as along x.
        """
        group = tuple(group) or self._group
        spacing = _spacing(group)
        xy, xz, yz = shear
        unit = np.array([[1.0, 0.0, 0.0], [xy, 1.0, 0.0], [xz, yz, 1.0]])
        n = int(np.ceil((self._reach + 0.1) / spacing / heights(unit).min()))
        n = min(n, max(_WIDEST, int(np.ceil((self._reach + 0.1) / spacing))))
        n += n % len(group) if len(group) == 2 else 0  # alternate across the border
        counts = np.array(repeat) * n
        if layers:
            counts[2] = layers
        sites = np.array(list(itertools.product(*(range(count) for count in counts))))
        cell = np.diag(counts * spacing) @ unit
        cell[1, 0], cell[2, 0] = xy * cell[0, 0], xz * cell[0, 0]
        cell[2, 1] = yz * cell[1, 1]
        symbols = [group[sum(site) % len(group)] for site in sites.tolist()]
        positions = sites / counts @ cell + self._displacements(len(sites), spacing)
        return Atoms(symbols, positions, cell=cell, pbc=True)

    def _primitive(self) -> Atoms:
        """Return two atoms in the primitive cell of rock salt."""
        s = self._spacing
        names = [self._group[0], self._group[-1]]
        positions = np.array([[0.1, 0.1, 0.1], [s, 0.0, 0.0]]) + self._displacements(2)
        cell = s * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
        spot = place(Atoms(names, positions, cell=cell, pbc=True))
        return Atoms(names, spot.positions, cell=spot.box, pbc=True)

    def _cluster(self) -> Atoms:
        """Return eight atoms on the corners of a rattled cube, without a cell."""
        sites = np.array(list(itertools.product(range(2), repeat=3)))
        symbols = [self._group[sum(site) % len(self._group)] for site in sites.tolist()]
        positions = sites * self._spacing + self._displacements(len(sites))
        return Atoms(symbols, positions)

    def _far(self) -> Atoms:
        """Return one atom of each element, out of each other's reach."""
        edge = int(np.ceil(len(self._elements) ** (1.0 / 3.0) - 1e-9))
        sites = np.array(list(itertools.product(range(edge), repeat=3)))
        distance = self._reach + 0.5
        positions = (sites[: len(self._elements)] + 0.25) * distance
        cell = [edge * distance] * 3
        return Atoms(self._elements, positions, cell=cell, pbc=True)

    def _displacements(self, n: int, spacing: float = 0.0) -> Floats:
        scale = _RATTLE * (spacing or self._spacing)
        return self._rng.normal(scale=scale, size=(n, 3)).clip(-0.2, 0.2)


def _spacing(group: Sequence[str]) -> float:
    """Return the distance of neighbours on the grid: the largest pair of radii, Å."""
    radii = [float(covalent_radii[atomic_numbers[symbol]]) for symbol in group]
    if len(radii) == 2:  # they alternate: no two of a kind are neighbours
        pairs = [radii[0] + radii[1]]
    else:
        pairs = [2.0 * max(radii)] if len(radii) > 2 else [2.0 * radii[0]]
    return max(_SHORTEST, *pairs)
