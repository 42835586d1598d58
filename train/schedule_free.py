"""AdamW without a schedule: the average of the iterates takes its place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class ScheduleFreeAdamW(torch.optim.Optimizer):
    """Schedule-free AdamW.

    Three sequences: ``z`` takes the steps, ``x`` is its running average and what is to
    be used, and the gradient is taken at ``y = (1 - beta1) z + beta1 x``, which is what
    the parameters hold during training::

        z <- z - lr (g / (sqrt(v) + eps) + decay y)
        x <- x + c (z - x),  c = w / sum(w),  w = (largest lr so far)^2

    Source: Defazio et al., "The Road Less Scheduled", arXiv 2405.15682, algorithm 1.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """Take parameters or groups of them; every group may have its own settings."""
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step with the gradients of the parameters; `closure` is not used."""
        del closure
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._move(parameter, parameter.grad, group)

    def averaged(self, parameter: Tensor) -> Tensor:
        """Return ``x`` of a parameter: the weights to use."""
        found: Tensor = self.state[parameter].get("x", parameter.detach())
        return found

    def _move(self, y: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[y]
        if not state:
            # Under "step", because torch leaves that alone when it loads a state:
            # number of the step, sum of the weights, largest learning rate.
            state["step"] = torch.zeros(3, dtype=torch.float64)
            state["z"] = y.detach().clone()
            state["x"] = y.detach().clone()
            state["v"] = torch.zeros_like(y)
        beta1, beta2 = group["betas"]
        number, total, largest = state["step"].tolist()
        number, largest = number + 1, max(largest, group["lr"])
        total += largest**2
        state["step"] = torch.tensor([number, total, largest], dtype=torch.float64)
        v, z, x = state["v"], state["z"], state["x"]
        v.mul_(beta2).addcmul_(gradient, gradient, value=1.0 - beta2)
        scale = v.sqrt().div_(math.sqrt(1.0 - beta2**number)).add_(group["eps"])
        move = gradient / scale
        if group["weight_decay"] > 0:
            move.add_(y, alpha=group["weight_decay"])
        z.sub_(move, alpha=group["lr"])
        x.lerp_(z, largest**2 / total)
        y.copy_(torch.lerp(z, x, beta1))
