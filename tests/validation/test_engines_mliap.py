"""The deployed file in LAMMPS against the model in ASE, through the engines."""

from __future__ import annotations

import numpy as np
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
from lamplighter.validation.engines import (
    AseEngine,
    EngineInfo,
    EngineSpec,
    LammpsEngine,
    LammpsLibEngine,
)
from lamplighter.validation.materials import parity_structures
from lamplighter.validation.preflight import preflight
from lamplighter.validation.properties import parity
from lamplighter.validation.properties.parity import ParitySettings
from lamplighter.validation.suite import ModelSpec, SuiteConfig


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(3)
    heads = [
        HeadSpec(
            name=name,
            level_of_theory=name.upper(),
            reference_energies={"O": -432.1 - k, "Mg": -23.25 + k},
        )
        for k, name in enumerate(("pbe", "rpbe"))
    ]
    config = PotentialConfig(
        elements=("O", "Mg"),
        heads=tuple(heads),
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
        settings = ParitySettings(directions=1, points="none")
        result = parity.run(structures, ase, lammps, settings)
    assert result.status == "ok", result.failed()
    assert len(result.arrays["rows"]) == 6


def test_the_library_runs_the_deployed_file_in_this_process(model, tmp_path):
    file = convert(model, "pbe", ("Mg", "O"), tmp_path / "tiny.pt")
    ase = AseEngine(Calculator(model, head="pbe"))
    structures = list(parity_structures(bulk("MgO", "rocksalt", a=4.25)).values())
    with LammpsLibEngine(file) as library:
        assert (library.info.kind, library.info.head) == ("lammps-lib", "pbe")
        for atoms in structures[:3]:
            ours, theirs = library.compute(atoms), ase.compute(atoms)
            assert abs(ours.energy - theirs.energy) < 1e-8
            assert np.abs(ours.forces - theirs.forces).max() < 1e-8


@pytest.mark.slow
@pytest.mark.mpi
def test_the_preflight_of_a_model_with_two_heads(model, tmp_path):
    spec = SuiteConfig(
        model=ModelSpec(file=model, head="pbe"),
        engines=(EngineSpec(kind="ase"), EngineSpec(kind="lammps")),
    )
    atoms = {
        "rattled": parity_structures(bulk("MgO", "rocksalt", a=4.25))["rattled crystal"]
    }
    (result,) = preflight(spec, "quick", tmp_path, structures=atoms)
    assert result.status == "ok", result.failed()
    verdicts = {p["key"]: p["verdict"] for p in result.arrays["points"]}
    assert verdicts.pop("newton off") == "not applicable"
    assert set(verdicts.values()) == {"pass"}
    assert {"types", "head", "other head", "heads differ", "2 ranks"} <= set(verdicts)
