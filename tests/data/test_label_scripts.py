"""The labellers' own rules, without an electronic-structure code."""

import os
import subprocess
import sys
from pathlib import Path

import label_molecules
import label_periodic
import labelling
import numpy as np
import pytest
import relax_slabs
import run_lanes
from ase import Atoms
from ase.build import bulk
from ase.io import read
from catalogue import (
    DATASETS,
    STRUCTURES,
    Dataset,
    dataset_named,
    known_structures,
    read_uids,
    select_structures,
    structures_of,
)
from labelled_frames import (
    append_frame,
    complete_text,
    done_uids,
    failed_reasons,
    read_frames,
    stress_matrix,
)
from labelling import Label, MissingCodeError, failed_last, label_structures


def crystal(config_type="mgo_b1_eos", domain="crystal", *, spin=0, box=0, atoms=None):
    atoms = atoms or bulk("MgO", "rocksalt", a=4.2)
    atoms.info = {
        "uid": "cry0001",
        "config_type": config_type,
        "domain": domain,
        "spin": spin,
        "box": box,
    }
    return atoms


def some(n, config_type="rattle"):
    structures = []
    for index in range(n):
        atoms = Atoms("MgO", [(0, 0, 0), (0, 0, 2 + 0.01 * index)])
        atoms.info = {
            "uid": f"x{index:02d}",
            "config_type": config_type,
            "domain": "molecule",
            "spin": 0,
            "box": 0,
        }
        structures.append(atoms)
    return structures


def spring(atoms):
    """A made-up label: energy and forces of a spring, with a net force."""
    bond = atoms.positions[1, 2]
    forces = np.array([[0.003, 0.0, bond], [0.003, 0.0, -bond]])
    return Label(energy=bond**2, forces=forces, stress=None, record={"head": "x"})


@pytest.mark.parametrize(
    "lengths", [(4.2, 5.0, 11.0), (2.9, 22.5, 3.0), (3.7, 5.5, 30)]
)
def test_the_k_mesh_is_eleven_angstrom_over_the_length(lengths):
    atoms = crystal(atoms=Atoms("Mg", cell=lengths, pbc=True))
    wanted = tuple(int(np.ceil(11 / length)) for length in lengths)
    assert label_periodic.k_mesh(atoms) == wanted


def test_the_k_mesh_takes_plane_distances_of_a_skew_cell():
    atoms = crystal()  # planes of the primitive rocksalt cell are a / sqrt(3) apart
    wanted = int(np.ceil(11 / (4.2 / np.sqrt(3))))
    assert label_periodic.k_mesh(atoms) == (wanted,) * 3


def test_metals_get_thirty_angstrom_and_broad_smearing():
    atoms = crystal("mg_fcc", atoms=Atoms("Mg", cell=[4, 5, 6], pbc=True))
    assert label_periodic.k_mesh(atoms) == (8, 6, 5)
    assert label_periodic.occupations(atoms)["width"] == 0.1


def test_slabs_have_one_k_point_along_the_normal_and_boxes_one_in_all():
    slab = crystal("slab2", "surface", atoms=Atoms("Mg", cell=[4.3, 4.3, 11], pbc=True))
    assert label_periodic.k_mesh(slab) == (3, 3, 1)
    assert label_periodic.k_mesh(crystal(box=1)) == (1, 1, 1)


def test_the_k_mesh_of_shipped_frames_is_the_rule_s():
    for name in ("crystal_pbe", "crystal_r2scan", "surface_rpbe"):
        known = {a.info["uid"]: a for a in known_structures(dataset_named(name))}
        frames = read_frames(STRUCTURES.parent.parent / f"{name}.xyz.gz")
        for frame in frames:
            mesh = label_periodic.k_mesh(known[frame.info["uid"]])
            assert frame.info["kpts"] == "x".join(map(str, mesh))


def test_the_settings_are_the_documented_ones():
    settings = label_periodic.calculator_settings(crystal(), "r2scan")
    assert settings["mode"] == {"name": "pw", "ecut": 800}
    assert settings["xc"] == "MGGA_X_R2SCAN+MGGA_C_R2SCAN"
    assert settings["convergence"]["energy"] == 1e-5
    assert settings["occupations"] == {"name": "fermi-dirac", "width": 0.01}
    assert settings["kpts"]["gamma"] is True
    assert settings["maxiter"] == 80


def test_isolated_atoms_follow_hund_and_open_molecules_keep_their_spin():
    atom = crystal("IsolatedAtom", spin=2, box=1, atoms=Atoms("O", cell=[8] * 3, pbc=1))
    settings = label_periodic.calculator_settings(atom, "pbe")
    assert settings["hund"] is True
    assert settings["symmetry"] == "off"
    assert "occupations" not in settings
    assert label_periodic.starting_moments(atom) is None
    pair = crystal("dimer", spin=1, box=1, atoms=Atoms("HO", cell=[8] * 3, pbc=1))
    assert label_periodic.calculator_settings(pair, "pbe")["occupations"]["fixmagmom"]
    assert list(label_periodic.starting_moments(pair)) == [0, 1]
    oxygen = crystal("dimer", spin=2, box=1, atoms=Atoms("O2", cell=[8] * 3, pbc=1))
    assert list(label_periodic.starting_moments(oxygen)) == [1, 1]
    assert label_periodic.starting_moments(crystal()) is None


@pytest.mark.parametrize("n_spins", [1, 2])
def test_the_mask_zeroes_a_meta_gga_only_where_the_density_is_low(n_spins):
    def calculate(_self, e, _n, dedn, _sigma, dedsigma, tau, dedtau):
        e[:] = 7.0
        dedn += 5.0
        if tau is not None:
            dedsigma[:] = 3.0
            dedtau[:] = 2.0

    masked = label_periodic.masked_calculate(calculate)
    density = np.full((n_spins, 2), 1e-8)
    density[:, 1] = 0.1
    energy, slope = np.zeros(2), np.full((n_spins, 2), 0.25)
    by_sigma = np.zeros((2 * n_spins - 1, 2))
    by_tau = np.zeros((n_spins, 2))
    masked(None, energy, density, slope, by_sigma, by_sigma, by_tau, by_tau.copy())
    assert list(energy) == [0.0, 7.0]
    assert (slope == [0.25, 5.25]).all()
    assert (by_sigma[:, 0] == 0).all()
    gga = np.zeros(2)
    masked(None, gga, density, slope, by_sigma, by_sigma)
    assert list(gga) == [7.0, 7.0]


def test_the_mask_treats_each_spin_channel_by_itself():
    def calculate(_self, e, _n, dedn, _sigma, dedsigma, _tau, dedtau):
        for array in (e, dedn, dedsigma, dedtau):
            np.add(array, 1.0, out=array)

    masked = label_periodic.masked_calculate(calculate)
    density = np.array([[0.1], [1e-8]])  # all the density is in the first channel
    energy, slope, sigma = np.zeros(1), np.zeros((2, 1)), np.zeros((3, 1))
    by_sigma, tau, by_tau = np.zeros((3, 1)), np.zeros((2, 1)), np.zeros((2, 1))
    masked(None, energy, density, slope, sigma, by_sigma, tau, by_tau)
    assert energy == [1.0]
    assert slope.ravel().tolist() == [1.0, 0.0]
    assert by_tau.ravel().tolist() == [1.0, 0.0]
    assert by_sigma.ravel().tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("script", ["label_periodic.py", "label_molecules.py"])
def test_a_missing_code_is_an_error_that_says_what_to_do(script, tmp_path):
    generate = Path(labelling.__file__).parent
    blocked = tmp_path / "blocked"
    for code in ("gpaw", "pyscf"):
        (blocked / code).mkdir(parents=True)
        (blocked / code / "__init__.py").write_text("raise ImportError('not here')\n")
    method = "pbe" if "periodic" in script else "b3lyp-d3bj"
    names = {"pbe": "crystal", "b3lyp-d3bj": "react"}
    run = subprocess.run(
        [
            sys.executable,
            generate / script,
            method,
            STRUCTURES / f"{names[method]}.xyz",
            tmp_path / "out.xyz",
        ],
        env=os.environ | {"PYTHONPATH": str(blocked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 3
    assert "cannot be imported" in run.stdout
    assert "requirements.txt" in run.stdout
    assert not (tmp_path / "out.xyz").exists()


def test_a_missing_module_raises_by_name():
    with pytest.raises(MissingCodeError, match="no_such_code cannot be imported"):
        labelling.load_code("no_such_code")


def test_scf_attempts_get_firmer():
    open_shell = crystal("IsolatedAtom", spin=2, atoms=Atoms("O"))
    first, second, third = label_molecules.attempts(open_shell)
    assert first.level_shift == 0.1
    assert label_molecules.attempts(crystal(atoms=Atoms("H2")))[0].level_shift == 0
    assert second.damping > 0
    assert third.second_order


def test_labelling_resumes_where_it_stopped(tmp_path):
    output = tmp_path / "out.xyz"
    structures = some(6)
    assert label_structures(structures[:3], output, spring) == 3
    before = output.read_bytes()
    assert label_structures(structures, output, spring) == 3
    assert output.read_bytes().startswith(before)
    after = output.read_bytes()
    assert label_structures(structures, output, spring) == 0
    assert output.read_bytes() == after
    assert done_uids(output) == {atoms.info["uid"] for atoms in structures}


def test_the_net_force_is_removed_and_recorded(tmp_path):
    label_structures(some(1), tmp_path / "out.xyz", spring)
    (frame,) = read_frames(tmp_path / "out.xyz")
    assert frame.info["net_force"] == pytest.approx(0.006)
    np.testing.assert_allclose(frame.arrays["REF_forces"].sum(axis=0), 0, atol=1e-12)
    assert frame.info["REF_energy"] == pytest.approx(4.0)


def test_a_failed_structure_is_logged_and_the_next_one_is_labelled(tmp_path, caplog):
    def label(atoms):
        if atoms.info["uid"] == "x01":
            message = "no convergence\nafter 200 steps"
            raise RuntimeError(message)
        return spring(atoms)

    with caplog.at_level("INFO"):
        assert label_structures(some(3), tmp_path / "out.xyz", label) == 2
    words = tmp_path / "out.log"
    words.write_text("\n".join(caplog.messages))
    wanted = {"x01": "RuntimeError no convergence after 200 steps"}
    assert failed_reasons(words) == wanted
    assert [a.info["uid"] for a in failed_last(some(3), words)] == ["x00", "x02", "x01"]


def test_a_missing_code_ends_the_run(tmp_path):
    def label(_atoms):
        labelling.load_code("no_such_code")

    with pytest.raises(MissingCodeError, match="requirements"):
        label_structures(some(2), tmp_path / "out.xyz", label)


def test_no_structure_is_begun_after_the_time_limit(tmp_path):
    assert label_structures(some(3), tmp_path / "out.xyz", spring, limit_s=-1) == 0
    assert not (tmp_path / "out.xyz").exists()


def test_a_frame_is_on_the_disk_before_the_next_one_begins(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle)))
    label_structures(some(2), tmp_path / "out.xyz", spring)
    assert [state.st_size for state in synced] == [
        synced[0].st_size,
        (tmp_path / "out.xyz").stat().st_size,
    ]
    assert synced[0].st_size > 0


def test_a_torn_frame_is_cut_off_and_labelled_again(tmp_path):
    output = tmp_path / "out.xyz"
    label_structures(some(3), output, spring)
    whole = output.read_bytes()
    output.write_bytes(whole[:-25])
    assert done_uids(output) == {"x00", "x01"}
    label_structures(some(3), output, spring)
    assert done_uids(output) == {"x00", "x01", "x02"}
    assert len(read_frames(output)) == 3


@pytest.mark.parametrize("lost", range(1, 12))
def test_every_cut_of_a_file_leaves_whole_frames(lost):
    text = "1\nuid=a\nH 0 0 0\n1\nuid=b\nH 0 0 1\n"
    assert complete_text(text[:-lost]) == "1\nuid=a\nH 0 0 0\n"
    assert complete_text(text) == text
    assert not complete_text("")


def test_a_file_that_is_no_extended_xyz_is_refused(tmp_path):
    path = tmp_path / "notes.xyz"
    path.write_text("hello\nworld\n")
    with pytest.raises(ValueError, match=r"notes.xyz: line 1 is 'hello'"):
        read_frames(path)


def test_stress_of_six_components_is_the_matrix_in_ase_order(tmp_path):
    voigt = np.arange(1.0, 7.0)  # xx yy zz yz xz xy
    matrix = stress_matrix(voigt)
    assert matrix[1, 2] == matrix[2, 1] == 4
    assert matrix[0, 2] == 5
    assert matrix[0, 1] == 6
    atoms = some(1)[0]
    append_frame(
        tmp_path / "a.xyz",
        atoms,
        energy=0.0,
        forces=np.zeros((2, 3)),
        stress=voigt,
        record={},
    )
    read_back = stress_matrix(read_frames(tmp_path / "a.xyz")[0].info["REF_stress"])
    np.testing.assert_array_equal(read_back, matrix)


def test_selection_thins_over_the_whole_file_and_keeps_atoms_and_dimers():
    structures = some(10)
    structures[3].info["config_type"] = "dimer"
    structures[4].info["config_type"] = "IsolatedAtom"
    structures[9].symbols = "OO"
    chosen = select_structures(structures, every=6)
    assert [a.info["uid"] for a in chosen] == ["x00", "x03", "x04", "x06"]
    chosen = select_structures(structures, uids=frozenset({"x05", "x01"}))
    assert [a.info["uid"] for a in chosen] == ["x01", "x05"]
    assert select_structures(structures, max_atoms=1) == []


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_every_list_names_structures_that_exist(dataset):
    known = {atoms.info["uid"] for atoms in known_structures(dataset)}
    for name in dataset.uid_lists:
        assert read_uids(STRUCTURES / f"{name}.uids") <= known
    asked = structures_of(dataset)
    assert asked
    if dataset.max_atoms:
        assert max(map(len, asked)) <= dataset.max_atoms


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="unknown data set 'crystal_lda'; known: crys"):
        dataset_named("crystal_lda")


def test_a_thinning_below_one_is_refused():
    with pytest.raises(ValueError, match="every is 0, wanted 1 or more"):
        Dataset(
            name="x",
            head="x",
            method="x",
            level="x",
            code="x",
            structures="x",
            every=0,
            role="test",
            contents="x",
        )


def test_every_data_set_has_a_turn_in_its_lane():
    for lane, periodic in (("periodic", True), ("molecules", False)):
        turns = (*run_lanes.ROUNDS[lane], *run_lanes.LAST[lane])
        names = {turn.name for turn in turns}
        wanted = {d.name for d in DATASETS if d.periodic is periodic}
        assert names == wanted - set(run_lanes.RELAXED)
        for name in names:
            lists = {turn.uid_list for turn in turns if turn.name == name}
            assert lists == set(dataset_named(name).uid_lists or (None,))


def test_the_command_of_a_turn_selects_what_the_catalogue_asks_for(tmp_path):
    command = run_lanes.labeller_command(run_lanes.Turn(name="react_wb97mv"), tmp_path)
    arguments = labelling.labeller_arguments("", ("wb97m-v",), command[2:])
    dataset = dataset_named("react_wb97mv")
    assert arguments.every == dataset.every
    assert arguments.max_atoms == dataset.max_atoms
    assert arguments.output == tmp_path / "react_wb97mv.xyz"
    assert Path(command[1]).name == "label_molecules.py"


def test_rounds_end_when_a_round_adds_nothing():
    left = {"a": 3, "b": 1}
    taken = []

    def take(turn):
        taken.append(turn.name)
        added = min(1, left[turn.name])
        left[turn.name] -= added
        return added

    run_lanes.run_rounds([run_lanes.Turn(name="a"), run_lanes.Turn(name="b")], take)
    assert left == {"a": 0, "b": 0}
    assert taken == ["a", "b"] * 4


def test_a_lane_begins_from_the_published_frames(tmp_path):
    dataset = dataset_named("crystal_pbesol")
    published = STRUCTURES.parent.parent
    run_lanes.unpack_published(dataset, tmp_path, published)
    target = tmp_path / "crystal_pbesol.xyz"
    frames = read_frames(published / "crystal_pbesol.xyz.gz")
    assert done_uids(target) == {frame.info["uid"] for frame in frames}
    target.write_text("")  # a file that is there is never touched
    run_lanes.unpack_published(dataset, tmp_path, published)
    assert not target.read_text()


def test_a_turn_that_labels_nothing_changes_nothing(tmp_path):
    turn = run_lanes.Turn(name="crystal_pbesol", uid_list="crystal_pbesol", limit_s=-1)
    run_lanes.unpack_published(
        dataset_named(turn.name), tmp_path, STRUCTURES.parent.parent
    )
    before = (tmp_path / "crystal_pbesol.xyz").read_bytes()
    assert run_lanes.take_turn(turn, tmp_path) == 0
    assert (tmp_path / "crystal_pbesol.xyz").read_bytes() == before


def test_slabs_start_where_the_relaxations_started():
    first = {
        len(atoms): atoms
        for atoms in read(STRUCTURES / "slab.xyz", ":")
        if atoms.info["uid"].endswith("000")
    }
    assert sorted(first) == [4, 6, 8, 10]
    for n_atoms, known in first.items():
        atoms = relax_slabs.slab(n_atoms // 2)
        assert atoms.get_chemical_symbols() == known.get_chemical_symbols()
        np.testing.assert_allclose(atoms.positions, known.positions, atol=1e-8)
        np.testing.assert_allclose(atoms.cell.array, known.cell.array, atol=1e-8)
        assert label_periodic.k_mesh(atoms) == (4, 4, 1)


def test_bulk_in_the_cell_of_the_slabs_is_rocksalt():
    bulk = relax_slabs.slab(2, vacuum=0.0)
    distances = bulk.get_all_distances(mic=True)
    np.testing.assert_allclose(
        np.sort(distances[0])[1:], [4.2549 / 2] * 2 + [3.00867], rtol=1e-5
    )
