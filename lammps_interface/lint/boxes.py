"""What commands about the box and its types do to the state."""

from __future__ import annotations

from lamplighter.lammps_interface.lint.options import Command
from lamplighter.lammps_interface.lint.pairs import bounds
from lamplighter.lammps_interface.lint.state import Setting, State
from lamplighter.lammps_interface.lint.values import is_known, number


def mass(state: State, command: Command) -> None:
    """Take in the masses of some types."""
    types = bounds(command.args[0], state.ntypes or 0)
    value = number(command.args[1]) if len(command.args) > 1 else None
    if types is None or value is None or not command.sure:
        state.masses_known = False
        return
    for one in types:
        state.masses[one] = Setting(value, command.where)


def region(state: State, command: Command) -> None:
    """Take in the style of a region, which a box may be made from."""
    if len(command.args) > 1 and command.sure:
        state.regions[command.args[0]] = command.args[1]


def create_box(state: State, command: Command) -> None:
    """Take in a new box and its number of types."""
    count = command.args[0]
    known = is_known(command, count) and count.isascii() and count.isdigit()
    state.ntypes = int(count) if known and len(count) < 6 else None
    state.box = command.where
    region = state.regions.get(command.args[1]) if len(command.args) > 1 else None
    state.triclinic = {"prism": True, "block": False}.get(region or "")
    if any(word.startswith(("bond/types", "extra/bond")) for word in command.args):
        state.bonds = state.bonds or None


def read_data(state: State, command: Command) -> None:
    """Take in what the data file says, `state.data`."""
    words = command.args
    again = state.box is not None and "add" in words
    state.box = state.box or command.where
    state.data_where = command.where
    if again or state.data is None or not command.sure:
        state.ntypes = None
        state.masses_known = False
        state.triclinic = None
        state.data = None if again or not command.sure else state.data
        return
    data = state.data
    extra = 0
    if "extra/atom/types" in words:
        after = words[words.index("extra/atom/types") + 1 :]
        count = number(after[0]) if after else None
        extra = -1 if count is None or not 0 <= count < 1e5 else int(count)
    ntypes = data.ntypes
    state.ntypes = None if ntypes is None or extra < 0 else ntypes + extra
    state.triclinic = data.triclinic
    for one, mass in data.masses.items():
        state.masses[one] = Setting(mass, command.where)
    if state.bonds is None:
        state.bonds = data.bonded > 0 or data.counts.get("bonds", 0) > 0


def read_restart(state: State, command: Command) -> None:
    """Forget what a restart file may bring."""
    state.box = command.where
    state.ntypes = None
    state.masses_known = False
    state.triclinic = None
    # The file brings units, styles and settings of its own.
    for name in ("units", "atom_style", "boundary", "newton", "special"):
        if getattr(state, name) is None:
            setattr(state, name, Setting(None, command.where))


def change_box(state: State, command: Command) -> None:
    """Take in whether the box has tilt factors."""
    if "triclinic" in command.args:
        state.triclinic = True if command.sure else None
    elif "ortho" in command.args:
        state.triclinic = False if command.sure else None
    state.replicated = True


def replicate(state: State, _: Command) -> None:
    """The box of the data file is not the box of the run."""
    state.replicated = True
