"""Colours, line styles and the way from a matplotlib figure to inline SVG."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#1b2733"
MUTED: Final = "#66727f"
RULE: Final = "#d5dbe1"
REFERENCE: Final = "#9aa5b1"

# Okabe and Ito's palette: distinguishable with every common colour vision.
CYCLE: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")

ENGINE_STYLES: Final[dict[str, dict[str, Any]]] = {
    "ase": {"color": CYCLE[0], "label": "ASE", "linestyle": "-", "linewidth": 1.6},
    "lammps": {
        "color": CYCLE[1],
        "label": "LAMMPS",
        "linestyle": (0, (3, 2)),
        "linewidth": 1.6,
    },
    "reference": {
        "color": REFERENCE,
        "label": "DFT reference",
        "linestyle": "-",
        "linewidth": 3.0,
    },
}
"""LAMMPS is dashed over a solid ASE line: both stay visible where they coincide."""

ENGINE_MARKERS: Final = {"ase": "o", "lammps": "x", "reference": "s"}

_RC: Final[dict[Any, Any]] = {
    "font.family": "sans-serif",
    "font.size": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "lamplighter",
    "figure.constrained_layout.use": True,
}


_THIRD: Final[dict[str, Any]] = {
    "color": CYCLE[2],
    "label": "",
    "linestyle": ":",
    "linewidth": 1.8,
}


def series(names: Iterable[str], data: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the line style of each engine or run of a figure, by name.

    The first is solid blue, the second dashed orange, the reference grey, whatever they
    are called; ``labels`` of the data names them in the legend.
    """
    styles: dict[str, dict[str, Any]] = {}
    plain = [ENGINE_STYLES["ase"], ENGINE_STYLES["lammps"], _THIRD]
    labels = data.get("labels_of_series", {})
    others = [name for name in dict.fromkeys(names) if name != "reference"]
    if set(others) == {"lammps"}:
        plain = [plain[1], plain[0], _THIRD]
    for index, name in enumerate(others):
        known = ENGINE_STYLES.get(name, {}).get("label", name)
        label = labels.get(name, known)
        styles[name] = {**plain[min(index, 2)], "label": label}
    if "reference" in names:
        label = data.get("reference_label") or "DFT reference"
        styles["reference"] = {**ENGINE_STYLES["reference"], "label": label}
    return styles


def marker_of(style: Mapping[str, Any]) -> dict[str, Any]:
    """Return the marker that goes with a line style; the second engine's is hollow.

    A hollow square fits around the circle of the first engine where both coincide.
    """
    colors = [ENGINE_STYLES["ase"]["color"], ENGINE_STYLES["lammps"]["color"]]
    hollow = style.get("hollow", style["color"] == colors[1])
    return {
        "linestyle": "none",
        "marker": "s" if hollow else "o",
        "color": style["color"],
        "markersize": 8 if hollow else 4,
        "markerfacecolor": "none" if hollow else style["color"],
        "markeredgewidth": 1.1,
    }


def engine_style(name: str) -> dict[str, Any]:
    """Return the line style of an engine (``ase``, ``lammps``) or of the reference."""
    plain: dict[str, Any] = {"color": CYCLE[2], "label": name, "linestyle": ":"}
    return dict(ENGINE_STYLES.get(name, plain))


@contextlib.contextmanager
def figure(width: float = 5.0, height: float = 3.2) -> Iterator[Figure]:
    """Yield an empty figure in the style of the report; sizes in inches.

    The figure belongs to no window system, needs no display, and leaves the settings of
    matplotlib as they were.
    """
    import matplotlib as mpl  # noqa: PLC0415 - half a second that --help need not pay
    from matplotlib.figure import Figure as NewFigure  # noqa: PLC0415

    with mpl.rc_context(_RC):
        yield NewFigure(figsize=(width, height))


def to_svg(view: Figure, key: str, description: str) -> str:
    """Return `view` as an SVG element that can stand inside a page.

    Args:
        view: the figure.
        key: prefix of every id in the element, so that two figures do not collide.
        description: what a person who does not see the figure hears.
    """
    import matplotlib as mpl  # noqa: PLC0415

    stream = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with mpl.rc_context(_RC):
        view.savefig(stream, format="svg", metadata=metadata)
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{key}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{key}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{key}-\1"', text)
    label = (
        description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    )
    text = re.sub(r'<svg([^>]*?) width="[^"]*"', r"<svg\1", text, count=1)
    text = re.sub(r'<svg([^>]*?) height="[^"]*"', r"<svg\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def end_label(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    """Write the name of a curve beside its last point."""
    axes.annotate(
        text,
        (x, y),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        color=color,
        fontsize=8.5,
        annotation_clip=False,
    )
