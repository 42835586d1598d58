"""Published stresses of strained crystals, from which elastic constants follow.

They check the analysis of stresses without any potential, and give references of the
stated level of theory. Source and licence are in ``strain_sets/README.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.refs.levels import Level

FloatArray = NDArray[np.float64]

FOLDER: Final = Path(__file__).parent / "strain_sets"
_GPA_PER_KBAR: Final = 0.1
# Order of the stresses in the source: xx yy zz xy yz zx.
_SOURCE_ORDER: Final = ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (2, 0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StrainSet:
    """Stresses of one crystal under homogeneous deformations.

    Attributes:
        material: chemical formula.
        space_group: international number of the space group.
        level: level of theory.
        lattice_constant: Å, of the unstrained conventional cell.
        ions: ``clamped`` or ``relaxed``.
        gradients: [n, 3, 3], deformation gradients F: a vector x becomes F x.
        stresses: [n, 3, 3], Cauchy stress in GPa, tension positive.
        energies: [n], eV per atom.
    """

    material: str
    space_group: int
    level: Level
    lattice_constant: float
    ions: str
    gradients: FloatArray
    stresses: FloatArray
    energies: FloatArray


def strain_set(material: str) -> StrainSet:
    """Return the published stresses of a material.

    Raises:
        ConfigError: there are none; the message lists what there is.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    if material not in known:
        raise ConfigError(
            explain(
                "no published stresses for this material",
                got=material,
                wanted=f"one of {', '.join(known)}",
                fix="compute the elastic constants with an engine",
            )
        )
    path = FOLDER / f"{material}.yaml"
    record: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = np.asarray(record["rows"], dtype=float)
    level = record["level"]
    stresses = np.zeros((len(rows), 3, 3))
    for (i, j), column in zip(_SOURCE_ORDER, rows[:, 12:18].T, strict=True):
        # The source counts compression positive.
        stresses[:, i, j] = stresses[:, j, i] = -_GPA_PER_KBAR * column
    return StrainSet(
        material=record["material"],
        space_group=record["space_group"],
        level=Level(
            kind=level["kind"], functional=level["functional"], code=level["code"]
        ),
        lattice_constant=record["lattice_constant"],
        ions=record["ions"],
        # Rows of the cell are lattice vectors of the unit cube: F is their transpose.
        gradients=rows[:, 2:11].reshape(-1, 3, 3).transpose(0, 2, 1),
        stresses=stresses,
        energies=rows[:, 11] / record["atoms"],
    )
