"""The trainings of a seed, as the YAML files that `lamplighter` reads.

base     PBE, r2SCAN, wB97M-V and B3LYP from nothing: what (c) and (d) start from
alone    (a) PBE from nothing
scratch  (b) all five heads from nothing
replay   (c) base, and the RPBE head added with multi-head replay
naive    (d) base, and the RPBE head added by fine-tuning on its data alone

and (c) and (d) once more from the shipped model, which had fifty minutes:

shipped-replay  the shipped five heads, and PBEsol added as the preset `replay` does it
shipped-naive   the same without replay
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechanism_data import (
    B3LYP,
    CONTRADICTING,
    PBE,
    R2SCAN,
    RPBE,
    SOURCES,
    WB97,
    Source,
)

ARMS = ("base", "replay", "naive", "scratch", "alone")
"""In the order of running."""

SHIPPED_ARMS = ("shipped-replay", "shipped-naive")

KEPT = (PBE, R2SCAN, WB97, B3LYP)
"""The heads of the base, which the new head must leave where they are."""

FRAMES_PER_STEP = {"pbe": 3, "r2scan": 1, "rpbe": 1, "wb97m-v": 2, "b3lyp-d3bj": 2}
"""Mean frames of each head in a batch from nothing: the ratio of the shipped model."""

NEW_PER_STEP = 3
REPLAYED_PER_STEP = 6

GUARD = {"drift_limit": 0.05, "energy_drift_limit": 0.1}
"""Wider than the defaults (0.02 and 0.01 eV/atom), which are made for potentials that
are trained to the end; see docs/mechanism.md."""

NO_GUARD = {"drift_limit": 1e6, "energy_drift_limit": 1e6}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the study is.

    Attributes:
        channels: of the nodes; the edges have half.
        l_max: highest degree of the spherical harmonics.
        steps: from nothing: `alone`, `scratch` and `base` take the same number, so each
            sees the same number of PBE frames.
        new_steps: of post-training, the same in `replay` and `naive`.
        rate: learning rate from nothing.
        new_rate: learning rate of post-training.
        shipped_steps: of post-training the shipped model.
    """

    channels: int = 64
    l_max: int = 2
    steps: int = 1500
    new_steps: int = 700
    rate: float = 2e-3
    new_rate: float = 5e-4
    shipped_steps: int = 400


def recipe(
    arm: str, *, seed: int, size: Size, data: Path, folder: Path
) -> dict[str, Any]:
    """Return the configuration of one training.

    Args:
        arm: one of `ARMS` or `SHIPPED_ARMS`.
        seed: of the starting weights and of the sampling.
        size: of potential and training.
        data: folder of the frames.
        folder: of the seed; the training writes below it.
    """
    if arm in SHIPPED_ARMS:
        return _from_shipped(arm, seed, size, folder)
    if arm in ("replay", "naive"):
        return _post_training(arm, seed, size, data, folder)
    sources = {"alone": (PBE,), "base": KEPT, "scratch": SOURCES}[arm]
    heads = [_head(s, data) | {"quota": FRAMES_PER_STEP[s.head]} for s in sources]
    for head in heads:
        if head["name"] == R2SCAN.head:
            head |= {"reference_like": PBE.head, "reference_fit": "minimum-norm"}
    return {
        "output": str(folder / arm),
        "heads": heads,
        "model": {
            "elements": ["H", "C", "O", "Mg"],
            "cutoff": 4.5,
            "n_radial": 8,
            "radial_hidden": [64, 64],
            "l_max": size.l_max,
            "channels": size.channels,
            "edge_channels": size.channels // 2,
            "hidden_l_max": 1,
            "n_layers": 2,
            "correlation": 3,
        },
        "optimizer": {
            "learning_rate": size.rate,
            "beta2": 0.99,
            "schedule": "cosine",
        },
        **_common(seed, size.steps, sum(FRAMES_PER_STEP[s.head] for s in sources)),
    }


def _post_training(
    arm: str, seed: int, size: Size, data: Path, folder: Path
) -> dict[str, Any]:
    """Both see the same new frames in the same number of steps at the same rate."""
    with_replay = arm == "replay"
    frames = NEW_PER_STEP + (REPLAYED_PER_STEP if with_replay else 0)
    replayed = [_head(s, data) | {"quota": FRAMES_PER_STEP[s.head]} for s in KEPT]
    return {
        "base": str(folder / "base" / "model.safetensors"),
        "output": str(folder / arm),
        "heads": [_head(RPBE, data) | {"start_from": PBE.head}],
        "replay_heads": replayed if with_replay else [],
        "replay": GUARD | {"fraction": REPLAYED_PER_STEP / frames}
        if with_replay
        else {"fraction": 0.0},
        "optimizer": {
            "learning_rate": size.new_rate,
            "beta2": 0.99,
            "warmup_steps": 20,
            "ema_decay": 0.98,
            "schedule": "cosine",
        },
        **_common(seed, size.new_steps, frames),
    }


def _from_shipped(arm: str, seed: int, size: Size, folder: Path) -> dict[str, Any]:
    """The recipe of the demo (`train/presets/replay.yaml`), with the last weights."""
    with_replay = arm == "shipped-replay"
    files = {s.head: [f"dataset:{s.name}"] for s in SOURCES}
    files[PBE.head].append("dataset:slab_pbe")
    replayed = [
        {"name": s.head, "level": s.level, "files": files[s.head]} for s in SOURCES
    ]
    replayed[SOURCES.index(B3LYP)]["exclude"] = list(CONTRADICTING)
    new = {
        "name": "pbesol",
        "level": "PBEsol",
        "files": ["dataset:crystal_pbesol"],
        "start_from": PBE.head,
    }
    steps = size.shipped_steps
    return {
        "base": "model:base",
        "output": str(folder / arm),
        "heads": [new],
        # listed in both, so that the same geometries are held out
        "replay_heads": replayed,
        "replay": {"fraction": 0.6} if with_replay else {"fraction": 0.0} | NO_GUARD,
        # that of the shipped model: what it held out stays held out
        "split": {"min_stratum": 3},
        "sampling": {"batch_frames": 8 if with_replay else NEW_PER_STEP},
        "optimizer": {"learning_rate": 3e-4, "warmup_steps": 20, "ema_decay": 0.98},
        "run": _run(seed, steps, validations=8),
    }


def _head(source: Source, data: Path) -> dict[str, Any]:
    return {
        "name": source.head,
        "level": source.level,
        "files": [str(data / f"{source.head}-train.xyz")],
        "validation_files": [str(data / f"{source.head}-validation.xyz")],
    }


def _common(seed: int, steps: int, frames: int) -> dict[str, Any]:
    """The last weights count: no validation chooses between the arms."""
    return {
        "loss": {"energy_weight": 4.0, "forces_weight": 10.0, "stress_weight": 20.0},
        "sampling": {"batch_frames": frames, "max_atoms": 288},
        "run": _run(seed, steps, validations=10),
    }


def _run(seed: int, steps: int, *, validations: int) -> dict[str, Any]:
    every = max(steps // validations, 1)
    return {
        "max_steps": steps,
        "validate_every": every,
        "checkpoint_every": every,
        "selection": "last",
        "seed": seed,
        "threads": 1,
    }
