"""LAMMPS with any command line, and LAMMPS as a library."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones
from numpy.testing import assert_allclose

from lamplighter.errors import ConfigError, DataError, EngineError
from lamplighter.lammps_interface.session import stock_command
from lamplighter.validation.engines import (
    AseEngine,
    Engine,
    LammpsEngine,
    LammpsFileEngine,
    LammpsLibEngine,
    lammps_file,
    pair_style,
)
from lamplighter.validation.engines.base import WANT_ALL
from lamplighter.validation.engines.command import (
    command_words,
    environment,
    probe,
    with_ranks,
)
from lamplighter.validation.engines.lammps_input import KCAL_PER_MOL, read_answer

LINES = ("pair_style lj/cut 6.0", "pair_coeff * * 0.2 2.3", "pair_modify shift yes")
COULOMB = 14.399645  # eV Å / e^2, as LAMMPS' units metal have it


def copper(*, seed: int = 1) -> Atoms:
    atoms = bulk("Cu", a=3.6, cubic=True)
    atoms.rattle(0.1, seed=seed)
    return atoms


def test_an_input_holds_many_structures(monkeypatch):
    starts = []
    run = lammps_file.run_input

    def counted(*words, **options):
        starts.append(words)
        return run(*words, **options)

    monkeypatch.setattr(lammps_file, "run_input", counted)
    atoms = [copper(seed=k) for k in range(5)]
    atoms[2].pbc = (True, True, False)
    atoms[3] = Atoms("Cu3", [[0, 0, 0], [2, 0.3, 0], [0, 2, 0.5]])
    engine = LammpsFileEngine(pair_style(LINES, ("Cu",)), batch=3)
    assert isinstance(engine, Engine)
    found = engine.compute_many(atoms, WANT_ALL)
    assert len(starts) == 2
    assert starts[0][1].count("clear") == 3
    reference = AseEngine(
        LennardJones(sigma=2.3, epsilon=0.2, rc=6.0, smooth=False)
    ).compute_many(atoms, WANT_ALL)
    for ours, theirs in zip(found, reference, strict=True):
        assert ours.energy == pytest.approx(theirs.energy, abs=1e-11)
        assert_allclose(ours.forces, theirs.forces, atol=1e-11)
        assert_allclose(ours.energies, theirs.energies, atol=1e-11)
    assert found[3].stress is None
    assert engine.compute(atoms[0], ("energy",)).stress is None


@pytest.mark.mpi
def test_a_command_line_of_the_user_is_asked_for_version_and_ranks():
    engine = LammpsFileEngine(pair_style(LINES, ("Cu",)), command="mpirun -n 2 lmp")
    info = engine.info
    assert (info.kind, info.ranks) == ("lammps-file", 2)
    assert re.fullmatch(r"20\d{6}", info.lammps_version)
    assert info.extra["command"] == "mpirun -n 2 lmp"
    theirs = LennardJones(sigma=2.3, epsilon=0.2, rc=6.0, smooth=False)
    expected = AseEngine(theirs).compute(copper()).energy
    assert engine.compute(copper()).energy == pytest.approx(expected, abs=1e-11)


def test_options_of_the_command_line_reach_lammps():
    style = pair_style(LINES, ("Cu",))
    fast = LammpsFileEngine(style, command=["lmp", "-sf", "opt"])
    with LammpsLibEngine(style) as plain:
        assert fast.compute(copper()).energy == pytest.approx(
            plain.compute(copper()).energy, abs=1e-11
        )
    wrong = LammpsFileEngine(style, command="lmp -nonsense")
    with pytest.raises(EngineError, match=r"does not start LAMMPS: .*-nonsense"):
        _ = wrong.info


def test_a_kept_process_takes_a_command_line_too():
    style = pair_style(LINES, ("Cu",))
    with LammpsEngine(style, command="lmp -sf opt") as engine:
        energy = engine.compute(copper()).energy
    with LammpsLibEngine(style) as plain:
        assert energy == pytest.approx(plain.compute(copper()).energy, abs=1e-11)
    with pytest.raises(ConfigError, match="command is empty"):
        LammpsEngine(style, command="")


def test_commands_that_cannot_be(tmp_path):
    with pytest.raises(ConfigError, match="command is empty"):
        command_words("")
    with pytest.raises(ConfigError, match="cannot be read"):
        command_words("lmp 'open")
    with pytest.raises(EngineError, match=r"does not exist.*nowhere"):
        command_words("nowhere -n 2")
    with pytest.raises(EngineError, match="does not start LAMMPS"):
        probe([sys.executable, "-c", "print('no')"])
    with pytest.raises(EngineError, match="does not start LAMMPS"):
        probe([str(tmp_path / "missing")])
    style = pair_style(LINES, ("Cu",))
    with pytest.raises(ConfigError, match="inside of command"):
        LammpsFileEngine(style, ranks=2, command="lmp")
    with pytest.raises(ConfigError, match="1 structure or more"):
        LammpsFileEngine(style, batch=0)
    assert command_words(None) == stock_command(1)


def test_ranks_of_a_command_line_are_found():
    assert with_ranks(["/x/mpirun", "-n", "4", "lmp"], 2) == [
        "/x/mpirun", "-n", "2", "lmp",
    ]  # fmt: skip
    assert with_ranks(["srun", "--ntasks", "4", "lmp"], 1)[2] == "1"
    # Processors of a rank are no ranks.
    assert with_ranks(["srun", "-c", "4", "-n", "8", "lmp"], 2) == [
        "srun", "-c", "4", "-n", "2", "lmp",
    ]  # fmt: skip
    assert with_ranks(["srun", "-c", "4", "lmp"], 2) is None
    assert with_ranks(["lmp", "-k", "on", "g", "1"], 2) is None
    assert with_ranks(["mpirun", "lmp"], 2) is None


FAILING = {
    "file": LammpsFileEngine,
    "process": LammpsEngine,
    "library": LammpsLibEngine,
}


@pytest.mark.parametrize("kind", FAILING)
def test_a_failure_leaves_an_input_that_fails_again(kind, tmp_path):
    potential = tmp_path / "broken.sw"
    potential.write_text("Si Si Si 2.1\n")
    lines = ("pair_style sw", f'pair_coeff * * "{potential}" Si')
    engine = FAILING[kind](pair_style(lines, ("Si",)), failures=tmp_path / "left")
    with pytest.raises(
        EngineError, match=r"LAMMPS stopped(.|\n)*the input of"
    ) as error:
        engine.compute(bulk("Si"))
    engine.close()
    source = Path(str(error.value).rsplit("structure: ", 1)[1])
    assert source.parent.parent == tmp_path / "left"
    assert {p.name for p in source.parent.iterdir()} == {
        "in.lammps", "structure.data", "structure.extxyz", "broken.sw", "message.txt",
    }  # fmt: skip
    potential.unlink()  # what was left needs nothing else
    done = subprocess.run(
        [*stock_command(1), "-in", "in.lammps", "-log", "none"],
        cwd=source.parent, capture_output=True, text=True, check=False,
        env=environment(),
    )  # fmt: skip
    assert done.returncode != 0
    assert "ERROR on proc 0: Incorrect format in sw potential" in done.stdout


def test_the_input_that_is_left_gives_the_numbers_of_the_engine(tmp_path):
    from lamplighter.validation.engines.failures import write_input

    style = pair_style(LINES, ("Cu",))
    source = write_input(copper(), style, tmp_path / "one")
    subprocess.run(
        [*stock_command(1), "-in", source.name, "-log", "none"],
        cwd=source.parent, capture_output=True, check=True, env=environment(),
    )  # fmt: skip
    table = np.loadtxt(source.parent / "forces.dump", skiprows=9)
    with LammpsLibEngine(style) as engine:
        assert_allclose(table[:, 1:4], engine.compute(copper()).forces, atol=1e-11)


def test_the_structure_that_fails_is_named_and_others_are_not_blamed(tmp_path):
    atoms = [copper(), Atoms("Cu2", cell=[9, 9, 9], pbc=True), copper()]
    engine = LammpsFileEngine(pair_style(LINES, ("Cu",)), failures=tmp_path)
    with pytest.raises(EngineError, match=r"not finite|LAMMPS stopped"):
        engine.compute_many(atoms)
    with pytest.raises(DataError, match=r"\['Al'\]"):
        engine.compute_many([copper(), bulk("Al")])


def test_a_lammps_without_end_is_ended(tmp_path):
    engine = LammpsFileEngine(
        pair_style((*LINES, "shell sleep 30"), ("Cu",)),
        timeout_s=1.5,
        failures=tmp_path,
    )
    with pytest.raises(EngineError, match=r"no end within 1\.5 s"):
        engine.compute(copper())


def test_what_escapes_from_a_time_limit_is_not_waited_for(tmp_path):
    """A process in a session of its own holds the output, and is nobody's to end."""
    started = time.monotonic()
    words = ["bash", "-c", "setsid sleep 20 & sleep 20"]
    outcome = lammps_file.run_program(
        words, tmp_path, timeout_s=1.0, environment=environment()
    )
    assert outcome.what == "no end within 1 s"
    assert time.monotonic() - started < 10.0
    with pytest.raises(ConfigError, match="timeout_s"):
        LammpsFileEngine(pair_style(LINES, ("Cu",)), timeout_s=float("inf"))


@pytest.mark.parametrize("kind", FAILING)
def test_lines_about_atoms_meet_atoms(kind):
    """A group of an empty box would stay empty, and the fix without effect."""
    lines = (*LINES, "group one type 1", "fix push one addforce 0.1 0 0")
    engine = FAILING[kind](pair_style(lines, ("Cu",)))
    total = engine.compute(copper()).forces.sum(axis=0)
    engine.close()
    assert_allclose(total, [0.4, 0, 0], atol=1e-12)


@pytest.mark.parametrize("kind", ["process", "file"])
def test_the_record_of_a_command_line_is_that_of_its_lammps(kind):
    style = pair_style(LINES, ("Cu",))
    with contextlib.closing(FAILING[kind](style, command="lmp -sf opt")) as engine:
        assert re.fullmatch(r"20\d{6}", engine.info.lammps_version)
        assert engine.info.extra["command"] == "lmp -sf opt"
        assert engine.content.endswith("/lmp -sf opt")
        assert engine.compute(copper()).info == engine.info == engine.style.info


@pytest.mark.parametrize("kind", FAILING)
def test_a_number_that_is_not_finite_leaves_an_input(kind, tmp_path):
    style = pair_style(("pair_style coul/cut 9.0", "pair_coeff * *"), ("Na",),
                       atom_style="charge")  # fmt: skip
    atoms = Atoms("Na2", [[0, 0, 0], [1.0, 0, 0]])
    atoms.set_initial_charges([1e200, 1e200])
    atoms.info["strange"] = object()  # nothing that extended XYZ could hold
    engine = FAILING[kind](style, failures=tmp_path)
    with pytest.raises(EngineError, match=r"not finite(.|\n)*the input of this"):
        engine.compute(atoms)
    engine.close()
    assert len(list(tmp_path.glob("*/structure.extxyz"))) == 1


def test_an_answer_that_is_cut_off_is_an_error(tmp_path):
    dump = tmp_path / "d"
    dump.write_text("x\n" * 9 + "1 0 0 0\n2 0 0")
    for words in ([], ["1.0"] * 6, ["1.0"] * 8, ["one"] * 7):
        with pytest.raises(EngineError, match="did not print energy and virial"):
            read_answer(words, dump, 1)
    with pytest.raises(EngineError, match="cannot be read"):
        read_answer(["1.0"] * 7, dump, 2)
    with pytest.raises(EngineError, match="cannot be read"):
        read_answer(["1.0"] * 7, tmp_path / "gone", 2)
    dump.write_text("x\n" * 9 + "1 0 0 0\n")
    with pytest.raises(EngineError, match="1 atoms missing"):
        read_answer(["1.0"] * 7, dump, 2)


def test_files_of_one_name_are_two_files(tmp_path):
    from lamplighter.validation.engines.failures import write_input

    paths = [tmp_path / name / "x.eam" for name in "ab"]
    for path in paths:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    lines = ("pair_style eam", *(f'pair_coeff 1 1 "{path}"' for path in paths))
    source = write_input(copper(), pair_style(lines, ("Cu",)), tmp_path / "left")
    text = source.read_text()
    assert str(tmp_path) not in text
    named = [line.split('"')[1] for line in text.splitlines() if "pair_coeff" in line]
    assert [(tmp_path / "left" / name).read_text() for name in named] == ["a", "b"]


@pytest.mark.parametrize("make", [LammpsFileEngine, LammpsEngine])
def test_units_real_give_ev(make):
    real = (
        LINES[0],
        f"pair_coeff * * {0.2 / KCAL_PER_MOL:.17g} 2.3",
        "pair_modify shift yes",
    )
    with LammpsLibEngine(pair_style(LINES, ("Cu",))) as metal:
        expected = metal.compute(copper(), WANT_ALL)
    engine = make(pair_style(real, ("Cu",), units="real"))
    found = engine.compute(copper(), WANT_ALL)
    engine.close()
    assert found.energy == pytest.approx(expected.energy, abs=1e-12)
    assert_allclose(found.forces, expected.forces, atol=1e-12)
    assert_allclose(found.stress, expected.stress, atol=1e-13)
    assert_allclose(found.energies, expected.energies, atol=1e-12)


@pytest.mark.parametrize("kind", FAILING)
@pytest.mark.parametrize("atom_style", ["charge", "full"])
def test_initial_charges_reach_lammps(kind, atom_style):
    style = pair_style(
        ("pair_style coul/cut 9.0", "pair_coeff * *"),
        ("Na", "Cl"),
        atom_style=atom_style,
    )
    atoms = Atoms("ClNa", [[0, 0, 0], [1.5, 1.0, 1.0]])
    atoms.set_initial_charges([-0.8, 0.9])
    engine = FAILING[kind](style)
    found = engine.compute(atoms)
    engine.close()
    r = np.linalg.norm(atoms.positions[1])
    assert found.energy == pytest.approx(-0.72 * COULOMB / r, rel=1e-6)
    assert found.forces[0] @ atoms.positions[1] > 0


def test_the_library_recovers_and_a_copy_has_its_own():
    bad = pair_style(("pair_style lj/cut 6.0", "pair_coeff 1 1 0.2"), ("Cu",))
    with (
        LammpsLibEngine(bad) as engine,
        pytest.raises(EngineError, match=r"Incorrect args(.|\n)*pair_coeff 1 1 0\.2"),
    ):
        engine.compute(copper())
    with LammpsLibEngine(pair_style(LINES, ("Cu",))) as engine:
        assert engine.info.kind == "lammps-lib"
        first = engine.compute(copper()).energy
        with pickle.loads(pickle.dumps(engine)) as twin:
            assert twin.compute(copper()).energy == first
            assert twin._process is not engine._process


@pytest.mark.parametrize("cls", [LammpsLibEngine, LammpsEngine])
def test_threads_share_an_engine(cls):
    """A dialogue of two threads would exchange their answers, or never end."""
    structures = [copper(seed=k) for k in range(3)]
    wrong = []
    with cls(pair_style(LINES, ("Cu",))) as engine:
        expected = [r.energy for r in engine.compute_many(structures)]

        def work(k):
            found = [engine.compute(structures[k]).energy for _ in range(8)]
            wrong.extend(e for e in found if abs(e - expected[k]) > 1e-9)

        threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert not any(thread.is_alive() for thread in threads)
    assert wrong == []


def _in_a_fork(engine, energy):
    found = engine.compute(copper()).energy
    engine.close()
    os._exit(0 if abs(found - energy) < 1e-12 else 1)


def test_a_fork_has_a_lammps_of_its_own():
    with LammpsEngine(pair_style(LINES, ("Cu",))) as engine:
        energy = engine.compute(copper()).energy
        child = multiprocessing.get_context("fork").Process(
            target=_in_a_fork, args=(engine, energy)
        )
        child.start()
        child.join(timeout=60)
        assert child.exitcode == 0
        running = engine._process
        assert engine.compute(copper()).energy == energy
        assert engine._process is running  # the child ended its own, not this one


def test_threads_share_the_library():
    energies = []

    def work(engine):
        energies.extend(engine.compute(copper()).energy for _ in range(5))

    engines = [LammpsLibEngine(pair_style(LINES, ("Cu",))) for _ in range(3)]
    threads = [threading.Thread(target=work, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.close()
    assert len(energies) == 15
    assert len(set(energies)) == 1


def test_types_are_reversed_only_where_the_lines_say_how():
    many_body = pair_style(
        ("pair_style tersoff", 'pair_coeff * * "mine.tersoff" Si C'), ("Si", "C")
    )
    turned = many_body.with_types_reversed()
    assert turned.elements == ("C", "Si")
    assert turned.commands[1] == 'pair_coeff * * "mine.tersoff" C Si'
    by_number = ("pair_style lj/cut 5", "pair_coeff 1 1 1 2", "pair_coeff 2 2 1 2")
    assert pair_style(by_number, ("Si", "C")).with_types_reversed() is None
    assert pair_style(LINES, ("Cu",)).with_types_reversed() is None
    charged = dataclasses.replace(
        many_body, commands=(*many_body.commands, "set type 1 charge 1")
    )
    assert charged.with_types_reversed() is None
