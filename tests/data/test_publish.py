"""Publishing: refuses what is wrong, loses nothing, changes no byte without news."""

import gzip

import numpy as np
import publish
import pytest
from catalogue import dataset_named, structures_of
from labelled_frames import append_frame, frames_text, read_frames, write_gzip

DATASET = dataset_named("crystal_pbesol")
CRYSTAL = 4  # the first structures of the list are isolated atoms in boxes


def labelled(labels, structures, **changes):
    """Append made-up labels of the right form to the working file."""
    for index, atoms in enumerate(structures):
        forces = np.zeros((len(atoms), 3))
        forces[0, 0] += 0.125 * (len(atoms) > 1)
        forces[-1, 0] -= 0.125 * (len(atoms) > 1)
        record = {
            "head": "pbesol",
            "level": "PBEsol",
            "code": "GPAW-26.7.0",
            "ecut": 800,
            "kpts": "1x1x1",
            "net_force": 1.5e-4,
            "cpu_s": 3.1,
        }
        append_frame(
            labels / f"{DATASET.name}.xyz",
            atoms,
            energy=-1.0 / (index + 3),
            forces=changes.get("forces", forces),
            stress=None if atoms.info["box"] else np.arange(6) / 7,
            record=record | changes.get("record", {}),
        )


@pytest.fixture
def structures():
    return structures_of(DATASET)


@pytest.fixture
def folder(tmp_path):
    """A data folder with nothing published yet."""
    folder = tmp_path / "data"
    (folder / "generate").mkdir(parents=True)
    (folder / "README.md").write_text(
        f"before\n{publish.BEGIN}\n{publish.END}\nafter\n"
    )
    return folder


@pytest.fixture
def labels(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    return folder


def contents(folder):
    return {
        path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_second_run_changes_no_byte(folder, labels, structures):
    labelled(labels, structures[:8])
    publish.publish(labels, folder)
    first = contents(folder)
    publish.publish(labels, folder)
    publish.publish(None, folder)
    assert contents(folder) == first
    assert "crystal_pbesol.xyz.gz" in first


def test_frames_come_in_the_order_of_the_structures(folder, labels, structures):
    labelled(labels, [structures[5], structures[0], structures[7]])
    publish.publish(labels, folder)
    frames = read_frames(folder / "crystal_pbesol.xyz.gz")
    wanted = [structures[i].info["uid"] for i in (0, 5, 7)]
    assert [frame.info["uid"] for frame in frames] == wanted


def test_the_file_is_the_same_whatever_the_order_of_labelling(
    labels, structures, folder
):
    labelled(labels, structures[:6])
    publish.publish_dataset(DATASET, labels, folder)
    first = (folder / "crystal_pbesol.xyz.gz").read_bytes()
    text = (labels / "crystal_pbesol.xyz").read_text()
    frames = read_frames(labels / "crystal_pbesol.xyz")
    (labels / "crystal_pbesol.xyz").write_text(frames_text(frames[::-1]))
    assert (labels / "crystal_pbesol.xyz").read_text() != text
    publish.publish_dataset(DATASET, labels, folder)
    assert (folder / "crystal_pbesol.xyz.gz").read_bytes() == first


def test_the_readme_counts_and_keeps_the_words_around(folder, labels, structures):
    labelled(labels, structures[:8])
    publish.publish(labels, folder)
    text = (folder / "README.md").read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert f"| `crystal_pbesol` | `pbesol` | PBEsol | 8 / {len(structures)} |" in text


def test_failures_of_the_log_are_kept_until_there_is_a_label(
    folder, labels, structures
):
    labelled(labels, structures[:4])
    uid = structures[4].info["uid"]
    log = labels / "crystal_pbesol.log"
    log.write_text(f"{uid} mgo_b1_eos FAILED KohnShamConvergenceError Did not\n")
    publish.publish(labels, folder)
    line = f"crystal_pbesol {uid} KohnShamConvergenceError Did not\n"
    assert (folder / "generate" / "failed.txt").read_text() == line
    assert f"`crystal_pbesol` {uid}" in (folder / "README.md").read_text()
    publish.publish(None, folder)  # without the log: still known
    assert (folder / "generate" / "failed.txt").read_text() == line
    labelled(labels, structures[4:5])
    publish.publish(labels, folder)
    assert not (folder / "generate" / "failed.txt").read_text()
    assert "Tried without success" not in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"head": "pbe"}, "head is pbe, wanted pbesol"),
        ({"level": "PBE"}, "level is PBE, wanted PBEsol"),
        ({"code": "VASP"}, "code is VASP"),
        ({"net_force": 0.2}, "net force was 0.200"),
        ({"colour": "red"}, "unknown key colour"),
        ({"box": 1}, "box is 1, wanted 0"),
    ],
)
def test_a_wrong_record_is_refused(folder, labels, structures, record, words):
    labelled(labels, structures[CRYSTAL : CRYSTAL + 1], record=record)
    with pytest.raises(publish.PublishError, match=words):
        publish.publish(labels, folder)
    assert not list(folder.glob("*.gz"))


def test_labels_of_another_geometry_are_refused(folder, labels, structures):
    moved = structures[CRYSTAL].copy()
    moved.positions[1, 0] += 1e-6
    labelled(labels, [moved])
    with pytest.raises(publish.PublishError, match="geometry differs"):
        publish.publish(labels, folder)


def test_other_atoms_are_refused(folder, labels, structures):
    other = structures[CRYSTAL].copy()
    other.symbols[0] = "C"
    labelled(labels, [other])
    with pytest.raises(publish.PublishError, match="atoms are"):
        publish.publish(labels, folder)


@pytest.mark.parametrize(
    ("force", "words"),
    [(np.nan, "not finite"), (150.0, "largest force"), (0.125, "do not add up")],
)
def test_wrong_forces_are_refused(folder, labels, structures, force, words):
    forces = np.zeros((2, 3))
    forces[0, 2] = force
    labelled(labels, structures[CRYSTAL : CRYSTAL + 1], forces=forces)
    with pytest.raises(publish.PublishError, match=words):
        publish.publish(labels, folder)


def test_a_box_with_a_stress_and_a_crystal_without_are_refused(structures):
    box, crystal = structures[0].copy(), structures[CRYSTAL].copy()
    for atoms in (box, crystal):
        atoms.arrays["REF_forces"] = np.zeros((len(atoms), 3))
        atoms.info |= {"head": "pbesol", "level": "PBEsol", "code": "GPAW-26.7.0"}
        atoms.info |= {"net_force": 0.0, "REF_energy": -1.0}
    box.info["REF_stress"] = np.zeros((3, 3))
    for atoms, words in ((box, "stress is not wanted"), (crystal, "stress is wanted")):
        with pytest.raises(publish.PublishError, match=words):
            publish.ordered_frames(DATASET, [atoms], structures)


@pytest.mark.parametrize(
    ("component", "words"),
    [(1e-3, "not symmetric"), (np.inf, "not finite"), (5.0, "largest stress")],
)
def test_a_wrong_stress_is_refused(structures, component, words):
    atoms = structures[CRYSTAL].copy()
    atoms.arrays["REF_forces"] = np.zeros((len(atoms), 3))
    atoms.info |= {"head": "pbesol", "level": "PBEsol", "code": "GPAW-26.7.0"}
    atoms.info |= {"net_force": 0.0, "REF_energy": -1.0}
    stress = np.zeros((3, 3))
    stress[0, 1] = component
    if component > 1:
        stress[1, 0] = component
    atoms.info["REF_stress"] = stress
    with pytest.raises(publish.PublishError, match=words):
        publish.ordered_frames(DATASET, [atoms], structures)


def test_a_double_uid_is_refused(folder, labels, structures):
    labelled(labels, [structures[0], structures[0]])
    with pytest.raises(publish.PublishError, match="occurs twice"):
        publish.publish(labels, folder)


def test_an_unknown_uid_is_refused(folder, labels, structures):
    stranger = structures[0].copy()
    stranger.info["uid"] = "cry9999"
    labelled(labels, [stranger])
    with pytest.raises(publish.PublishError, match="cry9999: not in crystal"):
        publish.publish(labels, folder)


def test_a_folder_with_fewer_frames_is_refused(folder, labels, structures):
    labelled(labels, structures[:5])
    publish.publish(labels, folder)
    before = contents(folder)
    (labels / "crystal_pbesol.xyz").unlink()
    labelled(labels, structures[:3])
    with pytest.raises(publish.PublishError, match="2 published frames are not in"):
        publish.publish(labels, folder)
    assert contents(folder) == before
    publish.publish(labels, folder, allow_removal=True)
    assert len(read_frames(folder / "crystal_pbesol.xyz.gz")) == 3


def test_a_frame_that_is_being_written_is_left_for_the_next_time(
    folder, labels, structures
):
    labelled(labels, structures[:5])
    path = labels / "crystal_pbesol.xyz"
    path.write_bytes(path.read_bytes()[:-30])
    publish.publish(labels, folder)
    assert len(read_frames(folder / "crystal_pbesol.xyz.gz")) == 4


def test_a_readme_without_markers_is_refused(folder, labels, structures):
    labelled(labels, structures[:5])
    (folder / "README.md").write_text("no markers\n")
    with pytest.raises(publish.PublishError, match="lacks the lines"):
        publish.publish(labels, folder)
    assert (folder / "README.md").read_text() == "no markers\n"


def test_missing_uids_are_reported(folder, labels, structures, caplog):
    labelled(labels, structures[:5])
    with caplog.at_level("INFO"):
        publish.publish(labels, folder, name_all=True)
    assert f"crystal_pbesol: {len(structures) - 5} not labelled yet" in caplog.text
    assert structures[-1].info["uid"] in caplog.text


def test_the_gzip_depends_on_the_text_alone(tmp_path):
    first, second = tmp_path / "a.gz", tmp_path / "b.gz"
    assert write_gzip(first, "text\n")
    assert write_gzip(second, "text\n")
    assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress(first.read_bytes()) == b"text\n"
    assert not write_gzip(first, "text\n")


def test_numbers_do_not_drift_when_frames_are_published_again(tmp_path, structures):
    labelled(tmp_path, structures[:10])
    frames = read_frames(tmp_path / "crystal_pbesol.xyz")
    once = frames_text(frames)
    write_gzip(tmp_path / "once.xyz.gz", once)
    assert frames_text(read_frames(tmp_path / "once.xyz.gz")) == once
    assert "-0.00000000" not in once
