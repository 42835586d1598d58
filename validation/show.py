"""Results of properties in the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence

from lamplighter.console import info, table
from lamplighter.validation.properties.base import PropertyResult


def show_results(results: Sequence[PropertyResult], *, as_json: bool) -> bool:
    """Print results, as tables or as JSON; return whether every hard check passed."""
    if as_json:
        records = [result.to_dict() for result in results]
        info(json.dumps(records, indent=2, ensure_ascii=False))
    for result in results if not as_json else ():
        rows = [
            (
                name,
                f"{q.value:.6g}",
                "" if q.error is None else f"{q.error:.1g}",
                q.unit,
            )
            for name, q in result.values.items()
        ]
        title = f"{result.property} {result.material}, {result.engine.name}"
        table(rows, ("quantity", "value", "error", "unit"), title=title)
        for check in result.checks:
            info(f"{'ok  ' if check.ok else 'FAIL'} {check.name}: {check.text}")
    return all(result.status != "invalid" for result in results)
