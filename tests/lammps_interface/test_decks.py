"""Decks: what they are made of, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.io import read

from lamplighter import cli
from lamplighter.errors import ArtifactError, ConfigError, DataError
from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.decks import abilities
from lamplighter.lammps_interface.decks.numbers import (
    coupling_of,
    in_a_box,
    smallest_height,
    timestep_of,
)
from lamplighter.lammps_interface.decks.options import DeckOptions
from lamplighter.lammps_interface.decks.write import write_deck
from lamplighter.lammps_interface.runner import LammpsRun
from lamplighter.resources import base_model


def saved(folder, atoms, name="other.xyz"):
    atoms.write(folder / name)
    return folder / name


def right(*_):
    """An installation that can do everything."""
    return ""


def test_a_deck_is_whole(tmp_path, mgo, model):
    options = DeckOptions(temperature=450.0, seed=7, supercell=(2, 1, 1))
    deck = write_deck("nvt", mgo, model, tmp_path / "deck", options)
    assert set(deck.files) == {"in.lammps", "README", "structure.data", "mgo.pt"}
    assert {path.name for path in deck.folder.iterdir()} == set(deck.files)
    assert (deck.folder / "mgo.pt").read_bytes() == model.read_bytes()
    script = (deck.folder / "in.lammps").read_text()
    assert "variable temperature index 450.0" in script
    assert "variable seed        index 7" in script
    assert "pair_coeff   * * Mg O" in script
    assert "{{" not in script
    assert deck.command in (deck.folder / "README").read_text()


def test_types_and_masses_follow_the_structure(tmp_path, model):
    atoms = bulk("MgO", "rocksalt", a=4.25)[[1, 0]]
    deck = write_deck("nve", saved(tmp_path, atoms), model, tmp_path / "deck")
    assert "pair_coeff   * * O Mg" in (deck.folder / "in.lammps").read_text()
    data = (deck.folder / "structure.data").read_text()
    masses = [line.split() for line in data.splitlines() if "#" in line][:2]
    assert [(m[0], round(float(m[1]), 3), m[3]) for m in masses] == [
        ("1", 15.999, "O"),
        ("2", 24.305, "Mg"),
    ]


def test_the_data_file_is_the_structure(tmp_path, model):
    atoms = bulk("MgO", "rocksalt", a=4.25) * (2, 1, 1)
    atoms.rattle(0.1, seed=3)
    atoms.positions += [9.0, -7.0, 3.0]
    deck = write_deck("nvt", saved(tmp_path, atoms), model, tmp_path / "deck")
    back = read(
        deck.folder / "structure.data", format="lammps-data", atom_style="atomic"
    )
    assert back.get_chemical_symbols() == atoms.get_chemical_symbols()
    assert back.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-12)
    gap = back.get_all_distances(mic=True) - atoms.get_all_distances(mic=True)
    assert np.abs(gap).max() < 1e-7


@pytest.mark.parametrize(
    ("symbols", "step"),
    [("H2O", 0.0005), ("C", 0.0015), ("MgO", 0.00175), ("Mg", 0.002), ("Cu", 0.002)],
)
def test_the_time_step_follows_the_lightest_element(symbols, step):
    assert timestep_of(Atoms(symbols)) == pytest.approx(step)


def test_a_melt_has_half_the_time_step(tmp_path, mgo, model):
    deck = write_deck("melt", mgo, model, tmp_path / "deck")
    text = (deck.folder / "in.lammps").read_text()
    assert "variable timestep    index 0.000875" in text


def test_the_barostat_follows_the_cell():
    cubic = bulk("MgO", "rocksalt", a=4.25, cubic=True)
    assert coupling_of(cubic) == "iso"
    assert coupling_of(cubic * (2, 1, 1)) == "aniso"
    assert coupling_of(bulk("MgO", "rocksalt", a=4.25)) == "tri"


@pytest.mark.parametrize("kind", ["npt", "box-relax"])
@pytest.mark.parametrize("cubic", [True, False])
def test_scripts_couple_as_the_cell_wants(tmp_path, model, kind, cubic):
    file = saved(tmp_path, bulk("MgO", "rocksalt", a=4.25, cubic=cubic))
    deck = write_deck(kind, file, model, tmp_path / "deck")
    text = (deck.folder / "in.lammps").read_text()
    assert f" {'iso' if cubic else 'tri'} ${{pressure}}" in text
    assert ("box          tilt large" in text) is not cubic


def test_a_molecule_gets_a_box(tmp_path, model):
    water = molecule("H2O")
    boxed = in_a_box(water)
    assert boxed.cell.volume > 900.0
    assert smallest_height(boxed) == np.inf
    pair = Atoms("MgO", positions=[[0, 0, 0], [2, 0, 0]])
    deck = write_deck("nve", saved(tmp_path, pair), model, tmp_path / "deck")
    assert "boundary     s s s" in (deck.folder / "in.lammps").read_text()
    assert deck.notes == ()


def test_a_small_cell_is_noted(tmp_path, mgo, model):
    deck = write_deck("nvt", mgo, model, tmp_path / "deck")
    assert any("--supercell" in note for note in deck.notes)
    assert "Note: " in (deck.folder / "README").read_text()


def test_a_float32_model_is_noted_for_minimisers(tmp_path, mgo):
    model = convert(base_model(), "pbe", ["Mg", "O"], tmp_path / "m.pt", "float32")
    deck = write_deck("minimize", mgo, model, tmp_path / "deck")
    assert any("float32" in note for note in deck.notes)


def test_a_model_whose_name_is_no_word_is_renamed(tmp_path, mgo, model):
    odd = tmp_path / "my model $x.pt"
    odd.write_bytes(model.read_bytes())
    deck = write_deck("nvt", mgo, odd, tmp_path / "deck")
    assert "model.pt" in deck.files
    assert "index model.pt" in (deck.folder / "in.lammps").read_text()


def test_the_end_of_a_path_is_written_at_the_nearest_images(tmp_path, mgo, model):
    end = read(mgo)
    end.positions[1] += [0.5, 0.0, 0.0]
    end.positions[0] += [4.25 - 0.1, 0.0, 0.0]
    options = DeckOptions(end=saved(tmp_path, end), images=4)
    deck = write_deck("neb", mgo, model, tmp_path / "deck", options)
    rows = (deck.folder / "final.coords").read_text().splitlines()
    assert rows[0] == "8"
    moved = np.array([[float(x) for x in row.split()[1:]] for row in rows[1:]])
    gap = moved - read(mgo).positions
    assert gap[0] == pytest.approx([-0.1, 0.0, 0.0], abs=1e-6)
    assert gap[1] == pytest.approx([0.5, 0.0, 0.0], abs=1e-6)
    assert deck.command == "mpiexec -n 4 lmp -partition 4x1 -in in.lammps"
    assert "world 1 2 3 4" in (deck.folder / "in.lammps").read_text()


def test_a_folder_with_files_is_not_overwritten(tmp_path, mgo, model):
    folder = tmp_path / "deck"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"has files in it.*--force"):
        write_deck("nvt", mgo, model, folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    write_deck("nvt", mgo, model, folder, DeckOptions(force=True))
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "in.lammps").is_file()


def test_a_folder_below_no_folder_or_a_file_is_refused(tmp_path, mgo, model):
    with pytest.raises(ConfigError, match="does not exist; fix: mkdir"):
        write_deck("nvt", mgo, model, tmp_path / "a" / "b")
    with pytest.raises(ConfigError, match="is a file"):
        write_deck("nvt", mgo, model, mgo)


def test_elements_that_the_model_lacks_are_refused(tmp_path, model):
    file = saved(tmp_path, bulk("NaCl", "rocksalt", a=5.6))
    with pytest.raises(ConfigError, match=r"lacks elements Na Cl.*convert"):
        write_deck("nvt", file, model, tmp_path / "deck")
    assert not (tmp_path / "deck").exists()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("nvt", {"end": Path("x")}, "a nvt deck has no --end"),
        ("minimize", {"temperature": 300.0}, "has no --temperature"),
        ("nve", {"pressure": 1.0}, "has no --pressure"),
        ("neb", {}, "needs --end"),
        ("gcmc", {"gas": "O"}, "needs --chemical-potential"),
        ("nvt", {"temperature": -1.0}, "--temperature; got: -1.0; wanted: above 0"),
        ("nvt", {"timestep": float("nan")}, "--timestep"),
        ("npt", {"pressure": float("inf")}, "--pressure"),
        ("nvt", {"steps": 0}, "--steps"),
        ("neb", {"end": Path("x"), "images": 2}, "--images"),
        ("nvt", {"seed": 0}, "--seed"),
        ("nvt", {"supercell": (0, 1, 1)}, "--supercell"),
        ("nph", {}, "unknown kind"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path, mgo, model, kind, options, said):
    with pytest.raises(ConfigError, match=said):
        write_deck(kind, mgo, model, tmp_path / "deck", DeckOptions(**options))


@pytest.mark.parametrize(
    ("atoms", "kind", "error", "said"),
    [
        (Atoms("MgO", [[0, 0, 0], [0, 0, 0.2]]), "nvt", DataError, "coincide"),
        (Atoms("Mg"), "nvt", ConfigError, "one atom has no temperature"),
        (Atoms("MgO", [[0, 0, 0], [0, 0, 2]]), "npt", ConfigError, "periodic along"),
    ],
)
def test_structures_that_do_not_fit_are_refused(
    tmp_path, model, atoms, kind, error, said
):
    with pytest.raises(error, match=said):
        write_deck(kind, saved(tmp_path, atoms), model, tmp_path / "deck")


def test_files_that_are_no_structure_or_no_model_are_refused(tmp_path, mgo, model):
    with pytest.raises(DataError, match="cannot read"):
        write_deck("nvt", tmp_path / "none.xyz", model, tmp_path / "deck")
    with pytest.raises(ArtifactError, match="not a Lamplighter ML-IAP file"):
        write_deck("nvt", mgo, mgo, tmp_path / "deck")


def test_two_ends_have_the_same_atoms_in_the_same_cell(tmp_path, mgo, model):
    swapped = saved(tmp_path, read(mgo)[[1, 0, 2, 3, 4, 5, 6, 7]], "swapped.xyz")
    with pytest.raises(ConfigError, match="other order"):
        write_deck("neb", mgo, model, tmp_path / "deck", DeckOptions(end=swapped))
    wider = read(mgo)
    wider.set_cell(wider.cell * 1.01, scale_atoms=True)
    wide = saved(tmp_path, wider, "wide.xyz")
    with pytest.raises(ConfigError, match="different cells"):
        write_deck("neb", mgo, model, tmp_path / "deck", DeckOptions(end=wide))


@pytest.mark.parametrize(
    ("kind", "status", "output", "said"),
    [
        ("heat-flux", 1, "", "no many-body atomic stress"),
        ("heat-flux", 0, "", ""),
        ("gcmc", 0, "ability: -7.0 -5.0", "still counts with -2.000 eV"),
        ("gcmc", 0, "ability: -5.0 -5.0", ""),
        ("gcmc", 1, "", "does not run"),
        ("nvt", 1, "", ""),
    ],
)
def test_kinds_that_would_be_wrong_here_are_refused(  # noqa: PLR0917
    tmp_path, mgo, model, monkeypatch, kind, status, output, said
):
    def played(*_, **__):
        return LammpsRun(
            returncode=status,
            output=output,
            log=tmp_path,
            thermo=(),
            wall_s=0.0,
            command=(),
        )

    monkeypatch.setattr(abilities, "run_lammps", played)
    gas = {"gas": "O", "chemical_potential": -5.0} if kind == "gcmc" else {}
    options = DeckOptions(**gas)
    if said:
        with pytest.raises(ConfigError, match=said):
            write_deck(kind, mgo, model, tmp_path / "deck", options)
        assert not (tmp_path / "deck").exists()
    else:
        write_deck(kind, mgo, model, tmp_path / "deck", options)


def test_the_command_writes_and_refuses(tmp_path, mgo, model, capfd):
    words = ["script", "npt", str(mgo), str(model), "-o", str(tmp_path / "deck")]
    more = ["--pressure", "-10", "--supercell", "2", "2", "2", "--seed", "3"]
    assert cli.run([*words, *more]) == 0
    assert "lmp -in in.lammps" in capfd.readouterr().out
    data = (tmp_path / "deck" / "structure.data").read_text()
    assert "64 atoms" in data
    assert cli.run(words) == 2
    assert "--force" in capfd.readouterr().err
    assert cli.run([*words, "--force", "--gas", "O"]) == 2
    assert "has no --gas" in capfd.readouterr().err
