"""The model file that is to run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lamplighter.errors import ArtifactError
from lamplighter.lammps_interface.bundle import BundleHeader, read
from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.doctor.findings import Finding, ok, problem, warning
from lamplighter.resources import base_model

_SUBJECT: Final = "model"
_HEAD: Final = "pbe"
_ELEMENTS: Final = ("Mg", "O")


def example_model(folder: Path) -> Path:
    """Write the ML-IAP file of the shipped potential for Mg and O; return its path."""
    return convert(base_model(), _HEAD, _ELEMENTS, folder / "example.pt")


def model_findings(file: Path) -> tuple[BundleHeader | None, list[Finding]]:
    """Return the header of an ML-IAP file, if it is one, and what it says."""
    try:
        header = read(file).header
    except ArtifactError as error:
        text, _, fix = str(error).partition("; fix: ")
        return None, [problem(_SUBJECT, text, fix or "convert the model again")]
    found = (
        f"{file}: head {header.head} ({header.level_of_theory}), elements "
        f"{' '.join(header.elements)}, {header.n_layers} layers of "
        f"{header.cutoff:g} Å, {header.dtype}"
    )
    if header.dtype == "float32":
        advice = "enough for dynamics; convert with --dtype float64 for minimisation"
        return header, [warning(_SUBJECT, found, advice)]
    return header, [ok(_SUBJECT, found)]
