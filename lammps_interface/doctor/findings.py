"""What an examination finds: one line each, and the command line at the end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ok", "warning", "problem"]

HEALTHY, ILL, NO_LAMMPS = 0, 1, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: what was looked at, a word or two.
        status: ``"ok"``; ``"warning"``: works, but look at it; ``"problem"``: will not
            work, or gives wrong numbers.
        found: what there is.
        do: what to do about it; empty when there is nothing to do.
    """

    subject: str
    status: Status
    found: str
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of an examination.

    Attributes:
        findings: in the order in which things were looked at.
        command: the command line that works here; empty when none does.
        pair_style: the pair_style command that goes with it.
        lammps: whether there is a LAMMPS at all.
    """

    findings: tuple[Finding, ...]
    command: str = ""
    pair_style: str = ""
    lammps: bool = True

    @property
    def exit_code(self) -> int:
        """0 without problems, 1 with a problem, 3 when there is no LAMMPS."""
        if not self.lammps:
            return NO_LAMMPS
        return ILL if has_problem(self.findings) else HEALTHY

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return {
            "findings": [dataclasses.asdict(one) for one in self.findings],
            "command": self.command,
            "pair_style": self.pair_style,
            "exit_code": self.exit_code,
        }


def has_problem(findings: Iterable[Finding]) -> bool:
    """Return whether one of the findings is a problem."""
    return any(one.status == "problem" for one in findings)


def ok(subject: str, found: str, do: str = "") -> Finding:
    """Return a finding of something in order."""
    return Finding(subject=subject, status="ok", found=found, do=do)


def warning(subject: str, found: str, do: str) -> Finding:
    """Return a finding to look at."""
    return Finding(subject=subject, status="warning", found=found, do=do)


def problem(subject: str, found: str, do: str) -> Finding:
    """Return a finding of something that will not work."""
    return Finding(subject=subject, status="problem", found=found, do=do)
