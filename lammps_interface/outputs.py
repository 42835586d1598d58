"""What a model can tell about each atom besides its energy, for LAMMPS' fix pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lamplighter.lammps_interface.members import Answer, force_deviations, mean_of
from lamplighter.lammps_interface.rows import Rows
from lamplighter.model import Graph, Potential


def output_names(members: Sequence[Potential]) -> tuple[str, ...]:
    """Return the names of what can be told about each atom.

    ``reference`` (E0), ``interaction`` (the rest) and its part ``repulsion`` in eV;
    ``uncertainty`` of the force in eV/Å, for a committee.
    """
    names = ["reference", "interaction"]
    if any(one.config.zbl for one in members):
        names.append("repulsion")
    if len(members) > 1:
        names.append("uncertainty")
    return tuple(names)


def write_outputs(
    members: Sequence[Potential],
    answers: Sequence[Answer],
    data: Any,
    rows: Rows,
    graph: Graph,
) -> None:
    """Fill the arrays [nlocal] in ``data.outputs``, those that LAMMPS asks for.

    Collective where ``uncertainty`` is among them; LAMMPS asks all ranks for the same.

    Args:
        members: the potentials.
        answers: of each member, in this step.
        data: what LAMMPS hands over; atoms without an element keep their zeros.
        rows: which of its rows the graph has.
        graph: rows and pairs of this rank.
    """
    wanted: Mapping[str, Any] = getattr(data, "outputs", None) or {}
    if not wanted:
        return
    n_owned = rows.n_owned
    reference = _mean([one.reference_energies(graph)[:n_owned] for one in members])
    reference = reference.cpu()
    parts = {
        "reference": reference,
        "interaction": mean_of(answers).energies[:n_owned] - reference,
    }
    if "repulsion" in wanted:
        found = [one.repulsion(graph)[:n_owned].detach() for one in members]
        parts["repulsion"] = _mean(found).cpu()
    if "uncertainty" in wanted:
        parts["uncertainty"] = force_deviations(answers, data, rows, graph)
    kept = torch.arange(n_owned) if rows.kept is None else rows.kept
    owned = kept[:n_owned].numpy()
    for name, array in wanted.items():
        array[owned] = parts[name].numpy()


def _mean(values: Sequence[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack(list(values)).mean(dim=0)
