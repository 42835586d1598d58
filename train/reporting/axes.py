"""Scales and ticks of the charts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """A straight or logarithmic map from values to places on the page.

    Attributes:
        low: smallest value shown.
        high: largest value shown; above `low`.
        start: where `low` is drawn.
        end: where `high` is drawn.
        log: logarithmic; both bounds are positive then.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value; what lies outside is drawn at the border."""
        low, high = self._inner(self.low), self._inner(self.high)
        inner = self._inner(min(max(value, self.low), self.high))
        return self.start + (inner - low) / (high - low) * (self.end - self.start)

    def _inner(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self, wanted: int = 5) -> list[float]:
        """Return round values inside the bounds, about `wanted`."""
        return _decades(self, wanted) if self.log else _steps(self, wanted)


def scale_of(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    log: bool = False,
    margin: float = 0.04,
) -> Scale:
    """Return a scale on which all values have their place.

    Args:
        values: numbers; on a logarithmic scale those that are not positive are left
            out.
        start: place of the smallest.
        end: place of the largest.
        log: logarithmic.
        margin: room at both ends, as a fraction of the length.
    """
    known = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    if not known:
        return Scale(0.1, 10.0, start, end, log) if log else Scale(0, 1, start, end)
    low, high = min(known), max(known)
    if log:
        room = max(high / low, 2.0) ** margin
        low, high = low / room, high * room
        if high / low < 2.0:
            low, high = low / math.sqrt(2), high * math.sqrt(2)
    else:
        room = margin * ((high - low) or abs(high) or 1.0)
        low, high = low - room, high + room
    return Scale(low, high, start, end, log)


def _steps(scale: Scale, wanted: int) -> list[float]:
    found = _multiples(scale, wanted)
    return found if len(found) > 2 else _multiples(scale, 2 * wanted)


def _multiples(scale: Scale, wanted: int) -> list[float]:
    raw = (scale.high - scale.low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _decades(scale: Scale, wanted: int) -> list[float]:
    if scale.high < 5.0 * scale.low:  # too narrow for 1, 2, 5
        return _steps(scale, wanted)
    first, last = (math.floor(math.log10(b)) for b in (scale.low, scale.high))
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [
            d * 10.0**p
            for p in range(first, last + 1)
            for d in digits
            if scale.low <= d * 10.0**p <= scale.high
        ]
        if len(found) <= wanted + 2:
            return found
    return found[:: max(1, round(len(found) / wanted))]


def tick_text(value: float) -> str:
    """Return a tick as short text.

    >>> [tick_text(v) for v in (0.0, 0.05, 20000.0, -1.5, 3e-6)]
    ['0', '0.05', '20k', '−1.5', '3e−6']
    """
    size = abs(value)
    if size < 1e-12:
        return "0"
    if size >= 1e4 and size < 1e6:
        text = f"{value / 1e3:g}k"
    elif size < 1e-3 or size >= 1e6:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    else:
        text = f"{round(value, 10):g}"
    return text.replace("-", "−")
