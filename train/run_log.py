"""The log of a run: one JSON object a line, cut back on resume to what happened."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lamplighter.console import complain
from lamplighter.errors import LamplighterError, explain
from lamplighter.files import atomic_path

if TYPE_CHECKING:
    from lamplighter.train.evaluation import Residual


class Observer(Protocol):
    """Is told what a run logs; shows it somewhere, and changes nothing of the run.

    An observer must not draw from torch's or NumPy's global random numbers: a run that
    is watched takes the same steps as one that is not.
    """

    def logged(self, record: Mapping[str, Any]) -> None:
        """Take note of a record that was just written."""

    def judged(self, step: int, found: Sequence[Residual]) -> None:
        """Take note of the validation frames as the averaged weights see them.

        Called before the record of that validation is written.
        """


class RunLog:
    """Appends records to a file and tells the observers; records have an ``event``.

    Attributes:
        path: the file.
        observers: who is told. One that raises is named once on standard error, and
            not told anything again; the run goes on.
    """

    def __init__(self, path: Path) -> None:
        """Write to `path`, whose folder exists."""
        self.path = path
        self.observers: list[Observer] = []

    def write(self, event: str, **values: Any) -> None:
        """Append one record; numbers that are not finite become null.

        Raises:
            LamplighterError: the disk is full or the file cannot be written.
        """
        record = finite({"event": event, **values})
        line = json.dumps(record, ensure_ascii=False)
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(line + "\n")
        except OSError as error:
            raise LamplighterError(
                explain(
                    f"cannot write {self.path}",
                    got=error.strerror or error,
                    fix="free some space; the same command resumes from the last "
                    "checkpoint",
                )
            ) from error
        for observer in list(self.observers):
            try:
                observer.logged(record)
            except Exception as error:  # noqa: BLE001  (a view must not end a run)
                self._dismiss(observer, error)

    def judged(self, step: int, found: Sequence[Residual]) -> None:
        """Tell the observers what a validation found, frame by frame."""
        for observer in list(self.observers):
            try:
                observer.judged(step, found)
            except Exception as error:  # noqa: BLE001  (a view must not end a run)
                self._dismiss(observer, error)

    def _dismiss(self, observer: Observer, error: Exception) -> None:
        self.observers.remove(observer)
        complain(
            f"warning: {type(observer).__name__} failed and is switched off for the "
            f"rest of this run, which goes on ({type(error).__name__}: {error})"
        )

    def rewind(self, step: int) -> None:
        """Drop what was logged after `step`, and the end: both will be logged again."""
        kept = [
            r
            for r in read_log(self.path)
            if r.get("step", 0) <= step and r["event"] != "end"
        ]
        with atomic_path(self.path) as temporary:
            lines = [json.dumps(r, ensure_ascii=False) + "\n" for r in kept]
            temporary.write_text("".join(lines), encoding="utf-8")

    def clear(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the records of a log; lines that were cut off or damaged are left out."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    found = [_record(line) for line in text.split("\n")[:-1]]
    return [record for record in found if record is not None]


def _record(line: str) -> dict[str, Any] | None:
    """Return a record; None for what a machine that died has left of one."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and "event" in record else None


def finite(value: Any) -> Any:
    """Return `value` with NaN and infinities replaced by None, for strict JSON."""
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
