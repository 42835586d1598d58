"""Imported checkpoints give the numbers that mace-torch gave.

The folder with checkpoints and numbers is that of the committed fixtures, or the one
that the environment variable LAMPLIGHTER_ORACLE names (the nox session `oracle` fills
it).
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from lamplighter.model import (
    Calculator,
    graph_from_atoms,
    load_potential,
    save_potential,
)
from lamplighter.model.mace_import import Imported, import_mace

FOLDER = Path(
    os.environ.get("LAMPLIGHTER_ORACLE", Path(__file__).with_name("fixtures"))
)
NAMES = sorted(path.name.removesuffix(".json.gz") for path in FOLDER.glob("*.json.gz"))


@pytest.fixture(scope="module", params=NAMES)
def case(
    request: pytest.FixtureRequest, checkpoint: Callable[..., Path]
) -> tuple[Imported, dict[str, Any]]:
    """Import one checkpoint and read what mace-torch computed with it."""
    path = checkpoint(request.param, FOLDER)
    reference = (FOLDER / f"{request.param}.json.gz").read_bytes()
    return import_mace(path), json.loads(gzip.decompress(reference))


def structure(reference: dict[str, Any], result: dict[str, Any]) -> Atoms:
    record = reference["structures"][result["structure"]]
    return Atoms(
        record["numbers"],
        positions=record["positions"],
        cell=record["cell"],
        pbc=record["pbc"],
        info=dict(result["inputs"]),
    )


def looseness(reference: dict[str, Any]) -> float:
    """Coupling tables of a float32 file are rounded, the importer's are exact."""
    return 1000.0 if reference["options"]["dtype"] == "float32" else 1.0


def test_there_are_enough_cases() -> None:
    assert len(NAMES) >= 24


def test_numbers_are_those_of_mace_torch(
    case: tuple[Imported, dict[str, Any]],
) -> None:
    imported, reference = case
    conditioned = imported.potential.config.condition_readout
    loose = looseness(reference)
    for result in reference["results"]:
        atoms = structure(reference, result)
        atoms.calc = Calculator(imported.potential, result["head"])
        energy = atoms.get_potential_energy()
        bounds = {"rel": 1e-10 * loose, "abs": 1e-11 * loose}
        assert energy == pytest.approx(result["energy"], **bounds)
        if not conditioned:  # mace-torch leaves that readout out of its node energies
            np.testing.assert_allclose(
                atoms.get_potential_energies(),
                result["node_energy"],
                rtol=0.0,
                atol=1e-9 * loose,
            )
        if result.get("forces") is not None:
            np.testing.assert_allclose(
                atoms.get_forces(), result["forces"], rtol=0.0, atol=1e-8 * loose
            )
        if result.get("stress") is not None:
            stress = atoms.get_stress(voigt=False)
            np.testing.assert_allclose(
                stress, result["stress"], rtol=0.0, atol=1e-9 * loose
            )


def test_weights_are_counted(case: tuple[Imported, dict[str, Any]]) -> None:
    imported, reference = case
    assert imported.n_parameters == reference["parameters"]
    heads = [spec.name for spec in imported.potential.config.heads]
    assert heads == reference["heads"]


def test_numbers_survive_the_model_file(
    case: tuple[Imported, dict[str, Any]], tmp_path: Path
) -> None:
    imported, reference = case
    path = tmp_path / "model.safetensors"
    save_potential(imported.potential, path, imported.provenance)
    result = reference["results"][0]
    atoms = structure(reference, result)
    atoms.calc = Calculator(load_potential(path), result["head"])
    energy = atoms.get_potential_energy()
    bound = 1e-10 * looseness(reference)
    assert energy == pytest.approx(result["energy"], rel=bound, abs=1e-11)


def test_invariant_features_are_those_of_mace_torch(
    case: tuple[Imported, dict[str, Any]],
) -> None:
    """The descriptors: degree 0 of every layer."""
    imported, reference = case
    config = imported.potential.config
    for record in reference["features"]:
        atoms = structure(reference, record)
        graph = graph_from_atoms(atoms, config, config.heads[0].name)
        ours = [x[:, 0].numpy() for x in imported.potential.node_features(graph)]
        theirs, begin = np.array(record["node_feats"]), 0
        for t, scalars in enumerate(ours):
            block = theirs[:, begin : begin + config.channels]
            bound = 1e-9 * looseness(reference)
            np.testing.assert_allclose(scalars, block, rtol=bound, atol=bound)
            last = t == config.n_layers - 1
            width = (config.hidden_l_max + 1) ** 2
            begin += config.channels * (1 if last else width)
