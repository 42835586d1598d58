"""What is known of a run before its first step: settings, heads, data, machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import torch

import lamplighter

PACKAGES = ("torch", "e3nn", "numpy", "ase", "vesin")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFacts:
    """A head of a run.

    Attributes:
        name: its name.
        level: its level of theory.
        role: "new" or "kept" in a post-training, "trained" otherwise.
        n_train: frames to learn from.
        n_validation: frames that are judged during the run.
        n_test: frames that are judged at the end.
        force_limit: force error in percent beyond which weights are not chosen, or
            None.
        energy_limit: the same for the energy RMSE, meV/atom.
    """

    name: str
    level: str
    role: str = "trained"
    n_train: int = 0
    n_validation: int = 0
    n_test: int = 0
    force_limit: float | None = None
    energy_limit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run, before its first step.

    Attributes:
        kind: "Training" or "Post-training".
        heads: all heads, in the order of the potential.
        config: the effective configuration, as plain mappings.
        files: SHA-256 of every file that was read, by name.
        n_weights: of the potential.
        max_steps: steps after which it ends.
        max_minutes: minutes after which it ends; 0 means no limit.
        validate_every: steps between validations.
    """

    kind: str
    heads: tuple[HeadFacts, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    n_weights: int = 0
    max_steps: int = 0
    max_minutes: float = 0.0
    validate_every: int = 0


def versions() -> dict[str, str]:
    """Return the versions of Lamplighter, Python and what the numbers depend on."""
    found = {"lamplighter": lamplighter.__version__}
    found["Python"] = platform.python_version()
    return found | {name: metadata.version(name) for name in PACKAGES}


def machine(device: str = "cpu") -> dict[str, str]:
    """Return what the run is done on, without names of machine or person."""
    found = {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count() or "?"),
        "threads": str(torch.get_num_threads()),
        "device": device,
    }
    if device.startswith("cuda") and torch.cuda.is_available():
        found["GPU"] = torch.cuda.get_device_name(device)
    return found
