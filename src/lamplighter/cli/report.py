"""The commands `lamplighter validate report` and `lamplighter validate compare`."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from lamplighter.cli.types import Output


def add_to(validate: App) -> None:
    """Add both commands to `lamplighter validate`."""
    validate.command(report)
    validate.command(compare)


def report(
    run: Path,
    /,
    *,
    output: Output | None = None,
    junit: Path | None = None,
    title: str = "",
) -> int:
    """Make the page of a run again: no potential, LAMMPS or torch is needed.

    References and tolerances are read anew: what has changed there shows at once. The
    exit code is that of the run.

    Args:
        run: Folder of `validate run`, or a report.json.
        output: The page to write; report.html in the folder of the run when left out.
        junit: Also write the verdicts as JUnit XML.
        title: Heading of the page.
    """
    from lamplighter.commands import report as report_commands

    return report_commands.report(run, output, junit, title)


def compare(
    run_a: Path,
    run_b: Path,
    /,
    *,
    output: Output = Path("comparison.html"),
    engine_a: str = "",
    engine_b: str = "",
    label_a: str = "",
    label_b: str = "",
    title: str = "",
) -> int:
    """Two runs side by side: head against head, version against version.

    Args:
        run_a: Folder of `validate run`.
        run_b: Another one, or the same with another engine.
        output: The page to write; its numbers lie beside it, with the ending .json.
        engine_a: Engine of run A; the last one when left out.
        engine_b: Engine of run B; the last one when left out.
        label_a: What run A is called.
        label_b: What run B is called.
        title: Heading of the page.
    """
    from lamplighter.commands import report as report_commands

    return report_commands.compare(
        (run_a, run_b), output, (engine_a, engine_b), (label_a, label_b), title
    )
