"""Error measures, shared by training and validation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def rmse(difference: npt.ArrayLike) -> float:
    """Return the root mean square of `difference`, NaN when it is empty."""
    values = np.asarray(difference, dtype=float)
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


def mae(difference: npt.ArrayLike) -> float:
    """Return the mean absolute value of `difference`, NaN when it is empty."""
    values = np.asarray(difference, dtype=float)
    return float(np.mean(np.abs(values))) if values.size else float("nan")


def max_error(difference: npt.ArrayLike) -> float:
    """Return the largest absolute value in `difference`, 0 when it is empty."""
    values = np.asarray(difference, dtype=float)
    return float(np.max(np.abs(values))) if values.size else 0.0
