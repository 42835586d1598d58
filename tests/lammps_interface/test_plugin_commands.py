"""Commands of LAMMPS that run a potential in other ways than one run of one system."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from crystal_commands import CRYSTAL

TOY = Path(__file__).parent / "toy"
MPIEXEC, LMP = (str(Path(sys.executable).parent / name) for name in ("mpiexec", "lmp"))

RATTLED = (
    CRYSTAL
    + """displace_atoms all random 0.05 0.05 0.05 9
pair_style mliap unified {model} 0
pair_coeff * * Mg O
"""
)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_rerun_gives_the_energies_of_the_run(lmp, ranks):
    script = (
        RATTLED.format(model="TOY")
        + """
    velocity all create 900 12 loop geom
    fix move all nve
    dump d all custom 2 run.dump id type x y z
    dump_modify d format float %.17g sort id
    variable e equal pe
    fix print all print 2 "run: $(step) $(pe:%.12g)" screen yes
    thermo 2
    run 6 post no
    unfix print
    undump d
    unfix move
    fix print all print 2 "rerun: $(step) $(pe:%.12g)" screen yes
    rerun run.dump dump x y z
    """
    )
    outcome = lmp(script, ranks=ranks)
    assert outcome.status == 0, outcome.text[-2000:]
    first, again = dict(outcome.numbers("run")), dict(outcome.numbers("rerun"))
    shared = sorted(set(first) & set(again))
    assert len(shared) >= 2
    for step in shared:
        assert again[step] == pytest.approx(first[step], rel=1e-11)
    assert len(set(first.values())) > 2


def partitions(folder, count, script):
    """Run `count` partitions of one rank; return what each printed to its screen."""
    (folder / "in.lammps").write_text(script)
    command = [MPIEXEC, "-n", str(count), LMP, "-partition", f"{count}x1"]
    done = subprocess.run(
        [*command, "-in", "in.lammps"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TOY)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return [(folder / f"log.lammps.{k}").read_text() for k in range(count)]


def energies_in(text):
    return [float(x.split()[1]) for x in text.splitlines() if x.startswith("energy:")]


@pytest.mark.mpi
def test_partitions_hold_models_of_their_own(tmp_path):
    script = "variable m world TOY TOY300\n" + RATTLED.replace("{model}", "${m}")
    script += 'run 0 post no\nprint "energy: $(pe:%.12g)"\n'
    one, two = (energies_in(text)[0] for text in partitions(tmp_path, 2, script))
    assert one == pytest.approx(two, rel=1e-10)  # TOY300 sums to the same energy


BAND = """
units metal
atom_style atomic
atom_modify map array sort 0 0.0
region b block 0 14 0 14 0 14
create_box 2 b
create_atoms 1 single 4 7 7
create_atoms 2 single 7.4 7 7
create_atoms 1 single 10 7 7
mass * 20.0
pair_style mliap unified TOY 0
pair_coeff * * Mg O
group ends type 1
group middle type 2
fix hold ends setforce 0 0 0
fix band middle neb 1.0
thermo 10
timestep 0.002
min_style quickmin
neb 0.0 0.02 300 100 10 final far.txt
variable u uloop 3 pad
print "energy: $(pe:%.12g)"
"""


@pytest.mark.mpi
def test_a_band_of_images_finds_the_way_across(tmp_path):
    """An atom between two others passes from one to the other, over a barrier."""
    (tmp_path / "far.txt").write_text("1\n2 6.6 7 7\n")
    first, middle, last = (
        energies_in(text)[0] for text in partitions(tmp_path, 3, BAND)
    )
    assert first == pytest.approx(last, abs=1e-3)  # mirror images
    assert abs(middle - first) > 1e-3


@pytest.mark.mpi
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_ranks(tmp_path, number):
    script = RATTLED.format(model="TOY") + "fix 1 all nve\nthermo 1\nrun 1000000\n"
    (tmp_path / "in.lammps").write_text(script)
    with (
        (tmp_path / "out").open("w") as out,
        subprocess.Popen(
            [MPIEXEC, "-n", "2", LMP, "-in", "in.lammps", "-log", "none"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(TOY)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            wait_for("Step", tmp_path / "out")
            process.send_signal(number)
            process.wait(timeout=30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0
    with pytest.raises(ProcessLookupError):  # nobody is left in the session
        os.killpg(process.pid, 0)


def wait_for(word, path, limit=120.0):
    start = time.monotonic()
    while word not in path.read_text():
        assert time.monotonic() - start < limit, path.read_text()[-2000:]
        time.sleep(0.2)
    time.sleep(0.5)


def test_two_systems_in_one_process_do_not_meet():
    code = f"""
import lammps, toy_models
from lamplighter.lammps_interface import host
host.register(toy_models.Toy(), "A")
host.register(toy_models.LennardJones(), "B")
one, two = (lammps.lammps(cmdargs=["-log", "none", "-screen", "none"]) for _ in "ab")
one.commands_string({RATTLED.format(model="A")!r})
two.commands_string({RATTLED.format(model="B").replace("* * Mg O", "* * Ar Ar")!r})
for engine in (one, two, one, two):
    engine.command("run 1 post no")
    print("energy:", engine.get_thermo("pe"))
two.close()
one.command("run 1 post no")
print("energy:", one.get_thermo("pe"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(TOY)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    a, b, c, d, e = energies_in(done.stdout)
    assert a == pytest.approx(c, rel=1e-12) == pytest.approx(e, rel=1e-12)
    assert b == pytest.approx(d, rel=1e-12)
    assert a != pytest.approx(b, rel=1e-3)


COPPER = """
units metal
atom_style atomic
lattice fcc 3.61
region b block 0 16 0 16 0 16
create_box 1 b
create_atoms 1 box
mass * 63.546
pair_style mliap unified LJ 0
pair_coeff * * Ar
run 0 post no
"""


def test_memory_grows_with_the_number_of_pairs(lmp):
    """16,384 atoms with 78 neighbours; LAMMPS' own ML-IAP asks for atoms x pairs."""
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2\n"
        "print('energy:', done.returncode, used)\n"
    )
    outcome = lmp(COPPER, program=[sys.executable, "-c", code, LMP])
    status, gibibytes = outcome.numbers("energy")[0]
    assert status == 0
    assert gibibytes < 3.0


def test_an_empty_group_of_atoms_is_no_trouble(lmp):
    script = RATTLED.format(model="TOY")
    script += "delete_atoms group all compress no\nrun 0 post no\n"
    outcome = lmp(script + 'print "energy: $(pe)"\n')
    assert outcome.status == 0, outcome.text[-2000:]
    assert outcome.numbers("energy")[0][0] == 0.0
    assert np.isfinite(outcome.numbers("energy")).all()


def test_another_model_wants_its_elements_again(lmp):
    """LAMMPS keeps the pair style's object, which must not keep the old elements."""
    script = RATTLED.format(model="TOY") + "run 0\npair_style mliap unified TOY 0\n"
    outcome = lmp(script + "run 0\n")
    assert outcome.status != 0
    assert "All pair coeffs are not set" in outcome.text
