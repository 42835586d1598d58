"""Structures that are built in: the materials of a suite and the parity set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import read

from lamplighter.errors import ConfigError, DataError, explain

BUILT_IN: Final[dict[str, Callable[[], Atoms]]] = {
    "MgO": lambda: bulk("MgO", "rocksalt", a=4.25, cubic=True),
    "NaCl": lambda: bulk("NaCl", "rocksalt", a=5.65, cubic=True),
    "Si": lambda: bulk("Si", "diamond", a=5.45, cubic=True),
    "Al": lambda: bulk("Al", "fcc", a=4.04, cubic=True),
    "Cu": lambda: bulk("Cu", "fcc", a=3.63, cubic=True),
}
"""Name -> conventional cell near its equilibrium; every suite relaxes it first."""


def structure_of(name: str, file: Path | None = None) -> Atoms:
    """Return the structure of a material: from `file`, or the built-in one.

    Raises:
        ConfigError: no file is given and the name is not built in.
        DataError: the file cannot be read or holds no periodic crystal.
    """
    if file is None:
        if name not in BUILT_IN:
            raise ConfigError(
                explain(
                    "unknown material",
                    got=name,
                    wanted=f"one of {', '.join(sorted(BUILT_IN))}, or a structure file",
                    fix=f"write {{name: {name}, structure: FILE}} in the suite",
                )
            )
        return BUILT_IN[name]()
    try:
        atoms = read(file)
    except (OSError, ValueError, KeyError, IndexError, StopIteration) as error:
        raise DataError(
            explain(
                f"cannot read the structure of {name}",
                got=f"{file}: {error}",
                wanted="a file that ASE reads, with one crystal",
            )
        ) from error
    if not isinstance(atoms, Atoms) or not atoms.pbc.all():
        raise DataError(
            explain(
                f"the structure of {name} is not periodic in three directions",
                got=file,
                wanted="a crystal with a cell",
            )
        )
    return atoms


def parity_structures(crystal: Atoms) -> dict[str, Atoms]:
    """Return six structures on which two engines must agree.

    They cover what goes wrong in an interface: forces of a rattled crystal, tilted
    boxes of both signs, a cell smaller than the cutoff, vacuum, a free atom without
    neighbours, and element orders and atom counts that differ from the crystal's.

    Args:
        crystal: the conventional cell of a compound or element.

    Returns:
        Name -> structure; the same for the same crystal, always.
    """
    rng = np.random.default_rng(20)
    rattled = crystal.copy()
    rattled.positions += rng.normal(0, 0.06, rattled.positions.shape)

    tilted = crystal.repeat((2, 1, 1))
    strain = np.array([[0.02, 0.11, -0.09], [0.0, -0.03, 0.13], [0.0, 0.0, 0.01]])
    tilted.set_cell(tilted.cell @ (np.eye(3) + strain), scale_atoms=True)
    tilted.rotate(37, (1, 2, 3), rotate_cell=True)
    tilted.positions += rng.normal(0, 0.04, tilted.positions.shape)

    slab = crystal.repeat((1, 1, 2))
    slab.center(vacuum=8.0, axis=2)
    slab.positions += rng.normal(0, 0.05, slab.positions.shape)

    # One atom of each kind and no more: every neighbour is an image of one of them.
    kinds = list(dict.fromkeys(crystal.get_chemical_symbols()))
    symbols = crystal.get_chemical_symbols()
    small = crystal[[symbols.index(kind) for kind in kinds]]
    edge = (crystal.get_volume() * len(small) / len(crystal)) ** (1 / 3)
    small.set_cell(np.eye(3) * edge + 0.25 * np.eye(3, k=-1), scale_atoms=False)
    small.set_scaled_positions(
        np.linspace(0.03, 0.55, len(small))[:, None] * np.array([1.0, 0.95, 0.9])
    )

    cluster = crystal[::-1].copy()
    cluster.positions += rng.normal(0, 0.05, cluster.positions.shape)
    cluster.center(vacuum=9.0)

    atom = Atoms(kinds[-1], positions=[[5.1, 4.9, 5.3]], cell=[11, 12, 13], pbc=True)
    return {
        "rattled crystal": rattled,
        "triclinic, rotated": tilted,
        "slab with vacuum": slab,
        "cell smaller than the cutoff": small,
        "cluster, elements reversed": cluster,
        "isolated atom": atom,
    }
