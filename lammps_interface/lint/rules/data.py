"""Rules that compare the data file with the script."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
from ase.data import atomic_numbers

from lamplighter.lammps_interface.lint.finding import Finding
from lamplighter.lammps_interface.lint.rules.base import (
    View,
    error,
    note,
    standard_mass,
    warning,
)

# Isotopes that are used on purpose.
_ISOTOPES: Final = {
    "H": (2.014, 3.016),
    "Li": (6.015, 7.016),
    "B": (10.013, 11.009),
    "C": (12.0, 13.003),
}
_NOT_POSITIVE: Final = re.compile(r"(-\d+|0+)$")
_POINT_MASS: Final = frozenset({"sphere", "ellipsoid", "body", "line", "tri", "hybrid"})


def masses(view: View) -> Iterator[Finding]:
    """Masses of other elements than pair_coeff names, most of all swapped ones."""
    names, elements = view.state.names, view.elements
    if names is None:
        return
    wrong: list[tuple[int, str, float]] = []
    for one, name in elements.items():
        setting = view.state.masses.get(one)
        if setting is None or setting.value is None or _fits(name, setting.value):
            continue
        wrong.append((one, name, setting.value))
    for one, name, mass in wrong:
        others = [n for n in set(elements.values()) - {name} if _fits(n, mass)]
        where = view.state.masses[one].where
        what = f"type {one} has the mass {mass:g}, and pair_coeff calls it {name}"
        if others and others[0] != name:
            fix = f"{others[0]} in place {one} of pair_coeff"
            what += f" ({standard_mass(name):.4g}); that is the mass of {others[0]}"
            yield view.sure(error("data-masses", where, what, fix))
        elif view.state.dynamics:
            fix = f"mass {one} {standard_mass(name):.6g}, or another name in pair_coeff"
            yield warning("data-masses", where, what, fix)


def _fits(name: str, mass: float) -> bool:
    known = (standard_mass(name), *_ISOTOPES.get(name, ()))
    return any(abs(mass - one) < 0.02 * one for one in known)


def mass_missing(view: View) -> Iterator[Finding]:
    """Types without a mass."""
    state = view.state
    count = state.ntypes
    if count is None or not state.masses_known or state.box is None or count > 1000:
        return
    style = view.style
    if style in _POINT_MASS or not style or state.step is None:
        return
    absent = [k for k in range(1, count + 1) if k not in state.masses]
    if absent:
        names = view.elements
        fix = "; ".join(
            f"mass {k} {standard_mass(names[k]) if k in names else 1.0:.6g}"
            for k in absent[:4]
        )
        what = f"no mass for type {', '.join(map(str, absent[:8]))}"
        yield error("mass-missing", state.box, what, fix)


def labels(view: View) -> Iterator[Finding]:
    """Elements that the data file itself names, in another order."""
    data, names = view.state.data, view.state.names
    if data is None or names is None or view.state.data_where is None:
        return
    for one, label in sorted(data.labels.items()):
        symbol = label.strip("0123456789+-")
        if symbol not in atomic_numbers or one > len(names) or names[one - 1] == "NULL":
            continue
        if symbol != names[one - 1]:
            what = (
                f"the data file calls type {one} {symbol}, pair_coeff {names[one - 1]}"
            )
            fix = f"{symbol} in place {one} of pair_coeff"
            severity = error if symbol in names else warning
            where = view.state.coeffs[-1].where
            yield view.sure(severity("data-labels", where, what, fix))


def atoms(view: View) -> Iterator[Finding]:
    """Atoms of the data file: their number, IDs and types."""
    data, where = view.state.data, view.state.data_where
    if data is None or where is None or not data.rows:
        return
    count = data.counts.get("atoms", len(data.rows))
    if count != len(data.rows):
        what = f"the header says {count} atoms, the section Atoms has {len(data.rows)}"
        yield error("data-atoms", where, what, "write the data file anew")
    ids = Counter(row[0] for row in data.rows)
    twice = [name for name, n in ids.items() if n > 1]
    if twice:
        what = f"the atom ID {twice[0]} comes {ids[twice[0]]} times"
        yield error("data-atoms", where, what, "give each atom an ID of its own")
    if any(_NOT_POSITIVE.match(row[0]) for row in data.rows):
        what = "an atom ID is not positive"
        yield error("data-atoms", where, what, "number atoms from 1")
    style = view.state.atom_style
    given = "" if style is None else style.value
    if data.style and given and given not in {data.style, "hybrid"}:
        what = f"the section is 'Atoms # {data.style}', the script says atom_style "
        what += given
        yield warning("data-atoms", where, what, f"atom_style {data.style}")


def charges(view: View) -> Iterator[Finding]:
    """Charges that nothing reads."""
    data, where = view.state.data, view.state.data_where
    if data is None or where is None or view.pair.hybrid:
        return
    found = data.column("q", view.style)
    if found is not None and np.any(found != 0):
        what = f"charges up to {np.abs(found).max():g} e have no effect"
        fix = "nothing; a total charge is fixed by lamplighter convert --charge"
        yield note("data-charges", where, what, fix)


def tilt(view: View) -> Iterator[Finding]:
    """Tilt factors beyond half of the box."""
    data, where = view.state.data, view.state.data_where
    if data is None or where is None or not data.triclinic:
        return
    for row, column, name in ((1, 0, "xy"), (2, 0, "xz"), (2, 1, "yz")):
        length = data.cell[column, column]
        if length > 0 and abs(data.cell[row, column]) > 0.5001 * length:
            what = (
                f"the tilt {name} is {data.cell[row, column] / length:.2f} of the box"
            )
            fix = "reduce the cell, so that every tilt is at most half of its length"
            yield note("data-tilt", where, what, fix)


def box_small(view: View) -> Iterator[Finding]:
    """A periodic box that is thinner than the cutoff, in a run at temperature."""
    data, header, where = view.state.data, view.header, view.state.data_where
    if data is None or header is None or where is None or data.volume <= 0:
        return
    if not view.state.dynamics or view.state.replicated:
        return
    boundary = view.state.boundary
    periodic = ("p", "p", "p") if boundary is None else (boundary.value or ())
    for axis, kind in enumerate(periodic[:3]):
        if kind == "p" and data.heights[axis] < header.cutoff:
            what = (
                f"the box is {data.heights[axis]:.2f} Å along {'xyz'[axis]}, below the "
            )
            what += f"cutoff of {header.cutoff:g} Å"
            yield note("box-small", where, what, "replicate the cell")
            return


RULES = (masses, mass_missing, labels, atoms, charges, tilt, box_small)
