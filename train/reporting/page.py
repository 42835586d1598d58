"""From views to one HTML page that refers to no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamplighter.files import atomic_path

if TYPE_CHECKING:
    from jinja2 import Template

SIZE_LIMIT = 2_000_000
"""Bytes that a page stays below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page shows; parts that are empty are left out.

    Attributes:
        title: heading.
        headline: the state in one line.
        state: "running", "done" or "bad".
        lines: more about the state.
        fraction: how much is done, 0 to 1; None shows no bar.
        refresh: seconds after which a browser loads the page again; 0 never.
        due: seconds after which a page that is not written anew is said to be old; 0:
            it is the last one.
        heads: table of the heads.
        legend: HTML, of all charts.
        charts: ``title``, ``svg``, ``note``, ``legend``.
        forgetting: ``lines`` and ``tables`` (``title``, ``table``).
        comparison: table of two models.
        parity: of each head, see [`parity_views`][].
        parity_note: which frames the panels show.
        tables: ``title``, ``open``, ``parts`` (``title``, ``table``).
        config: settings as text.
        provenance: sections of keys and values.
        footer: last line.
        made: when the page was made, UTC.
    """

    title: str
    headline: str
    state: str = "done"
    lines: Sequence[str] = ()
    fraction: float | None = None
    refresh: int = 0
    due: int = 0
    heads: Mapping[str, Any] | None = None
    legend: str = ""
    charts: Sequence[Mapping[str, Any]] = ()
    forgetting: Mapping[str, Any] | None = None
    comparison: Mapping[str, Any] | None = None
    parity: Sequence[Mapping[str, Any]] = ()
    parity_note: str = ""
    tables: Sequence[Mapping[str, Any]] = ()
    config: str = ""
    provenance: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    footer: str = ""
    made: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def written(self) -> str:
        """When the page was made, for people."""
        return self.made.strftime("%Y-%m-%d %H:%M:%S UTC")

    @property
    def sections(self) -> list[tuple[str, str]]:
        """Return anchor and name of the sections that there are."""
        there = (
            (self.heads, "heads", "Heads"),
            (self.charts, "curves", "Learning curves"),
            (self.forgetting, "forgetting", "Before and after"),
            (self.comparison, "comparison", "Two models"),
            (self.parity, "parity", "Parity"),
            (self.tables, "errors", "Errors"),
            (self.config, "settings", "Settings"),
            (True, "provenance", "Provenance"),
        )
        return [(anchor, name) for part, anchor, name in there if part]


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - only to draw

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("lamplighter.train.reporting") / "page.html.j2"
    return environment.from_string(source.read_text(encoding="utf-8"))


def render(page: Page) -> str:
    """Return the HTML of a page."""
    return _template().render(page=page) + "\n"


def write_page(page: Page, path: Path) -> None:
    """Write a page, whole or not at all: who reads it never sees a half."""
    content = render(page)
    with atomic_path(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
