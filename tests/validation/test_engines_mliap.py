"""The deployed file in LAMMPS against the model in ASE, through the engines."""

from __future__ import annotations

import pytest
import torch
from ase.build import bulk

from lamplighter.lammps_interface.convert import convert
from lamplighter.model import (
    Calculator,
    HeadSpec,
    Potential,
    PotentialConfig,
    save_potential,
)
from lamplighter.validation.engines import AseEngine, EngineInfo, LammpsEngine
from lamplighter.validation.materials import parity_structures
from lamplighter.validation.properties import parity
from lamplighter.validation.properties.parity import ParitySettings


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(3)
    head = HeadSpec(
        name="pbe",
        level_of_theory="PBE",
        reference_energies={"O": -432.1, "Mg": -23.25},
    )
    config = PotentialConfig(
        elements=("O", "Mg"),
        heads=(head,),
        cutoff=4.5,
        n_radial=6,
        radial_hidden=(16,),
        l_max=2,
        channels=8,
        edge_channels=8,
        hidden_l_max=1,
        n_layers=2,
        correlation=2,
        readout_hidden=8,
        density_alpha=1.0,
    )
    path = tmp_path_factory.mktemp("mliap") / "tiny.safetensors"
    save_potential(Potential(config).double(), path, provenance={})
    return path


@pytest.mark.parametrize(
    "dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)]
)
def test_deployed_file_has_parity(model, dtype, tmp_path):
    file = convert(model, "pbe", ("Mg", "O"), tmp_path / "tiny.pt", dtype=dtype)
    info = EngineInfo(kind="ase", name="ase", model="tiny", head="pbe", dtype=dtype)
    ase = AseEngine(Calculator(model, head="pbe", dtype=dtype), info)
    structures = parity_structures(bulk("MgO", "rocksalt", a=4.25, cubic=True))
    with LammpsEngine(file) as lammps:
        assert lammps.info.head == "pbe"
        assert lammps.info.dtype == dtype
        assert lammps.info.cutoff == 4.5
        result = parity.run(structures, ase, lammps, ParitySettings(directions=1))
    assert result.status == "ok", result.failed()
    assert len(result.arrays["rows"]) == 6
