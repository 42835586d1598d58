"""Data of the figures, taken out of the arrays of property results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lamplighter.validation.properties.base import PropertyResult

Results = Mapping[str, PropertyResult]
"""Results of one property and material by the kind of engine: ``ase``, ``lammps``."""


def figures(results: Sequence[PropertyResult], material: str) -> dict[str, Any]:
    """Return the figure data of one material: property -> data, as in the report.

    Invalid results take part as far as they have arrays: a plot shows what went wrong.
    """
    found: dict[str, Any] = {}
    for name, collect in _COLLECT.items():
        mine = {
            result.engine.kind: result
            for result in results
            if result.property == name and result.material == material and result.arrays
        }
        data = collect(mine) if mine else None
        if data is not None:
            found[name] = data
    return found


def _bulk(results: Results) -> dict[str, Any] | None:
    keys = ("volumes", "energies", "fit_volumes", "fit_energies")
    series = {
        kind: {key: result.arrays[key] for key in keys}
        for kind, result in results.items()
    }
    return {"per": "atom", "series": series}


def _phonon(results: Results) -> dict[str, Any] | None:
    first = next(iter(results.values())).arrays
    bands = {kind: result.arrays["frequencies"] for kind, result in results.items()}
    data = {key: first[key] for key in ("distances", "ticks", "labels", "breaks")}
    if "reference_frequencies" in first:
        bands["reference"] = first["reference_frequencies"]
        data["reference_label"] = first["reference_label"]
    return data | {"bands": bands}


def _surface(results: Results) -> dict[str, Any] | None:
    curves = []
    for kind, result in results.items():
        arrays = result.arrays
        for ions, prefix in (("relaxed", ""), ("clamped", "cleaved_")):
            curves.append(
                {
                    "engine": kind,
                    "ions": ions,
                    "layers": arrays["layers"],
                    "gamma": arrays[f"{prefix}gamma"],
                    "fit": arrays[f"{prefix}gamma_fit"],
                }
            )
    return {"curves": curves}


def _elastic(results: Results) -> dict[str, Any] | None:
    return {
        "curves": [
            {**curve, "engine": kind}
            for kind, result in results.items()
            for curve in result.arrays["curves"]
        ]
    }


_COLLECT: Final[dict[str, Callable[[Results], dict[str, Any] | None]]] = {
    "bulk": _bulk,
    "elastic": _elastic,
    "phonon": _phonon,
    "surface": _surface,
}
