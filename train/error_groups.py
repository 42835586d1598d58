"""Errors by head and kind of structure, by head and element, by head and domain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from ase.data import chemical_symbols

from lamplighter.arrays import Floats
from lamplighter.train.data.frame import Frame
from lamplighter.train.errors_table import ErrorRow, ErrorTable, error_row

if TYPE_CHECKING:
    from lamplighter.train.evaluation import Residual

Grouping: TypeAlias = Literal["config_type", "element", "domain"]

GROUPINGS: tuple[Grouping, ...] = ("config_type", "element", "domain")

VACUUM = 6.0
"""A layer without atoms that is thicker than this ends a structure, Å."""

_CONNECTED = ("molecule", "wire", "surface", "crystal")


def table_of(found: Sequence[Residual], by: Grouping = "config_type") -> ErrorTable:
    """Return the errors of every head, over all its frames and by group.

    Args:
        found: predicted minus labelled.
        by: "config_type"; "domain", see [`domain_of`][]; or "element": energies and
            stresses of the frames that contain the element, forces on its atoms.
    """
    groups: dict[tuple[str, str], list[Residual]] = {}
    names = _NAMES[by]
    for residual in found:
        own = ("(all)" if name == "all" else name for name in names(residual.frame))
        for name in ("all", *own):
            groups.setdefault((residual.frame.head, name), []).append(residual)
    order = {head: n for n, head in enumerate(dict.fromkeys(h for h, _ in groups))}
    keys = sorted(groups, key=lambda k: (order[k[0]], k[1] != "all", k[1]))
    rows = tuple(
        _row(head, name, groups[head, name], _atoms_of(by, name)) for head, name in keys
    )
    return ErrorTable(rows=rows, by=by)


def by_head(table: ErrorTable) -> Mapping[str, ErrorRow]:
    """Return the row over all groups of each head."""
    return {row.head: row for row in table.rows if row.config_type == "all"}


def domain_of(frame: Frame) -> str:
    """Return the domain that a frame names, or what its geometry looks like.

    A direction of the cell counts as periodic when no layer of more than `VACUUM`
    lies between the atoms. Three of them make a crystal, two a surface, one a wire,
    none a molecule; a single atom in vacuum is an atom.
    """
    if frame.domain:
        return frame.domain
    connected = sum(
        periodic and _gap(frame, axis) <= VACUUM
        for axis, periodic in enumerate(frame.pbc)
    )
    if connected == 0 and frame.n_atoms == 1:
        return "atom"
    return _CONNECTED[connected]


def _gap(frame: Frame, axis: int) -> float:
    """Return the thickest layer without atoms across a lattice direction, Å."""
    cell = np.asarray(frame.cell, dtype=float)
    others = np.cross(cell[(axis + 1) % 3], cell[(axis + 2) % 3])
    area = float(np.linalg.norm(others))
    if area == 0.0:  # no cell to speak of: nothing repeats
        return float("inf")
    height = abs(float(np.linalg.det(cell))) / area
    places = np.sort(frame.positions @ (others / area) / height % 1.0)
    steps = np.diff(np.append(places, places[0] + 1.0))
    return float(steps.max()) * height


def _config_types(frame: Frame) -> Iterable[str]:
    return (frame.config_type or "(none)",)


def _elements(frame: Frame) -> Iterable[str]:
    return (chemical_symbols[int(z)] for z in np.unique(frame.numbers))


def _domains(frame: Frame) -> Iterable[str]:
    return (domain_of(frame),)


_NAMES: Mapping[Grouping, Callable[[Frame], Iterable[str]]] = {
    "config_type": _config_types,
    "element": _elements,
    "domain": _domains,
}


def _atoms_of(by: Grouping, name: str) -> int:
    """Return the atomic number whose forces count; 0 counts all."""
    return chemical_symbols.index(name) if by == "element" and name != "all" else 0


def _row(head: str, name: str, group: Sequence[Residual], number: int) -> ErrorRow:
    with_forces = [r for r in group if r.forces is not None and r.frame.n_atoms > 1]
    energies = np.array([r.energy for r in group])
    return error_row(
        head=head,
        config_type=name,
        n_frames=len(group),
        energy=energies[np.isfinite(energies)],
        forces=_joined([_of(number, r.frame, r.forces) for r in with_forces]),
        reference_forces=_joined(
            [_of(number, r.frame, r.frame.forces) for r in with_forces]
        ),
        stress=_joined([r.stress for r in group]),
    )


def _of(number: int, frame: Frame, forces: Floats | None) -> Floats | None:
    if forces is None or number == 0:
        return forces
    return np.asarray(forces[frame.numbers == number], dtype=float)


def _joined(parts: Sequence[Floats | None]) -> Floats:
    arrays = [p.ravel() for p in parts if p is not None]
    return np.concatenate(arrays) if arrays else np.empty(0)
