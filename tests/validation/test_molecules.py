"""S22, DBH24 and X23: what is computed, against which number, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from lamplighter.errors import ConfigError, DataError, EngineError
from lamplighter.validation.engines.base import EngineInfo, Result
from lamplighter.validation.properties import dbh24, molecules, s22, x23
from lamplighter.validation.properties.dbh24 import Dbh24Settings
from lamplighter.validation.properties.s22 import S22Settings
from lamplighter.validation.properties.x23 import X23Settings


class Recorder:
    """An engine of pairs 1 eV / r^2 within 30 Å, that remembers what it was given."""

    info = EngineInfo(kind="ase", name="recorder", model="pairs")

    def __init__(self, energy=None, refuses=()):
        self.seen, self.energy, self.refuses = [], energy, refuses

    def compute(self, atoms, want=()):
        del want
        self.seen.append(atoms)
        if set(self.refuses) & set(atoms.get_chemical_symbols()):
            raise EngineError(str(self.refuses))
        return Result(
            energy=self.energy(atoms) if self.energy else _pairs(atoms),
            forces=np.zeros((len(atoms), 3)),
            stress=None,
            energies=None,
            info=self.info,
            wall_s=0.0,
        )

    def compute_many(self, many, want=()):
        return [self.compute(atoms, want) for atoms in many]


def _pairs(atoms):
    r = atoms.get_all_distances()
    return float((1 / r[np.triu_indices(len(atoms), 1)] ** 2).sum())


def test_the_interaction_of_a_dimer_is_that_between_its_molecules():
    engine = Recorder()
    found = s22.run(Atoms(), engine, S22Settings(systems=("Water_dimer",)))
    dimer = engine.seen[0]
    between = dimer.get_all_distances()[:3, 3:]
    expected = (1 / between**2).sum() * molecules.KCAL_MOL_PER_EV
    value = found.values["interaction_energy_Water_dimer"]
    assert value.value == pytest.approx(expected)
    assert value.unit == "kcal/mol"
    assert found.arrays["references"] == [pytest.approx(-5.02, abs=0.005)]
    mean = found.values["s22_mean_error"].value
    assert mean == pytest.approx(expected - found.arrays["references"][0])
    assert [len(atoms) for atoms in engine.seen] == [6, 3, 3]
    assert all(atoms.info == {"charge": 0.0, "spin": 1} for atoms in engine.seen)
    assert not any(atoms.pbc.any() for atoms in engine.seen)


def test_all_of_s22_and_s22x5():
    found = s22.run(Atoms(), Recorder())
    assert len(found.arrays["systems"]) == 22
    failed = {check.name for check in found.failed()}
    assert failed == {"largest error"}
    assert found.material == "S22"
    settings = S22Settings(systems=("Ammonia_dimer",), distances=(0.9, 2.0))
    some = s22.run(Atoms(), Recorder(), settings)
    assert some.arrays["systems"] == ["Ammonia_dimer_0.9", "Ammonia_dimer_2.0"]
    references = np.array([-0.1045, -0.0156]) * molecules.KCAL_MOL_PER_EV
    assert some.arrays["references"] == pytest.approx(references)
    assert {"complete set"} <= {check.name for check in some.failed()}


def test_barriers_are_differences_with_charge_and_spin():
    engine = Recorder(energy=lambda atoms: 10.0 * len(atoms) ** 2)
    found = dbh24.run(Atoms(), engine)
    assert len(found.arrays["systems"]) == 24
    # OH + CH4 -> TS of 7 atoms: 49 - 4 - 25.
    forward = found.values["barrier_r10_forward"].value
    assert forward == pytest.approx(200 * molecules.KCAL_MOL_PER_EV)
    references = dict(
        zip(found.arrays["systems"], found.arrays["references"], strict=True)
    )
    assert references["r9_forward"] == 48.07
    assert references["r6_forward"] == -2.44
    states = {
        (atoms.get_chemical_formula(), atoms.info["charge"], atoms.info["spin"])
        for atoms in engine.seen
    }
    expected = {("HO", 0.0, 2), ("O", 0.0, 3), ("F", -1.0, 1), ("CH4", 0.0, 1)}
    assert expected | {("H", 0.0, 2)} <= states
    (ions,) = [check for check in found.checks if check.name == "ions"]
    assert "r4_forward" in ions.text
    assert not ions.ok
    assert "same energy with and without its charge" in ions.text


def test_an_engine_that_reads_the_charge_is_believed():
    engine = Recorder(energy=lambda atoms: len(atoms) + 3.0 * atoms.info["charge"])
    found = dbh24.run(Atoms(), engine)
    (ions,) = [check for check in found.checks if check.name == "ions"]
    assert ions.ok


def test_reactions_with_ions_can_be_left_out():
    engine = Recorder()
    found = dbh24.run(Atoms(), engine, Dbh24Settings(ions=False))
    assert len(found.arrays["systems"]) == 18
    assert not any(atoms.info["charge"] for atoms in engine.seen)
    assert "complete set" in {check.name for check in found.failed()}


def test_a_reaction_that_loses_atoms_is_refused():
    top = molecules.with_state(Atoms("H2O"))
    with pytest.raises(DataError, match="r1 of the installed ASE is no reaction"):
        dbh24._same_atoms("r1", top, [molecules.with_state(Atoms("HO"))])
    charged = molecules.with_state(Atoms("H2O"), charge=-1.0)
    with pytest.raises(DataError, match="is no reaction"):
        dbh24._same_atoms("r1", top, [charged])


def test_lattice_energies_are_per_molecule():
    engine = Recorder(
        energy=lambda atoms: len(atoms) * (-1.0 if atoms.pbc.all() else 0)
    )
    found = x23.run(Atoms(), engine, X23Settings(systems=("urea", "oxalic_acid_beta")))
    value = found.values["lattice_energy_urea"]
    assert value.value == pytest.approx(-8 * molecules.KJ_MOL_PER_EV)
    assert value.unit == "kJ/mol"
    assert found.arrays["systems"] == ["oxalic_acid_beta", "urea"]
    assert found.arrays["references"] == [-102.2990, -108.5343]
    expected = np.hypot(0.2990, 0.5502) / 2
    assert found.values["x23_mae"].error == pytest.approx(expected)


def test_all_of_x23_is_built_in_and_consistent():
    content = x23.records()
    pairs = x23.built_in(content["systems"])
    assert len(pairs) == 23
    for item in content["systems"]:
        solid, molecule = pairs[item["name"]]
        assert len(solid) == item["molecules"] * len(molecule)
        assert solid.pbc.all()
        assert not molecule.pbc.any()
        assert 30 < solid.get_volume() / item["molecules"] < 240
        assert abs(item["dmc"] - item["experiment"]) < 15
        bonds = molecule.get_all_distances()[np.triu_indices(len(molecule), 1)]
        assert 0.9 < bonds.min() < 1.2


def test_a_folder_of_ones_own_says_what_is_missing(tmp_path):
    settings = X23Settings(systems=("urea", "oxalic_acid_beta"), folder=str(tmp_path))
    with pytest.raises(DataError, match="4 files of X23 are missing") as error:
        x23.run(Atoms(), Recorder(), settings)
    assert str(tmp_path / "21_urea" / "POSCAR_solid") in str(error.value)
    gas = tmp_path / "14_oxalic_acid_alpha" / "POSCAR_molecule"
    assert str(gas) in str(error.value)
    pairs = x23.built_in(x23.records()["systems"])
    (tmp_path / "21_urea").mkdir()
    write(tmp_path / "21_urea" / "POSCAR_solid", pairs["urea"][0], format="vasp")
    alone = molecules.boxed(pairs["urea"][1], 8.0)
    write(tmp_path / "21_urea" / "POSCAR_molecule", alone, format="vasp")
    one = X23Settings(systems=("urea",), folder=str(tmp_path))
    found = x23.run(Atoms(), Recorder(), one)
    assert "lattice_energy_urea" in found.values
    # The same molecule, cut in two by the faces of its box.
    alone.positions -= alone.positions.mean(axis=0)
    alone.pbc = True
    alone.wrap()
    write(tmp_path / "21_urea" / "POSCAR_molecule", alone, format="vasp")
    again = x23.run(Atoms(), Recorder(), one)
    assert again.values["lattice_energy_urea"].value == pytest.approx(
        found.values["lattice_energy_urea"].value, rel=1e-6
    )
    write(tmp_path / "21_urea" / "POSCAR_molecule", Atoms("OH", cell=[9] * 3),
          format="vasp")  # fmt: skip
    with pytest.raises(DataError, match="urea do not belong together"):
        x23.run(Atoms(), Recorder(), one)
    (tmp_path / "21_urea" / "POSCAR_molecule").write_text("nothing")
    with pytest.raises(DataError, match="not a POSCAR file"):
        x23.run(Atoms(), Recorder(), one)


def test_a_crystal_of_one_and_a_half_molecules_is_refused():
    item = {"name": "benzene", "molecules": 1, "dmc": -1.0, "error": 0.1}
    gas = Atoms("C6H6", positions=np.eye(12)[:, :3])
    with pytest.raises(DataError, match="do not belong together"):
        x23._entry(item, Atoms("C9H9", cell=[9] * 3, pbc=True), gas, 10.0)


def test_what_the_engine_cannot_compute_is_named():
    engine = Recorder(refuses=("S", "Cl"))
    found = dbh24.run(Atoms(), engine)
    assert found.status == "invalid"
    assert found.values == {}
    (failed,) = [check for check in found.failed() if check.hard]
    assert failed.name == "systems computed"
    assert "r12_forward: (" in failed.text
    allowed = dbh24.run(Atoms(), engine, Dbh24Settings(allow_missing=True))
    assert allowed.status == "warn"
    assert "barrier_r1_forward" in allowed.values
    assert "barrier_r12_forward" not in allowed.values
    nothing = Recorder(refuses=("H", "N", "C", "F"))
    everything = s22.run(Atoms(), nothing, S22Settings(allow_missing=True))
    assert everything.status == "invalid"


@pytest.mark.parametrize(
    ("run", "settings", "message"),
    [
        (
            s22.run,
            S22Settings(systems=("water",)),
            "unknown systems of S22; got: water",
        ),
        (dbh24.run, Dbh24Settings(systems=("r99",)), "unknown systems of DBH24"),
        (x23.run, X23Settings(systems=("ice",)), "unknown systems of X23"),
    ],
)
def test_unknown_systems_are_refused(run, settings, message):
    with pytest.raises(ConfigError, match=message):
        run(Atoms(), Recorder(), settings)
    with pytest.raises(ConfigError, match="distances of S22x5"):
        S22Settings(distances=(1.1,))
