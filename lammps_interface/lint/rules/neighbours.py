"""Rules about which pairs the potential gets to see."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from lamplighter.lammps_interface.lint.finding import Finding
from lamplighter.lammps_interface.lint.rules.base import View, error, note, warning

_EXCLUDED_ATOMS: Final = ("gcmc", "widom")
_FULL: Final = (1.0,) * 6


def special_bonds(view: View) -> Iterator[Finding]:
    """Bonded pairs that LAMMPS leaves out of the neighbour list."""
    state = view.state
    if state.bonds is False or (state.atom_style is None and state.bonds is None):
        return
    setting = state.special
    if setting is not None and setting.value in {None, _FULL}:
        return
    where = view.place(setting, state.atom_style)
    given = "the default special_bonds" if setting is None else "special_bonds"
    fix = "special_bonds lj/coul 1 1 1"
    if state.bonds:
        what = f"the system has bonds, and {given} leaves out bonded pairs"
        yield view.sure(error("special-bonds", where, what, fix))
    elif state.atom_style is not None and state.atom_style.value is not None:
        what = f"atom_style {state.atom_style.value} may bring bonds, and {given} "
        what += "leaves out bonded pairs"
        yield warning("special-bonds", where, what, fix)


def exclude(view: View) -> Iterator[Finding]:
    """Exclusions that take some pairs of an atom and leave the rest."""
    for command in view.state.excludes:
        at = command.args.index("exclude")
        words = command.args[at + 1 : at + 4]
        if words[:1] == ("group",) and "all" in words and not view.state.kokkos:
            continue  # hides whole atoms
        fix = "leave it out; fix setforce holds atoms, NULL under hybrid removes a type"
        what = f"neigh_modify exclude {' '.join(words)}"
        sure = command.sure and not view.pair.hybrid
        yield view.sure(error("exclude", command.where, what, fix), sure=sure)


def gcmc(view: View) -> Iterator[Finding]:
    """Moves that exclude atoms for a while, in a LAMMPS that goes on counting them."""
    for fix in view.state.fixes.values():
        if fix.style in _EXCLUDED_ATOMS and view.state.kokkos:
            what = f"fix {fix.style} with Kokkos, whose mliap counts hidden atoms"
            advice = "run it without Kokkos, in the lmp where lamplighter is installed"
            yield warning("gcmc", fix.where, what, advice)


def skin(view: View) -> Iterator[Finding]:
    """A skin of other units, or none."""
    setting, value = view.state.skin, view.skin
    if setting is None or value is None or not view.state.dynamics:
        return
    if value < 0.5:
        what = f"a skin of {value:g} Å"
        yield warning("skin", setting.where, what, "neighbor 1.0 bin")
    elif value > 6:
        what = f"a skin of {value:g} Å makes ghosts and pairs of most of the box"
        yield note("skin", setting.where, what, "neighbor 2.0 bin")


def neigh_check(view: View) -> Iterator[Finding]:
    """A neighbour list that is rebuilt too late."""
    values = {name: one.value for name, one in view.state.neigh.items()}
    if not view.state.dynamics or values.get("check") != "no":
        return
    every, delay = (_count(values.get(name, "1")) for name in ("every", "delay"))
    if every is None or delay is None or max(every, delay) <= 1:
        return
    what = f"the list is rebuilt every {max(every, delay)} steps, moved or not"
    where = view.state.neigh["check"].where
    fix = "neigh_modify every 1 delay 0 check yes"
    yield warning("neigh-check", where, what, fix)


def _count(word: str | None) -> int | None:
    short = word is not None and word.isascii() and word.isdigit() and len(word) < 10
    return int(word) if short and word else None


def neighbor_one(view: View) -> Iterator[Finding]:
    """A list of an overlaid style that overflows."""
    data, values = view.state.data, view.state.neigh
    limit = _count(values["one"].value) if "one" in values else 2000
    if data is None or data.volume <= 0 or limit is None or view.skin is None:
        return
    for style in view.pair.styles:
        if style.name != "dispersion/d3" or len(style.args) < 3:
            continue
        try:
            reach = float(style.args[2]) + view.skin
            count = (
                4 / 3 * math.pi * reach**3 * data.counts.get("atoms", 0) / data.volume
            )
        except (ValueError, OverflowError):
            continue
        if count > limit:
            what = (
                f"about {count:.0f} neighbours within {reach:g} Å, and room for {limit}"
            )
            size = 10 ** math.ceil(math.log10(1.2 * count)) if count < 1e9 else 0
            fix = f"neigh_modify one {size} page {20 * size}"
            yield error("neighbor-one", view.pair.where, what, fix)


def ghost_shell(view: View) -> Iterator[Finding]:
    """A shell of ghosts that is thinner than the layers of the potential need."""
    words = view.potential.file_and_flag
    if words[1:2] != ("1",) or view.skin is None:
        return
    setting = view.state.comm_cutoff
    if setting is not None and setting.value is None:
        return
    header = view.header
    if header is None:
        if setting is None:
            what = "FLAG 1 without comm_modify cutoff"
            fix = "comm_modify cutoff N, N = layers x cutoff + skin; or FLAG 0"
            yield warning("ghost-shell", view.pair.where, what, fix)
        return
    needed = header.n_layers * header.cutoff + view.skin
    reach = max(setting.value or 0 if setting else 0, header.cutoff + view.skin)
    if reach < needed - 1e-9:
        what = (
            f"ghosts reach {reach:g} Å, and {header.n_layers} layers need {needed:g} Å"
        )
        fix = f"comm_modify cutoff {needed:g}, or FLAG 0"
        yield warning("ghost-shell", view.place(setting), what, fix)


RULES = (
    special_bonds,
    exclude,
    gcmc,
    skin,
    neigh_check,
    neighbor_one,
    ghost_shell,
)
