"""What each command does to the state; commands that are not here do nothing to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

from lamplighter.lammps_interface.lint import boxes
from lamplighter.lammps_interface.lint.options import Command
from lamplighter.lammps_interface.lint.pairs import (
    PairCoeff,
    parse_pair_style,
    plain,
    style_of,
)
from lamplighter.lammps_interface.lint.state import Action, Setting, State
from lamplighter.lammps_interface.lint.values import changed, is_known, number

_BONDED_STYLES: Final = frozenset({"bond", "angle", "molecular", "full", "template"})
_AFTER_BOX: Final = frozenset({"pair_coeff", "mass", "velocity", "bond_coeff"})
_BEFORE_BOX: Final = frozenset({"units", "atom_style", "boundary"})
_SPECIAL: Final = {
    "amber": (0.0, 0.0, 0.5, 0.0, 0.0, 5.0 / 6.0),
    "charmm": (0.0,) * 6,
    "dreiding": (0.0, 0.0, 1.0, 0.0, 0.0, 1.0),
}


def apply(state: State, command: Command) -> None:
    """Change a state as a command does; a command that may not run makes it unknown.

    Args:
        state: the state, changed in place.
        command: the command.
    """
    _note_order(state, command)
    name = command.name
    if name == "dump_modify":
        name = "dump_modify" if "element" in command.args else ""
    handler = _HANDLERS.get(name)
    if handler is not None and command.args:
        handler(state, command)


def _note_order(state: State, command: Command) -> None:
    too_early = command.name in _AFTER_BOX and state.box is None
    too_late = command.name in _BEFORE_BOX and state.box is not None
    if (too_early or too_late) and command.sure:
        state.early.append(command)


def _word(attribute: str) -> Callable[[State, Command], None]:
    def handler(state: State, command: Command) -> None:
        value = plain(command.args[0])
        new = changed(
            getattr(state, attribute), value, command, known=is_known(command, value)
        )
        setattr(state, attribute, new)

    return handler


def _number_setting(attribute: str) -> Callable[[State, Command], None]:
    def handler(state: State, command: Command) -> None:
        value = number(command.args[0])
        known = command.sure and value is not None
        setattr(
            state,
            attribute,
            changed(getattr(state, attribute), value, command, known=known),
        )

    return handler


def _atom_style(state: State, command: Command) -> None:
    _word("atom_style")(state, command)
    if any(word in _BONDED_STYLES for word in command.args):
        state.bonds = state.bonds or None
    elif state.bonds is None and is_known(command, *command.args):
        state.bonds = False


def _boundary(state: State, command: Command) -> None:
    known = is_known(command, *command.args)
    state.boundary = changed(state.boundary, command.args, command, known=known)


def _newton(state: State, command: Command) -> None:
    value = {"on": True, "yes": True, "off": False, "no": False}.get(command.args[0])
    state.newton = changed(
        state.newton, value, command, known=command.sure and value is not None
    )


def _special(state: State, command: Command) -> None:
    """Read six factors, of 1-2, 1-3 and 1-4 neighbours for lj and for coul."""
    lj, coul = [0.0] * 3, [0.0] * 3
    words = list(command.args)
    if state.special is not None and state.special.value is not None:
        lj, coul = list(state.special.value[:3]), list(state.special.value[3:])
    known = is_known(command, *words)
    while words:
        word = words.pop(0)
        if word in _SPECIAL:
            lj, coul = list(_SPECIAL[word][:3]), list(_SPECIAL[word][3:])
        elif word in {"lj", "coul", "lj/coul"}:
            factors = [number(one) for one in words[:3]]
            words = words[3:]
            found = [one for one in factors if one is not None]
            known = known and len(found) == 3
            lj = found if word != "coul" else lj
            coul = found if word != "lj" else coul
    state.special = changed(state.special, (*lj, *coul), command, known=known)


def _neigh_modify(state: State, command: Command) -> None:
    words = command.args
    for at, word in enumerate(words):
        if word in {"every", "delay", "check", "one", "page"} and at + 1 < len(words):
            value = words[at + 1]
            state.neigh[word] = changed(
                state.neigh.get(word), value, command, known=is_known(command, value)
            )
        elif word == "exclude" and words[at + 1 : at + 2] == ("none",):
            state.excludes.clear()
        elif word == "exclude":
            state.excludes.append(command)


def _comm_modify(state: State, command: Command) -> None:
    words = command.args
    if "cutoff" in words and words.index("cutoff") + 1 < len(words):
        value = number(words[words.index("cutoff") + 1])
        known = command.sure and value is not None
        state.comm_cutoff = changed(state.comm_cutoff, value, command, known=known)
    elif any("$" in word or word.startswith("cutoff/") for word in words):
        state.comm_cutoff = Setting(None, command.where)


def _pair_style(state: State, command: Command) -> None:
    pair = parse_pair_style(command.args, command.where, sure=command.sure)
    same = (
        state.pair is not None
        and not pair.hybrid
        and [s.name for s in state.pair.styles] == [s.name for s in pair.styles]
    )
    if same:
        style = pair.styles[0]
        state.coeffs = [dataclasses.replace(c, style=style) for c in state.coeffs]
    else:
        state.coeffs = []
    state.pair = None if command.args[0] == "none" else pair


def _pair_coeff(state: State, command: Command) -> None:
    state.coeffs.append(
        PairCoeff(
            args=command.args,
            where=command.where,
            sure=is_known(command, *command.args),
            has_box=state.box is not None,
            style=style_of(state.pair, command.args),
        )
    )


def _bonds_made(state: State, command: Command) -> None:
    state.bonds = True if command.sure else state.bonds or None


def _action(table: str) -> Callable[[State, Command], None]:
    def handler(state: State, command: Command) -> None:
        words = command.args
        if len(words) < 3:
            return
        getattr(state, table)[words[0]] = Action(
            name=words[0],
            group=words[1],
            style=plain(words[2]),
            args=words[3:],
            where=command.where,
            sure=command.sure,
        )

    return handler


def _remove(table: str) -> Callable[[State, Command], None]:
    def handler(state: State, command: Command) -> None:
        actions: dict[str, Action] = getattr(state, table)
        name = command.args[0]
        if "$" in name:
            getattr(state, table).clear()
        elif command.sure or name not in actions:
            actions.pop(name, None)
        else:
            actions[name] = dataclasses.replace(actions[name], sure=False)

    return handler


def _append(attribute: str) -> Callable[[State, Command], None]:
    def handler(state: State, command: Command) -> None:
        getattr(state, attribute).append(command)

    return handler


def _run_style(state: State, command: Command) -> None:
    known = is_known(command, *command.args)
    state.run_style = changed(state.run_style, command.args, command, known=known)


def _thermo_modify(state: State, command: Command) -> None:
    words = command.args
    if "lost" in words and words.index("lost") + 1 < len(words):
        value = words[words.index("lost") + 1]
        state.lost = changed(state.lost, value, command, known=is_known(command, value))


def _suffix(state: State, command: Command) -> None:
    words = command.args[1:] if command.args[0] == "hybrid" else command.args
    if words and words[0] != "on":
        value = "" if words[0] == "off" else words[0]
        state.suffix = changed(
            state.suffix, value, command, known=is_known(command, value)
        )


def _kokkos(state: State, command: Command) -> None:
    if command.args[0] in {"on", "yes"}:
        state.kokkos = Setting(command.args[1:], command.where)


_HANDLERS: Final[dict[str, Callable[[State, Command], None]]] = {
    "units": _word("units"),
    "atom_style": _atom_style,
    "boundary": _boundary,
    "newton": _newton,
    "special_bonds": _special,
    "neighbor": _number_setting("skin"),
    "neigh_modify": _neigh_modify,
    "comm_modify": _comm_modify,
    "pair_style": _pair_style,
    "pair_coeff": _pair_coeff,
    "pair_modify": _append("pair_modify"),
    "mass": boxes.mass,
    "region": boxes.region,
    "create_box": boxes.create_box,
    "read_data": boxes.read_data,
    "read_restart": boxes.read_restart,
    "change_box": boxes.change_box,
    "replicate": boxes.replicate,
    "create_bonds": _bonds_made,
    "timestep": _number_setting("timestep"),
    "bond_style": _word("bond_style"),
    "kspace_style": _word("kspace"),
    "run_style": _run_style,
    "thermo_modify": _thermo_modify,
    "fix": _action("fixes"),
    "unfix": _remove("fixes"),
    "compute": _action("computes"),
    "uncompute": _remove("computes"),
    "dump_modify": _append("dump_elements"),
    "package": _append("packages"),
    "suffix": _suffix,
    "kokkos": _kokkos,
}
