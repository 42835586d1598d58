"""How help looks: paragraphs that fill the terminal, whatever its width."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions

_NOTHING = ("False", '""', "{}", "()")
_WITHIN_PARAGRAPH = re.compile(r"(?<=\S)\n(?=\S)")


class FlowingHelp:
    """The help of cyclopts, with the line breaks of docstrings taken out."""

    def __call__(
        self, console: Console, options: ConsoleOptions, panel: HelpPanel
    ) -> None:
        """Print a panel of commands or options."""
        for entry in panel.entries:
            _flow(entry.description)
        # [default: False] of a switch tells nothing
        panel.entries = [
            entry.copy(default=None) if entry.default in _NOTHING else entry
            for entry in panel.entries
        ]
        _default()(console, options, panel)

    def render_usage(
        self, console: Console, options: ConsoleOptions, usage: object
    ) -> None:
        """Print the line that begins with Usage."""
        _default().render_usage(console, options, usage)

    def render_description(
        self, console: Console, options: ConsoleOptions, description: object
    ) -> None:
        """Print what the command does."""
        _flow(description)
        _default().render_description(console, options, description)


def flowing(text: str) -> str:
    r"""Return a text whose paragraphs have no line breaks.

    >>> flowing("One\nparagraph.\n\nAnother.")
    'One paragraph.\n\nAnother.'
    """
    return _WITHIN_PARAGRAPH.sub(" ", text)


def _default() -> Any:
    from cyclopts.help import DefaultFormatter

    return DefaultFormatter()


def _flow(description: object) -> None:
    """Take line breaks out of a text of the terminal, where it is one."""
    text = getattr(description, "primary_renderable", description)
    plain = getattr(text, "plain", None)
    if isinstance(plain, str):
        text.plain = flowing(plain)  # type: ignore[attr-defined]
