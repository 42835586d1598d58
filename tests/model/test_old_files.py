"""Files of every format version still load and give the numbers of their time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from lamplighter.lammps_interface.bundle import read
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.selfcheck import PeriodicRank
from lamplighter.model import Calculator, potential_from_bytes
from lamplighter.model.upgrade import FORMAT_VERSION

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
VERSIONS = sorted(p.name for p in ARTIFACTS.glob("v*"))


def test_every_version_is_here() -> None:
    assert [f"v{n}" for n in range(1, FORMAT_VERSION + 1)] == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("head", ["pbe", "other"])
def test_potential_gives_the_numbers_of_its_time(version: str, head: str) -> None:
    folder = ARTIFACTS / version
    expected = json.loads((folder / "expected.json").read_text())
    atoms = _structure(expected)
    atoms.calc = Calculator(folder / "potential.safetensors", head)
    _compare(atoms, expected[head])


@pytest.mark.parametrize("version", VERSIONS)
def test_mliap_file_holds_the_same_potential(version: str) -> None:
    folder = ARTIFACTS / version
    expected = json.loads((folder / "expected.json").read_text())
    atoms = _structure(expected)
    bundle = read(folder / "mliap.pt")
    atoms.calc = Calculator(potential_from_bytes(bundle.potential))
    _compare(atoms, expected["pbe"])


@pytest.mark.parametrize(
    "path", sorted(ARTIFACTS.glob("v*/mliap-tables.pt")), ids=lambda p: p.parent.name
)
def test_mliap_file_with_tables(path: Path) -> None:
    """Tables that today's release does not take are left, and the reference evaluates.

    The file is float32; the numbers are those of the reference in float64.
    """
    expected = json.loads((path.parent / "expected-tables.json").read_text())
    content = read(path)
    assert content.tables
    model = MliapModel(content)
    assert model.compiled or "of another release" in model.backend_note
    rank = PeriodicRank(_structure(expected), content.header.cutoff, ["O", "Mg"])
    model.compute_forces(rank)
    assert rank.energy == pytest.approx(expected["pbe"]["energy"], abs=2e-4)
    np.testing.assert_allclose(rank.forces(), expected["pbe"]["forces"], atol=2e-4)


def _structure(expected: dict[str, list[float]]) -> Atoms:
    return Atoms(
        expected["symbols"],
        positions=expected["positions"],
        cell=expected["cell"],
        pbc=True,
    )


def _compare(atoms: Atoms, expected: dict[str, list[float]]) -> None:
    energy = atoms.get_potential_energy()
    assert energy == pytest.approx(expected["energy"], abs=1e-9)
    np.testing.assert_allclose(atoms.get_forces(), expected["forces"], atol=1e-9)
    np.testing.assert_allclose(atoms.get_stress(), expected["stress"], atol=1e-10)
