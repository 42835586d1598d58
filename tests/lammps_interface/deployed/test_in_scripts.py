"""What a script can ask of a model: head, parity check, per-atom parts, restart."""

import shutil

import numpy as np
import pytest
import torch
from ase.io.lammpsdata import write_lammps_data

import lamplighter
from lamplighter.errors import ConfigError
from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.runner import run_lammps
from lamplighter.lammps_interface.selfcheck import PeriodicRank
from lamplighter.model import save_potential
from lamplighter.model.mace_import import import_mace

START = """
units metal
atom_style atomic
read_data a.data
mass 1 24.305
mass 2 15.999
"""
COEFF = "pair_coeff * * Mg O\n"


@pytest.fixture(scope="module")
def two_heads(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("heads") / "two.pt"
    return convert(model.path, ["pbe", "scan"], ["Mg", "O"], out, tables=False)


@pytest.fixture
def run(tmp_path, structures):
    """Run a script beside the data file of a rattled crystal; return the result."""
    atoms = structures["rattled"]
    write_lammps_data(tmp_path / "a.data", atoms, specorder=["Mg", "O"])

    def go(text, *, ranks=1, check=True):
        (tmp_path / "in.lammps").write_text(text)
        return run_lammps(tmp_path / "in.lammps", ranks=ranks, check=check)

    return go


def numbers(output, label):
    lines = [x for x in output.splitlines() if x.startswith(f"{label}:")]
    return np.array([[float(word) for word in line.split()[1:]] for line in lines])


def ase_energy(model, structures, head):
    atoms = structures["rattled"].copy()
    atoms.calc = lamplighter.Calculator(model.path, head=head, dtype="float64")
    return atoms.get_potential_energy()


def test_the_head_is_chosen_in_the_script(run, two_heads, model, structures):
    text = START
    for head in ("pbe", "scan"):
        text += f"pair_style none\npair_style mliap unified {two_heads} 0 head {head}\n"
        text += COEFF + 'run 0 post no\nprint "energy: $(pe:%.17g)"\n'
    done = run(text)
    found = numbers(done.output, "energy")[:, 0]
    for energy, head in zip(found, ("pbe", "scan"), strict=True):
        wanted = ase_energy(model, structures, head)
        assert energy == pytest.approx(wanted, abs=1e-8)
        assert f"head {head}, level of theory" in done.output
    assert abs(found[0] - found[1]) > 0.1


def test_several_heads_and_none_named_is_an_error(run, two_heads):
    text = START + f"pair_style mliap unified {two_heads} 0\n" + COEFF
    done = run(text, check=False)
    assert done.returncode == 1
    assert "none is named" in done.output
    assert "pbe, scan" in done.output
    wrong = run(text.replace("two.pt 0", "two.pt 0 head hse"), check=False)
    assert wrong.returncode == 1
    assert "hse" in wrong.output
    assert "scan" in wrong.output


def test_heads_are_named_once(model, tmp_path):
    for heads in (["pbe", "pbe"], []):
        with pytest.raises(ConfigError, match=r"heads to convert.*each once"):
            convert(model.path, heads, ["O"], tmp_path / "no.pt")
    assert not (tmp_path / "no.pt").exists()


def test_a_lammps_that_cannot_name_a_head_gets_an_error(two_heads, structures):
    model = bundle.load_model(two_heads)
    rank = PeriodicRank(structures["rattled"], 4.0, model.element_types)
    with pytest.raises(ConfigError, match=r"several heads.*pbe, scan"):
        model.compute_forces(rank)
    model.with_settings("scan").compute_forces(rank)
    assert np.isfinite(rank.energy)


def test_a_gpu_that_is_not_there_is_an_error(run, model):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    text = START + f"pair_style mliap unified {model.float64} 0 device cuda\n" + COEFF
    done = run(text, check=False)
    assert done.returncode == 1
    assert "no GPU for device cuda" in done.output


@pytest.mark.mpi
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("ranks", [1, 2])
def test_ranks_share_a_gpu(run, model, ranks):
    """Energies, forces and virial pass the parity check, with flux and its exchange."""
    text = START + "compute pe all pe/atom\ncompute ke all ke/atom\n"
    text += "compute w all centroid/stress/atom NULL virial\n"
    text += "compute j all heat/flux ke pe w\nthermo_style custom step pe c_j[1]\n"
    text += "variable j equal c_j[1]\nvelocity all create 300 5 loop geom\n"
    flux = []
    for device in ("cpu", "cuda"):
        style = f"pair_style mliap unified {model.float64} 0 device {device} check 5\n"
        end = 'fix 1 all nve\nrun 10 post no\nprint "flux: $(v_j:%.17g)"\n'
        done = run(text.replace(COEFF, "") + style + COEFF + end, ranks=ranks)
        assert "parity check at step 10" in done.output
        assert ("device cuda:0" in done.output) == (device == "cuda")
        flux.append(numbers(done.output, "flux")[0, 0])
    assert flux[1] == pytest.approx(flux[0], rel=1e-7)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_compiled_potential_in_lammps(run, model, structures, dtype, ranks):
    """It passes the parity check, also with heat flux, which the reference gives."""
    file = getattr(model, dtype)
    text = START + "compute pe all pe/atom\ncompute ke all ke/atom\n"
    text += "compute w all centroid/stress/atom NULL virial\n"
    text += "compute j all heat/flux ke pe w\nvariable j equal c_j[1]\n"
    text += f"pair_style mliap unified {file} 0 backend compiled check 2\n{COEFF}"
    text += "velocity all create 300 5 loop geom\nfix 1 all nve\nrun 0 post no\n"
    text += 'print "energy: $(pe:%.17g)"\n'
    done = run(text + 'run 4 post no\nprint "flux: $(v_j:%.17g)"\n', ranks=ranks)
    assert "parity check at step 4" in done.output
    assert "compiled" in done.output
    wanted = ase_energy(model, structures, "pbe")
    within = 1e-6 if dtype == "float64" else 1e-2
    assert numbers(done.output, "energy")[0, 0] == pytest.approx(wanted, abs=within)
    assert np.isfinite(numbers(done.output, "flux")).all()


def test_charge_and_spin_are_chosen_at_run_time(tmp_path, structures, checkpoint):
    path = tmp_path / "m.safetensors"
    potential = import_mace(checkpoint("embedding-readout")).potential
    save_potential(potential, path)
    head = potential.config.heads[-1].name
    file = convert(path, head, ["O", "Mg"], tmp_path / "m.pt", tables=False)
    atoms = structures["tilted"].copy()
    for values in (
        {},
        {"total_charge": -1.0},
        {"total_charge": 1.0, "total_spin": 2.0},
    ):
        model = bundle.load_model(file).with_settings(None, values)
        rank = PeriodicRank(atoms, model.header.cutoff, model.element_types)
        model.compute_forces(rank)
        atoms.info = {"total_charge": 0.0, "total_spin": 1.0} | values
        atoms.calc = lamplighter.Calculator(path, head=head)
        assert rank.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(rank.forces(), atoms.get_forces(), atol=1e-9)
        assert model.header.conditions == atoms.info
    with pytest.raises(ConfigError, match="total_charge"):
        bundle.load_model(file).with_settings(None, {"total_charge": 1e6})


PARTS = """
compute pe all pe/atom
fix parts all pair 1 mliap reference 0 interaction 0 repulsion 0
compute largest all reduce max f_parts[1] f_parts[2] f_parts[3]
variable rest atom c_pe-f_parts[1]-f_parts[2]
compute rest all reduce sumabs v_rest
compute sums all reduce sum c_pe f_parts[1] f_parts[2] f_parts[3]
thermo_style custom step pe c_sums[*] c_rest
run 2 post no
print "sums: $(c_sums[1]:%.17g) $(c_sums[2]:%.17g) $(c_sums[3]:%.17g) &
$(c_sums[4]:%.17g) $(c_rest:%.17g)"
"""


@pytest.mark.mpi
def test_the_parts_of_the_energy_come_through_fix_pair(
    run, model, potential, structures
):
    text = START + f"pair_style mliap unified {model.float64} 0\n" + COEFF + PARTS
    one, two = run(text), run(text, ranks=2)
    pe, reference, interaction, repulsion, rest = numbers(one.output, "sums")[0]
    np.testing.assert_allclose(
        numbers(two.output, "sums")[0][:4], [pe, reference, interaction, repulsion]
    )
    energies = potential.config.head("pbe").reference_energies
    symbols = structures["rattled"].symbols
    assert reference == pytest.approx(sum(energies[s] for s in symbols), rel=1e-14)
    assert rest < 1e-9
    assert repulsion > 1e-4
    assert abs(interaction - repulsion) > 1e-3


TWO_FIXES = """
fix rare all pair 4 mliap interaction 1
fix often all pair 1 mliap interaction 0
compute pe all pe/atom
fix e0 all pair 1 mliap reference 0
variable rest atom c_pe-f_often-f_e0
compute rest all reduce sumabs v_rest
fix move all nve
timestep 0.002
velocity all create 600 7
thermo_style custom step pe c_rest
thermo 1
run 6
"""


def test_a_fix_with_a_trigger_leaves_the_values_of_others_alone(run, model):
    text = START + f"pair_style mliap unified {model.float64} 0\n" + COEFF
    (table,) = run(text + TWO_FIXES).thermo
    assert np.ptp(table["PotEng"]) > 1e-3
    assert np.abs(table["c_rest"]).max() < 1e-9


@pytest.mark.mpi
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_the_parity_check_passes_and_says_so(run, model, precision):
    file = getattr(model, precision)
    text = START + f"pair_style mliap unified {file} 0 check 5\n" + COEFF
    text += "velocity all create 300 5\nfix 1 all nve\nrun 10\n"
    for ranks in (1, 2):
        done = run(text, ranks=ranks)
        steps = [x for x in done.output.splitlines() if "parity check at step" in x]
        assert [line.split("step ")[1].split(",")[0] for line in steps] == [
            "0",
            "5",
            "10",
        ]


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_parity_check_finds_missing_neighbours(run, model, ranks):
    """A list that is never rebuilt loses the pairs of atoms that travel."""
    text = START + "neighbor 0.1 bin\nneigh_modify delay 1000 check no\n"
    text += f"pair_style mliap unified {model.float64} 0 check 5\n" + COEFF
    text += "velocity all create 30000 5\nfix 1 all nve\ntimestep 0.005\nrun 20\n"
    done = run(text, ranks=ranks, check=False)
    assert done.returncode != 0
    assert done.output.count("ERROR") == 1
    assert "does not compute what the model says: parity check at step 5" in done.output
    assert "<-- differs" in done.output
    assert "largest differences: total energy" in done.output  # step 0 was well


RESTART = """
pair_style mliap unified {file} 0
pair_coeff * * Mg O
velocity all create 300 5
fix 1 all nve
run 3 post no
print "energy: $(pe:%.17g)"
write_restart a.restart
"""
AGAIN = 'run 0 post no\nprint "energy: $(pe:%.17g)"\n'


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_restart_file_brings_its_model(run, model, ranks):
    text = (
        START + RESTART.format(file=model.float64) + "clear\nread_restart a.restart\n"
    )
    done = run(text + AGAIN, ranks=ranks)
    before, after = numbers(done.output, "energy")[:, 0]
    assert after == pytest.approx(before, rel=1e-13)


def test_a_restart_refuses_another_model(run, model, tmp_path):
    here = shutil.copy(model.float64, tmp_path / "here.pt")
    run(START + RESTART.format(file="here.pt"))
    other = convert(
        model.path, "scan", ["Mg", "O"], tmp_path / "other.pt", tables=False
    )
    start = "read_restart a.restart\n"
    new = f"pair_style mliap unified {other} 0\n" + COEFF + AGAIN
    refused = run(start + new, check=False)
    assert refused.returncode == 1
    assert "written with another model" in refused.output
    assert "head pbe" in refused.output
    assert "head scan" in refused.output
    run(start + new.replace("other.pt 0", "other.pt 0 replace yes"))
    # the same content under another name is the same model
    shutil.move(here, tmp_path / "moved.pt")
    same = run(start + "pair_style mliap unified moved.pt 0\n" + COEFF + AGAIN)
    assert "potential here.pt is not here" in same.output
    gone = run(start + AGAIN, check=False)
    assert gone.returncode == 1
    assert "give pair_style and pair_coeff again" in gone.output
