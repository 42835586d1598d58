"""ML-IAP files that other programs wrote, in our pair style.

`load_foreign` is what the pair style calls. A file of mace-torch is evaluated by
Lamplighter and an example of LAMMPS is rebuilt from its numbers; neither is executed.
Any other file is refused, unless the user trusts that very file.
"""

from __future__ import annotations

from lamplighter.lammps_interface.foreign.loading import (
    describe,
    is_foreign,
    load_foreign,
)
from lamplighter.lammps_interface.foreign.trust import TRUST

__all__ = ["TRUST", "describe", "is_foreign", "load_foreign"]
