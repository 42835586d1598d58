"""The figures of the report, made from plain dictionaries of numbers.

Every function takes one dictionary as it stands in ``report.json`` under ``plots`` and
returns a matplotlib figure, so that a report can be drawn again without any engine.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lamplighter.validation.report.style import (
    CYCLE,
    INK,
    MUTED,
    RULE,
    end_label,
    figure,
    marker_of,
    series,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def learning_curve(data: Mapping[str, Any]) -> Figure:
    """Return force errors of every head against the training step.

    Args:
        data: ``heads``: name -> ``{"steps": [...], "force_rmse": [...]}`` in meV/Å;
            ``new_head``: name of the added head (drawn in orange), may be absent.
    """
    with figure() as view:
        axes = view.subplots()
        new_head = data.get("new_head")
        others = iter(color for color in CYCLE if color != CYCLE[1])
        ends = []
        for name, curve in data["heads"].items():
            color = CYCLE[1] if name == new_head else next(others, MUTED)
            width = 2.2 if name == new_head else 1.4
            axes.plot(
                curve["steps"], curve["force_rmse"], color=color, linewidth=width,
                marker="o", markersize=3,
            )  # fmt: skip
            ends.append([curve["steps"][-1], curve["force_rmse"][-1], name, color])
        axes.set_yscale("log")
        first, last = axes.get_xlim()
        axes.set_xlim(first, last + 0.16 * (last - first))
        axes.set_xlabel(data.get("x_label", "step"))
        axes.set_ylabel("force RMSE, held-out frames (meV/Å)")
        _plain_log_ticks(axes)
        for x, y, name, color in _spread(axes, ends):
            end_label(axes, x, y, name, color)
        return view


def force_parity(data: Mapping[str, Any]) -> Figure:
    """Return predicted against reference force components, one panel for each head.

    Args:
        data: ``heads``: name -> ``{"reference": [...], "predicted": [...]}`` in eV/Å,
            ``"rmse"`` in meV/Å.
    """
    heads = data["heads"]
    columns = min(len(heads), 3)
    rows = -(-len(heads) // columns)
    with figure(1.9 * columns + 0.5, 2.2 * rows + 0.1) as view:
        grid = view.subplots(rows, columns, squeeze=False)
        for axes, color, (name, forces) in zip(
            grid.flat, CYCLE * 3, heads.items(), strict=False
        ):
            reference = np.asarray(forces["reference"], dtype=float)
            predicted = np.asarray(forces["predicted"], dtype=float)
            limit = 1.05 * float(np.max(np.abs(reference), initial=0.1))
            axes.plot([-limit, limit], [-limit, limit], color=MUTED, linewidth=0.8)
            axes.plot(
                reference, predicted, ".", color=color, alpha=0.45, markersize=3,
                markeredgewidth=0, rasterized=reference.size > 1500,
            )  # fmt: skip
            axes.set_xlim(-limit, limit)
            axes.set_ylim(-limit, limit)
            axes.set_aspect("equal")
            axes.locator_params(nbins=5)
            axes.set_title(
                f"{name}: {forces['rmse']:.0f} meV/Å", fontsize=9, color=INK, loc="left"
            )
        for axes in grid.flat[len(heads) :]:
            axes.set_visible(False)
        view.supxlabel("reference force (eV/Å)", fontsize=9.5, color=INK)
        view.supylabel("predicted force (eV/Å)", fontsize=9.5, color=INK)
        return view


def dynamics(data: Mapping[str, Any]) -> Figure:
    """Return potential energy and temperature of a molecular dynamics run.

    Args:
        data: ``time_ps``, ``temperature_K``, ``potential_eV`` (lists of equal length),
            ``n_atoms``, ``target_K``.
    """
    time = np.asarray(data["time_ps"], dtype=float)
    energy = np.asarray(data["potential_eV"], dtype=float)
    with figure(5.0, 3.6) as view:
        top, bottom = view.subplots(2, 1, sharex=True)
        top.plot(time, 1000 * (energy - energy[0]) / data["n_atoms"], color=CYCLE[0])
        top.set_ylabel("energy − start\n(meV/atom)")
        bottom.plot(time, data["temperature_K"], color=CYCLE[1])
        bottom.axhline(
            data["target_K"], color=MUTED, linewidth=0.9, linestyle="--",
            label=f"thermostat, {data['target_K']:g} K",
        )  # fmt: skip
        bottom.legend(loc="lower right")
        bottom.set_ylim(bottom=0)
        bottom.set_ylabel("temperature (K)")
        bottom.set_xlabel("time (ps)")
        bottom.set_xlim(time[0], time[-1])
        return view


def phonon_bands(data: Mapping[str, Any]) -> Figure:
    """Return phonon bands of the engines over the DFT reference.

    Args:
        data: ``distances`` [n_q], ``ticks`` and ``labels`` of the high-symmetry points,
            ``bands``: engine or ``"reference"`` -> [n_q, n_branches] in THz,
            ``breaks``: indices at which the path jumps (optional).
    """
    distances = np.asarray(data["distances"], dtype=float)
    bands = {name: np.asarray(v, dtype=float) for name, v in data["bands"].items()}
    engines = [name for name in bands if name != "reference"]
    both = len(engines) > 1
    with figure(5.2, 4.0 if both else 3.4) as view:
        if both:
            axes, strip = view.subplots(
                2, 1, sharex=True, gridspec_kw={"height_ratios": [4, 1]}
            )
        else:
            axes, strip = view.subplots(), None
        styles = series(bands, data)
        for name in sorted(bands, key=lambda name: name != "reference"):
            _draw_bands(axes, distances, bands[name], styles[name], data)
        axes.axhline(0, color=MUTED, linewidth=0.7)
        axes.set_ylabel(data.get("y_label", "frequency (THz)"))
        lowest = min(float(np.nanmin(value)) for value in bands.values())
        if "y_label" not in data:
            axes.set_ylim(bottom=0 if lowest > -0.05 else None)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=3)
        if strip is not None:
            _engine_strip(strip, distances, bands[engines[0]], bands[engines[1]])
        last = strip if strip is not None else axes
        last.set_xticks(data["ticks"], data["labels"])
        for panel in (axes, strip):
            if panel is not None:
                panel.grid(visible=False, axis="x")
                for tick in data["ticks"]:
                    panel.axvline(tick, color=RULE, linewidth=0.8, zorder=0)
        axes.set_xlim(distances[0], distances[-1])
        return view


def _draw_bands(
    axes: Axes,
    distances: Any,
    bands: Any,
    style: Mapping[str, Any],
    data: Mapping[str, Any],
) -> None:
    lines = axes.plot(*_broken(distances, bands, data.get("breaks", ())), **style)
    for line in lines[1:]:
        line.set_label("_")


def _broken(x: Any, y: Any, breaks: Sequence[int]) -> tuple[Any, Any]:
    """Insert NaN rows where the path jumps, so that no line is drawn across."""
    where = list(breaks)
    return np.insert(x, where, np.nan), np.insert(y, where, np.nan, axis=0)


def _engine_strip(strip: Axes, distances: Any, first: Any, second: Any) -> None:
    if first.shape != second.shape:
        strip.text(0.5, 0.5, "other path", ha="center", transform=strip.transAxes)
        return
    difference = np.max(np.abs(second - first), axis=1)
    strip.semilogy(distances, np.maximum(difference, 1e-12), color=INK, linewidth=1)
    strip.set_ylabel("max |Δ|")
    low, high = strip.get_ylim()
    if high < 100 * low:
        strip.set_ylim(low / 10, high * 10)


def equation_of_state(data: Mapping[str, Any]) -> Figure:
    """Return energy against volume with the fitted equation of state.

    Args:
        data: ``series``: engine or ``"reference"`` -> ``{"volumes": Å^3 per formula
            unit, "energies": eV per formula unit}`` plus, for curves, ``fit_volumes``
            and ``fit_energies``.
    """
    with figure() as view:
        axes = view.subplots()
        styles = series(data["series"], data)
        for name, curve in data["series"].items():
            style = styles[name]
            style["label"] = curve.get("label", style["label"])
            energies = np.asarray(curve["energies"], dtype=float)
            fit = np.asarray(curve.get("fit_energies", ()), dtype=float)
            zero = float(np.min(fit if fit.size else energies))
            _points(axes, curve["volumes"], 1000 * (energies - zero), style)
            if fit.size:
                style.pop("label")
                axes.plot(curve["fit_volumes"], 1000 * (fit - zero), **style)
        unit = data.get("per", "atom")
        axes.set_xlabel(f"volume (Å³ per {unit})")
        axes.set_ylabel(f"energy − minimum\n(meV per {unit})")
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper center")
        return view


def _points(axes: Axes, x: Any, y: Any, style: Mapping[str, Any]) -> None:
    """Draw points: circles for the first engine, open squares around them."""
    axes.plot(x, y, label=style.get("label"), **marker_of(style))


def stress_strain(data: Mapping[str, Any]) -> Figure:
    """Return stress against strain with the linear fits whose slopes are C_ij.

    Args:
        data: ``curves``: list of ``{"component": "C11", "engine": ..., "ions":
            "relaxed" or "clamped", "strain": [...], "stress": [...] in GPa,
            "slope": GPa}``.
    """
    curves = list(data["curves"])
    kinds = [k for k in ("relaxed", "clamped") if any(c["ions"] == k for c in curves)]
    components = list(dict.fromkeys(curve["component"] for curve in curves))
    colors = dict(zip(components, CYCLE * 4, strict=False))
    engines = list(dict.fromkeys(curve["engine"] for curve in curves))
    with figure(5.2, 3.3) as view:
        panels = view.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
        for axes, kind in zip(panels, kinds, strict=True):
            for curve in curves:
                if curve["ions"] == kind:
                    first = curve["engine"] == engines[0]
                    _stress_line(axes, curve, colors[curve["component"]], first)
            axes.axhline(0, color=MUTED, linewidth=0.7)
            axes.axvline(0, color=MUTED, linewidth=0.7)
            axes.set_title(f"{kind} ions", fontsize=9.5, color=INK, loc="left")
            axes.set_xlabel("strain (%)")
            axes.legend(loc="upper left")
        panels[0].set_ylabel("stress (GPa)")
        return view


def _stress_line(axes: Axes, curve: Mapping[str, Any], color: str, first: bool) -> None:
    strain = np.asarray(curve["strain"], dtype=float)
    label = curve["component"] if first else None
    style = {"color": color, "label": label, "hollow": not first}
    _points(axes, 100 * strain, curve["stress"], style)
    if first and curve.get("slope") is not None:
        ends = np.array([strain.min(), strain.max()])
        offset = float(curve.get("intercept", 0.0))
        axes.plot(
            100 * ends, offset + curve["slope"] * ends, color=color, linewidth=1.2
        )


def surface_thickness(data: Mapping[str, Any]) -> Figure:
    """Return the surface energy that each slab gives, against its thickness.

    A flat line means that slab and bulk energies fit together; the horizontal line is
    the intercept of the fit E = 2 A gamma + N e.

    Args:
        data: ``curves``: list of ``{"engine": ..., "ions": "relaxed" or "clamped",
            "layers": [...], "gamma": J/m² of each slab, "fit": J/m²}``.
    """
    with figure(5.0, 3.0) as view:
        axes = view.subplots()
        styles = series([curve["engine"] for curve in data["curves"]], data)
        paler = {CYCLE[0]: CYCLE[5], CYCLE[1]: CYCLE[4]}
        for curve in data["curves"]:
            style = dict(styles[curve["engine"]])
            clamped = curve["ions"] == "clamped"
            style["label"] = f"{style['label']}, {'cleaved' if clamped else 'relaxed'}"
            hollow = {"hollow": style["color"] == CYCLE[1]}
            if clamped:
                style["color"] = paler.get(style["color"], MUTED)
            _points(axes, curve["layers"], curve["gamma"], style | hollow)
            if curve.get("fit") is not None:
                style.pop("label")
                axes.plot(
                    [min(curve["layers"]), max(curve["layers"])],
                    [curve["fit"], curve["fit"]],
                    **style,
                )
        if data.get("reference") is not None:
            style = series(["reference"], data)["reference"]
            axes.axhline(data["reference"], zorder=0, **style)
        axes.set_xlabel("layers in the slab")
        axes.set_ylabel("[E(N) − N e] / 2A (J/m²)")
        axes.margins(y=0.35)
        axes.set_xticks(sorted({n for c in data["curves"] for n in c["layers"]}))
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3)
        return view


def _plain_log_ticks(axes: Axes) -> None:
    from matplotlib.ticker import (  # noqa: PLC0415 - matplotlib loads only to draw
        FuncFormatter,
        LogLocator,
        NullFormatter,
    )

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _spread(axes: Axes, ends: list[list[Any]]) -> list[list[Any]]:
    """Move curve labels apart on a logarithmic axis until none overlap."""
    low, high = np.log(axes.get_ylim())
    gap = 0.065 * (high - low)
    ends = sorted(ends, key=lambda end: float(end[1]))
    for below, above in itertools.pairwise(ends):
        least = float(np.exp(np.log(below[1]) + gap))
        above[1] = max(float(above[1]), least)
    return ends
