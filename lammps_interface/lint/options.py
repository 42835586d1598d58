"""A command, and the options of `lmp` that work like commands before the script."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lamplighter.errors import ConfigError, explain
from lamplighter.lammps_interface.lint.finding import Where

_OPTIONS: Final = {
    **dict.fromkeys(["var", "v"], "var"),
    **dict.fromkeys(["suffix", "sf"], "suffix"),
    **dict.fromkeys(["kokkos", "k"], "kokkos"),
    **dict.fromkeys(["package", "pk"], "package"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        name: its first word.
        args: the other words, variables replaced where their values are known; a word
            with a ``$`` is not known.
        where: its place.
        sure: False where it may run or not.
    """

    name: str
    args: tuple[str, ...]
    where: Where
    sure: bool = True


def read_options(options: Sequence[str]) -> tuple[dict[str, str], list[Command]]:
    """Return what options of `lmp` mean: variables, and commands before the script.

    Args:
        options: words such as ``-var T 300 -k on g 1 -sf kk -pk kokkos newton on``.

    Returns:
        Variables (their first values), and commands `kokkos`, `suffix`, `package`.

    Raises:
        ConfigError: ``-var`` without a name and a value.
    """
    groups: list[list[str]] = []
    for word in options:
        is_option = word.startswith("-") and word[1:2].isalpha()
        if is_option or not groups:
            groups.append([])
        groups[-1].append(word)
    variables: dict[str, str] = {}
    commands: list[Command] = []
    where = Where(file="command line", line=0)
    for option, *args in groups:
        name = _OPTIONS.get(option.lstrip("-"))
        if name == "var":
            if len(args) < 2:
                raise ConfigError(
                    explain(
                        "-var needs a name and a value", got=" ".join([option, *args])
                    )
                )
            variables[args[0]] = args[1]
        elif name:
            commands.append(Command(name=name, args=tuple(args), where=where))
    return variables, commands


def split_options(text: str) -> list[str]:
    """Return the words of a command line.

    Raises:
        ConfigError: a quote is not closed.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(explain("options of lmp", got=text, wanted=error)) from error
