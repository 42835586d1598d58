"""The site builds without a warning, and is whole when it is read from the disk."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from lamplighter.lammps_interface.doctor.known_errors import NAMES

WRITTEN_BY_HAND = ("findings.html", "index.html")


class Page(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.parts: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        elif tag == "link" and "stylesheet" in found.get("rel", ""):
            self.parts.add(found["href"])
        elif "src" in found:
            self.parts.add(found["src"])


@pytest.fixture(scope="module")
def site(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once; notebooks are not executed here but by `make docs`."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)],
        cwd=root,
        env={
            **os.environ,
            "LAMPLIGHTER_DOCS_NOTEBOOKS": "show",
            "NO_MKDOCS_2_WARNING": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text()) for path in site.rglob("*.html")}


def test_no_link_and_no_anchor_is_dead(site: Path, pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links count from the root of a server
            continue
        for link in page.links | page.parts:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = path if not parts.path else path.parent / unquote(parts.path)
            target = target.resolve()
            if target.is_dir():
                target /= "index.html"
            anchor = unquote(parts.fragment)
            here = path.relative_to(site)
            if not target.is_file():
                dead.append(f"{here}: {link}")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                dead.append(f"{here}: {link} (no such anchor)")
    assert not dead, "\n".join(dead)
    assert len(pages) > 130


def test_nothing_is_fetched(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        assert not [x for x in page.parts if re.match(r"(https?:)?//", x)], path
    for style in site.rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()\s*[\"']?https?:", style.read_text())


def test_search_works_from_the_disk(site: Path) -> None:
    # The offline plug-in writes the index as a script, which file:// may load.
    text = (site / "search" / "search_index.js").read_text()
    index = json.loads(text.removeprefix("var __index = ").rstrip("; \n"))
    found = {one["location"].partition("#")[0] for one in index["docs"]}
    assert {"pair_style.html", "errors/findings.html"} <= found


def test_formulas_are_mathml(site: Path) -> None:
    text = (site / "concepts" / "theory.html").read_text()
    assert text.count('<div class="formula"') > 10
    assert not re.findall(r"arithmatex|\\frac|\\\(|\\\[", text)


def test_every_error_has_a_page(site: Path) -> None:
    index = (site / "errors" / "index.html").read_text()
    for name in NAMES:
        assert re.sub("'", "&#39;|'", name).split("&")[0].split("'")[0] in index, name
    one_each = [p for p in (site / "errors").iterdir() if p.suffix == ".html"]
    assert len(one_each) == len(NAMES) + len(WRITTEN_BY_HAND)


def _subjects(folder: Path) -> set[str]:
    """What the doctor's modules name as the subject of a warning or a problem."""
    found: set[str] = set()
    for path in folder.glob("*.py"):
        tree = ast.parse(path.read_text())
        constants: dict[str, str] = {}
        for node in ast.walk(tree):
            names: list[Any] = getattr(node, "targets", [getattr(node, "target", None)])
            value = getattr(node, "value", None)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                constants |= {n.id: value.value for n in names if hasattr(n, "id")}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            if getattr(node.func, "id", "") in {"warning", "problem"}:
                subject = node.args[0]
                if isinstance(subject, ast.Constant):
                    found.add(str(subject.value))
                else:
                    found.add(constants[ast.unparse(subject)])
    return found


def test_every_finding_of_the_doctor_is_explained(root: Path) -> None:
    text = (root / "docs" / "errors" / "findings.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    explained = {name.strip() for line in headings for name in line.split(",")}
    subjects = _subjects(root / "lammps_interface" / "doctor")
    subjects = {name.removesuffix(", 2 ranks") for name in subjects}
    assert len(subjects) > 8
    assert {x.replace("trial, 1 rank", "trial") for x in subjects} <= explained


def test_every_page_can_be_found(root: Path) -> None:
    text = (root / "mkdocs.yml").read_text()
    nav = yaml.safe_load(text[text.index("\nnav:") :])["nav"]
    listed = {page for part in nav for section in part.values() for page in section}
    docs = root / "docs"
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    optional = {"examples.md"}  # the build adds it
    assert not there - listed - optional
