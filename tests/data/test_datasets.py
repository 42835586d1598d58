"""Every shipped frame: keys, level, units, geometry, labels; the README's counts."""

import gzip
import re
import subprocess
import sys

import numpy as np
import pytest
from catalogue import DATASETS, PUBLISHED, dataset_named, known_structures
from catalogue import structures_of as asked_structures
from check_mgo import elastic_constants, equation_of_state, lattice_constant
from frame_checks import frame_problems, has_stress
from labelled_frames import frames_text, read_frames, stress_matrix

SHIPPED = [d for d in DATASETS if (PUBLISHED / f"{d.name}.xyz.gz").exists()]
NAMES = [d.name for d in SHIPPED]
EV_PER_ATOM_BOUND = (-9.0, 1.0)
"""Binding energies per atom of every system here, with their rattled forms."""


@pytest.fixture(scope="module")
def shipped():
    """Frames of every shipped file, by name."""
    return {name: read_frames(PUBLISHED / f"{name}.xyz.gz") for name in NAMES}


def isolated_atoms(frames):
    """Energy of the isolated atoms by element, eV."""
    return {
        frame.symbols[0]: frame.info["REF_energy"]
        for frame in frames
        if frame.info["config_type"] == "IsolatedAtom"
    }


def test_the_files_that_training_and_demo_need_are_shipped():
    wanted = {d.name for d in DATASETS if d.role in ("train", "demo")}
    assert wanted <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_passes_the_checks_against_its_structure(name, shipped):
    dataset = dataset_named(name)
    known = {atoms.info["uid"]: atoms for atoms in known_structures(dataset)}
    problems = {
        frame.info["uid"]: found
        for frame in shipped[name]
        if (found := frame_problems(frame, known[frame.info["uid"]], dataset))
    }
    assert problems == {}


@pytest.mark.parametrize("name", NAMES)
def test_uids_are_unique_and_stand_in_the_order_of_the_structures(name, shipped):
    uids = [frame.info["uid"] for frame in shipped[name]]
    known = [atoms.info["uid"] for atoms in known_structures(dataset_named(name))]
    assert len(uids) == len(set(uids))
    assert uids == [uid for uid in known if uid in set(uids)]


@pytest.mark.parametrize("name", NAMES)
def test_geometry_is_the_structure_s_to_1e_8(name, shipped):
    known = {a.info["uid"]: a for a in known_structures(dataset_named(name))}
    for frame in shipped[name]:
        structure = known[frame.info["uid"]]
        assert list(frame.symbols) == list(structure.symbols)
        assert list(frame.pbc) == list(structure.pbc)
        np.testing.assert_allclose(
            frame.positions, structure.positions, rtol=0, atol=1e-8
        )
        np.testing.assert_allclose(
            frame.cell.array, structure.cell.array, rtol=0, atol=1e-8
        )


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_finite_forces_sum_to_zero_and_stress_is_symmetric(name, shipped):
    for frame in shipped[name]:
        assert np.isfinite(frame.info["REF_energy"])
        assert np.isfinite(frame.arrays["REF_forces"]).all()
        assert np.abs(frame.arrays["REF_forces"].sum(axis=0)).max() < 1e-6
        assert 0 <= float(frame.info["net_force"]) < 0.05
        assert ("REF_stress" in frame.info) == has_stress(frame)
        if has_stress(frame):
            stress = stress_matrix(frame.info["REF_stress"])
            assert np.isfinite(stress).all()
            assert np.array_equal(stress, stress.T)


@pytest.mark.parametrize("name", NAMES)
def test_energies_are_total_energies_in_ev_of_bound_matter(name, shipped):
    same_head = [d.name for d in SHIPPED if d.head == dataset_named(name).head]
    atoms = isolated_atoms([f for other in same_head for f in shipped[other]])
    bound = [
        (frame.info["REF_energy"] - sum(atoms[s] for s in frame.symbols)) / len(frame)
        for frame in shipped[name]
        if len(frame) > 1 and set(frame.symbols) <= set(atoms)
    ]
    if not bound:
        text = (PUBLISHED / "README.md").read_text()
        assert f"Head `{dataset_named(name).head}` has no isolated" in text
        return
    assert EV_PER_ATOM_BOUND[0] < min(bound)
    assert max(bound) < EV_PER_ATOM_BOUND[1]


@pytest.mark.parametrize("name", NAMES)
def test_absent_isolated_atoms_are_said_in_the_readme(name, shipped):
    head = dataset_named(name).head
    same_head = [d.name for d in SHIPPED if d.head == head]
    frames = [f for other in same_head for f in shipped[other]]
    absent = {s for f in frames for s in f.symbols} - set(isolated_atoms(frames))
    text = (PUBLISHED / "README.md").read_text()
    said = re.search(rf"Head `{re.escape(head)}` has no isolated ([^.]*) yet", text)
    assert (set(said[1].split(", ")) if said else set()) == absent


def test_the_readme_counts_what_the_files_hold(shipped):
    text = (PUBLISHED / "README.md").read_text()
    for dataset in DATASETS:
        frames = shipped.get(dataset.name, [])
        asked = {atoms.info["uid"] for atoms in asked_structures(dataset)}
        present = sum(frame.info["uid"] in asked for frame in frames)
        row = next(
            line
            for line in text.splitlines()
            if line.startswith(f"| `{dataset.name}")
            and f" {present} / {len(asked)} " in line
        )
        cells = [cell.strip() for cell in row.split("|")]
        assert int(cells[5]) == sum(map(len, frames))
        assert int(cells[6]) == sum("REF_stress" in frame.info for frame in frames)


def test_the_same_uid_is_the_same_geometry_in_every_file(shipped):
    first = {}
    shared = 0
    for frames in shipped.values():
        for frame in frames:
            uid = frame.info["uid"]
            shared += uid in first
            np.testing.assert_array_equal(
                first.setdefault(uid, frame).positions, frame.positions
            )
    assert shared > 20


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_its_own_published_text(name, shipped):
    text = gzip.decompress((PUBLISHED / f"{name}.xyz.gz").read_bytes()).decode()
    assert frames_text(shipped[name]) == text


def test_the_readme_and_the_licence_name_cc_by():
    assert "CC-BY-4.0" in (PUBLISHED / "README.md").read_text()
    assert "CC-BY-4.0" in (PUBLISHED / "LICENSE").read_text()


def test_pbe_magnesia_has_the_lattice_constant_and_bulk_modulus_of_pbe(shipped):
    volume, _, modulus = equation_of_state(shipped["crystal_pbe"], "birchmurnaghan")
    assert lattice_constant(volume) == pytest.approx(4.2549, abs=0.01)
    assert modulus == pytest.approx(150.6, abs=3.0)


def test_pbe_magnesia_has_the_elastic_constants_of_pbe(shipped):
    c11, c12, c44 = elastic_constants(shipped["crystal_pbe"])
    assert c11 == pytest.approx(270.7, abs=1.0)
    assert c12 == pytest.approx(89.6, abs=1.0)
    assert c44 == pytest.approx([141.2, 141.2], abs=1.0)


def test_functionals_order_the_lattice_constant_of_magnesia(shipped):
    sizes = {
        head: lattice_constant(
            equation_of_state(shipped[f"crystal_{head}"], "birchmurnaghan")[0]
        )
        for head in ("pbe", "pbesol", "r2scan")
    }
    assert sizes["r2scan"] < sizes["pbesol"] < sizes["pbe"]
    assert sizes["r2scan"] == pytest.approx(4.2125, abs=0.01)
    assert sizes["pbesol"] == pytest.approx(4.22, abs=0.01)


def test_stress_is_the_derivative_of_the_energy_and_tension_is_positive(shipped):
    frames = sorted(
        (f for f in shipped["crystal_pbe"] if f.info["config_type"] == "mgo_b1_eos"),
        key=lambda frame: frame.get_volume(),
    )
    pressure = [-np.trace(stress_matrix(f.info["REF_stress"])) / 3 for f in frames]
    volumes = [f.get_volume() for f in frames]
    energies = [f.info["REF_energy"] for f in frames]
    slopes = -np.gradient(energies, volumes)[1:-1]
    np.testing.assert_allclose(pressure[1:-1], slopes, atol=0.03)
    assert pressure[0] > 0 > pressure[-1]


def test_the_scripts_run_without_the_electronic_structure_codes(root):
    scripts = sorted((root / "data" / "generate").glob("*.py"))
    for script in scripts:
        if "argparse" not in script.read_text() or script.name == "labelling.py":
            continue
        run = subprocess.run(
            [sys.executable, script, "--help"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        assert "usage" in run.stdout
