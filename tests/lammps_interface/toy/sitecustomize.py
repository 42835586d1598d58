"""Offers the toy models to every Python that starts with this folder on PYTHONPATH.

The Python inside `lmp` starts like any other, so this runs before the first command.
"""

import toy_models

from lamplighter.lammps_interface import host

for name, model in toy_models.models().items():
    host.register(model, name)
