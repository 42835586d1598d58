"""Pair styles: which sub-style serves which pair of atom types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lamplighter.lammps_interface.lint.finding import Where

_SUFFIX: Final = re.compile(r"/(kk|omp|gpu|intel|opt)(/host|/device)?$")
# Families of pair styles: what a word among the arguments of hybrid has to be to start
# the next sub-style. Names of arguments (linear, bj, pbe) must not be among them.
_STYLE: Final = re.compile(
    r"^(adp|agni|airebo|atm|beck|bop|born|buck|buck6d|colloid|comb3?|coul|dispersion"
    r"|dpd|drip|dsmc|eam|edip|eim|extep|gauss|gw|hbond|harmonic|hdnnp|ilp|kim|kolmogorov"
    r"|lcbop|lebedeva|lennard|lj|lj96|lubricate|meam|mie|mliap|momb|morse|nb3b|nm|pace"
    r"|polymorphic|quip|reaxff|rebo|rann|saip|sdpd|snap|soft|sw|table|tersoff|tip4p"
    r"|tracker|uf3|ufm|vashishta|wf|yukawa|zbl|zero|mace|nequip|allegro|deepmd|pod|d3"
    r"|list|peri|exp6|e3b|amoeba|hippo|e3gnn|lepton|python)(/[a-z0-9/]+)?$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubStyle:
    """A pair style, alone or under hybrid.

    Attributes:
        name: the style without an accelerator suffix.
        args: the words after it.
        number: its number among sub-styles of the same name, from 1; 0 if alone.
    """

    name: str
    args: tuple[str, ...]
    number: int = 0

    @property
    def is_potential(self) -> bool:
        """Whether it is an ML-IAP potential in the unified form."""
        if self.name == "mliap/unified":
            return True
        return self.name == "mliap" and self.args[:1] == ("unified",)

    @property
    def file_and_flag(self) -> tuple[str, ...]:
        """FILE and FLAG of an ML-IAP potential, as far as they are given."""
        return self.args[1:] if self.args[:1] == ("unified",) else self.args


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStyle:
    """A `pair_style` command.

    Attributes:
        hybrid: ``""``, ``"hybrid"``, ``"hybrid/overlay"`` or ``"hybrid/scaled"``.
        styles: the one style, or the sub-styles in order.
        where: its place.
        sure: False where the command may not run, or a word is not known.
    """

    hybrid: str
    styles: tuple[SubStyle, ...]
    where: Where
    sure: bool

    @property
    def potentials(self) -> list[SubStyle]:
        """The ML-IAP potentials in it."""
        return [style for style in self.styles if style.is_potential]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCoeff:
    """A `pair_coeff` command.

    Attributes:
        args: its words.
        where: its place.
        sure: False where the command may not run, or a word is not known.
        has_box: whether there is a box at this place.
        style: the sub-style it is for; None where there is none.
    """

    args: tuple[str, ...]
    where: Where
    sure: bool
    has_box: bool
    style: SubStyle | None

    @property
    def names(self) -> tuple[str, ...]:
        """The words after the types and the name of the sub-style."""
        if self.style is None:
            return ()
        named = self.args[2:3] == (self.style.name,)
        skip = 2 + named + (named and self.style.number > 0)
        return self.args[skip:]


def plain(name: str) -> str:
    """Return the name of a style without its accelerator suffix."""
    return _SUFFIX.sub("", name)


def parse_pair_style(args: Sequence[str], where: Where, *, sure: bool) -> PairStyle:
    """Return what a `pair_style` command says.

    Args:
        args: its words, one or more.
        where: its place.
        sure: whether it certainly runs.
    """
    name = plain(args[0])
    sure = sure and not any("$" in word for word in args)
    if name.split("/")[0] != "hybrid":
        style = SubStyle(name=name, args=tuple(args[1:]))
        return PairStyle(hybrid="", styles=(style,), where=where, sure=sure)
    groups: list[list[str]] = []
    for word in args[1:]:
        if _STYLE.match(word) or (not groups and not _is_number(word)):
            groups.append([plain(word)])
        elif groups:
            groups[-1].append(word)
    if name == "hybrid/scaled":
        # The factor of the next style stands before its name.
        for group in groups[:-1]:
            group[1:] = group[1:-1]
    counts = [group[0] for group in groups]
    styles = tuple(
        SubStyle(
            name=group[0],
            args=tuple(group[1:]),
            number=counts[: k + 1].count(group[0]) if counts.count(group[0]) > 1 else 0,
        )
        for k, group in enumerate(groups)
    )
    return PairStyle(hybrid=name, styles=styles, where=where, sure=sure)


def style_of(pair: PairStyle | None, args: Sequence[str]) -> SubStyle | None:
    """Return the style that a `pair_coeff` command is for; None if there is none."""
    if pair is None or not pair.styles:
        return None
    if not pair.hybrid:
        return pair.styles[0]
    number = int(args[3]) if len(args) > 3 and _is_count(args[3]) else 0
    for style in pair.styles:
        if tuple(args[2:3]) == (style.name,) and style.number in {0, number}:
            return style
    return None


def bounds(word: str, ntypes: int) -> range | None:
    """Return the types that a word of `pair_coeff` or `mass` means: 2, *, 1*3, 2*.

    Args:
        word: the word.
        ntypes: number of atom types.

    Returns:
        A range of types from 1, or None for a type label or an unknown word.
    """
    first, star, last = word.partition("*")
    if not star:
        return range(int(word), int(word) + 1) if _is_count(word) else None
    if (first and not _is_count(first)) or (last and not _is_count(last)):
        return None
    return range(int(first or 1), min(int(last or ntypes), ntypes) + 1)


Assignment = dict[tuple[int, int], list[tuple[SubStyle, Where]]]


def assignments(
    pair: PairStyle, coeffs: Sequence[PairCoeff], ntypes: int
) -> Assignment | None:
    """Return the styles of each pair of types, as hybrid styles assign them.

    Args:
        pair: a hybrid style.
        coeffs: the `pair_coeff` commands in order.
        ntypes: number of atom types.

    Returns:
        For each pair (i <= j) its styles, each with the command that assigned it; None
        if a command is not known.
    """
    table: Assignment = {}
    for coeff in coeffs:
        rows = bounds(coeff.args[0], ntypes) if coeff.args else None
        columns = bounds(coeff.args[1], ntypes) if len(coeff.args) > 1 else None
        none = coeff.args[2:3] == ("none",)
        if not coeff.sure or rows is None or columns is None:
            return None
        if coeff.style is None and not none:
            return None
        _assign(table, coeff, (rows, columns), pair.hybrid, ntypes)
    return table


def _assign(
    table: Assignment,
    coeff: PairCoeff,
    types: tuple[range, range],
    hybrid: str,
    ntypes: int,
) -> None:
    style = coeff.style
    absent = _absent_types(coeff, ntypes)
    for i in types[0]:
        for j in types[1]:
            if j < i or i in absent or j in absent:
                continue
            old = table.setdefault((i, j), [])
            if style is None or hybrid == "hybrid":
                old.clear()
            old[:] = [one for one in old if one[0] != style]
            if style is not None:
                old.append((style, coeff.where))


def _absent_types(coeff: PairCoeff, ntypes: int) -> set[int]:
    """Return the types that a `pair_coeff * *` command gives the name NULL."""
    names = coeff.names[-ntypes:]
    if coeff.args[:2] != ("*", "*") or len(names) < ntypes:
        return set()
    return {k for k, name in enumerate(names, start=1) if name == "NULL"}


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and 0 < len(word) < 7


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return word.startswith(("v_", "$"))
    return True
