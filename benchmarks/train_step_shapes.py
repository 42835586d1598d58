"""Models and batch of the training-step benchmark."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from lamplighter.resources import dataset

ELEMENTS = ("H", "C", "O", "Mg")
CUTOFF = 6.0


def mh1(channels: int, edge_channels: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a narrow MACE-MH-1: arguments for mace-torch, and for a potential."""
    block = "RealAgnosticResidualNonLinearInteractionBlock"
    mace = _mace(channels, block, block) | {
        "edge_irreps": f"{edge_channels}x0e+{edge_channels}x1o",
        "use_edge_irreps_first": True,
        "apply_cutoff": False,
        "use_agnostic_product": True,
        "distance_transform": "Agnesi",
        "pair_repulsion": True,
    }
    return mace, {"channels": channels, "edge_channels": edge_channels}


def mp0(channels: int, _: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a narrow MACE-MP-0; edges are always as wide as the atoms."""
    plain = "RealAgnosticInteractionBlock"
    mace = _mace(channels, plain, "RealAgnosticResidualInteractionBlock")
    return mace, {
        "channels": channels,
        "edge_channels": channels,
        "interaction": ("plain", "residual"),
        "product_weights": "by_element",
        "cutoff_inside": True,
        "distance_transform": "none",
        "mean_neighbors": 60.0,
        "zbl": False,
    }


SHAPES = {"mh1": mh1, "mp0": mp0}


def _mace(channels: int, first: str, others: str) -> dict[str, Any]:
    return {
        "r_max": CUTOFF,
        "num_bessel": 10,
        "num_polynomial_cutoff": 5,
        "max_ell": 3,
        "interaction_cls_first": first,
        "interaction_cls": others,
        "num_interactions": 2,
        "hidden_irreps": f"{channels}x0e+{channels}x1o",
        "MLP_irreps": "16x0e",
        "avg_num_neighbors": 60.0,
        "atomic_numbers": [1, 6, 8, 12],
        "correlation": 3,
        "radial_MLP": [64, 64, 64],
    }


def batch_of(n_frames: int) -> list[Atoms]:
    """Return crystals with stress, evenly spread over the shipped PBE set."""
    with gzip.open(dataset("crystal_pbe"), "rt") as stream:
        frames = ase.io.read(stream, ":", format="extxyz")
    usable = [a for a in frames if "REF_stress" in a.info and len(a) >= 4]
    places = np.linspace(0, len(usable) - 1, n_frames).round().astype(int)
    return [usable[k] for k in places]


def write_batch(frames: list[Atoms], folder: Path) -> None:
    """Write structures and labels where both sides look for them.

    Of the energy per atom only what differs within the batch is a label, because the
    models have no E0.
    """
    energy = np.array([a.info["REF_energy"] / len(a) for a in frames])
    stress = np.array([np.reshape(a.info["REF_stress"], (3, 3)) for a in frames])
    forces = np.concatenate([a.arrays["REF_forces"] for a in frames])
    path = folder / "labels.npz"
    np.savez(path, energy=energy - energy.mean(), forces=forces, stress=stress)
    bare = [
        Atoms(a.symbols, positions=a.positions, cell=a.cell, pbc=True) for a in frames
    ]
    ase.io.write(folder / "frames.xyz", bare, format="extxyz")
