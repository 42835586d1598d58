"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

import functools
import re
from typing import Any

from lamplighter.cli import app
from lamplighter.cli.examples import example_of

_FOLDER = "reference/cli"
_USAGE = re.compile(
    r"^(#+ lamplighter (.+))\n\n```console\n.*?^```\n", re.MULTILINE | re.DOTALL
)
_SECTION = re.compile(r"^## lamplighter (\S+)$", re.MULTILINE)
_INTRODUCTION = """# Command line

{help}

`lamplighter --install-completion` lets the shell complete commands and options.
Commands never ask questions. Exit codes: 0 done; 1 a check failed; 2 bad input;
3 the environment lacks something; 70 an error in Lamplighter itself; 130
interrupted.

| command | what it does |
|---|---|
{rows}

These pages are written from the code when the site is built.
"""


@functools.cache
def _sections() -> dict[str, str]:
    """Return the text of each command, by name."""
    text = app.generate_docs(output_format="markdown")
    text = _USAGE.sub(
        lambda match: f"{match[0]}\n```sh\n{example_of(match[2])}\n```\n", text
    )
    parts = _SECTION.split(text)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {name: body for name, body in found.items() if not name.startswith("-")}


def pages() -> list[Any]:
    """Return the entries of the navigation, one for each command."""
    return [{name: f"{_FOLDER}/{name}.md"} for name in sorted(_sections())]


def texts() -> dict[str, str]:
    """Return the Markdown of the pages by their address in the site."""
    sections = _sections()
    rows = [
        f"| [`{name}`]({name}.md) | {_first_line(body)} |"
        for name, body in sorted(sections.items())
    ]
    introduction = _INTRODUCTION.format(help=app.help, rows="\n".join(rows))
    found = {f"{_FOLDER}/index.md": introduction}
    for name, body in sections.items():
        deeper = re.sub(r"^##(#+) ", r"#\1 ", body, flags=re.MULTILINE)
        found[f"{_FOLDER}/{name}.md"] = f"# lamplighter {name}\n{_plain(deeper)}"
    return found


def _first_line(body: str) -> str:
    lines = [x for x in body.splitlines() if x and not x.startswith(("`", "lampl"))]
    return lines[0]


def _plain(text: str) -> str:
    """Return the text without what Markdown would take for HTML."""
    return re.sub(r"<(?=[A-Za-z])(?![^`\n]*`)", "&lt;", text)
