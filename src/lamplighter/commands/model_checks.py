"""What `validate model` does: make the checks, show and write what they measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lamplighter.console import info, progress, table
from lamplighter.files import atomic_path

DONE = 0
CHECK_FAILED = 1


def check_model(
    file: Path,
    head: str | None,
    elements: Sequence[str] | None,
    *,
    dtype: str,
    device: str,
    output: Path | None,
) -> int:
    """Make the physical checks of a potential; show and write what they measured."""
    from lamplighter.validation.model_checks import CHECKS
    from lamplighter.validation.model_checks import check_model as check

    with progress(len(CHECKS), "checks") as advance:
        report = check(
            file,
            head=head,
            dtype=dtype,
            device=device,
            elements=elements,
            advance=lambda name: advance(1, name),
        )
    if output is not None:
        with atomic_path(output) as temporary:
            temporary.write_text(
                json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n",
                encoding="utf-8",
            )
    rows = [
        (r.name, r.status, _short(r.value), _short(r.tolerance), r.unit)
        for r in report.records
    ]
    columns = ("check", "status", "value", "tolerance", "unit")
    title = f"{report.model}, head {report.head}, {report.dtype}"
    table(rows, columns, title=f"{title}, {' '.join(report.elements)}")
    for record in report.records:
        if record.status in ("information", "skipped"):
            info(f"{record.status} {record.name}: {record.note}")
    for record in report.failed:
        info(f"FAIL {record.name}: {record.note}")
        info(f"     {record.meaning}")
        info(f"     {record.advice}")
    return CHECK_FAILED if report.failed else DONE


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
