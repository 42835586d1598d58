"""The page in a real browser: width of a desktop, of a phone, and on paper."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, chromium

from lamplighter.validation.report import render
from lamplighter.validation.report.document import finite

PROGRAM = chromium()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium on this machine"),
]

DESKTOP, PHONE = (1280, 900), (390, 844)

# Boxes of the page, outside of drawings, that reach beyond the window. What stands in a
# clipped heading for screen readers is not seen.
BEYOND = """[...document.querySelectorAll('body *')].filter(e => !e.closest('svg')
  && !e.closest('thead') && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.tagName + ' ' + e.textContent.slice(0, 40))"""

# Cells of one row whose texts overlap.
OVERLAPS = """[...document.querySelectorAll('tbody tr')].filter(row => {
  const r = [...row.querySelectorAll('td .num')].map(e => {
    const range = document.createRange(); range.selectNodeContents(e);
    return range.getBoundingClientRect(); }).filter(r => r.width);
  return r.some((a, i) => r.slice(i + 1).some(b =>
    a.left < b.right - 1 && b.left < a.right - 1
    && a.top < b.bottom - 1 && b.top < a.bottom - 1));
}).map(row => row.textContent.trim().slice(0, 60))"""


def module(name: str) -> Any:
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    document = module("report_document").document()
    document["figures"] = module("report_figures").figures()
    for table in document["properties"]:
        for row in table["rows"]:
            row |= {
                "errors": {"ase": 0.0123, "lammps": 0.0123},
                "reference_level": "exp. 298 K",
                "reference_error": 1.5,
            }
    document["missing"] = ["elastic MgO lammps"]
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(finite(document)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    assert PROGRAM is not None
    with Browser(PROGRAM) as found:
        yield found


@pytest.mark.parametrize(
    ("size", "phone"), [(DESKTOP, False), (PHONE, True)], ids=["desktop", "phone"]
)
def test_page_fits_the_window(browser, page, size, phone):
    browser.complaints.clear()
    width, height = size
    browser.open(page, width=width, height=height, phone=phone)
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(BEYOND) == []
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.evaluate(BEYOND) == []
    assert browser.evaluate(OVERLAPS) == []
    assert browser.complaints == []


def test_figures_can_be_read_on_a_phone(browser, page):
    browser.open(page, width=PHONE[0], height=PHONE[1], phone=True)
    small = browser.evaluate(
        "[...document.querySelectorAll('figure svg')]"
        ".map(s => s.getBoundingClientRect())"
        ".filter(r => r.width < 300 || r.height < 90).length"
    )
    assert small == 0
    smallest = browser.evaluate(
        "Math.min(...[...document.querySelectorAll('figure svg text')]"
        ".map(t => t.getBoundingClientRect().height))"
    )
    assert smallest > 6


def test_no_figure_is_wider_than_needed_on_a_desktop(browser, page):
    browser.open(page, width=DESKTOP[0], height=DESKTOP[1])
    widest = browser.evaluate(
        "Math.max(...[...document.querySelectorAll('figure')]"
        ".map(f => f.getBoundingClientRect().width))"
    )
    assert 380 < widest < 600


def test_page_prints_on_paper(browser, page, tmp_path):
    browser.open(page, width=DESKTOP[0], height=DESKTOP[1])
    content = browser.pdf(tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", content))
    assert 3 <= pages <= 25
    # A4 without margins of 14 mm, in CSS pixels.
    browser.open(page, width=688, height=1000)
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.evaluate("document.documentElement.scrollWidth") <= 688
    assert browser.evaluate(BEYOND) == []
    tables = "getComputedStyle(document.querySelector('table.stack tr')).display"
    assert browser.evaluate(tables) == "table-row"
    shown = browser.evaluate("getComputedStyle(document.querySelector('nav')).display")
    browser.send("Emulation.setEmulatedMedia", media="")
    assert shown == "none"


def test_a_page_with_a_script_error_would_be_noticed(browser, tmp_path):
    wrong = tmp_path / "wrong.html"
    wrong.write_text("<p style='width: 3000px'>wide</p><script>nothing()</script>")
    browser.complaints.clear()
    browser.open(wrong, width=PHONE[0], height=PHONE[1])
    assert browser.evaluate(BEYOND) == ["P wide"]
    assert any("nothing is not defined" in text for text in browser.complaints)
