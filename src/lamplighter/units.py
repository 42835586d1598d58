"""Physical constants and the few unit conversions of the project.

Inside Lamplighter lengths are in Å, energies in eV, masses in amu, times in ps, stress
in eV/Å^3 with tension positive (see ``docs/conventions.md``). Constants are CODATA
2018, the set that LAMMPS (``units metal``) and ASE agree with to the digits that matter
here.

Source: CODATA 2018, Rev. Mod. Phys. 93, 025010 (2021).
"""

from __future__ import annotations

from typing import Final

EV_IN_JOULE: Final = 1.602176634e-19
"""One electron volt in joule (exact)."""

GPA_PER_EV_A3: Final = 160.2176634
"""One eV/Å^3 in GPa (exact)."""

BAR_PER_EV_A3: Final = 1602176.634
"""One eV/Å^3 in bar, the pressure unit of LAMMPS' ``metal`` style (exact)."""

J_M2_PER_EV_A2: Final = 16.02176634
"""One eV/Å^2 in J/m^2 (exact)."""

HARTREE_IN_EV: Final = 27.211386245988
BOHR_IN_ANGSTROM: Final = 0.529177210903
