"""Build a cache of synthetic structures and draw one epoch from it: memory and speed.

    python benchmarks/data_cache/run.py --frames 200000

Three stages, each a process of its own so that its peak memory is its own: write a
shard of ASE rows (LMDB) as the public sets are, build the cache, draw and assemble
every batch of an epoch. Interrupted with --folder, the same command goes on with the
stage where it stopped. The numbers go to ``benchmarks/results/data_cache.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from lamplighter.model import HeadSpec, PotentialConfig
from lamplighter.train.config import SamplingSettings
from lamplighter.train.data.cache import Cache, summary
from lamplighter.train.data.cache_build import build_cache
from lamplighter.train.data.cache_config import CacheSettings
from lamplighter.train.data.dataset import ItemMaker, make_batch
from lamplighter.train.data.streaming import StreamedItems
from lamplighter.train.sampler import HeadSampler

RESULT = Path(__file__).parents[1] / "results" / "data_cache.json"
ELEMENTS = np.array([1, 6, 8, 12])
FREE_ATOMS = np.array([-13.6, -1030.0, -2040.0, -5440.0])
SPACING, JITTER, WIDTH, HEIGHT = 2.4, 0.15, 0.8, 4.0
CUTOFF = 5.0


def structures(n: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of clusters and periodic boxes with a Gaussian pair potential."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for k in range(n):
        size = int(rng.integers(2, 13))
        places = grid[rng.permutation(len(grid))[:size]]
        positions = SPACING * places + rng.uniform(-JITTER, JITTER, (size, 3))
        species = rng.integers(0, len(ELEMENTS), size)
        periodic = bool(k % 2)
        cell = 3 * SPACING * np.eye(3) if periodic else np.zeros((3, 3))
        energy, forces = pair_potential(positions, cell, periodic)
        yield {
            "numbers": ELEMENTS[species].tolist(),
            "positions": positions.tolist(),
            "cell": cell.tolist(),
            "pbc": [periodic] * 3,
            "energy": energy + float(FREE_ATOMS[species].sum()),
            "forces": forces.tolist(),
            "data": {"group": f"run{k // 20}", "config_type": f"kind{k % 5}"},
        }


def pair_potential(
    x: np.ndarray, cell: np.ndarray, periodic: bool
) -> tuple[float, np.ndarray]:
    """Energy (eV) and forces (eV/Å) of HEIGHT exp(-r²/2 WIDTH²) between all pairs."""
    d = x[:, None] - x[None]
    if periodic:
        length = cell[0, 0]
        d -= length * np.rint(d / length)
    g = HEIGHT * np.exp(-0.5 * (d**2).sum(-1) / WIDTH**2)
    np.fill_diagonal(g, 0.0)
    return 0.5 * float(g.sum()), (g[..., None] * d).sum(1) / WIDTH**2


def write(folder: Path, n: int) -> dict[str, Any]:
    """Write the shard."""
    path = folder / "data.0000.aselmdb"
    with lmdb.open(str(path), subdir=False, map_size=2**36, lock=False) as env:
        transaction = env.begin(write=True)
        for k, row in enumerate(structures(n, seed=7), 1):
            transaction.put(str(k).encode(), zlib.compress(json.dumps(row).encode()))
            if k % 10_000 == 0:
                transaction.commit()
                transaction = env.begin(write=True)
        transaction.put(b"nextid", zlib.compress(json.dumps(n + 1).encode()))
        transaction.commit()
    return {"bytes": path.stat().st_size}


def build(folder: Path, n: int) -> dict[str, Any]:
    """Build the cache."""
    settings = CacheSettings(cutoff=CUTOFF, head="synthetic", level="Gaussian pairs")
    steps: list[tuple[int, str]] = []
    build_cache(
        [folder / "data.0000.aselmdb"],
        folder / "cache",
        settings,
        advance=lambda *step: steps.append(step),
    )
    built = sum(k for k, note in steps if note != "taken over")
    found = summary(Cache(folder / "cache"))
    assert found["frames"] == n
    return found | {"frames_built_by_this_process": built}


def epoch(folder: Path, n: int) -> dict[str, Any]:
    """Draw an epoch and assemble its batches as the training loop does."""
    names = ("H", "C", "O", "Mg")
    free = dict(zip(names, FREE_ATOMS.tolist(), strict=True))
    head = HeadSpec(name="synthetic", level_of_theory="", reference_energies=free)
    config = PotentialConfig(elements=names, heads=(head,), cutoff=CUTOFF)
    begin = time.perf_counter()
    items = StreamedItems(Cache(folder / "cache").frames(), ItemMaker(config=config))
    sampler = HeadSampler(items.costs(), SamplingSettings(batch_frames=32))
    opened = time.perf_counter() - begin
    begin = time.perf_counter()
    batches = [list(batch) for batch in sampler.epoch(0)]
    drawn = time.perf_counter() - begin
    before = memory()
    peaks, frames, pairs = [], 0, 0
    begin = time.perf_counter()
    for number, batch in enumerate(batches[: options().assemble]):
        graph = make_batch([items[int(k)] for k in batch]).graph
        frames, pairs = frames + len(batch), pairs + graph.n_pairs
        if number % 200 == 0:
            peaks.append(memory())
    seconds = time.perf_counter() - begin
    seen = {int(k) for batch in batches for k in batch}
    assert len(seen) == n
    return {
        "batches": len(batches),
        "batches_assembled": min(len(batches), options().assemble),
        "frames_assembled": frames,
        "frames_drawn": len(seen),
        "pairs": pairs,
        "open_seconds": round(opened, 2),
        "draw_seconds": round(drawn, 2),
        "assemble_seconds": round(seconds, 2),
        "frames_per_second": round(frames / seconds),
        "anonymous_mib_before": before["RssAnon"],
        "anonymous_mib_peak": max(peak["RssAnon"] for peak in peaks),
        "mapped_mib_peak": max(peak["RssFile"] for peak in peaks),
    }


def memory() -> dict[str, float]:
    """Resident memory in MiB: RssAnon is the process's own, RssFile can be dropped."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    values = dict(line.split(":", 1) for line in lines)
    return {
        name: round(int(values[name].split()[0]) / 1024, 1)
        for name in ("RssAnon", "RssFile")
    }


STAGES = {"write": write, "build": build, "epoch": epoch}


def stage(name: str, folder: Path, n: int) -> dict[str, Any]:
    """Run one stage in this process; its numbers, time and peak memory."""
    begin = time.perf_counter()
    found = STAGES[name](folder, n)
    wall, cpu = time.perf_counter() - begin, time.process_time()
    return found | {
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(cpu, 1),
        "peak_rss_mib": round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1
        ),
    }


def machine() -> dict[str, Any]:
    """Where this was measured."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
    }


def options() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--folder", type=Path, help="scratch; removed if not given")
    parser.add_argument("--output", type=Path, default=RESULT)
    parser.add_argument("--assemble", type=int, default=10**9, help="most batches")
    parser.add_argument("--stage", choices=list(STAGES))
    return parser.parse_args()


def main() -> None:
    """Run all stages and write their numbers."""
    given = options()
    if given.stage:
        print(json.dumps(stage(given.stage, given.folder, given.frames)))
        return
    folder = given.folder or Path(tempfile.mkdtemp(prefix="data-cache-"))
    folder.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {"frames": given.frames, "machine": machine()}
    try:
        for name in STAGES:
            note = folder / f"{name}.json"
            if note.is_file():
                result[name] = json.loads(note.read_text(encoding="utf-8"))
                continue
            command = [sys.executable, __file__, "--stage", name]
            command += ["--folder", str(folder), "--frames", str(given.frames)]
            command += ["--assemble", str(given.assemble)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            result[name] = json.loads(done.stdout.decode().splitlines()[-1])
            note.write_text(json.dumps(result[name]), encoding="utf-8")
            print(name, json.dumps(result[name]), flush=True)
    finally:
        if given.folder is None:
            shutil.rmtree(folder)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
