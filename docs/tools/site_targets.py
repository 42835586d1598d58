"""The table of targets: what was asked for, what was measured, what is left and why.

Numbers are read from the JSON of benchmarks/results. Causes are written here, and shown
only beside a target that its measurement does not meet.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_Found = tuple[str, bool]
_NO_FILE = "no measurement is committed yet"
_NO_GPU = "no GPU was at hand; the kernels are tested in Triton's interpreter only"
_SUMS = (
    "what takes the time are the sums over neighbours and the lookup of radial weights"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One row.

    Attributes:
        what: is measured.
        wanted: the target.
        command: that measures it.
        file: of benchmarks/results.
        found: what the file says, and whether that meets the target; KeyError or
            StopIteration where the file says nothing about it.
        cause: why not, where it does not.
    """

    what: str
    wanted: str
    command: str
    file: str
    found: Callable[[dict[str, Any]], _Found]
    cause: str


def targets(results: Path) -> list[tuple[str, ...]]:
    """Return what, target, measured, met, script and cause of each target."""
    return [_row(one, results) for one in TARGETS]


def commands() -> list[str]:
    """Return the commands that measure the targets, each once."""
    return list(dict.fromkeys(target.command for target in TARGETS))


def _row(target: Target, results: Path) -> tuple[str, ...]:
    path = results / target.file
    lead = (target.what, target.wanted)
    script = Path(target.command.split()[1]).name
    command = f'<code class="whole">{script}</code>'
    if not path.exists():
        why = target.cause if target.cause == _NO_GPU else _NO_FILE
        return (*lead, "-", "not measured", command, why)
    try:
        measured, met = target.found(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, StopIteration):
        return (*lead, "-", "not measured", command, _NO_FILE)
    return (
        *lead,
        measured,
        "yes" if met else "no",
        command,
        "" if met else target.cause,
    )


def _case(result: dict[str, Any], **wanted: object) -> dict[str, Any]:
    """Return the first case with these entries."""
    cases = result["cases"]
    return next(c for c in cases if all(c[k] == v for k, v in wanted.items()))


def _times(shape: str, peer: str, least: float) -> Callable[[dict[str, Any]], _Found]:
    """Return how to read how many times as fast as a peer a step is, in wall time."""

    def read(result: dict[str, Any]) -> _Found:
        case = _case(result, shape=shape, dtype="float32")
        ratio = case["wall_ratios"][f"{peer}/lammps"]["median"]
        return f"{ratio:.1f} times", ratio >= least

    return read


def _conversion_time(result: dict[str, Any]) -> _Found:
    seconds = _case(result, shape="mh1")["wall_s"]
    return f"{seconds:.1f} s", seconds < 20.0


def _conversion_size(result: dict[str, Any]) -> _Found:
    megabytes = _case(result, shape="mh1")["bytes"] / 1e6
    return f"{megabytes:.0f} MB", megabytes < 100.0


def _gpu_rate(result: dict[str, Any]) -> _Found:
    case = _case(result, shape="mh1", atoms=1000)
    rate = case["sides"]["lamplighter"]["steps_per_s"]["median"]
    return f"{rate:.0f} steps/s ({result['device']})", rate > 300.0


def _gpu_ratio(result: dict[str, Any]) -> _Found:
    sides = max(result["cases"], key=lambda one: one["atoms"])["sides"]
    ours, mace = (sides[k]["steps_per_s"]["median"] for k in ("lamplighter", "mace"))
    return f"{ours / mace:.1f} times", ours > 5.0 * mace


def _memory(result: dict[str, Any]) -> _Found:
    kilobytes = result["bytes_per_atom_beyond_lammps"] / 1e3
    return f"{kilobytes:.1f} kB", kilobytes <= 25.0


def _evenness(result: dict[str, Any]) -> _Found:
    row = max(result["rows"], key=lambda one: one["atoms"])
    text = f"{row['median_ratio']:.2f} at {row['atoms']:,} atoms"
    return text, abs(row["median_ratio"] - 1.0) <= 0.1


def _ranks(result: dict[str, Any]) -> _Found:
    case = next(one for one in result["cases"] if one["atoms_per_rank"] == 4096)
    value = case["efficiency"]
    low, high = min(case["efficiencies"]), max(case["efficiencies"])
    return f"{value:.0%} ({low:.0%} to {high:.0%})", value >= 0.9


def _training(result: dict[str, Any]) -> _Found:
    ratios = [one["ratio"]["cpu"]["median"] for one in result["cases"]]
    text = f"{min(ratios):.1f} to {max(ratios):.1f} times"
    return text, min(ratios) >= 2.0


def _start(result: dict[str, Any]) -> _Found:
    milliseconds = result["help"]["wall_ms"]["median"]
    return f"{milliseconds:.0f} ms", milliseconds < 300.0


_STEP = "python benchmarks/cpu_step.py --threads 2 --dtypes float32"
_STEP_FILE = "cpu_step_2_threads.json"
_GPU = "python benchmarks/gpu_step.py"
_CONVERSION = "python benchmarks/conversion.py"

TARGETS = (
    Target(
        what="CPU step, MP-0 medium, float32, LAMMPS, both cores: beside Symmetrix-XL",
        wanted="as fast",
        command=_STEP,
        file=_STEP_FILE,
        found=_times("mp0", "symmetrix", 1.0),
        cause=_SUMS,
    ),
    Target(
        what="same, beside mace-torch",
        wanted="60 times",
        command=_STEP,
        file=_STEP_FILE,
        found=_times("mp0", "mace", 60.0),
        cause=_SUMS,
    ),
    Target(
        what="CPU step, MH-1, float32, LAMMPS, both cores: beside Symmetrix-XL",
        wanted="as fast",
        command=_STEP,
        file=_STEP_FILE,
        found=_times("mh1", "symmetrix", 1.0),
        cause="half of the time are products with matrices, the same for both",
    ),
    Target(
        what="same, beside mace-torch",
        wanted="25 times",
        command=_STEP,
        file=_STEP_FILE,
        found=_times("mh1", "mace", 25.0),
        cause="half of the time are products with matrices, near the processor's peak",
    ),
    Target(
        what="conversion, three elements, MH-1, self-check included",
        wanted="under 20 s",
        command=_CONVERSION,
        file="conversion.json",
        found=_conversion_time,
        cause="most of it is the reference, on random geometries, in float64",
    ),
    Target(
        what="its file",
        wanted="under 100 MB",
        command=_CONVERSION,
        file="conversion.json",
        found=_conversion_size,
        cause="weights of the potential",
    ),
    Target(
        what="GPU step, MH-1, 1000 atoms",
        wanted="over 300 steps/s on an H100",
        command=_GPU,
        file="gpu_step.json",
        found=_gpu_rate,
        cause=_NO_GPU,
    ),
    Target(
        what="same, 10,648 atoms, beside mace-torch with cuEquivariance",
        wanted="over 5 times",
        command=_GPU,
        file="gpu_step.json",
        found=_gpu_ratio,
        cause=_NO_GPU,
    ),
    Target(
        what="memory per atom beyond LAMMPS' own, MP-0 medium, float32",
        wanted="at most 25 kB",
        command="python benchmarks/cpu_size.py",
        file="cpu_size.json",
        found=_memory,
        cause="what the layers keep for the way back",
    ),
    Target(
        what="time per atom, 100,000 atoms against 1000",
        wanted="within 10 %",
        command="python benchmarks/cpu_size.py",
        file="cpu_size.json",
        found=_evenness,
        cause="the machine had other work",
    ),
    Target(
        what="two ranks against one, 4096 atoms per rank",
        wanted="90 %",
        command="python benchmarks/cpu_ranks.py",
        file="cpu_ranks.json",
        found=_ranks,
        cause="the two cores had other work",
    ),
    Target(
        what="training step beside mace-torch",
        wanted="2 times",
        command="python benchmarks/train_step.py --mace-python PYTHON",
        file="train_step.json",
        found=_training,
        cause="see the speed of training",
    ),
    Target(
        what="start of `lamplighter --help`",
        wanted="under 300 ms",
        command="python benchmarks/startup.py",
        file="startup.json",
        found=_start,
        cause="imports of the library that parses the command line and draws the help",
    ),
)
