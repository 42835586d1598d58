"""The log of a run: one JSON object a line, cut back on resume to what happened."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lamplighter.files import atomic_path


class RunLog:
    """Appends records to a file; every record has an ``event``."""

    def __init__(self, path: Path) -> None:
        """Write to `path`, whose folder exists."""
        self.path = path

    def write(self, event: str, **values: Any) -> None:
        """Append one record; numbers that are not finite become null."""
        line = json.dumps(finite({"event": event, **values}), ensure_ascii=False)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def rewind(self, step: int) -> None:
        """Drop what was logged after `step`: a resumed run will log it again."""
        kept = [r for r in read_log(self.path) if r.get("step", 0) <= step]
        with atomic_path(self.path) as temporary:
            lines = [json.dumps(r, ensure_ascii=False) + "\n" for r in kept]
            temporary.write_text("".join(lines), encoding="utf-8")

    def clear(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the records of a log; a last line that was cut off is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def finite(value: Any) -> Any:
    """Return `value` with NaN and infinities replaced by None, for strict JSON."""
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
