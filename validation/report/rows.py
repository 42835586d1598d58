"""Tables of the report: results and comparisons as rows of plain values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lamplighter.validation.compare import Comparison
from lamplighter.validation.properties.base import PropertyResult, Quantity
from lamplighter.validation.refs import ReferenceValue, same_level
from lamplighter.validation.report.summaries import summary

TITLES: Final = {
    "bulk": "Lattice constant and equation of state",
    "elastic": "Elastic constants",
    "phonon": "Phonons",
    "surface": "Surface energy",
    "surfaces": "Surface energies of all planes",
    "wulff": "Wulff shape",
    "vacancy": "Vacancies",
    "locality": "Reach of the forces",
    "extensivity": "Do energies add up?",
    "molecule": "Molecule",
    "dimers": "Pairs of atoms",
    "nve": "Conservation of energy",
    "grueneisen": "Grueneisen parameters",
    "qha": "Quasi-harmonic approximation",
    "md_elastic": "Elastic constants at temperature",
    "md_phonon": "Phonons at temperature",
    "s22": "S22: pairs of molecules",
    "dbh24": "DBH24: barrier heights",
    "x23": "X23: molecular crystals",
}

# What engines may differ by in derived quantities: a floor in the unit, and a fraction.
# Relaxations stop at a force, fits amplify differences: wider than parity itself.
ENGINE_LIMITS: Final[dict[str, tuple[float, float]]] = {
    "Å": (1e-4, 0.0),
    "Å^3": (1e-2, 0.0),
    "GPa": (0.3, 3e-3),
    "THz": (0.01, 0.0),
    "J/m^2": (5e-4, 0.0),
    "eV": (1e-5, 0.0),
    "eV/atom": (1e-6, 0.0),
    "kJ/mol": (1e-2, 0.0),
    "J/mol/K": (1e-2, 0.0),
}
_OTHER_LIMIT: Final = (1e-3, 1e-3)

WORDS: Final = {"pass": "pass", "warn": "near", "fail": "miss", "info": "info"}
_WORST: Final = ("invalid", "miss", "near", "pass", "info")

_LABELS: Final = {
    "lattice_constant": "lattice constant a",
    "bulk_modulus": "bulk modulus B",
    "shear_modulus": "shear modulus G",
    "frequency_difference_mean": "mean |Δω| of all modes",
    "frequency_difference_largest": "largest |Δω|",
    "frequency_lowest": "lowest ω",
    "frequency_highest": "highest ω",
    "frequency_Gamma_TO": "ω Γ, TO",
    "frequency_Gamma_LO": "ω Γ, LO",
}


def property_tables(
    results: Sequence[PropertyResult],
    comparisons: Sequence[Comparison],
    engine_names: Sequence[str],
    level_of_theory: str,
    levels: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return one table for each property of each material, in the order computed.

    Args:
        results: of all engines.
        comparisons: of the same results, in any order.
        engine_names: in the order of the columns.
        level_of_theory: of the head, to prefer references at the same level.
        levels: material -> that of its own head; what is not named has the suite's.
    """
    groups: dict[tuple[str, str], list[PropertyResult]] = {}
    for result in results:
        groups.setdefault((result.material, result.property), []).append(result)
    tables = []
    for (material, name), group in groups.items():
        mine = [c for c in comparisons if c.material == material]
        by_engine = {result.engine.name: result for result in group}
        level = (levels or {}).get(material, level_of_theory)
        rows = [
            _row(quantity, by_engine, engine_names, mine, level)
            for quantity in _quantities(group, mine)
        ]
        tables.append(
            {
                "property": name,
                "title": TITLES.get(name, name),
                "material": material,
                "head": group[0].engine.head or "",
                "level": level,
                "method": method_text(group[0]),
                "summary": summary(rows),
                "rows": rows,
            }
        )
    return tables


def label_of(quantity: str) -> str:
    """Return the name of a quantity as people write it.

    >>> (
    ...     label_of("frequency_X_3"),
    ...     label_of("surface_energy_100"),
    ...     label_of("C11_clamped"),
    ... )
    ('ω X, branch 3', 'surface energy γ(100)', 'C11, clamped ions')
    """
    if quantity in _LABELS:
        return _LABELS[quantity]
    patterns = (
        (r"frequency_(\w+)_(\d+)", r"ω \1, branch \2"),
        (r"surface_energy_(?:sum_)?(\d+)", r"surface energy γ(\1)"),
        (r"cleavage_energy_(?:sum_)?(\d+)", r"cleavage energy γ(\1)"),
        (r"(C\d\d)_clamped", r"\1, clamped ions"),
        (r"(\w+)_([\d.]+)K", r"\1 at \2 K"),
        (r"dimer_distance_(\w+)_(\w+)", r"bond length \1–\2"),
        (r"dimer_energy_(\w+)_(\w+)", r"binding energy \1–\2"),
        (r"wulff_fraction_([-\d]+)", r"share of (\1)"),
    )
    for pattern, replacement in patterns:
        if re.fullmatch(pattern, quantity):
            return re.sub(pattern, replacement, quantity).replace("_", " ")
    return quantity.replace("_", " ")


def engine_limit(unit: str, value: float) -> float:
    """Return how far two engines may be apart in a derived quantity, in its unit."""
    floor, fraction = ENGINE_LIMITS.get(unit, _OTHER_LIMIT)
    return max(floor, fraction * abs(value))


def method_text(result: PropertyResult) -> str:
    """Return the settings of a property in one line."""
    skipped = {"qpoints", "cell", "supercell_matrix"}
    parts = []
    for key, value in result.method.items():
        plain = isinstance(value, int | float | str | None) or (
            isinstance(value, list) and len(value) <= 6 and not _nested(value)
        )
        if key not in skipped and plain and value is not None:
            parts.append(f"{key.replace('_', ' ')} {_short(value)}")
    return ", ".join(parts)


def _nested(values: Iterable[object]) -> bool:
    return any(isinstance(item, list | dict) for item in values)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(map(_short, value)) if isinstance(value, list) else str(value)


def _quantities(
    group: Sequence[PropertyResult], comparisons: Sequence[Comparison]
) -> list[str]:
    """Return the quantities of a group; of invalid results those that were compared."""
    names: dict[str, None] = {}
    for result in group:
        names |= dict.fromkeys(result.values)
        if result.status == "invalid":
            names |= dict.fromkeys(
                c.quantity
                for c in comparisons
                if c.note.startswith(f"invalid {result.property} ")
            )
    # What clamped ions give stands below what relaxed ions give.
    return sorted(names, key=lambda name: name.endswith("_clamped"))


def _row(
    quantity: str,
    by_engine: Mapping[str, PropertyResult],
    engine_names: Sequence[str],
    comparisons: Sequence[Comparison],
    level_of_theory: str,
) -> dict[str, Any]:
    values: dict[str, Quantity] = {
        name: result.values[quantity]
        for name, result in by_engine.items()
        if quantity in result.values
    }
    mine = [c for c in comparisons if c.quantity == quantity]
    best = _preferred(mine, level_of_theory)
    unit = best.unit if best else next(iter(values.values())).unit
    row: dict[str, Any] = {
        "quantity": quantity,
        "label": label_of(quantity),
        "unit": unit.replace("^2", "²").replace("^3", "³"),
        "engines": {name: _value(values.get(name)) for name in engine_names},
        "errors": {name: values[name].error for name in values},
        **_engine_difference(values, engine_names, unit),
        **_physics(best, values, engine_names),
    }
    same = [c for c in mine if best and c.reference is best.reference]
    verdicts = {WORDS[c.verdict] for c in same}
    if any(result.status == "invalid" for result in by_engine.values()):
        verdicts.add("invalid")
    row["verdict"] = next((v for v in _WORST if v in verdicts), "info")
    row["note"] = best.note if best else ""
    row["extra"] = best is None and not re.fullmatch(r"C\d\d(_clamped)?", quantity)
    return row


def _value(quantity: Quantity | None) -> float | None:
    return None if quantity is None else quantity.value


def _preferred(
    comparisons: Sequence[Comparison], level_of_theory: str
) -> Comparison | None:
    """Return the comparison that a row shows: judged, or else the nearest."""

    def rank(item: Comparison) -> tuple[bool, bool, bool, bool]:
        return (
            item.verdict == "info",
            not same_level(level_of_theory, item.reference.level),
            not item.reference.verified,
            item.reference.role == "secondary",
        )

    return min(comparisons, key=rank, default=None)


def _engine_difference(
    values: Mapping[str, Quantity], engine_names: Sequence[str], unit: str
) -> dict[str, Any]:
    present = [values[name].value for name in engine_names if name in values]
    if len(present) < 2:
        return {
            "delta_engine": None, "engine_limit": None, "engine_verdict": "none",
        }  # fmt: skip
    delta = max(present) - min(present)
    limit = engine_limit(unit, present[0])
    verdict = "pass" if delta <= limit else "fail"
    return {"delta_engine": delta, "engine_limit": limit, "engine_verdict": verdict}


def _physics(
    best: Comparison | None, values: Mapping[str, Quantity], engine_names: Sequence[str]
) -> dict[str, Any]:
    """Return the reference, the difference of the deployed engine, the tolerance."""
    if best is None:
        return {
            "reference": None, "reference_text": "", "delta_physics": None,
            "tolerance": "",
        }  # fmt: skip
    deployed = next((n for n in reversed(engine_names) if n in values), None)
    reference = best.reference
    delta = None if deployed is None else values[deployed].value - reference.value
    doubt = "" if reference.verified else ", not verified"
    return {
        "reference": reference.value,
        "reference_error": reference.error,
        "reference_level": _short_level(reference),
        "reference_text": f"{reference.level}; {reference.source.text}{doubt}",
        "delta_physics": delta,
        "tolerance": _tolerance(best),
    }


def _short_level(reference: ReferenceValue) -> str:
    """Return what stands below a reference: ``PBE`` or ``exp. 298 K``."""
    level = reference.level
    parts = [level.functional or "exp."]
    if level.temperature_K is not None:
        parts.append(f"{level.temperature_K:g} K")
    return " ".join(parts) + ("" if reference.verified else ", unverified")


def _tolerance(comparison: Comparison) -> str:
    """Return both limits, for example ``±5 / 10 %``."""
    threshold = comparison.threshold
    if threshold is None:
        return ""
    return threshold.both(comparison.unit, comparison.reference.value)


def reference_rows(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Return every reference that took part, once, with its licence."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for comparison in comparisons:
        record = comparison.reference
        key = (record.material, record.quantity, record.value, str(record.level))
        doi = f", doi:{record.source.doi}" if record.source.doi else ""
        table = f", {record.source.table}" if record.source.table else ""
        seen[key] = {
            "quantity": f"{record.material} {label_of(record.quantity)}",
            "value": f"{record.value:g}",
            "unit": record.unit.replace("^2", "²").replace("^3", "³"),
            "level": str(record.level),
            "source": f"{record.source.text}{table}{doi}",
            "licence": record.licence,
            "verified": record.verified,
        }
    return list(seen.values())


def threshold_rows(comparisons: Sequence[Comparison]) -> list[dict[str, str]]:
    """Return every threshold that gave a verdict, once: limits, scope, origin."""
    seen: dict[tuple[str, ...], dict[str, str]] = {}
    for comparison in comparisons:
        threshold = comparison.threshold
        if threshold is None:
            continue
        limits = threshold.both(comparison.unit.replace("^2", "²").replace("^3", "³"))
        floor = ""
        if threshold.floor_fail:
            low, high = threshold.floor_warn, threshold.floor_fail
            floor = f"not tighter than {low:g} / {high:g} {comparison.unit}"
        row = {
            "quantity": threshold.quantity,
            "limits": limits,
            "floor": floor,
            "against": threshold.against,
            "scope": threshold.scope(),
            "origin": threshold.origin or "given",
        }
        seen[tuple(row.values())] = row
    return list(seen.values())
