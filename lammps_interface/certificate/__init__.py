"""The rank certificate: do ranks and their layout change the numbers of a file?"""

from lamplighter.lammps_interface.certificate.cases import Case
from lamplighter.lammps_interface.certificate.report import COLUMNS, Certificate, write
from lamplighter.lammps_interface.certificate.run import (
    CertifyOptions,
    Plan,
    certify,
    plan,
)

__all__ = [
    "COLUMNS",
    "Case",
    "Certificate",
    "CertifyOptions",
    "Plan",
    "certify",
    "plan",
    "write",
]
