"""The commands of a script in the order in which LAMMPS comes to them.

Loops are passed once. What a script alone does not decide (an `if` on a result, the
commands that a jump may skip) is marked: such a command may run, or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamplighter.errors import DataError, explain
from lamplighter.lammps_interface.lint.expressions import truth
from lamplighter.lammps_interface.lint.finding import Finding, Where
from lamplighter.lammps_interface.lint.options import Command, read_options
from lamplighter.lammps_interface.lint.source import Line, logical_lines
from lamplighter.lammps_interface.lint.tokenizer import (
    ScriptSyntaxError,
    split_words,
    strip_comment,
    substitute,
)
from lamplighter.lammps_interface.lint.variables import Variables

_MOST_BYTES: Final = 20_000_000
_MOST_COMMANDS: Final = 200_000
_IF_DEPTH: Final = 20
# Words that begin a command, where a comment may have taken one by accident.
_COMMANDS: Final = frozenset(
    [
        "units",
        "newton",
        "atom_style",
        "boundary",
        "read_data",
        "create_box",
        "pair_style",
        "pair_coeff",
        "mass",
        "special_bonds",
        "neighbor",
        "neigh_modify",
        "timestep",
        "fix",
        "run",
        "minimize",
        "velocity",
    ]
)


@dataclass(slots=True)
class _Open:
    """A file that is being read: the labels that a forward jump may lead to."""

    path: Path
    labels_behind: set[str]
    labels_ahead: set[str]
    done: bool = False
    unsure: bool = False


class Script:
    """A script and the files that it includes.

    Args:
        folder: the folder that paths are relative to.
        options: options of `lmp` that matter: ``-var``, ``-sf``, ``-k``, ``-pk``.

    Attributes:
        folder: as given.
        problems: what reading the text found.
        variables: the variables so far.
        moved: whether a `shell cd` may have changed the working folder.
    """

    def __init__(self, folder: Path, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.problems: list[Finding] = []
        given, self._before = read_options(options)
        self.variables = Variables(given)
        self.moved = False
        self._stack: list[_Open] = []
        self._count = 0

    def commands(
        self, text: str, path: Path, name: str, *, sure: bool = True
    ) -> Iterator[Command]:
        """Yield the commands of a script, of `if` and of included files.

        Args:
            text: the content of the script.
            path: where it lies.
            name: what messages call it.
            sure: False where it may be read or not.

        Raises:
            DataError: a file includes itself, or the script is too long.
        """
        if not self._stack:
            yield from self._before
        file = _Open(path.resolve(), set(), set(), unsure=not sure)
        self._stack.append(file)
        for line in logical_lines(text):
            where = Where(file=name, line=line.number)
            self._check_swallowed(line, where)
            yield from self._line(line.text, where, sure=True, depth=0)
            if file.done:
                break
        self._stack.pop()

    def find(self, word: str) -> Path | None:
        """Return the file that a word of the script names, or None."""
        if "$" in word or "\0" in word:
            return None
        places = [self.folder, *[file.path.parent for file in self._stack], Path.cwd()]
        for place in places:
            try:
                if (place / word).is_file():
                    return place / word
            except OSError:
                return None
        return None

    def _line(
        self, text: str, where: Where, *, sure: bool, depth: int
    ) -> Iterator[Command]:
        self._count += 1
        if self._count > _MOST_COMMANDS:
            raise DataError(
                explain("the script is too long", wanted=f"{_MOST_COMMANDS} commands")
            )
        here = self._stack[-1]
        sure = sure and not here.labels_ahead and not here.unsure
        try:
            bare = strip_comment(text)
            words = split_words(self._substituted(bare, where, sure=sure))
        except ScriptSyntaxError as error:
            self._problem("syntax", where, str(error), "close it", sure=sure)
            return
        if words:
            command = Command(
                name=words[0], args=tuple(words[1:]), where=where, sure=sure
            )
            yield from self._one(command, depth)

    def _one(self, command: Command, depth: int) -> Iterator[Command]:
        args, sure = command.args, command.sure
        match command.name:
            case "variable":
                self.variables.define(args, sure=sure)
            case "next":
                self.variables.advance(args)
            case "label" if args:
                self._stack[-1].labels_ahead.discard(args[0])
                self._stack[-1].labels_behind.add(args[0])
            case "jump" if args:
                yield from self._jump(command)
            case "include" if args:
                yield from self._file(command)
            case "if":
                yield from self._if(command, depth)
            case "quit":
                for file in self._stack:
                    file.done = file.done or sure
            case "shell":
                self.moved = self.moved or args[:1] == ("cd",)
            case _:
                yield command

    def _jump(self, command: Command) -> Iterator[Command]:
        here, args = self._stack[-1], command.args
        if args[0] == "SELF":
            if len(args) > 1 and args[1] not in here.labels_behind:
                here.labels_ahead.add(args[1])
            return
        yield from self._file(command)
        # LAMMPS does not come back from a jump, but a `next` may have stopped it.
        here.unsure = True

    def _file(self, command: Command) -> Iterator[Command]:
        path = self.find(command.args[0])
        if path is None:
            self._problem(
                "include",
                command.where,
                f"the file {command.args[0]!r} is not found",
                "give its path relative to the script, or its variable with -var",
                sure=False,
            )
            return
        if any(path.resolve() == file.path for file in self._stack):
            raise DataError(
                explain(
                    f"{command.where}: a script includes itself",
                    got=command.args[0],
                    fix="end the circle; for loops use jump SELF",
                )
            )
        text = read_text(path)
        yield from self.commands(text, path, command.args[0], sure=command.sure)

    def _if(self, command: Command, depth: int) -> Iterator[Command]:
        if depth >= _IF_DEPTH:
            return
        decided = False
        for condition, branch in _branches(command.args):
            holds: bool | None = True
            if condition is not None:
                holds = truth(self._substituted(condition, command.where, sure=False))
            if holds is False:
                continue
            sure = command.sure and holds is True and not decided
            for text in branch:
                yield from self._line(text, command.where, sure=sure, depth=depth + 1)
            if holds is True:
                break
            decided = True

    def _substituted(self, text: str, where: Where, *, sure: bool) -> str:
        def variable(name: str) -> str | None:
            if name not in self.variables and not self.incomplete:
                self._problem(
                    "variable",
                    where,
                    f"the variable {name!r} is not defined",
                    f"define it before this line, or give it with -var {name} VALUE",
                    sure=sure,
                )
            return self.variables.text(name)

        try:
            return substitute(text, variable, self.variables.formula)
        except ScriptSyntaxError:
            if sure:
                raise
            return "$"

    @property
    def incomplete(self) -> bool:
        """Whether variables may come from elsewhere (a file that was not found)."""
        return any(one.rule == "include" for one in self.problems)

    def _check_swallowed(self, line: Line, where: Where) -> None:
        for text in line.swallowed:
            first = (text.split() or [""])[0]
            if first in _COMMANDS and not text[:1].isspace():
                self._problem(
                    "comment-continuation",
                    where,
                    f"the comment ends in & and takes the command {first!r} with it",
                    "remove the & at the end of the comment",
                    sure=False,
                )

    def _problem(
        self, rule: str, where: Where, what: str, fix: str, *, sure: bool
    ) -> None:
        found = Finding(rule=rule, severity="error", where=where, what=what, fix=fix)
        self.problems.append(found if sure else found.softened())


def _branches(args: tuple[str, ...]) -> Iterator[tuple[str | None, list[str]]]:
    """Yield the conditions and commands of an `if`; None is the condition of else."""
    condition: str | None = args[0] if args else "0"
    commands: list[str] = []
    words = iter(args[2:])
    for word in words:
        if word in {"elif", "else"}:
            yield condition, commands
            condition = next(words, "0") if word == "elif" else None
            commands = []
        else:
            commands.append(word)
    yield condition, commands


def read_text(path: Path) -> str:
    """Return the content of a script.

    Raises:
        DataError: it cannot be read, is too large, or is not text.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DataError(explain(f"{path} is too large for a script"))
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            explain(f"{path} cannot be read", got=error.strerror, wanted="a script")
        ) from error
    if b"\0" in content:
        raise DataError(
            explain(f"{path} is not text", got="NUL bytes", wanted="a LAMMPS script")
        )
    return content.decode(errors="replace").replace("\r\n", "\n")
