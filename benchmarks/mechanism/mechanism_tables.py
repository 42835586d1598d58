"""Write the tables of `docs/mechanism.md` from `benchmarks/results/mechanism.json`.

python benchmarks/mechanism/mechanism_tables.py
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from mechanism_numbers import (
    ARM_NAMES,
    KEPT_SETS,
    LIMIT,
    NEW_SET,
    RESULTS,
    SET_NAMES,
    SHIPPED_NAMES,
    Numbers,
    Spread,
)

from lamplighter.files import atomic_path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mechanism.md"
BLOCK = "<!-- {name}: written by mechanism_tables.py, do not edit -->\n"
ERRORS = {
    "force_mae": "force MAE",
    "force_rmse": "force RMSE",
    "energy_mae": "energy MAE",
}
END = "<!-- end of {name} -->"


def main() -> int:
    """Put every block into the page."""
    text = with_blocks(PAGE.read_text("utf-8"), Numbers.read(RESULTS))
    with atomic_path(PAGE) as path:
        path.write_text(text, encoding="utf-8")
    return 0


def with_blocks(page: str, numbers: Numbers) -> str:
    """Return the page with every block written anew.

    Raises:
        ValueError: the page has no place for a block.
    """
    for name, text in blocks(numbers).items():
        begin, end = BLOCK.format(name=name), END.format(name=name)
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        new = begin + text + end
        page, found = pattern.subn(lambda _, new=new: new, page)
        if found != 1:
            message = f"{found} places for {name!r} in the page, wanted 1"
            raise ValueError(message)
    return page


def blocks(numbers: Numbers) -> dict[str, str]:
    """Return the text of every block by its name."""
    return {
        "verdict": _verdict(numbers),
        "frames": _frames(numbers),
        "main forces": _main_head(numbers, "force_rmse"),
        "main energies": _main_head(numbers, "energy_mae"),
        "effect forces": _effect(numbers, "force_rmse"),
        "effect energies": _effect(numbers, "energy_mae"),
        "kept forces": _kept(numbers, "force_rmse"),
        "kept energies": _kept(numbers, "energy_mae"),
        "new": _new(numbers),
        "shipped forces": _shipped(numbers, "force_rmse"),
        "shipped energies": _shipped(numbers, "energy_mae"),
    }


def _verdict(numbers: Numbers) -> str:
    """How many kept heads stay within the limit, on the mean and in every seed."""
    rows = []
    for number, name in ERRORS.items():
        for arm in ("replay", "naive"):
            tests = KEPT_SETS.values()
            growth = [numbers.change("base", arm, test, number) for test in tests]
            rows.append((ARM_NAMES[arm], name, *_judged(growth, numbers.seeds)))
        for arm in SHIPPED_NAMES if numbers.shipped_seeds else ():
            heads = numbers.content["shipped"]["base"]["1"]
            growth = [numbers.shipped_growth(arm, head, number) for head in heads]
            words = f"shipped model + PBEsol, {arm.removeprefix('shipped-')}"
            rows.append((words, name, *_judged(growth, numbers.shipped_seeds)))
    limit = f"within {LIMIT:.0f} %"
    names = (
        *("post-training", "error", "seeds", f"kept heads {limit}, mean"),
        *(f"{limit} in every seed", "largest growth / %"),
    )
    return _table(names, rows)


def _judged(growth: Sequence[Spread], seeds: Sequence[str]) -> tuple[str, ...]:
    on_mean = sum(g.mean <= LIMIT for g in growth)
    always = sum(g.largest <= LIMIT for g in growth)
    largest = max(g.largest for g in growth)
    of = len(growth)
    return str(len(seeds)), f"{on_mean} of {of}", f"{always} of {of}", f"{largest:+.1f}"


def _frames(numbers: Numbers) -> str:
    counts = numbers.content["frames"]
    tests = numbers.content["test_sets"]
    heads = [name.removesuffix("-train") for name in counts if name.endswith("-train")]
    rows = [
        (
            f"`{head}`",
            str(counts[f"{head}-train"]),
            str(counts[f"{head}-validation"]),
            ", ".join(
                f"{counts[t]} {t.removeprefix(head + '-')} ({tests[t]['relation']})"
                for t in tests
                if tests[t]["head"] == head
            ),
        )
        for head in heads
    ]
    return _table(("head", "train", "validation", "test frames, domain"), rows)


def _main_head(numbers: Numbers, number: str) -> str:
    sets = [s for s in SET_NAMES if s in numbers.content["test_sets"]]
    rows = [
        (name, *(numbers.error(arm, s, number).text(_digits(number)) for s in sets))
        for arm, name in ARM_NAMES.items()
    ]
    return _table(("potential", *(SET_NAMES[s] for s in sets)), rows)


def _effect(numbers: Numbers, number: str) -> str:
    """Differences of two potentials of the same seed."""
    sets = [s for s in SET_NAMES if s in numbers.content["test_sets"]]
    pairs = {
        "(b) against (a)": ("alone", "scratch"),
        "base against (a)": ("alone", "base"),
        "(c) against base": ("base", "replay"),
        "(c) against (a)": ("alone", "replay"),
        "(d) against base": ("base", "naive"),
    }
    rows = [
        (name, *(_signed(numbers.change(*pair, s, number)) for s in sets))
        for name, pair in pairs.items()
    ]
    return _table(("change / %", *(SET_NAMES[s] for s in sets)), rows)


def _kept(numbers: Numbers, number: str) -> str:
    rows = []
    for head, test in KEPT_SETS.items():
        cells = [f"`{head}`", numbers.error("base", test, number).text(_digits(number))]
        for arm in ("replay", "naive"):
            growth = numbers.change("base", arm, test, number)
            cells += [
                numbers.error(arm, test, number).text(_digits(number)),
                f"{_signed(growth)} ({growth.largest:+.1f})",
            ]
        rows.append(tuple(cells))
    names = ("head", "base", "(c) replay", "growth / %", "(d) naive", "growth / %")
    return _table(names, rows)


def _new(numbers: Numbers) -> str:
    arms = ("scratch", "replay", "naive")
    rows = [
        (
            ARM_NAMES[arm],
            numbers.error(arm, NEW_SET, "force_rmse").text(),
            numbers.error(arm, NEW_SET, "energy_mae").text(1),
        )
        for arm in arms
    ]
    return _table(("potential", "force RMSE / meV/Å", "energy MAE / meV/atom"), rows)


def _shipped(numbers: Numbers, number: str) -> str:
    """The shipped model: errors of its heads before and after adding PBEsol."""
    if not numbers.shipped_seeds:
        return "Not run.\n"
    rows = []
    for head, before in numbers.content["shipped"]["base"]["1"].items():
        cells = [f"`{head}`", f"{before['n_frames']}", f"{before[number]:.1f}"]
        for arm in SHIPPED_NAMES:
            growth = numbers.shipped_growth(arm, head, number)
            cells += [
                numbers.shipped_error(arm, head, number).text(1),
                f"{_signed(growth)} ({growth.largest:+.1f})",
            ]
        rows.append(tuple(cells))
    names = ("head", "frames", "shipped", "replay", "growth / %", "naive", "growth / %")
    return _table(names, rows)


def _digits(number: str) -> int:
    return 1 if number.startswith("energy") else 0


def _signed(spread: Spread) -> str:
    return spread.text(1, signed=True)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
