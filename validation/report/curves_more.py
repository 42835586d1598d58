"""Data of the figures of phonons beyond bands, surfaces, defects, molecules, others."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

from lamplighter.validation.properties.base import PropertyResult

Results = Mapping[str, PropertyResult]
Numbers = Mapping[str, tuple[float, str]]

_THERMAL: Final = ("heat_capacity", "entropy", "free_energy")
_MAX_PANELS: Final = 6
_MAX_POINTS: Final = 3000
_MIN_POINTS: Final = 3


def dos(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return densities of states with the reference's, and those of the elements."""
    first = next(iter(results.values())).arrays
    curves = {
        name: {
            "frequencies": result.arrays["dos_frequencies"],
            "density": result.arrays["dos"],
        }
        for name, result in results.items()
    }
    data: dict[str, Any] = {"curves": curves}
    if "reference_dos" in first:
        curves["reference"] = {
            "frequencies": first["reference_dos_frequencies"],
            "density": first["reference_dos"],
        }
        data["reference_label"] = first.get("reference_label", "")
    elements = first.get("dos_of_elements") or {}
    if len(elements) > 1:
        data["elements"] = elements
    return data


def thermal(results: Results, known: Numbers) -> dict[str, Any] | None:
    """Return thermal functions by temperature, with references where there are any."""
    curves = {
        name: {key: result.arrays[key] for key in ("temperatures", *_THERMAL)}
        for name, result in results.items()
        if "temperatures" in result.arrays
    }
    if not curves:
        return None
    points = []
    for quantity, (value, level) in known.items():
        name, _, end = quantity.rpartition("_")
        if name in _THERMAL and end.endswith("K"):
            points.append(
                {
                    "name": name,
                    "temperature": float(end[:-1]),
                    "value": value,
                    "label": level.partition(",")[0],
                }
            )
    return {"curves": curves, "points": points}


def facets(results: Results, known: Numbers) -> dict[str, Any] | None:
    """Return surface energies of all planes, with references of the same facets."""
    first = next(iter(results.values())).arrays
    names = ["".join(map(str, plane)) for plane in first["planes"]]
    data: dict[str, Any] = {
        "facets": names,
        "series": {name: result.arrays["gamma"] for name, result in results.items()},
        "cleaved": {
            name: result.arrays["cleaved_gamma"] for name, result in results.items()
        },
    }
    if all(value is None for value in first["gamma"]):
        return None
    found = {n: known[f"surface_energy_{n}"] for n in names if _gamma(n) in known}
    if found:
        data["reference"] = {name: value for name, (value, _) in found.items()}
        level = next(iter(found.values()))[1]
        data["reference_label"] = level.partition(",")[0]
    return data


def _gamma(plane: str) -> str:
    return f"surface_energy_{plane}"


def wulff(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return the Wulff shape of every engine."""
    shapes = {}
    for name, result in results.items():
        if result.arrays.get("faces"):
            planes = result.arrays["face_planes"]
            values = result.values
            keys = {plane: f"wulff_fraction_{plane}" for plane in planes}
            shapes[name] = {
                "faces": result.arrays["faces"],
                "planes": planes,
                "fractions": {
                    plane: values[key].value if key in values else None
                    for plane, key in keys.items()
                },
            }
    return {"shapes": shapes} if shapes else None


def vacancy(results: Results, known: Numbers) -> dict[str, Any] | None:
    """Return vacancy energies of every size and site."""
    curves = []
    for name, result in results.items():
        arrays = result.arrays
        single = len(arrays["sites"]) == 1
        rows = zip(
            arrays["sites"],
            arrays["n_atoms"],
            arrays["energies"],
            arrays["unrelaxed_energies"],
            strict=True,
        )
        for site, sizes, relaxed, unrelaxed in rows:
            for ions, energies in (("relaxed", relaxed), ("unrelaxed", unrelaxed)):
                curves.append(
                    {
                        "engine": name,
                        "site": "" if single else site,
                        "ions": ions,
                        "n_atoms": sizes,
                        "energies": energies,
                    }
                )
    data: dict[str, Any] = {"curves": curves}
    if "vacancy_formation_energy" in known:
        data["reference"], level = known["vacancy_formation_energy"]
        data["reference_label"] = f"{level.partition(',')[0]}, relaxed"
    return data


def dimers(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return the curves of all pairs."""
    curves = {
        name: {
            pair: {"distances": r, "energies": e}
            for pair, r, e in zip(
                result.arrays["pairs"],
                result.arrays["distances"],
                result.arrays["energies"],
                strict=True,
            )
            if len(r) >= _MIN_POINTS
        }
        for name, result in results.items()
    }
    return {"curves": curves} if any(curves.values()) else None


def locality(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return changes of forces against distance."""
    return {
        "curves": {
            name: {key: result.arrays[key] for key in ("distances", "changes")}
            for name, result in results.items()
        }
    }


def nve(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return the energies of every run and time step."""
    curves = []
    for name, result in results.items():
        arrays = result.arrays
        rows = zip(
            arrays["timesteps_fs"], arrays["times"], arrays["energies"], strict=True
        )
        curves += [
            {"engine": name, "label": f"{step:g} fs", "times": t, "energies": e}
            for step, t, e in rows
        ]
    return {"curves": curves} if curves else None


def grueneisen(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return mode parameters on a mesh against frequency, without those of no mode."""
    curves = {}
    for name, result in results.items():
        pairs = [
            (f, g)
            for row in zip(
                result.arrays["mesh_frequencies"],
                result.arrays["mesh_grueneisen"],
                strict=True,
            )
            for f, g in zip(*row, strict=True)
            if f is not None and g is not None
        ]
        thin = pairs[:: 1 + len(pairs) // _MAX_POINTS]
        curves[name] = {
            "frequencies": [f for f, _ in thin],
            "values": [g for _, g in thin],
        }
    return {"curves": curves}


def grueneisen_bands(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return mode parameters along the path of the bands."""
    first = next(iter(results.values())).arrays
    data = {key: first[key] for key in ("distances", "ticks", "labels", "breaks")}
    bands = {
        name: [[_nan(g) for g in row] for row in result.arrays["grueneisen"]]
        for name, result in results.items()
    }
    return {**data, "bands": bands, "y_label": "Grueneisen parameter γ"}


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


_QHA: Final = (
    ("volume", "volume (Å³ per atom)"),
    ("thermal_expansion", "thermal expansion (1/K)"),
    ("bulk_modulus", "bulk modulus (GPa)"),
    ("heat_capacity_p", "Cp (J/mol/K)"),
    ("grueneisen", "Grueneisen parameter"),
)


def qha(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return what the quasi-harmonic approximation gives by temperature."""
    panels = []
    for key, label in _QHA:
        curves = {
            name: {
                "temperatures": result.arrays["temperatures"],
                "values": [_nan(v) for v in result.arrays[key]],
            }
            for name, result in results.items()
            if key in result.arrays
        }
        if curves:
            panels.append({"label": label, "curves": curves})
    return {"panels": panels} if panels else None


def systems(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return the errors of a set of molecules, system by system."""
    first = next(iter(results.values()))
    names = first.arrays["systems"]
    series = {}
    for engine, result in results.items():
        arrays = result.arrays
        found = dict(
            zip(
                arrays["systems"],
                zip(arrays["values"], arrays["references"], strict=True),
                strict=True,
            )
        )
        series[engine] = [
            found[name][0] - found[name][1] if name in found else None for name in names
        ]
    unit = next(iter(first.values.values())).unit if first.values else ""
    data = {"systems": names, "series": series, "unit": unit}
    return {**data, "errors": first.arrays["reference_errors"]} if names else None


def plain(results: Results, _known: Numbers) -> dict[str, Any] | None:
    """Return the arrays of a property that nothing is known about.

    The first list of ascending numbers is the abscissa of all others of its length.
    """
    first = next(iter(results.values())).arrays
    lists = {name: value for name, value in first.items() if _is_numbers(value)}
    x = next((name for name, value in lists.items() if _ascends(value)), None)
    if x is None:
        return None
    panels = []
    for name, values in lists.items():
        if name == x or len(values) != len(lists[x]):
            continue
        curves = {
            engine: result.arrays[name]
            for engine, result in results.items()
            if _is_numbers(result.arrays.get(name))
            and len(result.arrays[name]) == len(lists[x])
        }
        panels.append({"name": name.replace("_", " "), "curves": curves})
    if not panels:
        return None
    abscissa = {"name": x.replace("_", " "), "values": lists[x]}
    return {"x": abscissa, "panels": panels[:_MAX_PANELS]}


def _is_numbers(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= _MIN_POINTS
        and any(item is not None for item in value)
        and all(
            item is None or (isinstance(item, int | float) and item is not True)
            for item in value
        )
    )


def _ascends(values: list[Any]) -> bool:
    return all(
        a is not None and b is not None and a < b for a, b in itertools.pairwise(values)
    )
