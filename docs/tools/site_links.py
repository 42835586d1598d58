"""Links of pages to files of the repository outside docs/, made links of the site."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_PAGES = {
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "LICENSE": "project/licence.md",
    "SECURITY.md": "project/security.md",
    "data/README.md": "project/data.md",
    "models/README.md": "project/models.md",
}
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_CODE = re.compile(r"^(```|~~~).*?^\1|^(?: {4}|\t).*?$", re.MULTILINE | re.DOTALL)


def pages_outside(root: Path) -> dict[str, str]:
    """Return pages outside docs/: path in the repository, address in the site."""
    found = {source: uri for source, uri in _PAGES.items() if (root / source).exists()}
    for readme in sorted((root / "examples").glob("*/README.md")):
        found[readme.relative_to(root).as_posix()] = _example(readme.parent.name)
    return found


def example_pages(root: Path) -> list[Any]:
    """Return the pages of the examples' folders, for the navigation."""
    folders = sorted(path.parent for path in (root / "examples").glob("*/README.md"))
    return [_example(folder.name) for folder in folders]


def example_index(root: Path) -> str:
    """Return a page that lists the examples, for a docs/ that has none of its own."""
    rows = ["# Examples", "", "Folders that run as they are.", ""]
    for readme in sorted((root / "examples").glob("*/README.md")):
        title = readme.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        name = readme.parent.name
        rows.append(f"* [{title}]({_example(name)}): `examples/{name}`")
    return "\n".join(rows) + "\n"


def _example(name: str) -> str:
    return f"examples/{name}.md"


def copy_of(source: str) -> str:
    """Return where the site keeps a copy of a file of the repository."""
    return f"files/{source}"


def files_outside(root: Path, files: Any) -> list[str]:
    """Return the files outside docs/ that some page links to."""
    found: set[str] = set()
    for file in files.documentation_pages():
        _targets(file.content_string, file.src_uri, root, found)
    return sorted(found)


def _targets(text: str, uri: str, root: Path, found: set[str]) -> None:
    for match in _LINK.finditer(_without_code(text)):
        target = _in_repository(match[2], uri)
        if target is not None and (root / target).is_file():
            known = pages_outside(root)
            if target not in known and not target.startswith("docs/"):
                found.add(target)


def _without_code(text: str) -> str:
    return _CODE.sub("", text)


def _in_repository(target: str, uri: str) -> str | None:
    """Return the path in the repository that a link of a page means."""
    if re.match(r"[a-z]+:", target) or target.startswith("/"):
        return None
    folder = posixpath.dirname(_origin(uri))
    path = posixpath.normpath(posixpath.join(folder, target))
    return None if path.startswith("..") else path


def _origin(uri: str) -> str:
    """Return the file of the repository that a page of the site is made of."""
    for source, page in _PAGES.items():
        if page == uri:
            return source
    match = re.fullmatch(r"examples/([^/]+)\.md", uri)
    return f"examples/{match[1]}/README.md" if match else f"docs/{uri}"


def rewrite(text: str, uri: str, root: Path) -> str:
    """Return the Markdown of a page with links that stay inside the site."""
    outside = pages_outside(root)
    here = posixpath.dirname(uri) or "."

    def change(match: re.Match[str]) -> str:
        target = _in_repository(match[2], uri)
        if target is None:
            return match[0]
        if target.endswith("/README.md") or target in outside:
            place = outside.get(target)
        elif f"{target}/README.md" in outside:
            place = outside[f"{target}/README.md"]
        elif target.startswith("docs/"):
            place = re.sub(r"\.ipynb$", ".md", target.removeprefix("docs/"))
        else:
            place = copy_of(target) if (root / target).is_file() else None
        if place is None:
            return match[0]
        return f"{match[1]}{posixpath.relpath(place, here)}{match[3] or ''}{match[4]}"

    return _LINK.sub(change, text)
