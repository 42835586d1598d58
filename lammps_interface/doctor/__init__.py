"""What a LAMMPS on this machine can run, and what its error messages mean.

[`examine`][lamplighter.lammps_interface.doctor.examine.examine] looks, runs a job of
two atoms, and returns findings; [`known_errors.explain_text`][] reads a log.
"""

from lamplighter.lammps_interface.doctor.examine import examine
from lamplighter.lammps_interface.doctor.findings import Finding, Report
from lamplighter.lammps_interface.doctor.known_errors import KnownError, explain_text

__all__ = ["Finding", "KnownError", "Report", "examine", "explain_text"]
