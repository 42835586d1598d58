"""Data of the figures, taken out of the arrays of property results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.report import curves_more as more

Results = Mapping[str, PropertyResult]
"""Results of one property and material by the name of the engine."""

Numbers = Mapping[str, tuple[float, str]]
"""References of one material: quantity -> value and level of theory."""

Collect = Callable[[Results, Numbers], dict[str, Any] | None]


def figures(results: Sequence[PropertyResult], material: str) -> dict[str, Any]:
    """Return the first figure of the basic properties: property -> data.

    Invalid results take part as far as they have arrays: a plot shows what went wrong.
    """
    found: dict[str, Any] = {}
    for one in all_figures(r for r in results if r.material == material):
        if one["kind"] == one["property"] and one["kind"] in _BASIC:
            found[one["kind"]] = one["data"]
    return found


def all_figures(
    results: Iterable[PropertyResult],
    references: Mapping[str, Numbers] | None = None,
) -> list[dict[str, Any]]:
    """Return every figure of every property and material, in the order computed.

    Args:
        results: of all engines.
        references: material -> quantity -> value and level, to be marked.

    Returns:
        ``kind`` (of the drawing), ``property``, ``material``, ``data``. Properties that
        are not known here, of plug-ins, give their arrays as plain plots.
    """
    groups: dict[tuple[str, str], dict[str, PropertyResult]] = {}
    for result in results:
        if result.arrays:
            key = (result.material, result.property)
            groups.setdefault(key, {})[result.engine.name] = result
    found = []
    for (material, name), group in groups.items():
        known = (references or {}).get(material, {})
        for kind, collect in _COLLECT.get(name, (("plain", more.plain),)):
            data = _collected(collect, group, known)
            if data is not None:
                one = {"kind": kind, "property": name, "material": material}
                found.append({**one, "data": data})
    return found


def _collected(
    collect: Collect, group: Results, known: Numbers
) -> dict[str, Any] | None:
    """Return the data of a figure; None where the arrays do not hold it.

    Results may come from another version, or from a plug-in that took a name: a figure
    less is better than no report.
    """
    try:
        return collect(group, known)
    except (KeyError, TypeError, IndexError):
        return None


def _bulk(results: Results, _known: Numbers) -> dict[str, Any] | None:
    keys = ("volumes", "energies", "fit_volumes", "fit_energies")
    series = {
        name: {key: result.arrays[key] for key in keys}
        for name, result in results.items()
    }
    return {"per": "atom", "series": series}


def _phonon(results: Results, _known: Numbers) -> dict[str, Any] | None:
    first = next(iter(results.values())).arrays
    bands = {name: result.arrays["frequencies"] for name, result in results.items()}
    data = {key: first[key] for key in ("distances", "ticks", "labels", "breaks")}
    if "reference_frequencies" in first:
        bands["reference"] = first["reference_frequencies"]
        data["reference_label"] = first["reference_label"]
    return data | {"bands": bands}


def _surface(results: Results, known: Numbers) -> dict[str, Any] | None:
    curves = []
    for name, result in results.items():
        arrays = result.arrays
        for ions, prefix in (("relaxed", ""), ("clamped", "cleaved_")):
            curves.append(
                {
                    "engine": name,
                    "ions": ions,
                    "layers": arrays["layers"],
                    "gamma": arrays[f"{prefix}gamma"],
                    "fit": arrays[f"{prefix}gamma_fit"],
                }
            )
    data: dict[str, Any] = {"curves": curves}
    first = next(iter(results.values()))
    for quantity in first.values:
        if quantity.startswith("surface_energy_") and quantity in known:
            data["reference"], level = known[quantity]
            data["reference_label"] = f"{level.partition(',')[0]}, relaxed"
    return data


def _elastic(results: Results, _known: Numbers) -> dict[str, Any] | None:
    curves = [
        {**curve, "engine": name}
        for name, result in results.items()
        for curve in result.arrays["curves"]
    ]
    return {"curves": curves} if curves else None


_BASIC: Final = ("bulk", "elastic", "phonon", "surface")
_COLLECT: Final[dict[str, tuple[tuple[str, Collect], ...]]] = {
    "bulk": (("bulk", _bulk),),
    "elastic": (("elastic", _elastic),),
    "phonon": (("phonon", _phonon), ("dos", more.dos), ("thermal", more.thermal)),
    "surface": (("surface", _surface),),
    "surfaces": (("facets", more.facets),),
    "wulff": (("facets", more.facets), ("wulff", more.wulff)),
    "vacancy": (("vacancy", more.vacancy),),
    "dimers": (("dimers", more.dimers),),
    "locality": (("locality", more.locality),),
    "extensivity": (),
    "nve": (("nve", more.nve),),
    "grueneisen": (
        ("grueneisen", more.grueneisen),
        ("grueneisen_bands", more.grueneisen_bands),
    ),
    "qha": (("qha", more.qha),),
    "md_phonon": (("phonon", _phonon),),
    "md_elastic": (),
    "molecule": (),
    "s22": (("systems", more.systems),),
    "dbh24": (("systems", more.systems),),
    "x23": (("systems", more.systems),),
}
