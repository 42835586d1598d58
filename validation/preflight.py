"""The preflight: is the deployed engine the model? Before anything else is computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ase import Atoms

from lamplighter.console import info, progress
from lamplighter.errors import ConfigError, explain
from lamplighter.validation.materials import (
    BUILT_IN,
    parity_structures,
    structure_of,
)
from lamplighter.validation.open_engines import (
    ModelCard,
    one_thread_each,
    open_engine,
    read_card,
)
from lamplighter.validation.parity_set import full_structures
from lamplighter.validation.properties import parity
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.properties.parity_measures import OF_LIMITS
from lamplighter.validation.report.terminal import aligned
from lamplighter.validation.suite import SuiteConfig
from lamplighter.validation.tasks import slug


def preflight(
    config: SuiteConfig,
    level: Literal["quick", "full"],
    folder: Path,
    *,
    structures: Mapping[str, Atoms] | None = None,
    failures: Path | None = None,
) -> list[PropertyResult]:
    """Return the parity of the two engines of a suite, one result for each material.

    Args:
        config: model, engines and materials; properties do not matter.
        level: ``quick``: six structures for each material and every kind of point;
            ``full``: twelve, and more ranks and processor grids.
        folder: where a converted model goes.
        structures: to compare on, in place of the materials.
        failures: folder for structures that fail; ``None``: none are written.

    Raises:
        ConfigError: not two engines, or a material that the head does not know.
        EngineError: an engine cannot be started.
    """
    if len(config.engines) != 2:
        raise ConfigError(
            explain(
                "parity compares two engines",
                got=f"{len(config.engines)} engines",
                wanted="engines: [ase, lammps]",
            )
        )
    card = None if config.model is None else read_card(config.model)
    sets = _sets(config, level, structures)
    elements = sorted(
        {s for one in sets.values() for a in one.values() for s in a.symbols}
    )
    _check_elements(elements, card)
    settings = parity.ParitySettings(points=level, failures=failures)
    first, second = config.engines
    results = []
    with (
        one_thread_each(),
        open_engine(first, card, elements, folder) as reference,
        open_engine(second, card, elements, folder) as deployed,
        progress(len(sets), "parity") as advance,
    ):
        for name, atoms in sets.items():
            result = parity.run(
                atoms, reference, deployed, _apart(settings, name, len(sets))
            )
            results.append(dataclasses.replace(result, material=name))
            advance(1, name)
    return results


def _apart(
    settings: parity.ParitySettings, name: str, materials: int
) -> parity.ParitySettings:
    """Return settings in which each of several materials has its own folder."""
    if settings.failures is None or materials == 1:
        return settings
    return dataclasses.replace(settings, failures=settings.failures / slug(name))


def show_preflight(results: list[PropertyResult]) -> bool:
    """Print the verdict tables; return whether every engine point passed."""
    for result in results:
        against = result.method["against"]["name"]
        info(f"{result.material}: {result.engine.name} against {against}")
        columns = result.arrays["columns"]
        # Two narrow tables instead of one that a terminal would fold.
        for part in (columns[:5], columns[5:]):
            if part:
                info("")
                _show_columns(result, part)
        info("")
        _show_points(result.arrays["points"])
        for check in result.failed():
            info(f"FAIL {check.name}: {check.text}")
    return all(result.status != "invalid" for result in results)


def _show_columns(result: PropertyResult, columns: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        [
            row["structure"],
            *(_short(row["values"].get(c["key"])) for c in columns),
            row["verdict"],
        ]
        for row in result.arrays["rows"]
    ]
    rows.append(["limit", *(_short(c["limit"]) for c in columns), ""])
    rows.append(["", *(c["unit"].replace(OF_LIMITS, "limits") for c in columns), ""])
    for line in aligned(["structure", *(c["label"] for c in columns), "verdict"], rows):
        info(line)


def _show_points(points: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        [
            f"{point['number']}. {point['label']}",
            _short(point["value"]),
            f"{'≥' if point['at_least'] else '≤'} {_short(point['limit'])}",
            point["verdict"],
        ]
        for point in points
    ]
    where = ", ".join(sorted({point["structure"] for point in points}))
    for line in aligned([f"on {where}", "value", "limit", "verdict"], rows):
        info(line)
    for point in points:
        if point["text"] and point["verdict"] != "fail":
            info(f"  {point['label']}: {point['text']}")


def known_material(card: ModelCard) -> str:
    """Return the first built-in material that a head knows all elements of.

    Raises:
        ConfigError: there is none.
    """
    for name, make in BUILT_IN.items():
        if set(make().get_chemical_symbols()) <= set(card.elements):
            return name
    raise ConfigError(
        explain(
            "no built-in material is made of this head's elements",
            got=", ".join(card.elements),
            wanted="structures to compare on",
            fix="name a file: lamplighter validate parity MODEL crystal.cif",
        )
    )


def _short(value: float | None) -> str:
    if not value:
        return "" if value is None else "0"
    return f"{value:.3g}" if 0.1 <= value < 1e4 else f"{value:.0e}"


def _sets(
    config: SuiteConfig,
    level: Literal["quick", "full"],
    structures: Mapping[str, Atoms] | None,
) -> dict[str, Mapping[str, Atoms]]:
    """Return the structures to compare on, for each material."""
    if structures is not None:
        return {"structures": structures}
    make = full_structures if level == "full" else parity_structures
    return {m.name: make(structure_of(m.name, m.structure)) for m in config.materials}


def _check_elements(elements: list[str], card: ModelCard | None) -> None:
    missing = [] if card is None else sorted(set(elements) - set(card.elements))
    if card is not None and missing:
        raise ConfigError(
            explain(
                f"head {card.head!r} lacks elements of the structures",
                got=", ".join(missing),
                wanted=f"some of {', '.join(card.elements)}",
                fix="choose other structures or another head",
            )
        )
