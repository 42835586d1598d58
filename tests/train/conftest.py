"""Tiny labelled data from pair potentials with known answers, and tiny settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from ase.io import write

from lamplighter.model import HeadSpec, Potential, PotentialConfig
from lamplighter.train import train
from lamplighter.train.config import (
    HeadData,
    ModelSettings,
    OptimizerSettings,
    RunSettings,
    SamplingSettings,
    TrainConfig,
)

FREE_ATOMS = {"O": -10.0, "Mg": -20.0}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def lj(scale: float = 1.0) -> LennardJones:
    """A soft pair potential whose numbers look like a solid's."""
    return LennardJones(sigma=1.9, epsilon=0.4 * scale, rc=5.0, smooth=True)


def labelled(
    atoms: Atoms, *, uid: str, head: str, level: str, kind: str, scale: float = 1.0
) -> Atoms:
    """Label a structure the way the shipped data are labelled."""
    work = atoms.copy()
    work.calc = lj(scale)
    labels = Atoms(
        numbers=work.numbers, positions=work.positions, cell=work.cell, pbc=work.pbc
    )
    shift = sum(FREE_ATOMS[s] for s in work.get_chemical_symbols())
    labels.info = {
        "REF_energy": work.get_potential_energy() + scale * shift,
        "uid": uid,
        "head": head,
        "level": level,
        "config_type": kind,
        "box": int(len(atoms) == 1),
    }
    labels.arrays["REF_forces"] = work.get_forces()
    if all(work.pbc) and len(atoms) > 1:
        labels.info["REF_stress"] = work.get_stress(voigt=False)
    return labels


def crystal_frames(
    head: str, level: str, *, n: int = 8, scale: float = 1.0, seed: int = 0
) -> list[Atoms]:
    """Two free atoms, a few rattled crystals, and a few molecules."""
    rng = np.random.default_rng(seed)
    frames = []
    for k, symbol in enumerate(("O", "Mg")):
        atom = Atoms(symbol, cell=[9.0, 9.1, 9.2], pbc=True)
        frames.append((atom, f"atom{k}", "IsolatedAtom"))
    for k in range(n):
        crystal = bulk("MgO", "rocksalt", a=4.2 * (1 + 0.02 * rng.normal()))
        crystal.positions += rng.normal(0, 0.06, (2, 3))
        frames.append((crystal, f"cry{seed}{k:02d}", "rattle"))
    for k in range(n):
        molecule = Atoms("MgO", positions=[[0, 0, 0], [0, 0, rng.uniform(1.9, 2.6)]])
        frames.append((molecule, f"mol{seed}{k:02d}", "molecule"))
    return [
        labelled(a, uid=uid, head=head, level=level, kind=kind, scale=scale)
        for a, uid, kind in frames
    ]


@pytest.fixture
def data_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a labelled file, after a change to its frames."""

    def make(
        name: str = "pbe.xyz",
        *,
        change: Callable[[list[Atoms]], Any] | None = None,
        head: str = "pbe",
        level: str = "PBE",
        **kwargs: Any,
    ) -> Path:
        frames = crystal_frames(head, level, **kwargs)
        if change is not None:
            change(frames)
        path = tmp_path / name
        write(path, frames, format="extxyz")
        return path

    return make


@pytest.fixture
def label() -> Callable[..., Atoms]:
    """The labeller, for tests with geometries of their own."""
    return labelled


TINY = ModelSettings(
    cutoff=4.0,
    n_radial=4,
    radial_hidden=(8,),
    l_max=1,
    channels=4,
    edge_channels=4,
    correlation=2,
    readout_hidden=4,
    density_alpha=2.0,
)


def two_heads(folder: Path) -> TrainConfig:
    """Two heads, a few steps, float64; the data lie in `folder`."""
    levels = (("pbe", "PBE", 1.0), ("hot", "HOT", 1.5))
    for head, level, scale in levels:
        frames = crystal_frames(head, level, scale=scale)
        write(folder / f"{head}.xyz", frames, format="extxyz")
    return TrainConfig(
        output=folder / "run",
        heads=tuple(
            HeadData(name=head, level=level, files=(folder / f"{head}.xyz",))
            for head, level, _ in levels
        ),
        model=TINY,
        sampling=SamplingSettings(batch_frames=4),
        optimizer=OptimizerSettings(warmup_steps=2, ema_decay=0.9),
        run=RunSettings(
            max_steps=12,
            validate_every=4,
            checkpoint_every=3,
            dtype="float64",
            threads=1,
        ),
    )


@pytest.fixture
def tiny_config(tmp_path: Path) -> TrainConfig:
    """Settings of a run of its own."""
    return two_heads(tmp_path)


@pytest.fixture(scope="session")
def base_config(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Settings of a run that is finished and shared: do not write into its folder."""
    torch.set_num_threads(1)
    config = two_heads(tmp_path_factory.mktemp("base"))
    train(config)
    return config


@pytest.fixture(scope="session")
def base(base_config: TrainConfig) -> Path:
    """A trained potential with the heads pbe and hot."""
    return base_config.output / "model.safetensors"


@pytest.fixture
def potential() -> Potential:
    """A small random potential of MgO with one head, in float64."""
    torch.manual_seed(3)
    atoms = FREE_ATOMS
    config = PotentialConfig(
        elements=("O", "Mg"),
        heads=(HeadSpec(name="pbe", level_of_theory="PBE", reference_energies=atoms),),
        cutoff=4.0,
        n_radial=4,
        radial_hidden=(8,),
        l_max=1,
        channels=4,
        edge_channels=4,
        correlation=2,
    )
    return Potential(config).double()
