"""How much memory and time a run takes: from a short calibration on this machine."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from pathlib import Path
from typing import Final

import numpy as np
import torch
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.selfcheck import PeriodicRank
from lamplighter.model.compiled import CompiledPotential

SECONDS_PER_DAY: Final = 86400.0
SKIN: Final = 2.0
"""Å, LAMMPS' own in metal units: neighbour lists hold pairs up to cutoff and skin."""

# Bytes of a directed pair outside of the potential: the list of LAMMPS within the skin
# (4), and within the cutoff: vectors, indices and gradients on either side.
_LISTED: Final = 4
_PAIR: Final = 3 * 8 * 4 + 2 * 4 + 2 * 8
_ATOM: Final = 400  # positions, velocities, forces, virials and buffers
_EMPTY: Final = 600 * 2**20  # a process with torch and LAMMPS, without atoms
_REPEATS: Final = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run of molecular dynamics takes.

    Attributes:
        atoms: of the system.
        ranks: processes that share it.
        neighbors: of an atom within the cutoff.
        compiled: whether tables evaluate.
        us_per_atom: time of the potential for one atom and step on one core, µs, the
            shortest of a few.
        step_s: time of a step, s, ghosts need none.
        ns_per_day: at the given time step, if every rank has a core.
        bytes_per_atom: of the potential alone, beside pairs.
        bytes_per_rank: of a process.
        bytes_total: of all of them.
        bytes_available: of this machine now.
        bound: what limits the run: memory, processor or too few atoms for the ranks.
    """

    atoms: int
    ranks: int
    neighbors: float
    compiled: bool
    us_per_atom: float
    step_s: float
    ns_per_day: float
    bytes_per_atom: float
    bytes_per_rank: float
    bytes_total: float
    bytes_available: float
    bound: str


def forecast(
    path: str | os.PathLike[str],
    atoms: int,
    density: float,
    *,
    head: str | None = None,
    ranks: int = 1,
    timestep_fs: float = 1.0,
) -> Forecast:
    """Return what a run takes, after a calibration of seconds.

    Args:
        path: an ML-IAP file.
        atoms: of the system.
        density: atoms per Å^3.
        head: which of the heads of the file; the first if not given.
        ranks: processes, each with a core of its own.
        timestep_fs: fs.

    Raises:
        ArtifactError: not an ML-IAP file.
        ConfigError: a number that is not positive.
    """
    for name, value in (
        ("atoms", atoms),
        ("density", density),
        ("ranks", ranks),
        ("timestep", timestep_fs),
    ):
        if not value > 0:
            raise ConfigError(explain(name, got=value, wanted="above 0"))
    model = MliapModel(bundle.read(path), head=head)
    seconds, own, neighbors = calibrate(model, density)
    ghosts = ghosts_of(atoms / ranks, density, model.header.cutoff + SKIN)
    width = model.header.message_width * (8 if model.header.dtype == "float64" else 4)
    listed = neighbors * (1.0 + SKIN / model.header.cutoff) ** 3
    per_rank = (
        _EMPTY
        + (atoms / ranks) * (own + neighbors * _PAIR + listed * _LISTED + _ATOM)
        + ghosts * (4.0 * width + _ATOM)
    )
    step = seconds * math.ceil(atoms / ranks)
    available = available_bytes()
    return Forecast(
        atoms=atoms,
        ranks=ranks,
        neighbors=neighbors,
        compiled=bool(model.compiled),
        us_per_atom=1e6 * seconds,
        step_s=step,
        ns_per_day=SECONDS_PER_DAY / step * timestep_fs * 1e-6,
        bytes_per_atom=own,
        bytes_per_rank=per_rank,
        bytes_total=ranks * per_rank,
        bytes_available=available,
        bound=_bound(ranks * per_rank, available, ghosts, atoms / ranks, ranks),
    )


def calibrate(model: MliapModel, density: float) -> tuple[float, float, float]:
    """Evaluate a small crystal as LAMMPS would.

    Returns:
        seconds per atom and step on one core, bytes per atom that the potential holds,
        and neighbours of an atom.
    """
    atoms = _crystal(model, density)
    rank = PeriodicRank(atoms, model.header.cutoff, model.element_types)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model.compute_forces(rank)  # the first one makes room
        times = []
        for _ in range(_REPEATS):
            begin = time.process_time()
            model.compute_forces(rank)
            times.append(time.process_time() - begin)
    finally:
        torch.set_num_threads(threads)
    n = len(atoms)
    native = [one for one in model.compiled if isinstance(one, CompiledPotential)]
    held = sum(one.n_bytes for one in native)
    pairs = rank.npairs / n
    own = held / n - 24.0 * pairs if held else _reference_bytes(model, pairs)
    return min(times) / n, max(own, 0.0), pairs


def ghosts_of(atoms: float, density: float, reach: float) -> float:
    """Return how many ghosts a cubic domain of a periodic crystal has."""
    edge = float(np.cbrt(atoms / density))
    return density * ((edge + 2.0 * reach) ** 3 - edge**3)


def available_bytes() -> float:
    """Return how much memory this machine has left."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024.0
    return math.inf


def _crystal(model: MliapModel, density: float) -> Atoms:
    """Return a rattled cubic crystal of all elements, 125 atoms."""
    spacing = density ** (-1.0 / 3.0)
    places = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), axis=-1).reshape(-1, 3)
    places += np.random.default_rng(0).normal(scale=0.05, size=places.shape)
    elements = model.element_types
    symbols = [elements[k % len(elements)] for k in range(len(places))]
    cell = 5.0 * spacing * np.eye(3)
    return Atoms(symbols, places * spacing, cell=cell, pbc=True)


def _reference_bytes(model: MliapModel, pairs: float) -> float:
    """Return an estimate for the reference, which keeps features of pairs."""
    config = model.members[0].config
    real = 8 if model.header.dtype == "float64" else 4
    components = (config.l_max + 1) ** 2
    widths = [shape.edge_channels for shape in config.layers]
    return 3.0 * real * components * pairs * sum(widths)


def _bound(
    total: float, available: float, ghosts: float, own: float, ranks: int
) -> str:
    if total > available:
        return "memory"
    if ranks > 1 and ghosts > 8.0 * own:
        return "communication: most atoms of a rank are ghosts"
    return "processor"
