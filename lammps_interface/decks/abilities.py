"""What the pair style of this installation can do, found out by asking LAMMPS."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

from lamplighter.lammps_interface.bundle import read
from lamplighter.lammps_interface.decks.options import Kind
from lamplighter.lammps_interface.runner import LammpsRun, run_lammps

_TIMEOUT_S: Final = 300.0
_SAME_EV: Final = 1e-3

_BOX: Final = """
units metal
atom_style atomic
atom_modify map array
newton on
region box block 0 40 0 40 0 40
create_box 1 box
create_atoms 1 single 5 5 5
create_atoms 1 single 7 5 5
create_atoms 1 single 25 25 25
mass 1 1.0
pair_style mliap unified model.pt 0
pair_coeff * * {element}
"""

_CENTROID: Final = """
compute stress all centroid/stress/atom NULL virial
compute sum all reduce sum c_stress[4]
thermo_style custom step pe c_sum
run 0 post no
"""

_EXCLUDED: Final = """
group gone id 3
neigh_modify exclude group gone all
run 0 post no
variable excluded equal $(pe:%.12g)
neigh_modify exclude none
delete_atoms group gone
run 0 post no
print "ability: ${excluded} $(pe:%.12g)"
"""


def obstacle(kind: Kind, model: Path) -> str:
    """Return why a kind of deck would be wrong with a model here; empty if it is right.

    Only heat-flux and gcmc need what not every pair style has; both are tried out on
    three atoms in the LAMMPS of this environment.

    Raises:
        EngineError: there is no LAMMPS in this environment.
    """
    if kind == "heat-flux":
        return _without_centroid_stress(model)
    if kind == "gcmc":
        return _excluded_atoms_count(model)
    return ""


def _without_centroid_stress(model: Path) -> str:
    run = _try(model, _CENTROID)
    if run.returncode == 0:
        return ""
    return (
        "the pair style has no many-body atomic stress (compute centroid/stress/atom): "
        "with the two-body form of compute stress/atom, the heat flux and thermal "
        "conductivities from it would be wrong"
    )


def _excluded_atoms_count(model: Path) -> str:
    run = _try(model, _EXCLUDED)
    rows = [line.split() for line in run.output.splitlines()]
    numbers = [row[1:] for row in rows if row[:1] == ["ability:"]]
    if run.returncode != 0 or not numbers:
        return "the pair style does not run with excluded atoms"
    excluded, deleted = (float(word) for word in numbers[-1])
    if abs(excluded - deleted) < _SAME_EV:
        return ""
    return (
        f"an atom that fix gcmc excludes still counts with {excluded - deleted:.3f} eV "
        "(its energy as a single atom): deletions would be accepted at wrong rates"
    )


def _try(model: Path, script: str) -> LammpsRun:
    """Run three atoms of the model's first element."""
    element = read(model).header.elements[0]
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as name:
        folder = Path(name)
        shutil.copyfile(model, folder / "model.pt")
        path = folder / "in.ability"
        path.write_text(_BOX.format(element=element) + script, encoding="utf-8")
        return run_lammps(path, timeout_s=_TIMEOUT_S, check=False)
