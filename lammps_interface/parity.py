"""The parity check of ``pair_style mliap unified FILE 0 check N``.

What all ranks of a running LAMMPS computed is gathered on one of them and compared
with an evaluation in float64 that knows nothing of ranks, ghosts and LAMMPS' neighbour
list. It needs the memory and the time of the whole system on one rank.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from ase import Atoms

from lamplighter.arrays import Floats
from lamplighter.errors import CheckFailedError, explain
from lamplighter.lammps_interface.members import mean_prediction
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.pair_abi import Check, view
from lamplighter.lammps_interface.selfcheck import tolerances_of
from lamplighter.model import Prediction, graph_from_atoms

_UNITS: Final = {
    "total energy": "eV/atom",
    "energy of an atom": "eV",
    "force": "eV/Å",
    "virial": "eV/atom",
}


@dataclass(frozen=True, slots=True)
class _Difference:
    """The largest difference in one quantity.

    Attributes:
        size: in the unit of the quantity.
        allowed: the tolerance; it grows with the quantity where that exceeds 1.
        place: which atom or component, in words.
    """

    size: float
    allowed: float
    place: str

    @property
    def bad(self) -> bool:
        return not self.size <= self.allowed


def compare(model: MliapModel, gathered: Check) -> str:
    """Compare one step of LAMMPS with an independent evaluation.

    Args:
        model: what LAMMPS holds.
        gathered: atoms and results of all ranks; see ``plugin/pair_abi.h``.

    Returns:
        One line about the agreement.

    Raises:
        CheckFailedError: something differs by more than the tolerances of the file's
            dtype and backend (`selfcheck.tolerances_of`); the message is a table.
    """
    atoms = _structure(model, gathered)
    found = _differences(model, atoms, gathered)
    if any(one.bad for one in found.values()):
        raise CheckFailedError(_table(found, gathered))
    sizes = ", ".join(f"{k} {d.size:.1e} {_UNITS[k]}" for k, d in found.items())
    step = f"step {gathered.step}, {gathered.natoms} atoms"
    return f"Lamplighter: parity check at {step}: largest differences: {sizes}"


def _structure(model: MliapModel, gathered: Check) -> Atoms:
    """Return the atoms of all ranks; those without an element are not among them."""
    n = gathered.natoms
    symbols = np.array(model.element_types)
    return Atoms(
        symbols[view(gathered.elems, (n,), np.int32)],
        positions=view(gathered.x, (n, 3), np.float64),
        cell=np.array(gathered.cell).reshape(3, 3),
        pbc=[bool(k) for k in gathered.periodic],
    )


def _reference(model: MliapModel, atoms: Atoms) -> Prediction:
    members = [
        one
        if (one.dtype, model.device.type) == (torch.float64, "cpu")
        else copy.deepcopy(one).to("cpu", torch.float64)
        for one in model.members
    ]
    config = members[0].config
    graph = graph_from_atoms(atoms, config, config.heads[0].name)
    return mean_prediction(members, graph)


def _differences(
    model: MliapModel, atoms: Atoms, gathered: Check
) -> dict[str, _Difference]:
    n = gathered.natoms
    if n == 0:
        return {}
    wanted = _reference(model, atoms)
    limits = tolerances_of(model)
    tags = view(gathered.tags, (n,), np.int64)
    energies = view(gathered.eatoms, (n,), np.float64)
    forces = view(gathered.f, (n, 3), np.float64)
    xx, yy, zz, xy, xz, yz = gathered.virial
    virial = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    scale = max(1.0, abs(float(wanted.interaction_energy.detach())) / n)
    total = abs(gathered.energy - float(wanted.energy.detach())) / n
    atomic = wanted.atomic_energies.detach().numpy()
    worst = int(np.abs(energies - atomic).argmax())
    return {
        "total energy": _Difference(total, limits["energy"] * scale, "all atoms"),
        "energy of an atom": _Difference(
            float(np.abs(energies - atomic)[worst]),
            limits["energy"] * max(1.0, float(np.ptp(atomic))),
            f"atom {tags[worst]}",
        ),
        "force": _force(forces, wanted.forces.detach().numpy(), limits["forces"], tags),
        "virial": _virial(virial, wanted.virial.detach().numpy()[0], limits, n),
    }


def _force(found: Floats, wanted: Floats, limit: float, tags: Floats) -> _Difference:
    apart = np.abs(found - wanted)
    atom, axis = np.unravel_index(int(apart.argmax()), apart.shape)
    allowed = limit * max(1.0, float(np.abs(wanted).max()))
    return _Difference(
        float(apart.max()), allowed, f"{'xyz'[axis]} of atom {tags[atom]}"
    )


def _virial(
    found: Floats, wanted: Floats, limits: dict[str, float], n: int
) -> _Difference:
    apart = np.abs(found - wanted) / n
    row, column = np.unravel_index(int(apart.argmax()), apart.shape)
    allowed = limits["virial"] * max(1.0, float(np.abs(wanted).max()) / n)
    return _Difference(float(apart.max()), allowed, "xyz"[row] + "xyz"[column])


def _table(found: dict[str, _Difference], gathered: Check) -> str:
    lines = [
        f"{name:<18} {one.size:10.2e} {one.allowed:10.1e} {_UNITS[name]:<8} "
        f"{one.place}{'   <-- differs' if one.bad else ''}"
        for name, one in found.items()
    ]
    head = f"{'':<18} {'difference':>10} {'allowed':>10} unit     where"
    what = explain(
        "LAMMPS does not compute what the model says: parity check at step "
        f"{gathered.step} with {gathered.natoms} atoms",
        fix="look for commands that hide neighbours (special_bonds, neigh_modify, a "
        "short comm_modify cutoff) and run lamplighter lint on the script",
    )
    return "\n".join([what, head, *lines])
