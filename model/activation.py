"""Activation functions of unit second moment on a unit Gaussian."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

SILU_SECOND_MOMENT = 1.0 / math.sqrt(0.3557755198173522)
"""Factor that gives SiLU of a unit Gaussian the second moment 1."""

SIGMOID_SECOND_MOMENT = 1.0 / math.sqrt(0.293379035858093)
"""The same for the logistic function."""

TANH_SECOND_MOMENT = 1.0 / math.sqrt(0.39429449039746)
"""The same for the hyperbolic tangent."""


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {
    "silu": (torch.nn.functional.silu, SILU_SECOND_MOMENT),
    "tanh": (torch.tanh, TANH_SECOND_MOMENT),
    "abs": (torch.abs, 1.0),
    "none": (_identity, 1.0),
}
"""Function and factor for each value of the setting ``readout_activation``."""
