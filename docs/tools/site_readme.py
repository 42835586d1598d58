"""Sections of the README inside pages, so that they are said once."""

from __future__ import annotations

import re
from pathlib import Path

_MARK = re.compile(r"^<!-- readme: ([^,\n]+?)(, code)? -->$", re.MULTILINE)
_BLOCK = re.compile(r"^```sh\n.*?^```$", re.MULTILINE | re.DOTALL)


def section(root: Path, heading: str) -> str:
    """Return what stands under a heading of the README.

    Raises:
        ValueError: there is no such heading.
    """
    text = (root / "README.md").read_text(encoding="utf-8")
    match = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    if match is None:
        problem = f"README.md has no section {heading!r}"
        raise ValueError(problem)
    return match[1].strip()


def fill(text: str, root: Path) -> str:
    """Return a page of docs/ with its marks ``<!-- readme: HEADING -->`` replaced.

    With ``, code`` the first block of the shell is taken. Links count from docs/ then.
    """

    def replace(match: re.Match[str]) -> str:
        found = section(root, match[1])
        if match[2]:
            block = _BLOCK.search(found)
            return block[0] if block else ""
        return re.sub(r"\]\((?![a-z]+:|#)", "](../", found)

    return _MARK.sub(replace, text)
