"""ASE calculators as engines: what is passed on and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixAtoms
from numpy.testing import assert_allclose

from lamplighter.errors import EngineError
from lamplighter.validation.engines import AseEngine, Engine, EngineInfo
from lamplighter.validation.engines.base import WANT_ALL


class Broken(Calculator):
    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def calculate(self, *args):
        super().calculate(*args)
        self.results = {
            "energy": np.nan,
            "forces": np.zeros((len(self.atoms), 3)),
        }


def test_units_signs_and_shapes():
    engine = AseEngine(EMT())
    assert isinstance(engine, Engine)
    atoms = bulk("Cu", a=3.4, cubic=True)
    result = engine.compute(atoms, WANT_ALL)
    assert result.forces.shape == (4, 3)
    assert result.stress.shape == (3, 3)
    # Compressed: it pushes outwards, and tension is positive.
    assert result.stress[0, 0] < 0.0
    assert result.energies.sum() == pytest.approx(result.energy)
    assert result.info.model == "EMT"
    assert result.wall_s > 0.0
    assert atoms.calc is None


def test_constraints_of_the_input_do_not_hide_forces():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    free = AseEngine(EMT()).compute(atoms).forces
    atoms.set_constraint(FixAtoms([0, 1]))
    assert_allclose(AseEngine(EMT()).compute(atoms).forces, free)


def test_no_volume_no_stress():
    assert AseEngine(LennardJones()).compute(Atoms("Ar2", [[0, 0, 0], [0, 0, 1.1]]))
    result = AseEngine(EMT()).compute(Atoms("Cu"))
    assert result.stress is None


def test_missing_stress_and_failures_are_errors():
    info = EngineInfo(kind="ase", name="broken", model="Broken")
    engine = AseEngine(Broken(), info)
    with pytest.raises(EngineError, match="'broken' has no stress"):
        engine.compute(bulk("Cu"))
    with pytest.raises(EngineError, match="not finite; got: energy of Cu"):
        engine.compute(bulk("Cu"), ("energy", "forces", "energies"))
    with pytest.raises(EngineError, match="NotImplementedError: No EMT-potential"):
        AseEngine(EMT()).compute(bulk("Si"))


def test_info_survives_json():
    info = EngineInfo(kind="ase", name="a", model="m", head="pbe", extra={"k": "v"})
    assert EngineInfo.from_dict(info.to_dict()) == info


class Charged(Calculator):
    """A calculator that reads the total charge where many of them do."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def calculate(self, *args):
        super().calculate(*args)
        n = len(self.atoms)
        energy = float(self.atoms.info.get("charge", 0))
        self.results = {
            "energy": energy,
            "forces": np.zeros((n, 3)),
            "stress": np.zeros(6),
        }


def test_the_same_atoms_with_another_charge_are_computed_again():
    engine = AseEngine(Charged())
    atoms = bulk("Cu")
    found = []
    for charge in (0, 1, 1, 0):
        atoms.info["charge"] = charge
        found.append(engine.compute(atoms).energy)
    assert found == [0.0, 1.0, 1.0, 0.0]


class Lost(Broken):
    def calculate(self, *args):
        super().calculate(*args)
        self.results = {"energy": 1.0, "forces": np.zeros((1, 3))}


def test_an_atom_without_a_force_is_an_error():
    with pytest.raises(EngineError, match=r"forces of another shape; got: \(1, 3\)"):
        AseEngine(Lost()).compute(bulk("Cu", cubic=True), ("energy", "forces"))
