"""Reactants and products of the reaction paths, built by hand; positions in Å."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import molecule


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """Two ends of a path with the same atoms in the same order.

    Attributes:
        name: Goes into the configuration type.
        reactant: The first image.
        product: The last image.
        spin: Number of unpaired electrons.
        n_images: Number of images, ends included.
        band: Whether xTB relaxes the images as an elastic band; the others are
            interpolated only.
    """

    name: str
    reactant: Atoms
    product: Atoms
    spin: int
    n_images: int = 7
    band: bool = True


def placed(
    base: Atoms, fragment: Atoms, on: int, along: Sequence[float], d: float
) -> Atoms:
    """The base with a fragment whose first atom is at distance d of atom `on`."""
    direction = np.array(along, dtype=float)
    direction /= np.linalg.norm(direction)
    copy = fragment.copy()
    copy.positions += base.positions[on] + d * direction - copy.positions[0]
    return base + copy


def ends(
    name: str,
    symbols: str,
    reactant: Sequence,
    product: Sequence,
    spin: int,
    **options: int,
) -> Reaction:
    """A reaction whose ends are two lists of positions."""
    return Reaction(
        name=name,
        reactant=Atoms(symbols, reactant),
        product=Atoms(symbols, product),
        spin=spin,
        **options,
    )


def hydrogen_transfers() -> list[Reaction]:
    """H moves from H2 to H, O and OH, nearly collinear."""
    return [
        ends(
            "H+H2",
            "HHH",
            [(0, 0, 0), (0, 0, 0.75), (0, 0, 2.4)],
            [(0, 0, -0.9), (0, 0, 0.75), (0, 0, 1.5)],
            spin=1,
            n_images=5,
            band=False,
        ),
        ends(
            "O+H2",
            "OHH",
            [(0, 0, 0), (0, 0.1, 2.0), (0, 0, 2.75)],
            [(0, 0, 0), (0, 0.1, 0.97), (0, 0, 2.9)],
            spin=2,
            band=False,
        ),
        ends(
            "OH+H2",
            "OHHH",
            [(0, 0, 0), (0.96, 0.1, 0), (0, 0, 2.2), (0, 0.1, 2.95)],
            [(0, 0, 0), (0.93, 0.1, -0.25), (0, 0, 0.97), (0, 0.2, 2.9)],
            spin=1,
            band=False,
        ),
    ]


def abstraction(
    name: str, fragment: Atoms, spin: int, bond: float, n_images: int
) -> Reaction:
    """A fragment takes a hydrogen from methane; bond is the new bond's length."""
    methane, hydrogen = molecule("CH4"), 1
    direction = methane.positions[hydrogen] - methane.positions[0]
    direction /= np.linalg.norm(direction)
    reactant = placed(methane, fragment, hydrogen, direction, 2.2)
    product = reactant.copy()
    n_methane = len(methane)
    product.positions[n_methane:] += direction * 0.35
    product.positions[hydrogen] = product.positions[n_methane] - direction * bond
    return Reaction(
        name=name,
        reactant=reactant,
        product=product,
        spin=spin,
        n_images=n_images,
        band=False,
    )


def methane_abstractions() -> list[Reaction]:
    """OH, H and O take a hydrogen from methane."""
    hydroxyl = Atoms("OH", [(0, 0, 0), (0.9, 0.3, 0.1)])
    return [
        abstraction("CH4+OH", hydroxyl, spin=1, bond=0.97, n_images=7),
        abstraction("CH4+H", Atoms("H"), spin=1, bond=0.75, n_images=5),
        abstraction("CH4+O", Atoms("O"), spin=2, bond=0.97, n_images=5),
    ]


def formaldehyde() -> list[Reaction]:
    """Formaldehyde gives H2 and CO, hydroxymethylene, or H and HCO."""
    start = molecule("H2CO")
    oxygen, carbon, first, second = range(4)
    axis = start.positions[carbon] - start.positions[oxygen]
    axis /= np.linalg.norm(axis)
    bond = start.positions[first] - start.positions[carbon]
    hydrogen = start.copy()
    for atom, side in ((first, 1), (second, -1)):
        shift = axis * 1.9 + side * np.array([0, 0.37, 0])
        hydrogen.positions[atom] = hydrogen.positions[carbon] + shift
    carbene = start.copy()
    carbene.positions[first] = (
        carbene.positions[oxygen] + 0.96 * bond / 1.1 - 0.1 * axis
    )
    radical = start.copy()
    radical.positions[first] += 1.6 * bond / 1.1
    return [
        Reaction(name="H2CO_H2+CO", reactant=start, product=hydrogen, spin=0),
        Reaction(name="H2CO_HCOH", reactant=start, product=carbene, spin=0),
        Reaction(
            name="H2CO_H+HCO",
            reactant=start,
            product=radical,
            spin=2,
            n_images=5,
            band=False,
        ),
    ]


def rearrangements() -> list[Reaction]:
    """Formic acid decays, acetaldehyde becomes vinyl alcohol, CH3O becomes CH2OH."""
    acid = [(0, 0, 0), (0, 1.2, 0), (-0.95, -0.55, 0), (1.15, -0.7, 0), (1.9, -0.1, 0)]
    return [
        ends(
            "HCOOH_CO2+H2",
            "COHOH",
            acid,
            [(0, 0, 0), (0, 1.16, 0), (1.4, -2.0, 0), (0, -1.16, 0), (1.9, -1.5, 0)],
            spin=0,
        ),
        ends(
            "HCOOH_CO+H2O",
            "COHOH",
            acid,
            [
                (0, 0, 0),
                (0, 1.13, 0),
                (-0.3, -2.9, 0),
                (0.3, -2.2, 0),
                (1.2, -2.5, 0.1),
            ],
            spin=0,
        ),
        ends(
            "CH3CHO_vinylOH",
            "CCOHHHH",
            [
                (0, 0, 0),
                (1.5, 0, 0),
                (2.15, 1.02, 0),
                (2.0, -0.98, 0),
                (-0.36, 1.02, 0),
                (-0.36, -0.5, 0.9),
                (-0.36, -0.5, -0.9),
            ],
            [
                (0, 0, 0),
                (1.33, 0, 0),
                (2.05, 1.15, 0),
                (1.9, -0.93, 0),
                (1.45, 1.9, 0),
                (-0.55, -0.92, 0.1),
                (-0.55, 0.92, -0.1),
            ],
            spin=0,
        ),
        ends(
            "CH3O_CH2OH",
            "COHHH",
            [
                (0, 0, 0),
                (1.38, 0, 0),
                (-0.4, 1.03, 0),
                (-0.4, -0.5, 0.9),
                (-0.4, -0.5, -0.9),
            ],
            [
                (0, 0, 0),
                (1.36, 0, 0),
                (1.65, 0.91, 0),
                (-0.5, -0.4, 0.93),
                (-0.5, -0.4, -0.93),
            ],
            spin=1,
        ),
    ]


def radical_additions() -> list[Reaction]:
    """HCO decays, CO takes OH, acetylene and ethene take radicals."""
    ethene = molecule("C2H4")
    hydroxyl = Atoms("OH", [(0, 0, 0), (0.3, 0.3, 0.9)])
    along = (1, 0, 0)
    additions = [
        Reaction(
            name=name,
            reactant=placed(ethene, fragment, 0, along, far),
            product=placed(ethene, fragment, 0, along, near),
            spin=1,
            n_images=5,
            band=False,
        )
        for name, fragment, near, far in (
            ("C2H4+H", Atoms("H"), 1.1, 2.5),
            ("C2H4+OH", hydroxyl, 1.45, 2.6),
        )
    ]
    return [
        ends(
            "HCO_H+CO",
            "COH",
            [(0, 0, 0), (1.17, 0, 0), (-0.6, 0.93, 0)],
            [(0, 0, 0), (1.13, 0, 0), (-1.6, 1.9, 0)],
            spin=1,
            n_images=5,
            band=False,
        ),
        ends(
            "CO+OH_CO2+H",
            "COOH",
            [(0, 0, 0), (0, 0, 1.16), (0, 0.9, -1.0), (0, 1.75, -0.6)],
            [(0, 0, 0), (0, 0, 1.16), (0, 0, -1.16), (0, 2.0, -2.1)],
            spin=1,
            n_images=6,
            band=False,
        ),
        ends(
            "C2H2+H",
            "CCHHH",
            [(0, 0, 0), (1.2, 0, 0), (-1.06, 0, 0), (2.26, 0, 0), (-0.3, 2.3, 0)],
            [
                (0, 0, 0),
                (1.31, 0, 0),
                (-0.6, -0.92, 0),
                (2.25, 0.5, 0),
                (-0.5, 0.95, 0),
            ],
            spin=1,
            n_images=5,
            band=False,
        ),
        *additions,
    ]


def water_and_hydroxyl() -> Reaction:
    """H moves from water to OH."""
    rest = [(0.93, 0, -0.24), (0, 0, 2.75), (0.9, 0.2, 3.0)]
    return ends(
        "H2O+OH",
        "OHHOH",
        [(0, 0, 0), (0, 0, 0.97), *rest],
        [(0, 0, 0), (0, 0, 1.78), *rest],
        spin=1,
        n_images=5,
        band=False,
    )


def water_dimer() -> tuple[Atoms, Atoms]:
    """The water dimer before and after a proton moved across."""
    rest = [(0.93, 0, -0.24), (0, 0, 2.7), (0.75, 0.5, 3.1), (-0.75, 0.5, 3.1)]
    before = Atoms("OHHOHH", [(0, 0, 0), (0, 0, 0.97), *rest])
    after = Atoms("OHHOHH", [(0, 0, 0), (0, 0, 1.65), *rest])
    return before, after


def decompositions() -> list[Reaction]:
    """Hydrogen peroxide, HO2, methanol and carbonic acid fall apart."""
    return [
        ends(
            "H2O2_OH+OH",
            "OOHH",
            [(0, 0, 0), (1.45, 0, 0), (-0.2, 0.9, 0.3), (1.65, -0.5, 0.8)],
            [(0, 0, 0), (2.6, 0, 0), (-0.2, 0.9, 0.3), (2.8, -0.5, 0.8)],
            spin=2,
            n_images=5,
            band=False,
        ),
        ends(
            "HO2_H+O2",
            "OOH",
            [(0, 0, 0), (1.33, 0, 0), (-0.3, 0.93, 0)],
            [(0, 0, 0), (1.21, 0, 0), (-0.9, 1.9, 0)],
            spin=1,
            n_images=5,
            band=False,
        ),
        ends(
            "CH3OH_H2CO+H2",
            "COHHHH",
            [
                (0, 0, 0),
                (1.42, 0, 0),
                (1.75, 0.9, 0),
                (-0.36, 1.0, 0.2),
                (-0.36, -0.6, 0.85),
                (-0.36, -0.45, -0.95),
            ],
            [
                (0, 0, 0),
                (1.21, 0, 0),
                (0.6, 2.2, 0),
                (-0.1, 2.1, 0.1),
                (-0.55, -0.2, 0.93),
                (-0.55, -0.2, -0.93),
            ],
            spin=0,
        ),
        ends(
            "H2CO3_CO2+H2O",
            "COOOHH",
            [
                (0, 0, 0),
                (0, 1.2, 0),
                (1.1, -0.7, 0),
                (-1.1, -0.7, 0),
                (1.8, -0.05, 0),
                (-1.8, -0.05, 0),
            ],
            [
                (0, 0, 0),
                (0, 1.17, 0),
                (1.9, -1.6, 0),
                (-0.9, -0.75, 0),
                (2.6, -1.0, 0),
                (1.2, -2.2, 0),
            ],
            spin=0,
        ),
    ]
