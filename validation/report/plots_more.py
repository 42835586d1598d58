"""Figures of molecules, defects, dynamics, and of properties that nobody foresaw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lamplighter.validation.report.style import (
    CYCLE,
    INK,
    MUTED,
    RULE,
    figure,
    marker_of,
    series,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MAX_PAIRS: Final = 12
_HIGHEST_EV: Final = 12.0


def dimer_curves(data: Mapping[str, Any]) -> Figure:
    """Return the energy of two atoms against their distance, one panel a pair.

    Args:
        data: ``curves``: engine -> pair -> ``{"distances": Å, "energies": eV}``.
    """
    curves = data["curves"]
    pairs = list(dict.fromkeys(pair for one in curves.values() for pair in one))
    shown = pairs[:_MAX_PAIRS]
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    height = 1.7 if columns > 1 else 2.6
    with figure(max(1.8 * columns + 0.5, 4.4), height * rows + 0.6) as view:
        grid = view.subplots(rows, columns, squeeze=False, sharex=True)
        styles = series(curves, data)
        for axes, pair in zip(grid.flat, shown, strict=False):
            for name, one in curves.items():
                if pair in one:
                    curve = one[pair]
                    axes.plot(curve["distances"], curve["energies"], **styles[name])
            _limit(
                axes, [one[pair]["energies"] for one in curves.values() if pair in one]
            )
            axes.axhline(0, color=MUTED, linewidth=0.6)
            axes.set_title(pair, fontsize=9, color=INK, loc="left")
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        _common_legend(view, grid.flat[0])
        view.supxlabel("distance (Å)", fontsize=9.5, color=INK)
        view.supylabel("energy − free atoms (eV)", fontsize=9.5, color=INK)
        return view


def _limit(axes: Axes, energies: Sequence[Any]) -> None:
    """Show the well: a wall of hundreds of eV would flatten it."""
    low = min(float(np.min(e)) for e in energies)
    high = max(float(np.max(e)) for e in energies)
    top = min(high, max(1.5 * abs(low), 1.0), _HIGHEST_EV)
    axes.set_ylim(low - 0.12 * (top - low), top)


def vacancy_sizes(data: Mapping[str, Any]) -> Figure:
    """Return formation energies against 1/N, with the lines to infinite size.

    Args:
        data: ``curves``: list of ``{"engine", "site", "ions", "n_atoms": [...],
            "energies": [...] eV}``; ``reference``: eV (optional).
    """
    with figure(5.0, 3.2) as view:
        axes = view.subplots()
        curves = data["curves"]
        styles = series([curve["engine"] for curve in curves], data)
        paler = {CYCLE[0]: CYCLE[5], CYCLE[1]: CYCLE[4]}
        for curve in curves:
            style = dict(styles[curve["engine"]])
            style["label"] = ", ".join(
                x for x in (style["label"], curve["site"], curve["ions"]) if x
            )
            hollow = style["color"] == CYCLE[1]
            if curve["ions"] == "unrelaxed":
                style["color"] = paler.get(style["color"], MUTED)
            x = 1.0 / np.asarray(curve["n_atoms"], dtype=float)
            y = np.asarray(curve["energies"], dtype=float)
            marks = marker_of(style | {"hollow": hollow})
            axes.plot(x, y, label=style["label"], **marks)
            slope, end = np.polyfit(x, y, 1)
            line = {k: style[k] for k in ("color", "linestyle")} | {"linewidth": 1.1}
            axes.plot([0, x.max()], [end, end + slope * x.max()], **line)
        if data.get("reference") is not None:
            style = series(["reference"], data)["reference"]
            axes.axhline(data["reference"], zorder=0, **style)
        axes.set_xlim(left=0)
        axes.margins(y=0.2)
        axes.set_xlabel("1 / number of atoms (0: infinite size)")
        axes.set_ylabel("vacancy energy (eV)")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return view


def locality(data: Mapping[str, Any]) -> Figure:
    """Return how much a force changes when an atom at a distance is moved.

    Args:
        data: ``curves``: engine -> ``{"distances": Å, "changes": eV/Å}``.
    """
    with figure(5.0, 3.0) as view:
        axes = view.subplots()
        styles = series(data["curves"], data)
        for name, curve in data["curves"].items():
            x = np.ravel(np.asarray(curve["distances"], dtype=float))
            y = np.maximum(np.ravel(np.asarray(curve["changes"], dtype=float)), 1e-16)
            axes.plot(x, y, label=styles[name]["label"], **marker_of(styles[name]))
        axes.set_yscale("log")
        axes.set_xlabel("distance (Å)")
        axes.set_ylabel("change of the force (eV/Å)")
        axes.legend(loc="upper right")
        return view


def energy_drift(data: Mapping[str, Any]) -> Figure:
    """Return the total energy of NVE runs against time.

    Args:
        data: ``curves``: list of ``{"engine", "label", "times": ps, "energies":
            meV/atom from the start}``; ``temperature``: the same keys, ``values`` in K
            (optional).
    """
    with figure(5.0, 3.2) as view:
        axes = view.subplots()
        curves = data["curves"]
        styles = series([curve["engine"] for curve in curves], data)
        seen: dict[str, int] = {}
        for curve in curves:
            style = dict(styles[curve["engine"]])
            index = seen.setdefault(curve["engine"], 0)
            seen[curve["engine"]] += 1
            parts = (style["label"], curve.get("label", ""))
            style["label"] = ", ".join(part for part in parts if part)
            style |= {"linewidth": 1.2, "alpha": (1.0, 0.55)[min(index, 1)]}
            axes.plot(curve["times"], curve["energies"], **style)
        axes.set_xlabel("time (ps)")
        axes.set_ylabel("total energy − start\n(meV/atom)")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return view


def system_errors(data: Mapping[str, Any]) -> Figure:
    """Return model minus reference of every system of a set.

    Args:
        data: ``systems``: names; ``series``: engine -> list of differences or None;
            ``errors``: of the references, or None; ``unit``.
    """
    systems = data["systems"]
    places = np.arange(len(systems), dtype=float)
    with figure(5.0, 0.9 + 0.21 * len(systems)) as view:
        axes = view.subplots()
        styles = series(data["series"], data)
        errors = [0.0 if e is None else float(e) for e in data.get("errors") or ()]
        if any(errors):
            axes.barh(places, errors, 0.8, color=RULE, zorder=0)
            axes.barh(places, [-e for e in errors], 0.8, color=RULE, zorder=0)
        for name, values in data["series"].items():
            numbers = [float("nan") if v is None else float(v) for v in values]
            marks = marker_of(styles[name])
            axes.plot(numbers, places, label=styles[name]["label"], **marks)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks(places, [str(name).replace("_", " ") for name in systems])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlabel(f"model − reference ({data['unit']})")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        return view


def plain_arrays(data: Mapping[str, Any]) -> Figure:
    """Return arrays of an unknown property: one panel each, against the same abscissa.

    Args:
        data: ``x``: ``{"name", "values"}``; ``panels``: list of ``{"name", "curves":
            engine -> [...]}`` of the length of `x`.
    """
    panels = data["panels"]
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    with figure(max(2.6 * columns + 0.4, 4.4), 1.8 * rows + 0.8) as view:
        grid = view.subplots(rows, columns, squeeze=False, sharex=True)
        names = dict.fromkeys(name for panel in panels for name in panel["curves"])
        styles = series(names, data)
        for axes, panel in zip(grid.flat, panels, strict=False):
            for name, values in panel["curves"].items():
                numbers = [float("nan") if v is None else v for v in values]
                axes.plot(data["x"]["values"], numbers, **styles[name])
            axes.set_title(panel["name"], fontsize=9, color=INK, loc="left")
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        _common_legend(view, grid.flat[0])
        view.supxlabel(data["x"]["name"], fontsize=9.5, color=INK)
        return view


def _common_legend(view: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if len(labels) > 1:
        view.legend(handles, labels, loc="outside upper center", ncols=3)
