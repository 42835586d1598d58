"""A potential that is small enough to be made for each test."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained potential with the heads pbe (H, O, Mg) and rpbe (O, Mg)."""
    import torch

    from lamplighter.model import HeadSpec, Potential, PotentialConfig, save_potential

    torch.manual_seed(0)
    energies = {"H": -1.0, "O": -2.0, "Mg": -3.0}
    without_hydrogen = {"O": -2.0, "Mg": -3.0}
    config = PotentialConfig(
        elements=("H", "O", "Mg"),
        heads=(
            HeadSpec(name="pbe", level_of_theory="PBE", reference_energies=energies),
            HeadSpec(
                name="rpbe", level_of_theory="RPBE", reference_energies=without_hydrogen
            ),
        ),
        cutoff=4.5,
        channels=4,
        edge_channels=4,
        l_max=2,
        radial_hidden=(8,),
    )
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    save_potential(Potential(config), path, provenance={"made": "untrained"})
    return path
