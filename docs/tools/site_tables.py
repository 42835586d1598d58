"""Tables of measured numbers, from the JSON of benchmarks/results."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import site_targets

from lamplighter.lammps_interface.doctor.versions import DEFECTS

_MARK = re.compile(r"^<!-- table: (\w+) -->$", re.MULTILINE)
_NATIVE = ("native_ms", "python_ms")
_SHAPES = {"mp0": "MP-0 medium", "mh1": "MH-1"}


def fill(text: str, results: Path) -> str:
    """Return a page with its marks ``<!-- table: NAME -->`` replaced by tables."""
    return _MARK.sub(lambda match: TABLES[match[1]](results), text)


def _read(results: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / name).read_text(encoding="utf-8"))
    return found


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cpu_step(results: Path) -> str:
    """Return CPU time of a step of dynamics, beside the peers."""
    sides = ("mace", "symmetrix", "lamplighter", "lammps")
    rows = []
    for case in _read(results, "cpu_step.json")["cases"]:
        times = [case["sides"][side]["cpu_ms"] for side in sides]
        cells = [f"{one['median']:.2f} ({one['min']:.2f})" for one in times]
        rows.append((_SHAPES[case["shape"]], case["dtype"], *cells))
    head = ("mace-torch 0.3.16", "Symmetrix-XL 0.1.1", "ours, ASE", "ours, LAMMPS")
    return _table(("shape", "dtype", *head), rows)


def cpu_size(results: Path) -> str:
    """Return time and memory by size."""
    rows = []
    for row in _read(results, "cpu_size.json")["rows"]:
        times = row["cpu_ms"]
        span = f"{min(times):.2f}"
        span += f" to {max(times):.2f}" if max(times) > min(times) else ""
        rows.append((f"{row['atoms']:,}", span, f"{row['bytes'] / 2**30:.2f}"))
    return _table(("atoms", "CPU ms per atom and step", "GiB, whole process"), rows)


def cpu_native(results: Path) -> str:
    """Return time of a step with and without Python."""
    rows = []
    for case in _read(results, "cpu_native.json")["cases"]:
        times = [f"{case[side] / case['atoms']:.3f}" for side in _NATIVE]
        rows.append((f"{case['channels']}", f"{case['atoms']}", *times))
    head = ("channels", "atoms", "without Python", "through Python")
    return _table(head, rows)


def train_step(results: Path) -> str:
    """Return time and memory of a training step, beside mace-torch."""
    rows = []
    names = ("train_step", "train_step_mp0_wide", "train_step_mh1_wide")
    for name in names:
        for case in _read(results, f"{name}.json")["cases"]:
            mace, ours = (case["sides"][side] for side in ("mace", "lamplighter"))
            rows.append(
                (
                    _SHAPES[case["shape"]],
                    f"{case['channels']}/{case['edge_channels']}",
                    case["dtype"],
                    f"{mace['cpu_ms']['median']:.0f}",
                    f"{ours['cpu_ms']['median']:.0f}",
                    f"{case['ratio']['cpu']['median']:.1f}",
                    f"{case['ratio']['memory_process']:.2f}",
                )
            )
    head = ("shape", "channels", "dtype", "mace-torch, CPU ms", "ours, CPU ms")
    return _table((*head, "times as fast", "their memory / ours"), rows)


def crystals(results: Path) -> str:
    """Return how far elastic constants and phonons are from matcalc's."""
    rows = []
    for name, found in _read(results, "crystals.json")["differences"].items():
        rows.append(
            (
                name,
                f"{found['elastic']:.1e}",
                f"{found['elastic_defaults']:.1e}",
                f"{found['frequency_THz']:.1e}",
                f"{found['frequency_highest_THz']:.2f}",
            )
        )
    head = ("crystal", "elastic constants, same settings", "same, both defaults")
    more = ("largest difference of a frequency, THz", "highest frequency, THz")
    return _table((*head, *more), rows)


def defects(results: Path) -> str:
    """Return the defects of LAMMPS that the doctor looks for."""
    _ = results
    rows = []
    for one in DEFECTS:
        since = f"{one.since:%d %b %Y}" if one.since else "always"
        until = f"{one.until:%d %b %Y}" if one.until else "still"
        rows.append((one.status, f"{since} to {until}", one.effect, one.cure))
    return _table(("finding", "versions", "what happens", "what to do"), rows)


def targets(results: Path) -> str:
    """Return what was asked for, what was measured, and why where they differ."""
    head = ("what", "target", "measured", "met", "script", "if not, why")
    commands = "".join(f"\n    {one}" for one in site_targets.commands())
    return f"{_table(head, site_targets.targets(results))}\n\nThe scripts:\n{commands}"


TABLES: dict[str, Callable[[Path], str]] = {
    "cpu_step": cpu_step,
    "cpu_size": cpu_size,
    "cpu_native": cpu_native,
    "train_step": train_step,
    "crystals": crystals,
    "targets": targets,
    "defects": defects,
}
