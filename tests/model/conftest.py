"""Small untrained potentials and structures for the tests of the model."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from lamplighter.model import HeadSpec, Potential, PotentialConfig

E0 = {"H": -1.0, "O": -3.0, "Mg": -4.0}


def _make_config(**changes: object) -> PotentialConfig:
    """Return a small configuration with two heads."""
    heads = (
        HeadSpec(name="pbe", level_of_theory="PBE", reference_energies=E0),
        HeadSpec(
            name="other",
            level_of_theory="HF",
            reference_energies=E0,
            scale=0.7,
            shift=0.1,
        ),
    )
    settings: dict[str, object] = {
        "elements": ("H", "O", "Mg"),
        "heads": heads,
        "cutoff": 4.0,
        "n_radial": 5,
        "radial_hidden": (8, 8),
        "channels": 6,
        "edge_channels": 4,
        "readout_hidden": 3,
    }
    return PotentialConfig(**{**settings, **changes})  # type: ignore[arg-type]


def _make_potential(seed: int = 0, **changes: object) -> Potential:
    """Return an untrained potential in float64 that uses all its parts.

    Parameters that start at zero or almost zero are drawn again, so that no term of the
    equations can be wrong unseen.
    """
    torch.manual_seed(seed)
    potential = Potential(_make_config(**changes)).double()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, parameter in potential.named_parameters():
            if name.endswith((".source", ".target")):
                parameter.normal_(generator=generator)
            elif name.endswith(".beta"):
                parameter.fill_(0.3)
            elif name.endswith(("readouts.1.bias", "middle_bias")):
                parameter.normal_(generator=generator)
    return potential.eval()


@pytest.fixture
def make_config() -> Callable[..., PotentialConfig]:
    """Return a function that makes small configurations."""
    return _make_config


@pytest.fixture
def make_potential() -> Callable[..., Potential]:
    """Return a function that makes small potentials."""
    return _make_potential


@pytest.fixture
def potential() -> Potential:
    """Return the standard small potential."""
    return _make_potential()


@pytest.fixture(scope="session")
def slow_twin() -> ModuleType:
    """Return the module with the slow equations."""
    path = Path(__file__).with_name("slow_twin.py")
    spec = importlib.util.spec_from_file_location("slow_twin", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def crystal() -> Atoms:
    """Return a strained, rattled cell of MgO with one H, smaller than the cutoff."""
    atoms = bulk("MgO", "rocksalt", a=4.2) * (2, 1, 1)
    strain = np.array([[0.02, 0.03, 0.0], [0.0, -0.01, 0.01], [0.0, 0.02, 0.0]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.1, seed=3)
    atoms.append("H")
    atoms.positions[-1] = atoms.positions[0] + [1.1, 1.0, 0.9]
    return atoms


@pytest.fixture
def molecule() -> Atoms:
    """Return a water molecule with a distant Mg: an atom without neighbours."""
    atoms = Atoms(
        "OH2Mg", [[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0.0], [0.0, 0.0, 20.0]]
    )
    atoms.rattle(0.05, seed=1)
    return atoms


@pytest.fixture
def archive(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an archive of torch around a pickle."""

    def write(content: bytes, members: dict[str, bytes] | None = None) -> Path:
        path = tmp_path / "file.model"
        with zipfile.ZipFile(path, "w") as stream:
            stream.writestr("file/data.pkl", content)
            for name, data in (members or {}).items():
                stream.writestr(f"file/{name}", data)
        return path

    return write
