"""What both sides of the training-step benchmark share: task, loss, clock, memory.

Imports torch and numpy alone, so that it runs in either environment. A side is a
process that answers one command per line on standard input with one line of JSON:
``warm N``, ``time N``, ``memory N`` (N training steps each) and ``quit``.
"""

from __future__ import annotations

import ctypes
import gc
import json
import re
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

LEARNING_RATE = 1e-4
WEIGHTS = {"energy": 1.0, "forces": 10.0, "stress": 10.0}


class Labels(NamedTuple):
    """What the model is trained on, and what it predicts: float tensors.

    energy ``[frames]`` per atom, eV; forces ``[atoms, 3]``, eV/Å; stress
    ``[frames, 3, 3]``, eV/Å^3.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor


def read_task(folder: Path) -> dict[str, Any]:
    """Return the settings that the driver wrote."""
    content: dict[str, Any] = json.loads((folder / "task.json").read_text())
    return content


def read_labels(folder: Path, dtype: torch.dtype) -> Labels:
    """Return the labels that the driver wrote."""
    with np.load(folder / "labels.npz") as arrays:
        return Labels(
            *(torch.tensor(arrays[name], dtype=dtype) for name in Labels._fields)
        )


def loss_of(predicted: Labels, labels: Labels) -> Tensor:
    """Return the weighted sum of mean square errors."""
    terms = [
        WEIGHTS[name] * ((a - b) ** 2).mean()
        for name, a, b in zip(Labels._fields, predicted, labels, strict=True)
    ]
    return terms[0] + terms[1] + terms[2]


class Side:
    """One side: a model, a batch and an optimiser."""

    def __init__(
        self,
        parameters: list[Tensor],
        predict: Callable[[], Labels],
        labels: Labels,
    ) -> None:
        """Take the weights, and a function that predicts the batch with them."""
        self.parameters, self.predict, self.labels = parameters, predict, labels
        self.optimizer = torch.optim.Adam(parameters, lr=LEARNING_RATE, amsgrad=True)

    def step(self) -> float:
        """Make one training step and return its loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = loss_of(self.predict(), self.labels)
        loss.backward()
        self.optimizer.step()
        return float(loss.detach())

    def check(self, path: Path, embedding: Tensor) -> None:
        """Write what both sides must agree on, before any step.

        The gradient of the loss by the embedding of the elements depends on every
        part of the second differentiation.
        """
        predicted = self.predict()
        loss = loss_of(predicted, self.labels)
        (gradient,) = torch.autograd.grad(loss, embedding)
        arrays = {k: v.detach().numpy() for k, v in predicted._asdict().items()}
        np.savez(path, loss=loss.detach().numpy(), gradient=gradient.numpy(), **arrays)

    def serve(self, about: dict[str, Any]) -> None:
        """Say that the side is ready, then obey until ``quit``."""
        about["parameters"] = sum(p.numel() for p in self.parameters)
        about["torch"] = torch.__version__
        answer(about)
        commands = {"warm": self._time, "time": self._time, "memory": self._memory}
        for line in sys.stdin:
            name, *count = line.split()
            if name == "quit":
                return
            answer(commands[name](int(count[0])))

    def _time(self, steps: int) -> dict[str, list[float]]:
        """Return seconds of the process' CPU and of the wall for each step."""
        cpu, wall = [], []
        for _ in range(steps):
            begin = time.process_time(), time.perf_counter()
            self.step()
            cpu.append(time.process_time() - begin[0])
            wall.append(time.perf_counter() - begin[1])
        return {"cpu": cpu, "wall": wall}

    def _memory(self, steps: int) -> dict[str, int]:
        """Return bytes: at rest, what steps add at their peak, and of all time."""
        self.optimizer.zero_grad(set_to_none=True)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        Path("/proc/self/clear_refs").write_text("5")
        rest = _status("VmRSS")
        for _ in range(steps):
            self.step()
        peak = _status("VmHWM")
        return {"rest": rest, "step": peak - rest, "process": max(whole, peak)}


def _status(field: str) -> int:
    """Return a field of this process' status in bytes."""
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    if found is None:
        raise LookupError(field)
    return int(found[1]) * 1024


def answer(content: dict[str, Any]) -> None:
    """Write one line of JSON to the driver."""
    print("ANSWER " + json.dumps(content), flush=True)
