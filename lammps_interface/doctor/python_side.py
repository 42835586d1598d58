"""The Python that LAMMPS will start, its torch, and the machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import torch

from lamplighter.lammps_interface.doctor.findings import Finding, ok, warning
from lamplighter.lammps_interface.host import find_libpython

_LOW_GB: Final = 2.0


def python_findings() -> list[Finding]:
    """Return what is found about the running Python and its shared library."""
    version = ".".join(str(n) for n in sys.version_info[:3])
    kind = interpreter_kind(Path(sys.prefix), Path(sys.base_prefix))
    findings = [ok("Python", f"{version}, {kind}, {sys.executable}")]
    library = find_libpython()
    if library is None:
        findings.append(
            warning(
                "libpython",
                "this Python has no shared library (a static build)",
                "lmp cannot hold it; LAMMPS runs inside Python with the command line "
                "below. Or take a Python with one: apt install libpython3-dev, conda, "
                "uv, pyenv with PYTHON_CONFIGURE_OPTS=--enable-shared",
            )
        )
    else:
        findings.append(ok("libpython", str(library)))
    home = os.environ.get("PYTHONHOME")
    if home:
        findings.append(
            warning(
                "PYTHONHOME",
                f"is set to {home}",
                "unset PYTHONHOME: LAMMPS would start Python with that library",
            )
        )
    return findings


def interpreter_kind(prefix: Path, base: Path) -> str:
    """Return where a Python comes from.

    Args:
        prefix: `sys.prefix` of the interpreter.
        base: its `sys.base_prefix`.

    Returns:
        conda, uv, pyenv or system, with "venv on" before it in a virtual environment.
    """
    if (base / "conda-meta").is_dir():
        origin = "conda"
    elif ("uv", "python") in zip(base.parts, base.parts[1:], strict=False):
        origin = "uv"
    elif ".pyenv" in base.parts:
        origin = "pyenv"
    else:
        origin = "system"
    return origin if prefix == base else f"venv on {origin}"


def torch_findings() -> list[Finding]:
    """Return what is found about torch, threads and memory."""
    version = str(torch.__version__)
    found = f"{version}, CUDA {torch.version.cuda or 'none'}"
    if torch.cuda.is_available():
        found += f", {torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}"
    elif torch.version.cuda:
        found += ", no usable GPU"
    return [ok("torch", found), _threads(), *_memory()]


def _threads() -> Finding:
    cores = len(os.sched_getaffinity(0))
    text = os.environ.get("OMP_NUM_THREADS", "")
    if not text:
        found = f"OMP_NUM_THREADS is not set: one thread per rank; {cores} core(s)"
        return ok("threads", found)
    if not text.isdecimal() or int(text) < 1:
        advice = "export OMP_NUM_THREADS=1"
        return warning("threads", f"OMP_NUM_THREADS={text} is no number", advice)
    found = f"OMP_NUM_THREADS={text}, {cores} core(s)"
    if int(text) > cores:
        advice = f"ranks times threads should not exceed {cores}"
        return warning("threads", found, advice)
    return ok("threads", found)


def _memory() -> list[Finding]:
    available = available_gb(Path("/proc/meminfo"))
    if available is None:
        return []
    found = f"{available:.1f} GB are free"
    if available < _LOW_GB:
        advice = "each rank needs about 0.5 GB before the first atom"
        return [warning("memory", found, advice)]
    return [ok("memory", found)]


def available_gb(meminfo: Path) -> float | None:
    """Return the free memory in GB (10^9 bytes), or None where Linux does not say."""
    try:
        lines = meminfo.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024 / 1e9
    return None
