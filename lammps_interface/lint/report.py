"""Findings as text for people and compilers' readers, and as JSON."""

from __future__ import annotations

import dataclasses
from typing import Any

from lamplighter.lammps_interface.lint.check import Report
from lamplighter.lammps_interface.lint.finding import SEVERITIES


def as_lines(report: Report) -> list[str]:
    """Return the report as lines: ``in.lammps:12: error[units]: ...`` and a summary."""
    lines: list[str] = []
    for one in report.findings:
        lines += [
            f"{one.where}: {one.severity}[{one.rule}]: {one.what}",
            f"    why: {one.why}",
            f"    write: {one.fix}",
        ]
    counts = [
        f"{report.count(s)} {s}{'s' * (report.count(s) != 1)}" for s in SEVERITIES
    ]
    return [*lines, f"{report.script}: {', '.join(counts)}"]


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as data for JSON.

    Returns:
        ``script``, ``counts`` by severity, and ``findings``, each with ``rule``,
        ``severity``, ``file``, ``line``, ``what``, ``why`` and ``fix``.
    """
    return {
        "script": report.script,
        "counts": {severity: report.count(severity) for severity in SEVERITIES},
        "findings": [
            {
                "rule": one.rule,
                "severity": one.severity,
                **dataclasses.asdict(one.where),
                "what": one.what,
                "why": one.why,
                "fix": one.fix,
            }
            for one in report.findings
        ],
    }
