"""The pair style that a suite describes: checked, its files found, its types named."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from ase.data import atomic_numbers

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.pair_style import (
    PairStyle,
    elements_of,
    pair_style,
    with_files_found,
)
from lamplighter.validation.engines.spec import EngineSpec

BEFORE_THE_BOX: Final = frozenset(
    {"atom_modify", "comm_style", "newton", "package", "processors", "suffix"}
)
"""LAMMPS commands that a suite may give under ``preamble``."""

AFTER_THE_BOX: Final = frozenset(
    {
        "comm_modify",
        "dielectric",
        "fix",
        "fix_modify",
        "group",
        "kspace_modify",
        "kspace_style",
        "neigh_modify",
        "neighbor",
        "pair_modify",
        "set",
        "special_bonds",
    }
)
"""LAMMPS commands that a suite may give under ``commands``: none runs a program."""


def style_of(spec: EngineSpec, known: Sequence[str] = ()) -> PairStyle:
    """Return the pair style of an engine of a suite.

    Args:
        spec: the engine; it names a ``pair_style``.
        known: elements to take as types when the engine does not say, if there is
            one or if the types are all alike: their order would be a guess.

    Raises:
        ConfigError: a command is not allowed in a suite, or the types are not named.
    """
    check_preamble(spec.preamble)
    _check(spec.commands, AFTER_THE_BOX, "commands")
    lines = [
        f"pair_style {spec.pair_style}",
        *(f"pair_coeff {line}" for line in spec.pair_coeff),
        *spec.commands,
    ]
    for line in lines:
        _refuse_code(line)
    elements = spec.elements or elements_of(spec.pair_coeff)
    if not elements and (len(known) == 1 or _all_alike(spec.pair_coeff)):
        elements = tuple(known)
    if not elements:
        raise ConfigError(
            explain(
                f"engine {spec.name!r} does not say which type is which element",
                got=f"pair_coeff: {list(spec.pair_coeff)}",
                wanted="elements: [Si, C], in type order",
            )
        )
    style = pair_style(
        with_files_found(lines, spec.folder),
        elements,
        name=spec.name,
        ranks=spec.ranks,
        cutoff=spec.cutoff,
        preamble=spec.preamble,
        units=spec.units,
        atom_style=spec.atom_style,
        dtype=spec.dtype,
    )
    if not spec.level_of_theory:
        return style
    extra = {**style.info.extra, "level_of_theory": spec.level_of_theory}
    return dataclasses.replace(style, info=dataclasses.replace(style.info, extra=extra))


def check_preamble(lines: Sequence[str]) -> None:
    """Refuse lines that a suite may not give before the box.

    Raises:
        ConfigError: a command that is not in the list, or a line that runs code.
    """
    _check(lines, BEFORE_THE_BOX, "preamble")
    for line in lines:
        _refuse_code(line)


def _all_alike(pair_coeff: Sequence[str]) -> bool:
    """Return whether all types have the same coefficients: any order is right."""
    return all(
        line.split()[:2] == ["*", "*"]
        and not any(word in atomic_numbers or word == "NULL" for word in line.split())
        for line in pair_coeff
    )


def _check(lines: Sequence[str], allowed: frozenset[str], key: str) -> None:
    for line in lines:
        first = (line.split() or [""])[0]
        if first not in allowed:
            raise ConfigError(
                explain(
                    f"a LAMMPS command that a suite may not give under {key}",
                    got=repr(line),
                    wanted=f"one of {', '.join(sorted(allowed))}",
                    fix="build the engine from Python if it needs more",
                )
            )


def _refuse_code(line: str) -> None:
    """Refuse what would let LAMMPS execute a program or another line.

    Variables may call Python or the shell, and a line break starts another command.
    """
    words = line.split()
    python = any(word.startswith("python") or "/python" in word for word in words)
    if python or "$" in line or "\n" in line or line.rstrip().endswith("&"):
        raise ConfigError(
            explain(
                "a LAMMPS line of a suite may not run code",
                got=repr(line),
                wanted="one line, without variables and without python",
                fix="build the engine from Python if it needs more",
            )
        )
