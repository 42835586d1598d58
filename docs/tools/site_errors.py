"""One page for each error text that `lamplighter doctor` understands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

_TABLE = "lammps_interface/doctor/known_errors.toml"
_HEADING = re.compile(r"^# (?!Error texts)(?=[A-Z])(.+)$", re.MULTILINE)

_INDEX = """# Errors and what to do

`lamplighter doctor --explain log.lammps` (or a message in quotes) finds the cause in
this table; `lamplighter doctor` looks for causes before a run, and
[its findings](findings.md) are explained as well. Give the doctor the whole output:
the first error that it names is most often the cause of the others.
"""

_PAGE = """# {name}

## What you see

{kinds}

```text
{seen}
```

`lamplighter doctor --explain log.lammps` finds it in the output of a run.

## Cause

{cause}

## Cure

{cure}

[All errors](index.md) · [lamplighter doctor](../doctor.md) ·
[the pair style](../pair_style.md) · [lamplighter lint](../lint.md)
"""


def entries(root: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the known errors in order, each with the heading it stands under."""
    text = (root / _TABLE).read_text(encoding="utf-8")
    rows = tomllib.loads(text)["error"]
    parts = _HEADING.split(text)
    found: list[tuple[str, dict[str, Any]]] = []
    for heading, part in zip(parts[1::2], parts[2::2], strict=True):
        for _ in range(part.count("[[error]]")):
            found.append((heading, rows[len(found)]))
    assert len(found) == len(rows), "an error stands under no heading"
    return found


def slug(name: str) -> str:
    """Return the file name of the page of an error."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def texts(root: Path) -> dict[str, str]:
    """Return the Markdown of the pages by their address in the site."""
    found: dict[str, str] = {}
    index, last = [_INDEX], ""
    for heading, row in entries(root):
        if heading != last:
            index.append(f"\n## {heading}\n\n| error | cause |\n|---|---|")
            last = heading
        name = str(row["name"])
        place = f"{slug(name)}.md"
        cause, cure = (" ".join(row[key].split()) for key in ("cause", "cure"))
        index.append(f"| [{name}]({place}) | {_cell(cause)} |")
        several = len(row["patterns"]) > 1
        kinds = "One of these texts:" if several else "This text:"
        found[f"errors/{place}"] = _PAGE.format(
            name=name,
            kinds=kinds,
            seen="\n".join(readable(pattern) for pattern in row["patterns"]),
            cause=cause,
            cure=cure,
        )
    found["errors/index.md"] = "\n".join(index) + "\n"
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def readable(pattern: str) -> str:
    """Return a regular expression as text that a person can compare with a message."""
    text = re.sub(r"\(\?:([^()|]*)\|[^()]*\)", r"\1", pattern)
    text = re.sub(r"\(\?[:=!<]*([^()]*)\)[?*+]?", r"\1", text)
    text = re.sub(r"\[\^?[^\]]*\](?:\{[^}]*\}|[*+?])?", "...", text)
    text = re.sub(r"\\[dswDSW][*+]?(?:\{[^}]*\})?", "...", text)
    text = re.sub(r"\.(?:\{[^}]*\}|[*+]\??)", " ... ", text)
    text = re.sub(r"(\w|')\?", r"\1", text)
    return re.sub(r"\\(.)", r"\1", text).replace("^", "").replace("  ", " ").strip()
