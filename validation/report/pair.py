"""Two runs side by side: head against head, version against version, engine, engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.compare import Comparison
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.report.collect import run_document
from lamplighter.validation.report.document import Document
from lamplighter.validation.report.rows import WORDS, property_tables
from lamplighter.validation.report.view import RunView

_A: Final = "a"
_B: Final = "b"


def pair_document(
    first: RunView,
    second: RunView,
    *,
    engines: tuple[str, str] = ("", ""),
    labels: tuple[str, str] = ("", ""),
    title: str = "",
) -> Document:
    """Return the report document of two runs, A and B, with B − A.

    Each run is held against references at its own level of theory.

    Args:
        first: run A.
        second: run B; may be the same run with another engine.
        engines: the engine of each run; by default the last one, which is the one that
            is deployed.
        labels: what the columns are called; by default what tells the two runs apart.
        title: heading of the page.

    Raises:
        ConfigError: an engine that is not in its run, or no property in common.
    """
    views = (_one_engine(first, engines[0], _A), _one_engine(second, engines[1], _B))
    names = _labels(first, second, views, labels)
    common = {(r.material, r.property) for r in views[0].results} & {
        (r.material, r.property) for r in views[1].results
    }
    if not common:
        got = "; ".join(_contents(view) for view in views)
        wanted = "the same property of the same material in both"
        problem = "the two runs have nothing in common"
        raise ConfigError(explain(problem, got=got, wanted=wanted))
    both = RunView(
        card=views[0].card,
        engines=tuple(view.engines[0] for view in views),
        materials=tuple(dict.fromkeys(m for m, _ in sorted(common))),
        settings={},
        parity=(),
        results=tuple(r for view in views for r in view.results if _key(r) in common),
        comparisons=tuple(c for view in views for c in view.comparisons),
        thresholds=first.thresholds,
        levels=first.levels,
    )
    heading = title or f"{names[_A]} and {names[_B]}"
    document = run_document(both, title=heading)
    tables = _tables(both, views)
    document["properties"] = tables
    document["model"] = [
        {"label": f"{mark}", "value": names[name], "code": False}
        for mark, name in (("A", _A), ("B", _B))
    ]
    document["engines"] = [
        _card(view, n, names[n]) for n, view in zip("ab", views, strict=True)
    ]
    document["verdict"] = _verdict(tables, names)
    document["comparison"] = {
        "text": f"A: {names[_A]}. B: {names[_B]}. Each beside references at its own "
        "level of theory.",
        "delta_label": "B − A",
    }
    for data in (
        *document["plots"].values(),
        *(f["data"] for f in document["figures"]),
    ):
        data["labels_of_series"] = names
    document["provenance"] = {
        f"Run {mark}": _provenance(view)
        for mark, view in zip("AB", (first, second), strict=True)
    }
    return document


def _key(result: PropertyResult) -> tuple[str, str]:
    return (result.material, result.property)


def _contents(view: RunView) -> str:
    found = dict.fromkeys(f"{r.property} of {r.material}" for r in view.results)
    return ", ".join(found) or "nothing"


def _one_engine(view: RunView, engine: str, name: str) -> RunView:
    """Return a run with the results of one engine, which is called `name`."""
    known = [info.name for info in view.engines]
    chosen = engine or known[-1]
    if chosen not in known:
        problem = "the run has no such engine"
        raise ConfigError(explain(problem, got=chosen, wanted=" or ".join(known)))
    mine = {}
    results = []
    for result in view.results:
        if result.engine.name == chosen:
            renamed = replace(result, engine=replace(result.engine, name=name))
            mine[id(result)] = renamed
            results.append(renamed)
    info = next(info for info in view.engines if info.name == chosen)
    return replace(
        view,
        engines=(replace(info, name=name),),
        results=tuple(results),
        comparisons=_comparisons(view, chosen),
    )


def _comparisons(view: RunView, engine: str) -> tuple[Comparison, ...]:
    """Return the comparisons of one engine: those of its values."""
    values = {
        (r.material, name, q.value)
        for r in view.results
        if r.engine.name == engine
        for name, q in r.values.items()
    }
    return tuple(
        c
        for c in view.comparisons
        if c.value is None or (c.material, c.quantity, c.value) in values
    )


def _labels(
    first: RunView,
    second: RunView,
    views: Sequence[RunView],
    given: tuple[str, str],
) -> dict[str, str]:
    """Return what tells the runs apart: file, head, precision, engine; or A and B."""
    cards = [first.card, second.card]
    parts: list[list[str]] = [[], []]
    for key in ("file", "head", "dtype"):
        texts = [str(card.get(key) or "").rpartition("/")[2] for card in cards]
        if texts[0] != texts[1] or (key == "head" and texts[0]):
            _extend(parts, texts)
    for what in ("kind", "lammps_version"):
        texts = [str(getattr(view.engines[0], what) or "") for view in views]
        if texts[0] != texts[1]:
            _extend(parts, texts)
    found = [", ".join(part) for part in parts]
    if found[0] == found[1]:
        found = [f"{found[0]} A".strip(), f"{found[1]} B".strip()]
    named = [g or f for g, f in zip(given, found, strict=True)]
    return dict(zip((_A, _B), named, strict=True))


def _extend(parts: list[list[str]], texts: Sequence[str]) -> None:
    for part, text in zip(parts, texts, strict=True):
        if text:
            part.append(text)


def _tables(both: RunView, views: Sequence[RunView]) -> list[dict[str, Any]]:
    tables = property_tables(
        both.results, both.comparisons, (_A, _B), both.level, both.levels
    )
    for table in tables:
        for row in table["rows"]:
            a, b = row["engines"].get(_A), row["engines"].get(_B)
            row["delta_engine"] = None if a is None or b is None else b - a
            row["engine_verdict"], row["engine_limit"] = "none", None
            row["verdicts"] = {
                name: _one_verdict(view, table["material"], row["quantity"])
                for name, view in zip((_A, _B), views, strict=True)
            }
    return tables


def _one_verdict(view: RunView, material: str, quantity: str) -> str:
    found = [
        WORDS[c.verdict]
        for c in view.comparisons
        if c.material == material and c.quantity == quantity
    ]
    return next((v for v in ("miss", "near", "pass") if v in found), "info")


def _card(view: RunView, name: str, label: str) -> dict[str, Any]:
    info, card = view.engines[0], view.card
    details = {
        "file": str(card.get("file") or info.model).rpartition("/")[2],
        "sha256": str(card.get("sha256") or info.model_sha256),
        "head": str(card.get("head") or ""),
        "level of theory": view.level,
        "engine": f"{info.kind} {info.lammps_version or ''}".strip(),
        "precision": info.dtype,
    }
    shown = {key: value for key, value in details.items() if value}
    return {"name": name, "label": label, "details": shown}


def _provenance(view: RunView) -> dict[str, str]:
    versions = view.about.get("versions", {})
    return {str(k): str(v) for k, v in versions.items()} | dict(view.settings)


def _verdict(
    tables: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> dict[str, Any]:
    rows = [row for table in tables for row in table["rows"]]
    order = {"pass": 0, "near": 1, "miss": 2}
    judged = [r["verdicts"] for r in rows if set(r["verdicts"].values()) <= set(order)]
    better = sum(order[v[_B]] < order[v[_A]] for v in judged)
    worse = sum(order[v[_B]] > order[v[_A]] for v in judged)
    missed = any("miss" in row["verdicts"].values() for row in rows)
    invalid = any(row["verdict"] == "invalid" for row in rows)
    details = [
        f"{names[name]}: "
        + ", ".join(
            f"{sum(row['verdicts'][name] == word for row in rows)} {word}"
            for word in ("pass", "near", "miss")
        )
        for name in (_A, _B)
    ]
    if not judged:
        headline = "No quantity of both runs has a reference at its level of theory."
    elif better == worse == 0:
        headline = f"The verdicts of all {len(judged)} judged quantities are the same."
    else:
        headline = f"Of {len(judged)} judged quantities B is better in {better}, "
        headline += f"worse in {worse}."
    state = "fail" if invalid else "miss" if missed else "pass"
    return {"state": state, "headline": headline, "details": details}
