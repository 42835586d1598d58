"""Rules that compare the ML-IAP file with the script."""

from __future__ import annotations

from collections.abc import Iterator

from lamplighter.lammps_interface.lint.finding import Finding
from lamplighter.lammps_interface.lint.rules.base import View, error, note, warning


def dispersion(view: View) -> Iterator[Finding]:
    """Dispersion that the head's labels contain, lack, or have of another kind."""
    header = view.header
    if header is None:
        return
    where = view.pair.where
    added = [one for one in view.pair.styles if one.name == "dispersion/d3"]
    rule = header.dispersion.strip().lower()
    if not added:
        if rule.startswith("d3"):
            damping, _, functional = rule.partition(":")
            words = f"dispersion/d3 {_damping(damping)} {functional} 20.0 10.0"
            what = f"head {header.head!r} ({header.level_of_theory}) asks for {rule}"
            fix = f"pair_style hybrid/overlay {' '.join(_words(view))} {words}"
            yield note("dispersion-missing", where, what, fix)
        return
    if rule == "included":
        what = f"dispersion/d3 on top of head {header.head!r}"
        found = error("dispersion-twice", where, what, "take dispersion/d3 out")
        yield view.sure(found)
    elif len(added[0].args) > 1:
        yield from _functional(view, (added[0].args[0], added[0].args[1]))


def _functional(view: View, given: tuple[str, str]) -> Iterator[Finding]:
    header = view.header
    if header is None:
        return
    rule, _, functional = header.dispersion.strip().lower().partition(":")
    wanted = functional if rule.startswith("d3") else header.level_of_theory
    got = f"dispersion/d3 {' '.join(given)}"
    if _bare(wanted) and _bare(given[1]) != _bare(wanted):
        what = f"{got} with head {header.head!r} of {header.level_of_theory}"
        fix = f"dispersion/d3 {given[0]} {_bare(wanted)} ..."
        yield warning("head-mismatch", view.pair.where, what, fix)
    elif rule.startswith("d3") and _damping(rule) != given[0]:
        what = f"{got} with head {header.head!r}, which asks for {header.dispersion}"
        fix = f"dispersion/d3 {_damping(rule)} {functional} ..."
        yield warning("head-mismatch", view.pair.where, what, fix)


def _damping(rule: str) -> str:
    """Return the word of LAMMPS for a damping: d3bj is bj, d3 or d3zero original."""
    return {"d3bj": "bj", "d3bjm": "bjm", "d3zerom": "zerom"}.get(rule, "original")


def _bare(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _words(view: View) -> tuple[str, ...]:
    return (view.potential.name, *view.potential.args)


RULES = (dispersion,)
