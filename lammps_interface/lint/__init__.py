"""A static check of LAMMPS scripts for people who run ML-IAP potentials."""

from lamplighter.lammps_interface.lint.check import Report, lint
from lamplighter.lammps_interface.lint.finding import WHY, Finding, Severity, Where
from lamplighter.lammps_interface.lint.options import split_options

__all__ = [
    "WHY",
    "Finding",
    "Report",
    "Severity",
    "Where",
    "lint",
    "split_options",
]
