"""What a person sees in the terminal. The only module that imports rich."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

_OUT = Console(highlight=False, soft_wrap=True)
_ERR = Console(stderr=True, highlight=False, soft_wrap=True)


def mute() -> None:
    """Show nothing but complaints from now on: another process speaks for this one."""
    _OUT.quiet = True


def info(text: str) -> None:
    """Write one line to standard output."""
    _OUT.print(text, markup=False)


def complain(text: str) -> None:
    """Write one line to standard error."""
    _ERR.print(text, markup=False)


def status(text: str) -> None:
    """Write to standard error above a progress bar; nothing when not at a terminal."""
    if _ERR.is_terminal and not _OUT.quiet:
        _ERR.print(text, markup=False)


def table(
    rows: Iterable[Sequence[object]], columns: Sequence[str], *, title: str = ""
) -> None:
    """Write a table; every cell is shown with ``str``."""
    view = Table(title=title or None, title_justify="left", title_style="bold")
    for column in columns:
        view.add_column(column)
    for row in rows:
        view.add_row(*(Text(str(cell)) for cell in row))  # [a] is no markup
    _OUT.print(view)


@contextlib.contextmanager
def progress(
    total: int, label: str, *, done: int = 0
) -> Iterator[Callable[[int, str], None]]:
    """Show a progress bar while the block runs; nothing when not at a terminal.

    Args:
        total: number of units.
        label: what stands before the bar.
        done: units that were finished earlier; the remaining time is estimated from
            the others.

    Yields:
        ``advance(n, note)``: call it with the number of finished units and a note.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=_ERR,
        disable=not _ERR.is_terminal or _OUT.quiet,
    )
    with bar:
        task = bar.add_task(label, total=total, completed=done, note="")

        def advance(n: int = 1, note: str = "") -> None:
            bar.update(task, advance=n, note=note)

        yield advance
