"""The cells of the reference values: families of few coordinates, and their frames."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from make_reference_structures import (
    BOX,
    BRUCITE,
    BRUCITE_STEPS,
    ICE,
    ICE_STEPS,
    MAGNESIUM,
    MAGNESIUM_STEPS,
    WATER,
    WATER_STEPS,
    brucite,
    ice,
    magnesium,
    water,
)
from reference_fit import Family

Frames = Sequence[Atoms]

MESH = {"mg_hcp_eos": "11x11x6", "brucite_eos": "5x5x3", "ice_eos": "4x4x4"}
"""Frames of `crystal_pbe` that join a fit: near enough, and of the same k mesh."""

NEAR = 1.5
"""In steps of the design: what lies farther does not join a fit."""

FAMILIES = {
    "reference_water": Family(
        build=lambda across, along: water(across, along, BOX),
        measure=lambda a: a.positions[1, 1:] - a.positions[0, 1:],
        centre=WATER,
        steps=WATER_STEPS,
        n_cell=0,
    ),
    "reference_mg": Family(
        build=magnesium,
        measure=lambda a: (a.cell[0, 0], a.cell[2, 2]),
        centre=MAGNESIUM,
        steps=MAGNESIUM_STEPS,
        n_cell=2,
    ),
    "reference_brucite": Family(
        build=brucite,
        measure=lambda a: (
            *(a.cell[0, 0], a.cell[2, 2], a.positions[1, 2]),
            a.positions[3, 2] - a.positions[1, 2],
        ),
        centre=BRUCITE,
        steps=BRUCITE_STEPS,
        n_cell=2,
    ),
    "reference_ice": Family(
        build=ice,
        measure=lambda a: (
            *(2 * a.cell[1, 0], 2 * a.cell[0, 1]),
            *(a.positions[2, :2] - a.positions[0, :2]),
        ),
        centre=ICE,
        steps=ICE_STEPS,
        n_cell=2,
    ),
}
OLD = {
    "reference_mg": "mg_hcp_eos",
    "reference_brucite": "brucite_eos",
    "reference_ice": "ice_eos",
}


def of_kind(frames: Frames, kind: str) -> list[Atoms]:
    """The frames of a configuration type."""
    return [frame for frame in frames if frame.info["config_type"] == kind]


def members(frames: Frames, kind: str) -> list[Atoms]:
    """The frames of a fit: the reference cells and near ones of the data set."""
    family, old = FAMILIES[kind], OLD.get(kind, "")
    return of_kind(frames, kind) + [
        frame
        for frame in of_kind(frames, old)
        if frame.info["kpts"] == MESH[old]
        and np.all(
            np.abs(np.subtract(family.measure(frame), family.centre))
            <= NEAR * np.array(family.steps)
        )
    ]
