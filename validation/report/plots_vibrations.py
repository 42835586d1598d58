"""Figures of phonons beyond bands: densities of states, temperature, volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lamplighter.validation.report.style import (
    CYCLE,
    INK,
    MUTED,
    figure,
    marker_of,
    series,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_THERMAL: Final = (
    ("heat_capacity", "heat capacity\n(J/mol/K)"),
    ("entropy", "entropy\n(J/mol/K)"),
    ("free_energy", "free energy\n(kJ/mol)"),
)


def density_of_states(data: Mapping[str, Any]) -> Figure:
    """Return densities of states, and those of the elements of the first engine.

    Args:
        data: ``curves``: engine or ``"reference"`` -> ``{"frequencies": [...] THz,
            "density": [...] states per THz and primitive cell}``; ``elements``:
            symbol -> density on the frequencies of the first engine (optional).
    """
    with figure(5.0, 3.2) as view:
        axes = view.subplots()
        styles = series(data["curves"], data)
        first = next(name for name in data["curves"] if name != "reference")
        grid = data["curves"][first]["frequencies"]
        for index, (symbol, density) in enumerate(data.get("elements", {}).items()):
            color = CYCLE[2 + index % 4]
            axes.fill_between(grid, density, color=color, alpha=0.18, linewidth=0)
            axes.plot(grid, density, color=color, linewidth=0.9, label=symbol)
        for name in sorted(data["curves"], key=lambda name: name != "reference"):
            curve = data["curves"][name]
            axes.plot(curve["frequencies"], curve["density"], **styles[name])
        axes.set_ylim(bottom=0)
        lowest = min(min(c["frequencies"]) for c in data["curves"].values())
        axes.set_xlim(left=max(lowest, -2.0))
        axes.set_xlabel("frequency (THz)")
        axes.set_ylabel("states per THz and cell")
        _above(axes, 5)
        return view


def thermal(data: Mapping[str, Any]) -> Figure:
    """Return heat capacity, entropy and free energy per atom against temperature.

    Args:
        data: ``curves``: engine -> ``{"temperatures": K, "heat_capacity": [...],
            "entropy": [...], "free_energy": [...]}``; ``points``: list of ``{"name",
            "temperature", "value", "label"}``: references to mark (optional).
    """
    names = [k for k, _ in _THERMAL if all(k in c for c in data["curves"].values())]
    with figure(5.0, 1.35 * len(names) + 0.5) as view:
        panels = view.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        styles = series(data["curves"], data)
        texts = dict(_THERMAL)
        for axes, name in zip(panels, names, strict=True):
            for engine, curve in data["curves"].items():
                axes.plot(curve["temperatures"], curve[name], **styles[engine])
            for point in data.get("points", ()):
                if point["name"] == name:
                    axes.plot(
                        point["temperature"], point["value"], marker="D", color=MUTED,
                        markersize=5, linestyle="none", label=point["label"],
                    )  # fmt: skip
            axes.set_ylabel(texts[name])
        handles: dict[str, Any] = {}
        for axes in panels:
            found = axes.get_legend_handles_labels()
            handles |= dict(zip(found[1], found[0], strict=True))
        panels[0].legend(
            handles.values(), handles.keys(), loc="lower center",
            bbox_to_anchor=(0.5, 1.0), ncols=2,
        )  # fmt: skip
        panels[-1].set_xlabel("temperature (K)")
        panels[-1].set_xlim(left=0)
        return view


def mode_grueneisen(data: Mapping[str, Any]) -> Figure:
    """Return mode Grueneisen parameters against frequency.

    Args:
        data: ``curves``: engine or ``"reference"`` -> ``{"frequencies": THz,
            "values": [...]}`` of equal length, one entry a mode.
    """
    with figure(5.0, 3.2) as view:
        axes = view.subplots()
        styles = series(data["curves"], data)
        for name, curve in data["curves"].items():
            x, y = np.ravel(curve["frequencies"]), np.ravel(curve["values"])
            size = 5 if marker_of(styles[name])["marker"] == "s" else 3
            marks = marker_of(styles[name]) | {"markersize": size, "alpha": 0.6}
            axes.plot(x, y, label=styles[name]["label"], **marks)
        axes.axhline(0, color=MUTED, linewidth=0.7)
        axes.set_xlabel("frequency (THz)")
        axes.set_ylabel("mode Grueneisen parameter γ")
        _above(axes, 3)
        return view


def against_temperature(data: Mapping[str, Any]) -> Figure:
    """Return several quantities against temperature, one panel each.

    Args:
        data: ``panels``: list of ``{"label": ..., "curves": engine or "reference" ->
            {"temperatures": K, "values": [...]}}``.
    """
    panels = data["panels"]
    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    with figure(max(2.7 * columns + 0.4, 4.4), 1.9 * rows + 0.6) as view:
        grid = view.subplots(rows, columns, squeeze=False, sharex=True)
        names = dict.fromkeys(name for panel in panels for name in panel["curves"])
        styles = series(names, data)
        for axes, panel in zip(grid.flat, panels, strict=False):
            for name, curve in panel["curves"].items():
                axes.plot(curve["temperatures"], curve["values"], **styles[name])
            axes.set_title(panel["label"], fontsize=9, color=INK, loc="left")
            axes.set_xlabel("temperature (K)")
            axes.margins(y=0.12)
            axes.tick_params(labelbottom=True)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        handles, labels = grid.flat[0].get_legend_handles_labels()
        if len(labels) > 1:
            view.legend(handles, labels, loc="outside upper center", ncols=3)
        return view


def _above(axes: Axes, columns: int) -> None:
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns)
