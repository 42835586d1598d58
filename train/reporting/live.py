"""The page in the folder of a run, written anew at the validations."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lamplighter.console import complain
from lamplighter.files import atomic_path
from lamplighter.train.evaluation import Residual
from lamplighter.train.reporting.facts import RunFacts
from lamplighter.train.reporting.run_page import RunState, run_html
from lamplighter.train.run_log import read_log
from lamplighter.train.stopping import TrainingInterruptedError

PAGE = "report.html"
LOG = "log.jsonl"
SHARE = 0.05
"""Most of the time of a run that is spent on drawing."""

PATIENCE, LEAST, UNKNOWN = 3.0, 60.0, 3600.0
"""A page is old after this many times the time between two pages, but not before so
many seconds; and after so many where that time is not known yet."""

SHORTEST, LONGEST = 5, 120
"""Bounds of the time after which a browser looks again, seconds."""


class LivePage:
    """Writes ``report.html`` while a run goes on.

    The page is drawn at a validation, unless drawing would take more than a twentieth
    of the time since the last one.
    """

    def __init__(self, facts: RunFacts, folder: Path) -> None:
        """Write into `folder`, in which the log is."""
        self._facts, self._folder = facts, folder
        self._records: list[dict[str, Any]] | None = None
        self._found: Sequence[Residual] = ()
        self._step = -1
        self._drawn = self._cost = 0.0

    @property
    def path(self) -> Path:
        """The page."""
        return self._folder / PAGE

    def logged(self, record: Mapping[str, Any]) -> None:
        """Draw after a validation."""
        if self._records is None:  # the log of earlier parts of the run, and `record`
            self._records = read_log(self._folder / LOG)
        else:
            self._records.append(dict(record))
        if record["event"] == "validation" and self._is_due():
            self._draw("running")

    def judged(self, step: int, found: Sequence[Residual]) -> None:
        """Remember the frames for the next page."""
        self._step, self._found = step, found

    @contextlib.contextmanager
    def watch(self) -> Iterator[None]:
        """Say on the page when the block is left by an error; the error goes on."""
        try:
            yield
        except TrainingInterruptedError:
            text = "Interrupted; the same command goes on from the last checkpoint."
            shielded(lambda: self._draw("bad", text))
            raise
        except BaseException as error:
            text = f"Ended by an error: {str(error) or type(error).__name__}"
            shielded(lambda: self._draw("bad", text))
            raise

    def finish(
        self,
        reason: str,
        judged: Mapping[str, Sequence[Residual]],
        forgetting: Path | None,
    ) -> None:
        """Write the last page: the weights that are kept, on all frames.

        Args:
            reason: why the run ended.
            judged: frames by use.
            forgetting: forgetting.json of a post-training.
        """
        self._records = None  # the log knows more than was told here
        order = [u for u in ("validation", "test", "train") if u in judged]
        content = None
        if forgetting is not None:
            content = json.loads(forgetting.read_text(encoding="utf-8"))
        state = RunState(
            name=self._folder.name,
            state="done",
            headline=f"Finished, ended by {reason}.",
            judged={use: judged[use] for use in order},
            forgetting=content,
        )
        shielded(lambda: self._write(state))

    def _is_due(self) -> bool:
        waited = time.monotonic() - self._drawn
        return self._drawn == 0.0 or waited * SHARE >= self._cost

    def _draw(self, state: str, headline: str = "") -> None:
        pause = time.monotonic() - self._drawn if self._drawn else SHORTEST
        running = state == "running"
        self._write(
            RunState(
                name=self._folder.name,
                state=state,
                headline=headline,
                refresh=round(min(max(pause, SHORTEST), LONGEST)) if running else 0,
                due=self._due(pause) if running else 0,
                judged={"validation": self._found} if self._found else {},
                judged_step=self._step,
            )
        )

    def _due(self, pause: float) -> int:
        """Return the seconds after which a page that stays the same is old.

        Args:
            pause: time since the page before; not known with the first page.
        """
        if not self._drawn:
            return round(UNKNOWN)
        return round(max(LEAST, PATIENCE * max(pause, self._cost / SHARE)))

    def _write(self, state: RunState) -> None:
        begin = time.monotonic()
        if self._records is None:
            self._records = read_log(self._folder / LOG)
        content = run_html(self._facts, self._records, state)
        with atomic_path(self.path) as temporary:
            temporary.write_text(content, encoding="utf-8")
        self._drawn = time.monotonic()
        self._cost = self._drawn - begin


def shielded(draw: Callable[[], None]) -> None:
    """Draw, or say that it failed: a picture must not cost a finished run."""
    try:
        draw()
    except Exception as error:  # noqa: BLE001  (a view must not end a run)
        complain(f"warning: no page was written ({type(error).__name__}: {error})")
