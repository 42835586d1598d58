"""Every command line in README, pages and examples is one that the program accepts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from lamplighter import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/*/README.md", "data/README.md")
    for path in ROOT.glob(pattern)
)
# Words in capitals stand for something; a line with brackets is a synopsis.
_SYNOPSIS = re.compile(r"[\[\]{}]|\.\.\.|KIND|COMMAND|\(see")
_FENCED = re.compile(r"^ *```(?:sh|bash)?\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"(?:^|&& |; |srun [^\n]*?|\$ )(lamplighter [^\n]*)")


def _lines(text: str) -> Iterator[str]:
    text = text.replace("\\\n", " ")
    blocks = _FENCED.findall(text)
    blocks += re.findall(
        r"(?:^ {4}.*\n)+", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )
    for block in blocks:
        for line in block.splitlines():
            found = _LINE.search(line.strip())
            if found and not _SYNOPSIS.search(found[1].partition(" #")[0]):
                yield found[1]


def _tokens(line: str) -> list[str]:
    words = shlex.split(line, comments=True)[1:]
    ends = [i for i, word in enumerate(words) if word in {"&&", "||", ";", ">", "|"}]
    return words[: ends[0]] if ends else words


@pytest.mark.parametrize(
    "page", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES]
)
def test_command_lines_are_accepted(page: Path) -> None:
    for line in _lines(page.read_text(encoding="utf-8")):
        tokens = [re.sub(r"\$\w+", "1", word) for word in _tokens(line)]
        if tokens[-1:] == ["--help"]:
            continue
        try:
            cli.app.parse_args(tokens, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            pytest.fail(f"{line}: {error}")


def test_lines_are_found() -> None:
    found = [line for page in PAGES for line in _lines(page.read_text())]
    assert len(found) > 80
    assert "lamplighter forecast mgo.pt --atoms 2000" in found


def test_a_line_with_a_wrong_option_is_seen(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\nlamplighter convert a --atoms 3 -o b --elements Mg\n```\n")
    with pytest.raises(pytest.fail.Exception, match="--atoms"):
        test_command_lines_are_accepted(page)
