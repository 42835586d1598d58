"""What the build of the site does beyond MkDocs: pages from code, links, formulas.

MkDocs calls the functions ``on_...`` of this file. Nothing here fetches anything.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import site_commands  # noqa: E402  (siblings of this file, which is no package)
import site_errors  # noqa: E402
import site_links  # noqa: E402
import site_math  # noqa: E402
import site_notebooks  # noqa: E402
import site_readme  # noqa: E402
import site_tables  # noqa: E402

NOTEBOOKS = "LAMPLIGHTER_DOCS_NOTEBOOKS"
"""``run`` (the default) executes notebooks; ``show`` takes them as they are."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages into the navigation that depend on what there is."""
    nav: list[dict[str, list[Any]]] = config["nav"]
    sections = {name: pages for part in nav for name, pages in part.items()}
    sections["Reference"] += site_commands.pages()
    examples: list[Any] = ["examples.md", *site_links.example_pages(ROOT)]
    examples += site_notebooks.pages(ROOT)
    place = [name for part in nav for name in part].index("LAMMPS") + 1
    nav.insert(place, {"Examples": examples})
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages and files that are no files of docs/."""
    pages = site_commands.texts() | site_errors.texts(ROOT)
    if not (ROOT / "docs" / "examples.md").exists():
        pages["examples.md"] = site_links.example_index(ROOT)
    for uri, content in pages.items():
        files.append(File.generated(config, uri, content=content))
    for source, uri in site_links.pages_outside(ROOT).items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=text))
    execute = os.environ.get(NOTEBOOKS, "run") != "show"
    for uri, data in site_notebooks.texts(ROOT, execute=execute).items():
        known = files.get_file_from_path(uri)
        if known is not None:
            files.remove(known)
        files.append(File.generated(config, uri, content=data))
    for source in site_links.files_outside(ROOT, files):
        uri = site_links.copy_of(source)
        if files.get_file_from_path(uri) is None:
            path = str(ROOT / source)
            files.append(File.generated(config, uri, abs_src_path=path))
    return files


def on_page_markdown(
    markdown: str, *, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Fill in tables of results; turn links that leave docs/ into links of the site."""
    _ = config, files
    text = site_readme.fill(markdown, ROOT)
    text = site_tables.fill(text, ROOT / "benchmarks" / "results")
    return site_links.rewrite(text, page.file.src_uri, ROOT)


def on_page_content(
    html: str, *, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Write formulas as MathML, which browsers draw without scripts or fonts."""
    _ = page, config, files
    return site_math.to_mathml(html)
