"""The JSON file of a benchmark: date, machine, settings, and what was found."""

from __future__ import annotations

import argparse
import datetime as dt
import json
from pathlib import Path
from typing import Any

from train_step import machine

RESULTS = Path(__file__).resolve().parent / "results"


def started(
    options: argparse.Namespace, *hidden: str, **content: Any
) -> dict[str, Any]:
    """Return the head of a result.

    Args:
        options: of the command line.
        hidden: names of options that are paths of this machine; ``out`` is one.
        content: follows the head.
    """
    settings = {k: v for k, v in vars(options).items() if k not in {"out", *hidden}}
    return {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "machine": machine(),
        "settings": settings,
        **content,
    }


def write(result: dict[str, Any], path: Path) -> None:
    """Write a result, or what is known of it so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
