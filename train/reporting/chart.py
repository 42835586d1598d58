"""Charts as SVG elements whose colours follow the page: light, dark, or printed.

Everything is drawn with the classes ``s0`` to ``s7`` of the page's style sheet, colours
that every common colour vision tells apart; lines differ in their dashes and points in
their shape as well.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from lamplighter.train.reporting.axes import Scale, scale_of, tick_text

WIDTH, HEIGHT = 420.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 12.0, 12.0, 40.0
N_STYLES = 8
OTHERS = 8
"""The grey of what has no colour of its own; for dots only."""

MOST_POINTS = 400
"""Points of a line; more of them would not be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A line of a chart.

    Attributes:
        name: what the legend says.
        x: places along the line.
        y: values; None and NaN leave a gap.
        style: number of colour, dash and shape.
        limit: a value drawn as a faint line across in the same colour.
        markers: mark the points.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    style: int = 0
    limit: float | None = None
    markers: bool = True


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    y_label: str,
    x_label: str = "optimiser step",
    log: bool = True,
    mark: float | None = None,
) -> str:
    """Return lines over steps as an SVG element.

    Args:
        series: the lines, with at least one number among them.
        title: for those who do not see the chart.
        y_label: quantity and unit.
        x_label: what the steps are.
        log: logarithmic values.
        mark: a step that is marked by a vertical line.
    """
    values = [v for s in series for v in (*s.y, s.limit) if v is not None]
    places = [x for s in series for x in s.x]
    y = scale_of(values, HEIGHT - BOTTOM, TOP, log=log)
    x = scale_of(places, LEFT, WIDTH - RIGHT, margin=0.02)
    parts = [_frame(x, y, x_label, y_label)]
    if mark is not None and x.low <= mark <= x.high:
        parts.append(_vertical(x(mark), f"step {mark:g}: the weights that are kept"))
    parts += [_limit(one, x, y) for one in series if one.limit is not None]
    parts += [_line(one, x, y) for one in series]
    return _svg(parts, WIDTH, HEIGHT, title)


def scatter_chart(
    groups: Sequence[tuple[str, Sequence[float], Sequence[float], int]],
    *,
    title: str,
    unit: str,
    quantity: str,
) -> str:
    """Return predicted against labelled values, over a strip with their difference.

    Args:
        groups: name, labels, predictions, number of the colour.
        title: for those who do not see the chart.
        unit: of both axes.
        quantity: what the axes show.
    """
    size, strip = 300.0, 92.0
    x0, x1 = LEFT + 4, LEFT + 4 + size - 70
    both = [v for _, a, b, _ in groups for v in (*a, *b)]
    errors = [p - r for _, a, b, _ in groups for r, p in zip(a, b, strict=True)]
    x = scale_of(both, x0, x1)
    y = scale_of(both, TOP + (x1 - x0), TOP)
    top = TOP + (x1 - x0) + 14
    reach = max((abs(e) for e in errors), default=1.0) or 1e-9
    e = Scale(-1.05 * reach, 1.05 * reach, top + strip - 30, top)
    height = top + strip + 8
    parts = [
        _axis_y(y, x0, x1, f"predicted / {unit}", 5),
        _axis_y(e, x0, x1, "error", 3),
        _axis_x(x, e.start, TOP, f"{quantity} / {unit}", grid_to=e.end),
        f'<path class="axis" d="M{x0:.0f} {y.start:.1f}L{x1:.0f} {y.end:.1f}"/>',
    ]
    few = " few" if len(both) < 800 else ""
    for name, labels, predictions, style in groups:
        dots = "".join(
            _dot(x(r), y(p)) + _dot(x(r), e(p - r))
            for r, p in zip(labels, predictions, strict=True)
        )
        key = escape(name, quote=True)
        parts.append(f'<path class="dots s{style}{few}" data-kind="{key}" d="{dots}"/>')
    return _svg(parts, x1 + 14, height, title)


def legend(entries: Iterable[tuple[str, int]], *, dots: bool = False) -> str:
    """Return names beside their line or dot as an HTML list."""
    items = []
    for name, style in entries:
        k = style if dots else style % N_STYLES
        shape = _shape(k, 14, 6) if not dots else _dot(14, 6)
        kind = "dots" if dots else "mark"
        line = "" if dots else f'<path class="line s{k}" d="M1 6H27"/>'
        items.append(
            f'<li><svg viewBox="0 0 28 12" aria-hidden="true">{line}'
            f'<path class="{kind} s{k}" d="{shape}"/></svg>{escape(name)}</li>'
        )
    return f'<ul class="legend">{"".join(items)}</ul>'


def thinned(
    x: Sequence[float], y: Sequence[float | None], most: int = MOST_POINTS
) -> tuple[list[float], list[float | None]]:
    """Return at most about `most` points: of each stretch its smallest and largest."""
    if len(x) <= most:
        return list(x), list(y)
    keep: set[int] = {0, len(x) - 1}
    width = 2 * len(x) / most
    for k in range(math.ceil(len(x) / width)):
        part = [
            n
            for n in range(int(k * width), min(int((k + 1) * width), len(x)))
            if y[n] is not None
        ]
        if part:
            keep |= {min(part, key=lambda n: y[n] or 0.0)}
            keep |= {max(part, key=lambda n: y[n] or 0.0)}
    order = sorted(keep)
    return [x[n] for n in order], [y[n] for n in order]


def _svg(parts: Iterable[str], width: float, height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(title, quote=True)}">{"".join(parts)}</svg>'
    )


def _frame(x: Scale, y: Scale, x_label: str, y_label: str) -> str:
    return _axis_y(y, x.start, x.end, y_label, 5) + _axis_x(x, y.start, y.end, x_label)


def _axis_x(
    x: Scale, bottom: float, top: float, label: str, grid_to: float | None = None
) -> str:
    grid, names = [], []
    for value in x.ticks(4):
        place = x(value)
        grid.append(f"M{place:.1f} {bottom:.1f}V{grid_to or top:.1f}")
        names.append(_text(place, bottom + 14, tick_text(value), "middle"))
    middle = (x.start + x.end) / 2
    return (
        f'<path class="grid" d="{"".join(grid)}"/>{"".join(names)}'
        f'<path class="axis" d="M{x.start:.1f} {bottom:.1f}H{x.end:.1f}"/>'
        + _text(middle, bottom + 31, label, "middle", "label")
    )


def _axis_y(y: Scale, left: float, right: float, label: str, wanted: int) -> str:
    grid, names = [], []
    for value in y.ticks(wanted):
        place = y(value)
        grid.append(f"M{left:.1f} {place:.1f}H{right:.1f}")
        names.append(_text(left - 4, place + 4, tick_text(value), "end"))
    middle = (y.start + y.end) / 2
    return (
        f'<path class="grid" d="{"".join(grid)}"/>{"".join(names)}'
        f'<text class="label" text-anchor="middle" '
        f'transform="translate(12 {middle:.1f}) rotate(-90)">{escape(label)}</text>'
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return (
        f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(text)}</text>"
    )


def _vertical(place: float, text: str) -> str:
    return (
        f'<path class="best" d="M{place:.1f} {TOP}V{HEIGHT - BOTTOM}">'
        f"<title>{escape(text)}</title></path>"
    )


def _limit(one: Series, x: Scale, y: Scale) -> str:
    place = y(one.limit or 0.0)
    return (
        f'<path class="limit s{one.style % N_STYLES}" '
        f'd="M{x.start:.1f} {place:.1f}H{x.end:.1f}">'
        f"<title>{escape(one.name)}: limit {one.limit:.3g}</title></path>"
    )


def _line(one: Series, x: Scale, y: Scale) -> str:
    k = one.style % N_STYLES
    xs, ys = thinned(one.x, one.y)
    drawn: list[str] = []
    places: list[tuple[float, float]] = []
    pen = "M"
    for step, value in itertools.zip_longest(xs, ys):
        if value is None or not math.isfinite(value) or (y.log and value <= 0):
            pen = "M"
            continue
        places.append((x(step), y(value)))
        drawn.append(f"{pen}{places[-1][0]:.1f} {places[-1][1]:.1f}")
        pen = "L"
    line = f'<path class="line s{k}" d="{"".join(drawn)}"/>'
    if one.markers:
        every = max(1, len(places) // 24)
        shapes = "".join(_shape(k, *place) for place in places[::every])
        line += f'<path class="mark s{k}" d="{shapes}"/>'
    return f"<g><title>{escape(one.name)}</title>{line}</g>"


def _dot(x: float, y: float) -> str:
    return f"M{x:.1f} {y:.1f}h0"


def _shape(k: int, x: float, y: float) -> str:
    """Return a closed outline around a point; every style has its own."""
    r = 3.2
    corners = {
        1: ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        2: ((0, -1.3), (1.2, 0.9), (-1.2, 0.9)),
        3: ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
        4: ((0, 1.3), (1.2, -0.9), (-1.2, -0.9)),
        5: ((-1.3, 0), (0.9, -1.2), (0.9, 1.2)),
        6: ((1.3, 0), (-0.9, -1.2), (-0.9, 1.2)),
        7: ((-1.3, -0.5), (1.3, -0.5), (1.3, 0.5), (-1.3, 0.5)),
    }.get(k)
    if corners is None:
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"
    first, *rest = (f"{x + r * a:.1f} {y + r * b:.1f}" for a, b in corners)
    return f"M{first}{''.join(f'L{p}' for p in rest)}Z"
