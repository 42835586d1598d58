"""Walk through a script with the rules; what `lamplighter lint` calls."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lamplighter.errors import LamplighterError
from lamplighter.lammps_interface.lint.data_file import DataFile, read_data
from lamplighter.lammps_interface.lint.finding import SEVERITIES, Finding, Where
from lamplighter.lammps_interface.lint.handlers import apply
from lamplighter.lammps_interface.lint.options import Command
from lamplighter.lammps_interface.lint.rules import RULES
from lamplighter.lammps_interface.lint.rules.base import View
from lamplighter.lammps_interface.lint.script import Script, read_text
from lamplighter.lammps_interface.lint.state import State

if TYPE_CHECKING:
    from lamplighter.lammps_interface.bundle import BundleHeader

_STEPS: Final = frozenset(
    [
        "run",
        "minimize",
        "minimize/kk",
        "rerun",
        "neb",
        "neb/spin",
        "temper",
        "temper/npt",
        "temper/grem",
        "prd",
        "tad",
        "hyper",
        "dynamical_matrix",
        "third_order",
        "fitpod",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the linter found.

    Attributes:
        script: the script as the user named it.
        findings: sorted by severity within each place, places in order.
    """

    script: str
    findings: tuple[Finding, ...]

    def count(self, severity: str) -> int:
        """Return the number of findings of one severity."""
        return sum(one.severity == severity for one in self.findings)

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return self.count("error") == 0


def lint(
    script: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    *,
    model: str | os.PathLike[str] | None = None,
    options: Sequence[str] = (),
) -> Report:
    """Check a LAMMPS script that uses an ML-IAP potential, without running it.

    Args:
        script: the input script.
        data: the data file, where the script's own `read_data` does not lead to it.
        model: the ML-IAP file, where the script's own `pair_style` does not lead to it.
            Only its header is read; nothing in it is executed.
        options: options that `lmp` will be started with, such as ``-var T 300 -sf kk``.

    Returns:
        The findings.

    Raises:
        DataError: the script or the data file cannot be read, or a script includes
            itself.
        ArtifactError: the model file cannot be read.
        ConfigError: options that are no options of `lmp`.
    """
    path = Path(script)
    text = read_text(path)
    walk = _Walk(
        Script(path.parent, options),
        data=None if data is None else read_data(Path(data)),
        header=None if model is None else _header(Path(model)),
    )
    for command in walk.script.commands(text, path, str(script)):
        walk.take(command)
    walk.finish(Where(file=str(script), line=1))
    return Report(script=str(script), findings=_sorted([*walk.findings()]))


class _Walk:
    """The state along a script, and the findings so far."""

    def __init__(
        self, script: Script, *, data: DataFile | None, header: BundleHeader | None
    ) -> None:
        self.script = script
        self._given_data = data
        self._given_header = header
        self._headers: dict[str, BundleHeader | None] = {}
        self._state = State()
        self._found: dict[tuple[str, Where, str], Finding] = {}
        self._checked = False
        self._seen = False

    def take(self, command: Command) -> None:
        if command.name == "clear" and command.sure:
            self._check_unrun()
            kept = self._state
            self._state = State(
                kokkos=kept.kokkos, suffix=kept.suffix, packages=kept.packages[:]
            )
        elif command.name == "read_data":
            self._open_data(command)
            apply(self._state, command)
        elif command.name in _STEPS:
            self._state.step = command
            self._check()
            self._checked = True
        else:
            apply(self._state, command)
            self._checked = self._checked and command.name not in {
                "pair_style",
                "pair_coeff",
            }

    def finish(self, top: Where) -> None:
        self._check_unrun()
        if not self._seen:
            self._add(
                Finding(
                    rule="no-potential",
                    severity="note",
                    where=top,
                    what="no pair_style mliap unified in this script",
                    fix="give the script that has the pair_style command",
                )
            )

    def findings(self) -> Iterator[Finding]:
        for one in self.script.problems:
            self._add(one)
        yield from self._found.values()

    def _check_unrun(self) -> None:
        if not self._checked:
            self._state.step = None
            self._check()

    def _check(self) -> None:
        state = self._state
        if state.pair is None or not state.pair.potentials:
            return
        self._seen = True
        view = View(
            state=copy.copy(state), header=self._header_of(), script=self.script
        )
        for rule in RULES:
            for one in rule(view):
                self._add(one)

    def _add(self, one: Finding) -> None:
        self._found.setdefault((one.rule, one.where, one.what), one)

    def _open_data(self, command: Command) -> None:
        if self._given_data is not None:
            self._state.data, self._given_data = self._given_data, None
            return
        path = self.script.find(command.args[0]) if command.args else None
        problem = "is not found"
        if path is not None:
            try:
                self._state.data = read_data(path)
            except LamplighterError as error:
                problem = f"is not understood ({str(error).partition(';')[0]})"
            else:
                return
        self._state.data = None
        name = command.args[0] if command.args else ""
        self._add(
            Finding(
                rule="data-file",
                severity="note",
                where=command.where,
                what=f"the data file {name!r} {problem}; types and masses are not "
                "compared",
                fix="name it after the script: lamplighter lint IN.LAMMPS DATA",
            )
        )

    def _header_of(self) -> BundleHeader | None:
        """Return the header of the ML-IAP file: the given one, or the script's own."""
        pair = self._state.pair
        if self._given_header is not None or pair is None:
            return self._given_header
        file = (*pair.potentials[0].file_and_flag, "")[0]
        if file not in self._headers:
            path = self.script.find(file) if file.endswith(".pt") else None
            try:
                self._headers[file] = None if path is None else _header(path)
            except LamplighterError as error:
                self._headers[file] = None
                self._add(
                    Finding(
                        rule="model-file",
                        severity="warning",
                        where=pair.where,
                        what=str(error).partition("; fix")[0],
                        fix="lamplighter convert MODEL --elements ... -o FILE.pt",
                    )
                )
        return self._headers[file]


def _header(path: Path) -> BundleHeader:
    from lamplighter.lammps_interface.bundle import read  # noqa: PLC0415 (torch)

    return read(path).header


def _sorted(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return findings in the order of files and lines, the worst of a line first."""
    files = list(dict.fromkeys(one.where.file for one in findings))
    return tuple(
        sorted(
            findings,
            key=lambda one: (
                files.index(one.where.file),
                one.where.line,
                SEVERITIES.index(one.severity),
            ),
        )
    )
