"""The page of the mechanism study shows the numbers of its results."""

from __future__ import annotations

import json

import mechanism_data as data
import mechanism_numbers as numbers
import mechanism_tables as tables


def test_the_page_shows_the_numbers_of_the_results():
    page = tables.PAGE.read_text("utf-8")
    results = numbers.Numbers.read(numbers.RESULTS)
    assert tables.with_blocks(page, results) == page


def test_a_changed_number_would_show():
    page = tables.PAGE.read_text("utf-8")
    content = json.loads(numbers.RESULTS.read_text("utf-8"))
    run = next(iter(content["runs"]["naive"].values()))
    run["errors"]["pbe-crystals"]["force_rmse"] *= 1.5
    assert tables.with_blocks(page, numbers.Numbers(content)) != page


def test_the_frames_are_those_of_the_results(tmp_path):
    content = json.loads(numbers.RESULTS.read_text("utf-8"))
    assert data.write_data(tmp_path) == content["frames"]
