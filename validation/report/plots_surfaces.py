"""Figures of surfaces: energies of all facets, and the Wulff shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lamplighter.validation.report.style import (
    INK,
    MUTED,
    figure,
    series,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

_FACES: Final = (
    *("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"),
    *("#7f8c99", "#3f4d5a", "#b8c4cf"),
)
_LIGHT: Final = np.array([0.35, 0.45, 0.82])
_VIEW: Final = (28.0, 24.0)
"""Azimuth and elevation in degrees from which a shape is seen."""


def facet_energies(data: Mapping[str, Any]) -> Figure:
    """Return surface energies by facet, the lowest first.

    Args:
        data: ``facets``: names; ``series``: engine -> list of J/m² or None, in the
            order of `facets`; ``cleaved``: the same for unrelaxed slabs (optional);
            ``reference``: facet -> J/m² (optional).
    """
    facets = list(data["facets"])
    rows = data["series"]
    first = next(iter(rows.values()))
    known = [i for i, value in enumerate(first) if value is not None]
    order = sorted(known, key=lambda i: float(first[i]))
    with figure(5.0, 1.0 + 0.30 * max(len(order), 3)) as view:
        axes = view.subplots()
        styles = series([*rows, "reference"], data)
        places = np.arange(len(order), dtype=float)
        height = 0.72 / len(rows)
        for index, (name, values) in enumerate(rows.items()):
            y = places + (index - (len(rows) - 1) / 2) * height
            length = [_number(values[i]) for i in order]
            hatch = "" if index == 0 else "////"
            axes.barh(
                y, length, height * 0.92, color=styles[name]["color"], alpha=0.85,
                label=styles[name]["label"], hatch=hatch, edgecolor="white",
                linewidth=0,
            )  # fmt: skip
        _marks(axes, data.get("cleaved", {}), order, places)
        _references(axes, data, [facets[i] for i in order], places)
        axes.set_yticks(places, [f"({facets[i]})" for i in order])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left=0)
        axes.set_xlabel("surface energy (J/m²)")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return view


def _marks(
    axes: Axes, cleaved: Mapping[str, Any], order: Sequence[int], places: Array
) -> None:
    for values in list(cleaved.values())[:1]:
        x = [_number(values[i]) for i in order]
        axes.plot(
            x, places, linestyle="none", marker="|", color=INK, markersize=9,
            markeredgewidth=1.6, label="unrelaxed",
        )  # fmt: skip


def _references(
    axes: Axes, data: Mapping[str, Any], facets: Sequence[str], places: Array
) -> None:
    found = data.get("reference") or {}
    if not set(found) & set(facets):
        return
    axes.plot(
        [_number(found.get(name)) for name in facets], places, linestyle="none",
        marker="D", color=MUTED, markersize=5.5, markeredgecolor="white",
        label=data.get("reference_label") or "DFT reference",
    )  # fmt: skip


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def wulff_shapes(data: Mapping[str, Any]) -> Figure:
    """Return the equilibrium shape of every engine, with the share of each facet.

    Args:
        data: ``shapes``: engine -> ``{"faces": list of corner lists [n, 3] in Å,
            "planes": the plane of each face, "fractions": plane -> share of the
            surface}``.
    """
    shapes = data["shapes"]
    planes = dict.fromkeys(p for shape in shapes.values() for p in shape["planes"])
    colors = dict(zip(planes, _FACES * 5, strict=False))
    with figure(max(2.7 * len(shapes) + 0.6, 5.0), 3.5) as view:
        panels = view.subplots(1, len(shapes), squeeze=False)[0]
        styles = series(shapes, data)
        for axes, (name, shape) in zip(panels, shapes.items(), strict=True):
            _draw_shape(axes, shape, colors)
            axes.set_title(styles[name]["label"], fontsize=9.5, color=INK)
        from matplotlib.patches import Patch  # noqa: PLC0415 - only to draw

        shares = next(iter(shapes.values()))["fractions"]
        ordered = sorted(planes, key=lambda plane: -float(shares.get(plane) or 0.0))
        handles = [
            Patch(color=colors[p], label=f"({p})  {_percent(shares.get(p))}".rstrip())
            for p in ordered
        ]
        view.legend(handles=handles, loc="outside lower center", ncols=3)
        return view


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return f"{100 * share:.0f} %" if share >= 0.005 else "under 1 %"


def _draw_shape(
    axes: Axes, shape: Mapping[str, Any], colors: Mapping[str, str]
) -> None:
    """Draw the faces that are seen, lit from one side."""
    from matplotlib.colors import to_rgb  # noqa: PLC0415 - only to draw

    turn = _view_matrix()
    faces = [np.asarray(face, dtype=float) for face in shape["faces"]]
    middle = np.mean(np.concatenate(faces), axis=0)
    for face, plane in zip(faces, shape["planes"], strict=True):
        corners = (face - middle) @ turn.T
        outward = _normal(corners)
        if outward[2] <= 1e-6:  # away from the eye: a convex body hides it
            continue
        light = 0.55 + 0.45 * max(float(outward @ _LIGHT), 0.0)
        base = np.array(to_rgb(colors[plane]))
        axes.fill(
            corners[:, 0], corners[:, 1], facecolor=tuple(1 - (1 - base) * light),
            edgecolor="white", linewidth=1.0, joinstyle="round",
        )  # fmt: skip
    axes.set_aspect("equal")
    axes.axis("off")


def _normal(corners: Array) -> Array:
    """Return the outward unit normal of a face of a body around the origin."""
    spread = corners - corners.mean(axis=0)
    normal = np.asarray(np.linalg.svd(spread)[2][2])
    return normal if normal @ corners.mean(axis=0) > 0 else -normal


def _view_matrix() -> Array:
    """Return the rotation whose rows are right, up and towards the eye."""
    azimuth, elevation = np.radians(_VIEW)
    eye = np.array(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ]
    )
    right = np.cross([0.0, 0.0, 1.0], eye)
    right /= np.linalg.norm(right)
    return np.array([right, np.cross(eye, right), eye])
