"""The preflight beyond single points: each point passes, fails, or says why not."""

from __future__ import annotations

import contextlib
import dataclasses
import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from classical import lennard_jones, tersoff

from lamplighter.cli import run as command
from lamplighter.errors import ConfigError, DataError, EngineError
from lamplighter.lammps_interface.placement import place
from lamplighter.validation.engines import (
    AseEngine,
    CachedEngine,
    EngineInfo,
    EngineSpec,
    LammpsEngine,
    LammpsFileEngine,
    LammpsLibEngine,
    pair_style,
)
from lamplighter.validation.engines.family import Family, HasFamily, family_of
from lamplighter.validation.engines.variants import VariantError, lammps_of, life
from lamplighter.validation.materials import parity_structures
from lamplighter.validation.parity_set import full_structures
from lamplighter.validation.preflight import known_material, preflight
from lamplighter.validation.properties import parity
from lamplighter.validation.properties.parity import ParitySettings
from lamplighter.validation.suite import MaterialSpec, SuiteConfig, read_suite

LINES = ("pair_style lj/cut 6.0", "pair_coeff * * 0.2 2.3", "pair_modify shift yes")


def rattled() -> Atoms:
    atoms = bulk("Cu", a=3.6, cubic=True).repeat((2, 1, 1))
    atoms.rattle(0.05, seed=1)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.1 * np.tri(3)), scale_atoms=True)
    return atoms


def by_key(result) -> dict[str, dict]:
    return {point["key"]: point for point in result.arrays["points"]}


def only_points(level="quick", **keys) -> ParitySettings:
    return ParitySettings(directions=0, invariances=False, points=level, **keys)


@pytest.mark.mpi
def test_every_point_of_a_classical_pair_style(tmp_path):
    potential = lennard_jones(tmp_path)
    reference = AseEngine(potential.calculator())
    with LammpsEngine(pair_style(LINES, ("Cu",))) as engine:
        result = parity.run({"rattled": rattled()}, reference, engine, only_points())
    assert result.status == "ok", result.failed()
    points = by_key(result)
    assert {key: p["number"] for key, p in points.items()} == {
        "types": 3,
        "extensivity": 4,
        "free atoms": 4,
        "head": 5,
        "other head": 5,
        "heads differ": 5,
        "2 ranks": 6,
        "newton off": 6,
        "ghosts": 6,
        "dynamics": 7,
        "dynamics, reference": 7,
        "neighbours": 7,
        "restart": 8,
    }
    reasons = {k: p["text"] for k, p in points.items() if p["value"] is None}
    assert set(reasons) == {"types", "head", "other head", "heads differ"}
    assert reasons["types"] == "one type only"
    assert "has no heads" in reasons["head"]
    for key in set(points) - set(reasons):
        assert points[key]["verdict"] == "pass"
        assert points[key]["value"] < 1e-2
    # Moved atoms have other forces: the run was made, not only its start.
    found = life(lammps_of(engine), rattled())
    start = reference.compute(rattled())
    assert np.abs(found.moved.forces - start.forces).max() > 0.05
    assert [c.name for c in result.checks if c.name.startswith("parity: ")]


@pytest.mark.slow
@pytest.mark.mpi
def test_a_full_preflight_tries_grids_and_says_what_a_style_forbids(tmp_path):
    potential = tersoff(tmp_path)
    atoms = bulk("Si", a=5.43, cubic=True)
    atoms.rattle(0.05, seed=2)
    style = pair_style(potential.lines, potential.elements)
    engine = LammpsFileEngine(style, command="mpirun -n 1 lmp")
    result = parity.run({"Si": atoms}, engine, engine, only_points("full"))
    assert result.status == "ok", result.failed()
    points = by_key(result)
    assert {"grid 2 1 1", "grid 2 2 1", "grid 1 1 4", "newton on"} <= set(points)
    assert points["grid 1 1 4"]["verdict"] == "pass"
    assert points["newton off"]["verdict"] == "not applicable"
    assert "requires newton pair on" in points["newton off"]["text"]


def test_an_engine_that_is_not_lammps_has_no_ranks():
    engine = AseEngine(EMT())
    result = parity.run({"Cu": rattled()}, engine, engine, only_points())
    points = by_key(result)
    assert points["extensivity"]["verdict"] == "pass"
    for key in ("2 ranks", "restart", "dynamics", "ghosts", "types"):
        assert points[key]["verdict"] == "not applicable"
        assert "is not LAMMPS" in points[key]["text"]


def test_points_are_left_out_on_request_only():
    engine = AseEngine(EMT())
    result = parity.run({"Cu": rattled()}, engine, engine, only_points("none"))
    assert result.arrays["points"] == []
    with pytest.raises(ConfigError, match="'points'"):
        ParitySettings(points="some")


def test_ranks_of_a_user_command_are_not_ours_to_change():
    style = pair_style(LINES, ("Cu",))
    lammps = lammps_of(LammpsFileEngine(style, command="lmp -sf opt"))
    with pytest.raises(VariantError, match="mpirun -n"):
        lammps.variant(ranks=2)
    wrapped = CachedEngine(LammpsLibEngine(style), None)
    assert lammps_of(wrapped).own


def test_a_missing_mpiexec_is_a_reason_not_a_failure(monkeypatch):
    from lamplighter.lammps_interface import session

    style = pair_style(LINES, ("Cu",))
    lammps = lammps_of(LammpsLibEngine(style))
    monkeypatch.setattr(session, "lmp_command", lambda: ["/nowhere/lmp"])
    with pytest.raises(VariantError, match="not installed"):
        lammps.variant(ranks=2)


def test_dynamics_that_stop_are_a_failure(tmp_path):
    lines = (*LINES, "fix 9 all spring/self nonsense")
    engine = LammpsFileEngine(pair_style(lines, ("Cu",)), failures=tmp_path)
    with pytest.raises(EngineError, match="10 steps of dynamics and a restart"):
        life(lammps_of(engine), rattled())


class Heads(AseEngine):
    """Lennard-Jones with a head for each depth."""

    def __init__(self, head: str, epsilons: dict[str, float], opened=None) -> None:
        info = EngineInfo(kind="ase", name="heads", model="LJ", head=head)
        calculator = LennardJones(sigma=2.3, epsilon=epsilons[head], rc=6.0)
        super().__init__(calculator, info)

        @contextlib.contextmanager
        def again(name):
            yield Heads(name, opened or epsilons)

        self.family = Family(
            head=head,
            heads=tuple(epsilons),
            reference_energies={"Cu": -3.0},
            open=again,
        )


def test_heads_are_selected():
    one, two = Heads("a", {"a": 0.2, "b": 0.3}), Heads("a", {"a": 0.2, "b": 0.3})
    assert isinstance(two, HasFamily)
    assert family_of(CachedEngine(two, None)).head == "a"
    points = by_key(parity.run({"Cu": rattled()}, one, two, only_points()))
    for key in ("head", "other head", "heads differ"):
        assert points[key]["verdict"] == "pass", points[key]
    assert points["heads differ"]["at_least"]
    assert points["free atoms"]["text"] == "from E0: 3 eV Cu"


@pytest.mark.parametrize(
    ("opened", "failing"),
    [
        ({"a": 0.2, "b": 0.2}, {"heads differ", "other head"}),  # the head is ignored
        ({"a": 0.3, "b": 0.2}, {"head", "heads differ", "other head"}),  # exchanged
        ({"a": 0.2, "b": 0.31}, {"other head"}),  # another model's head
    ],
)
def test_a_wrong_head_is_caught(opened, failing):
    one = Heads("a", {"a": 0.2, "b": 0.3})
    two = Heads("a", {"a": 0.2, "b": 0.3}, opened)
    result = parity.run({"Cu": rattled()}, one, two, only_points())
    assert {c.name for c in result.failed()} == {f"parity: {key}" for key in failing}


def test_a_free_atom_that_differs_is_caught():
    class Shifted(AseEngine):
        def compute(self, atoms, want=("energy", "forces", "stress")):
            result = super().compute(atoms, want)
            extra = 1e-6 if len(atoms) == 1 else 0.0
            return dataclasses.replace(result, energy=result.energy + extra)

    result = parity.run(
        {"Cu": rattled()}, AseEngine(EMT()), Shifted(EMT()), only_points()
    )
    assert {c.name for c in result.failed()} == {"parity: free atoms"}


def test_an_engine_that_counts_atoms_twice_is_not_extensive():
    class Root(AseEngine):
        def compute(self, atoms, want=("energy", "forces", "stress")):
            result = super().compute(atoms, want)
            energy = result.energy + 1e-4 * len(atoms) ** 0.5
            return dataclasses.replace(result, energy=energy)

    engine = Root(EMT())
    result = parity.run({"Cu": rattled()}, engine, engine, only_points())
    failed = {c.name for c in result.failed()}
    assert failed == {"parity: extensivity", "parity of sum"}


def test_a_dead_engine_fails_every_point():
    class Dead(AseEngine):
        def compute(self, atoms, want=("energy", "forces", "stress")):  # noqa: ARG002
            message = "the lights went out"
            raise EngineError(message)

    result = parity.run({"Cu": rattled()}, AseEngine(EMT()), Dead(EMT()), only_points())
    assert {p["verdict"] for p in result.arrays["points"]} == {"fail"}
    assert "the lights went out" in result.arrays["points"][0]["text"]


def test_a_kink_is_not_taken_for_a_wrong_force():
    """The step of a derivative crosses a cutoff: a shorter one is tried."""
    lines = ("pair_style lj/cut 3.0", "pair_coeff * * 0.2 2.3")
    atoms = Atoms("Cu2", [[0, 0, 0], [2.9995, 0, 0]], cell=[20, 20, 20], pbc=True)
    with LammpsLibEngine(pair_style(lines, ("Cu",))) as engine:
        result = parity.run(
            {"edge": atoms}, engine, engine, ParitySettings(points="none", seed=3)
        )
    assert result.status == "ok", result.failed()


def test_the_full_set_has_what_the_quick_one_lacks():
    crystal = bulk("MgO", "rocksalt", a=4.25, cubic=True)
    quick, full = parity_structures(crystal), full_structures(crystal)
    assert list(full)[: len(quick)] == list(quick)
    assert len(full) == 12
    assert np.linalg.det(full["left-handed cell"].cell.array) < 0
    one, other = (
        place(full[name]).box
        for name in ("triclinic, rotated", "triclinic, other sign")
    )
    for i, j in ((1, 0), (2, 0), (2, 1)):
        assert one[i, j] * other[i, j] < 0
    assert full["molecule without a cell"].cell.rank == 0
    assert tuple(full["wire, open boundaries"].pbc) == (True, False, False)
    assert 150 <= len(full["liquid"]) <= 400
    distances = full["liquid"].get_all_distances(mic=True)
    assert distances[distances > 0].min() > 1.6
    again = full_structures(crystal)
    assert all(np.array_equal(full[k].positions, again[k].positions) for k in full)
    for metal in ("Al", "Si"):
        full_structures(bulk(metal, cubic=True))


SUITE = """
engines:
  - {kind: ase, calculator: "ase.calculators.lj:LennardJones",
     arguments: {sigma: 2.3, epsilon: 0.2, rc: 6.0}}
  - {kind: lammps-lib, pair_style: lj/cut 6.0, pair_coeff: "* * EPSILON 2.3",
     commands: pair_modify shift yes, elements: Cu}
materials: [Cu]
"""


@pytest.fixture
def suite(tmp_path):
    def write(epsilon=0.2):
        path = tmp_path / "lj.yaml"
        path.write_text(SUITE.replace("EPSILON", str(epsilon)))
        return path

    return write


@pytest.mark.mpi
def test_the_command_shows_the_tables(suite, capsys, tmp_path):
    structure = tmp_path / "one.xyz"
    rattled().write(structure, format="extxyz")
    assert command(["validate", "parity", str(suite()), str(structure)]) == 0
    out = capsys.readouterr().out
    for text in ("structures: lammps-lib against ase", "one.xyz#0", "ΔE", "limit"):
        assert text in out
    assert "6. 2 ranks" in out
    assert "8. through a restart" in out
    assert "types reversed: one type only" in out


def test_a_failed_parity_is_exit_code_1_and_leaves_inputs(suite, capsys, tmp_path):
    left = tmp_path / "left"
    words = ["validate", "parity", str(suite(0.21)), "--json", "--failures", str(left)]
    structure = tmp_path / "one.xyz"
    rattled().write(structure, format="extxyz")
    assert command([*words[:3], str(structure), *words[3:]]) == 1
    (record,) = json.loads(capsys.readouterr().out)
    assert record["status"] == "invalid"
    assert record["arrays"]["rows"][0]["verdict"] == "fail"
    assert (left / "one-xyz-0.extxyz").is_file()
    assert (left / "one-xyz-0.lammps" / "in.lammps").is_file()


def test_requests_that_contradict_themselves(suite, capsys, tmp_path):
    for words, message in (
        (["--quick", "--full"], "one of them"),
        (["--head", "pbe"], "a suite says itself"),
    ):
        assert command(["validate", "parity", str(suite()), *words]) == 2
        assert message in capsys.readouterr().err
    assert command(["validate", "parity", str(tmp_path / "none.safetensors")]) == 2
    assert "no such model file" in capsys.readouterr().err


def test_the_preflight_wants_two_engines_and_known_materials(suite, tmp_path):
    config = read_suite(suite())
    one = dataclasses.replace(
        config, engines=config.engines[:1], properties={"bulk": None}
    )
    with pytest.raises(ConfigError, match="parity compares two engines"):
        preflight(one, "quick", tmp_path)
    unknown = dataclasses.replace(config, materials=(MaterialSpec(name="Unobtainium"),))
    with pytest.raises(ConfigError, match="unknown material"):
        preflight(unknown, "quick", tmp_path)


class Card:
    head = "pbe"
    elements = ("Xe",)


def test_a_head_without_a_built_in_material_asks_for_a_file():
    with pytest.raises(ConfigError, match="no built-in material"):
        known_material(Card)
    Card.elements = ("Mg", "O")
    assert known_material(Card) == "MgO"


def test_a_suite_without_a_model_has_engines_of_its_own(suite):
    config = read_suite(suite())
    assert config.model is None
    assert all(isinstance(spec, EngineSpec) and spec.foreign for spec in config.engines)
    assert isinstance(config, SuiteConfig)


def test_files_of_one_name_are_two_structures(tmp_path):
    from lamplighter.commands.parity import read_structures

    files = [tmp_path / name / "x.xyz" for name in "ab"]
    for k, file in enumerate(files):
        file.parent.mkdir()
        bulk("Cu", a=3.6 + k).write(file, format="extxyz")
    found = read_structures(files)
    assert list(found) == [f"{file}#0" for file in files]
    assert list(read_structures(files[:1])) == ["x.xyz#0"]
    strange = tmp_path / "x.strange"
    strange.write_text("no structure")
    with pytest.raises(DataError, match="a file that ASE reads"):
        read_structures([strange])


def test_the_points_run_on_the_ranks_of_the_engine():
    style = pair_style(LINES, ("Cu",))
    lammps = lammps_of(LammpsEngine(style, ranks=3))
    assert lammps.ranks == 3
    assert lammps.words[-5:-1] != ()
    assert "3" in lammps.words
    assert lammps.variant(skin=2.0).info.ranks == 3
    assert lammps.with_style(style).info.ranks == 3


def test_a_launcher_that_starts_other_ranks_is_not_taken_for_a_pass(monkeypatch):
    from lamplighter.validation.engines import variants

    lammps = lammps_of(LammpsLibEngine(pair_style(LINES, ("Cu",))))
    monkeypatch.setattr(variants, "probe", lambda _: ("20250722", 1))
    with pytest.raises(VariantError, match="starts LAMMPS on 1 ranks"):
        lammps.variant(ranks=2)


def test_materials_keep_their_failures_apart(suite, tmp_path, monkeypatch):
    from lamplighter.validation import preflight as module

    monkeypatch.setattr(
        module, "parity_structures", lambda crystal: {"crystal": crystal}
    )
    monkeypatch.setattr(module.parity, "points", lambda *_: [])
    config = read_suite(suite(0.21))
    two = (MaterialSpec(name="Cu"), MaterialSpec(name="Al"))
    spec = dataclasses.replace(config.engines[1], elements=("Cu", "Al"))
    config = dataclasses.replace(
        config, materials=two, engines=(config.engines[0], spec)
    )
    preflight(config, "quick", tmp_path, failures=tmp_path / "left")
    names = {path.name for path in (tmp_path / "left").iterdir()}
    assert names == {"Cu", "Al"}
    one, other = (
        {p.name for p in (tmp_path / "left" / name).iterdir()} for name in ("Cu", "Al")
    )
    assert one == other
