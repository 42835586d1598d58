"""Rules about pair_style and pair_coeff."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ase.data import atomic_numbers

from lamplighter.errors import ConfigError
from lamplighter.lammps_interface.bundle import BundleHeader
from lamplighter.lammps_interface.keywords import parse
from lamplighter.lammps_interface.lint.finding import Finding
from lamplighter.lammps_interface.lint.pairs import Assignment, PairCoeff, assignments
from lamplighter.lammps_interface.lint.rules.base import View, error, warning

_PAIRWISE: Final = frozenset(
    {"group/group", "pair/local", "fep", "fep/ta", "pair/entropy"}
)
_OTHER_FILES: Final = (".safetensors", ".model", ".pth", ".pt2", ".json", ".yaml")


def pair_style(view: View) -> Iterator[Finding]:
    """FILE, FLAG and keywords of the pair style."""
    for potential in view.pair.potentials:
        words = potential.file_and_flag
        if any("$" in word for word in words):
            continue
        example = f"pair_style {potential.name} unified FILE.pt 0"
        problem = _wrong_words(words, view.header)
        if problem:
            yield view.sure(error("pair-style", view.pair.where, problem, example))
        elif words[0].endswith(_OTHER_FILES):
            what = f"{words[0]} is no ML-IAP file"
            fix = f"lamplighter convert {words[0]} --elements ... -o FILE.pt"
            yield view.sure(error("model-file", view.pair.where, what, fix))


def _wrong_words(words: Sequence[str], header: BundleHeader | None) -> str:
    """Return what is wrong with FILE, FLAG and keywords."""
    if not words:
        return "FILE is wanted, but no word came"
    if len(words) > 1 and words[1] not in {"0", "1"}:
        return f"FLAG is {words[1]!r}; it is 0 (exchange) or 1 (wide ghosts)"
    try:
        keywords = parse(" ".join(words[2:]))
    except ConfigError as problem:
        return str(problem)
    heads = () if header is None else header.heads
    if keywords.head is None and len(heads) > 1:
        return f"the file holds the heads {', '.join(heads)}, and none is named"
    if keywords.head is not None and heads and keywords.head not in heads:
        return f"the file has no head {keywords.head}, but {', '.join(heads)}"
    return ""


def pair_coeff(view: View) -> Iterator[Finding]:
    """A missing command, types other than * *, and a wrong number of names."""
    if not view.pair.sure:
        return
    mine = [
        c for c in view.state.coeffs if c.style is not None and c.style.is_potential
    ]
    middle = f"{view.potential.name} " if view.pair.hybrid else ""
    example = f"pair_coeff * * {middle}Mg O   # one element for each type"
    for coeff in view.state.coeffs:
        none = coeff.args[2:3] == ("none",)
        if view.pair.hybrid and coeff.sure and coeff.style is None and not none:
            got = (*coeff.args[2:3], "nothing")[0]
            what = f"pair_coeff names no sub-style of {view.pair.hybrid}: {got!r}"
            yield error("pair-coeff", coeff.where, what, example)
    if not mine and all(coeff.style is not None for coeff in view.state.coeffs):
        what = "the potential has no pair_coeff command"
        yield error("pair-coeff", view.pair.where, what, example)
    unused = [
        style.name
        for style in view.pair.styles
        if not style.is_potential and view.pair.hybrid
        if not any(
            coeff.style == style or not coeff.sure for coeff in view.state.coeffs
        )
    ]
    if unused and mine:
        what = f"no pair_coeff for the sub-style {' '.join(unused)}"
        fix = f"pair_coeff * * {unused[0]} ..., or take it out of pair_style"
        yield error("pair-coeff", view.pair.where, what, fix)
    for coeff in mine:
        yield from _check_names(view, coeff, example)


def _check_names(view: View, coeff: PairCoeff, example: str) -> Iterator[Finding]:
    if any("$" in word for word in coeff.args):
        return
    if coeff.args[:2] != ("*", "*"):
        what = f"pair_coeff {' '.join(coeff.args[:2])}; it has to be * *"
        found = error("pair-coeff-types", coeff.where, what, example)
        yield view.sure(found, sure=coeff.sure)
        return
    names, count = coeff.names, view.state.ntypes
    if count is not None and len(names) != count:
        what = f"{len(names)} element name(s) for {count} atom type(s)"
        fix = f"pair_coeff with {count} names, one for each type in order"
        found = error("pair-coeff-count", coeff.where, what, fix)
        yield view.sure(found, sure=coeff.sure)
    known = view.header.elements if view.header else None
    for name in dict.fromkeys(names):
        if name == "NULL":
            continue
        is_element = name in atomic_numbers and name != "X"
        if known is not None and name not in known:
            what = f"the ML-IAP file has no {name!r}; it has: {' '.join(known)}"
            fix = f"lamplighter convert MODEL --elements {' '.join(known)} {name}"
            found = error("model-elements", coeff.where, what, fix)
        elif known is None and not is_element:
            what = f"{name!r} is no chemical element"
            guess = name.strip("0123456789+-").capitalize()
            fix = guess if guess in atomic_numbers else "a symbol such as Mg, or NULL"
            found = error("element-name", coeff.where, what, fix)
        else:
            continue
        yield view.sure(found, sure=coeff.sure)


def hybrid(view: View) -> Iterator[Finding]:
    """Pairs of types without a style, and pairs that the potential loses."""
    ntypes = view.state.ntypes
    if not view.pair.sure or ntypes is None or ntypes > 60:
        return
    names = view.state.names
    if not view.pair.hybrid:
        if names and "NULL" in names:
            coeff = view.state.coeffs[-1]
            what = f"NULL for type {names.index('NULL') + 1} without another pair style"
            fix = f"pair_style hybrid/overlay {_words(view)} zero 6.0, with pair_coeff"
            yield error("hybrid-null", coeff.where, what, fix)
        return
    table = assignments(view.pair, view.state.coeffs, ntypes)
    if table is None or not names:
        return
    last = view.state.coeffs[-1].where
    pairs = [(i, j) for i in range(1, ntypes + 1) for j in range(i, ntypes + 1)]
    bare = next((pair for pair in pairs if not _has_style(table, *pair)), None)
    if bare is not None:
        what = f"types {bare[0]} and {bare[1]} have no pair style"
        fix = f"pair_coeff {bare[0]} {bare[1]} STYLE ..., or ... none"
        yield error("hybrid-null", last, what, fix)
        return
    yield from _lost_pairs(view, names, table)
    used = {style for styles in table.values() for style, _ in styles}
    given = {coeff.style for coeff in view.state.coeffs}
    for style in view.pair.styles:
        if style in given and style not in used:
            what = (
                f"later pair_coeff commands leave no pair to the sub-style {style.name}"
            )
            yield error("pair-coeff", last, what, "pair_style hybrid/overlay")


def _has_style(table: Assignment, i: int, j: int) -> bool:
    """Whether a pair of types has styles, or LAMMPS mixes them from equal ones."""
    if (i, j) in table:
        return True
    own, other = table.get((i, i)), table.get((j, j))
    return bool(own and other and [x for x, _ in own] == [x for x, _ in other])


def _lost_pairs(
    view: View, names: tuple[str, ...], table: Assignment
) -> Iterator[Finding]:
    for (i, j), styles in sorted(table.items()):
        if "NULL" in {names[i - 1], names[j - 1]}:
            continue
        if any(style.is_potential for style, _ in styles):
            continue
        where = styles[-1][1] if styles else view.state.coeffs[-1].where
        what = (
            f"types {i} and {j} ({names[i - 1]}, {names[j - 1]}) are taken from the "
            "potential by a later pair_coeff"
        )
        fix = "pair_style hybrid/overlay to add interactions, or NULL for these types"
        yield error("hybrid-override", where, what, fix)
        return


def _words(view: View) -> str:
    return " ".join([view.potential.name, *view.potential.args])


def pair_modify(view: View) -> Iterator[Finding]:
    """Options that a many-body potential does not have."""
    for command in view.state.pair_modify:
        words = command.args
        tail = "tail" in words and words[words.index("tail") + 1 :][:1] == ("yes",)
        shift = "shift" in words and words[words.index("shift") + 1 :][:1] == ("yes",)
        if (tail or shift) and not view.pair.hybrid:
            what = f"pair_modify {' '.join(words)}"
            yield warning("pair-modify", command.where, what, "leave it out")


def pairwise(view: View) -> Iterator[Finding]:
    """Computes that need the energy of one pair."""
    for compute in view.state.computes.values():
        if compute.style not in _PAIRWISE or view.pair.hybrid:
            continue
        needs = compute.style != "pair/local" or {"eng", "force"} & set(compute.args)
        if needs and compute.style != "pair/entropy":
            what = f"compute {compute.style} asks for the energy of single pairs"
            fix = "compare energies of two groups of atoms by two runs"
            found = error("pairwise-compute", compute.where, what, fix)
            yield view.sure(found, sure=compute.sure)


def double_counting(view: View) -> Iterator[Finding]:
    """Classical terms on top of the potential."""
    bond, kspace = view.state.bond_style, view.state.kspace
    bonds = view.state.bonds is not False and bond is not None
    if bonds and bond and bond.value not in {None, "zero", "none"}:
        names = view.state.names
        if names is None or "NULL" not in names:
            what = f"bond_style {bond.value} adds bond energies to the potential"
            yield warning("double-counting", bond.where, what, "bond_style zero")
    if kspace and kspace.value not in {None, "none"} and not view.pair.hybrid:
        what = f"kspace_style {kspace.value} adds electrostatics to the potential"
        yield warning("double-counting", kspace.where, what, "leave it out")


RULES = (
    pair_style,
    pair_coeff,
    hybrid,
    pair_modify,
    pairwise,
    double_counting,
)
