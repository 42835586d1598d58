"""Rules of the linter about data files and model files, and files it cannot read."""

import gzip
import re

import pytest
from lint_texts import BASE, COEFF, D3, DATA, FIX, RUN, STYLE, changed

from lamplighter.errors import ArtifactError, ConfigError, DataError
from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.lint import lint

HEADER = {
    "model_sha256": "0",
    "model_name": "m.safetensors",
    "head": "pbe",
    "level_of_theory": "PBE",
    "dispersion": "none",
    "licence": "MIT",
    "elements": ("Mg", "O"),
    "cutoff": 4.5,
    "n_layers": 2,
    "message_width": 8,
    "dtype": "float64",
}
BONDED = DATA.replace("atomic", "bond").replace("4 atoms", "4 atoms\n1 bonds")
MOLECULAR = re.sub(
    r"^(\d) (\d) (\d) (\d) (\d)$", r"\1 1 \2 \3 \4 \5", BONDED, flags=re.MULTILINE
)


@pytest.fixture
def write(tmp_path):
    """Write an ML-IAP file whose header is HEADER with changes."""

    def write_bundle(**changes):
        header = bundle.BundleHeader(**{**HEADER, **changes})
        made = bundle.Bundle(header=header, potential=b"0")
        bundle.write(tmp_path / "mgo.pt", bundle.pack(made))

    return write_bundle


TILTED = DATA.replace("zlo zhi", "zlo zhi\n6.0 0.0 0.0 xy xz yz")


def bonded(special):
    return changed(("style atomic", "style bond"), (RUN, special + RUN))


def test_special_bonds_with_bonds_in_the_data_file(check):
    assert ("special-bonds", "error") in check(bonded(""), MOLECULAR)
    assert ("special-bonds", "error") in check(
        bonded("special_bonds lj 1 1 1 coul 0 0 1\n"), MOLECULAR
    )
    for good in ("lj/coul 1 1 1", "coul 1.0 1 1 lj 1 1 1", "charmm lj/coul 1 1 1"):
        found = check(bonded(f"special_bonds {good}\n"), MOLECULAR)
        assert "special-bonds" not in {name for name, _ in found}


def test_special_bonds_matter_only_where_there_are_bonds(check):
    no_bonds = MOLECULAR.replace("1 bonds", "0 bonds")
    assert "special-bonds" not in {name for name, _ in check(bonded(""), no_bonds)}
    unknown = changed(("mgo.data", "no.data"), text=bonded(""))
    assert ("special-bonds", "warning") in check(unknown)


def test_bond_energies_beside_the_potential(check):
    terms = "bond_style harmonic\nbond_coeff 1 1 1\nspecial_bonds lj/coul 1 1 1\n"
    assert ("double-counting", "warning") in check(bonded(terms), MOLECULAR)
    terms = terms.replace("harmonic", "zero")
    assert "double-counting" not in {x for x, _ in check(bonded(terms), MOLECULAR)}


VACUUM = DATA.replace("10.0 zlo", "30.0 zlo").replace("10.0 ylo", "10.5 ylo")


@pytest.mark.parametrize("keywords", ["iso 0 0 1", "z 0 0 1", "x 0 0 1 z 0 0 1"])
def test_a_barostat_across_vacuum(check, keywords):
    script = changed((FIX, FIX.replace("nvt", "npt") + " " + keywords))
    assert ("vacuum", "warning") in check(script, VACUUM)
    assert "vacuum" not in {name for name, _ in check(script)}
    flat = changed((keywords, "x 0 0 1 y 0 0 1 couple xy"), text=script)
    assert "vacuum" not in {name for name, _ in check(flat, VACUUM)}


def test_labels_of_the_data_file(check):
    swapped = DATA.replace("24.305 # Mg", "24.305 # O").replace(
        "15.999 # O", "15.999 # Mg"
    )
    assert ("data-labels", "error") in check(data=swapped)
    other = DATA.replace("# O", "# S")
    assert ("data-labels", "warning") in check(data=other)
    typed = DATA.replace("Masses", "Atom Type Labels\n\n1 O\n2 Mg\n\nMasses")
    assert ("data-labels", "error") in check(data=typed.replace(" # Mg", ""))
    assert not check()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("4 2 7 8 8\n", ""), "header says 4"),
        (("4 2 7 8 8", "3 2 7 8 8"), "comes 2 times"),
        (("4 2 7 8 8", "0 2 7 8 8"), "not positive"),
    ],
)
def test_atoms_of_the_data_file(check, change, words):
    assert words in check(data=changed(change, text=DATA))["data-atoms", "error"].what
    assert not check()


def test_style_and_charges_of_the_data_file(check):
    charged = re.sub(r"^(\d \d)( \d \d \d)$", r"\1 -2.0\2", DATA, flags=re.MULTILINE)
    charged = charged.replace("# atomic", "# charge")
    assert ("data-atoms", "warning") in check(data=charged)
    found = check(changed(("style atomic", "style charge")), charged)
    assert set(found) == {("data-charges", "note")}
    neutral = charged.replace("-2.0", "0.0")
    assert not check(changed(("style atomic", "style charge")), neutral)


def test_tilt_of_the_data_file(check):
    assert ("data-tilt", "note") in check(data=TILTED)
    assert not check(data=TILTED.replace("6.0 0.0", "-5.0 0.0"))


def test_elements_and_box_of_the_model_file(check, write):
    write(elements=("Mg", "C"))
    found = check()["model-elements", "error"]
    assert "it has: Mg C" in found.what
    write(cutoff=11.0)
    assert set(check()) == {("box-small", "note")}
    write(cutoff=9.0)
    assert not check()


def test_the_shell_of_ghosts_follows_the_model_file(check, write):
    write()
    script = changed(("pt 0", "pt 1"), (RUN, "comm_modify cutoff 10.9\n" + RUN))
    assert "11" in check(script)["ghost-shell", "warning"].fix
    assert not check(script.replace("10.9", "11.0"))
    assert ("ghost-shell", "warning") in check(changed(("pt 0", "pt 1")))


OVERLAID = changed((STYLE, D3), (COEFF, ""))


def test_dispersion_follows_the_model_file(check, write):
    write(dispersion="included")
    assert ("dispersion-twice", "error") in check(OVERLAID)
    assert not check()
    write(dispersion="d3bj:pbe")
    assert ("dispersion-missing", "note") in check()
    assert not check(OVERLAID)
    assert ("head-mismatch", "warning") in check(OVERLAID.replace("bj pbe", "bj b3lyp"))
    found = check(OVERLAID.replace("bj pbe", "original pbe"))
    assert ("head-mismatch", "warning") in found
    write(level_of_theory="r2SCAN", dispersion="none")
    assert ("head-mismatch", "warning") in check(OVERLAID)


def test_tolerances_of_float32(check, write):
    script = changed((RUN, "minimize 1e-10 1e-6 100 100"))
    write(dtype="float32")
    assert ("minimize-float32", "note") in check(script)
    assert not check(changed(("1e-10 1e-6", "0 1e-3"), text=script))
    write(dtype="float64")
    assert not check(script)


def test_a_damaged_model_file(check, tmp_path):
    (tmp_path / "mgo.pt").write_bytes(b"PK no archive")
    assert ("model-file", "warning") in check()


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "in.lammps"
    with pytest.raises(DataError, match="cannot be read"):
        lint(path)
    path.write_bytes(b"units metal\0")
    with pytest.raises(DataError, match="is not text"):
        lint(path)
    path.write_text(BASE)
    with pytest.raises(DataError, match=r"no\.data cannot be read"):
        lint(path, tmp_path / "no.data")
    with pytest.raises(DataError, match="is not a LAMMPS data file"):
        lint(path, path)
    with pytest.raises(ArtifactError, match="cannot be read"):
        lint(path, model=tmp_path / "no.pt")
    with pytest.raises(ConfigError, match="-var needs a name and a value"):
        lint(path, options=["-var", "x"])


def test_a_compressed_data_file_on_the_command_line(tmp_path):
    path = tmp_path / "in.lammps"
    path.write_text(changed(("Mg O", "O Mg")))
    data = tmp_path / "mgo.data.gz"
    data.write_bytes(gzip.compress(DATA.encode()))
    assert "data-masses" in {one.rule for one in lint(path, data).findings}
