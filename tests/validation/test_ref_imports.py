"""Own references: from phonopy, from vasprun.xml, from a table."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from lamplighter.cli import run
from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.properties.eos import birch_murnaghan
from lamplighter.validation.refs import load_file, load_references
from lamplighter.validation.refs.from_phonopy import from_phonopy
from lamplighter.validation.refs.from_tables import from_csv
from lamplighter.validation.refs.from_vasprun import from_vasprun, read_vasprun
from lamplighter.validation.refs.loader import RECORDS_FOLDER
from lamplighter.validation.refs.writer import Origin, write_records

FORCE_SETS = RECORDS_FOLDER.parent / "force_sets"
PBE = Origin(functional="PBE")

VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <incar>{incar}</incar>
 <parameters><separator name="electronic">
  <i name="ENMAX">    500.00</i><i type="int" name="NELM">    {nelm}</i>
  <i type="string" name="GGA">--</i><i type="string" name="METAGGA">--</i>
  <i type="logical" name="LHFCALC"> F  </i><i type="logical" name="LDAU"> F  </i>
 </separator></parameters>
 <atominfo>
  <array name="atoms"><set><rc><c>Mg</c><c>1</c></rc><rc><c>O </c><c>2</c></rc></set>
  </array>
  <array name="atomtypes"><set>
   <rc><c>1</c><c>Mg</c><c>24.3</c><c>2.0</c><c>PAW_PBE Mg 13Apr2007</c></rc>
   <rc><c>1</c><c>O </c><c>16.0</c><c>6.0</c><c>{oxygen} O 08Apr2002</c></rc>
  </set></array>
 </atominfo>
 <calculation><scstep/><scstep/>
  <varray name="stress"><v>{p} 0 0</v><v>0 {p} 0</v><v>0 0 {p}</v></varray>
  <energy><i name="e_fr_energy">{energy}</i><i name="e_0_energy">{energy}</i></energy>
 </calculation>
 <structure name="finalpos">
  <crystal><varray name="basis">
   <v>0 {h} {h}</v><v>{h} 0 {h}</v><v>{h} {h} 0</v></varray></crystal>
  <varray name="positions"><v>0 0 0</v><v>0.5 0.5 0.5</v></varray>
 </structure>
</modeling>
"""


def vasprun(path, *, a=4.2556, energy=-11.9, p=0.01, **changes):
    given = {"incar": "", "nelm": 60, "oxygen": "PAW_PBE"} | changes
    path.write_text(VASPRUN.format(h=a / 2, energy=energy, p=p, **given))
    return path


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("quantity,value,value\nbulk_modulus,140,150\n", "wrong columns"),
        ("quantity,value,space_group\nbulk_modulus,140,225.7\n", "line 2: space_group"),
        ("quantity,value,space_group\nbulk_modulus,140,nan\n", "line 2: space_group"),
        ("quantity,value,space_group\nbulk_modulus,140,231\n", "line 2: space_group"),
        ("quantity,value,error\nbulk_modulus,140,nan\n", "line 2: error is no number"),
        ("quantity,value\nbulk_modulus,inf\n", "line 2: value is no number"),
        ("quantity,value\nbulk_modulus,1_40\n", "line 2: value is no number"),
        ("quantity,value,role\nbulk_modulus,140,main\n", "line 2: unknown role"),
        ("quantity,value,zpe\nbulk_modulus,140,some\n", "line 2: unknown zpe"),
        (
            "quantity,value,temperature_K\nbulk_modulus,140,-3\n",
            "line 2: temperature_K",
        ),
        (
            "quantity,value,functional,kind\nbulk_modulus,140,PBE,experiment\n",
            "line 2: an experiment has no functional",
        ),
    ],
)
def test_tables_that_cannot_be_meant(tmp_path, table, message):
    path = tmp_path / "own.csv"
    path.write_text(table)
    with pytest.raises((DataError, ConfigError), match=message):
        from_csv(path, Origin(functional="PBE", material="Cu", space_group=225))


def test_a_table_says_no_with_a_zero_and_theory_by_its_name(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("quantity,value,verified\nbulk_modulus,140,0\n")
    (record,) = from_csv(path, Origin(functional="CCSD(T)", material="Cu"))
    assert not record.verified
    assert (record.level.kind, str(record.level)) == ("theory", "CCSD(T)")


@pytest.mark.parametrize(
    "changes", [{"p": "******"}, {"energy": "****"}, {"nelm": "x"}]
)
def test_stars_in_place_of_numbers(tmp_path, changes):
    path = vasprun(tmp_path / "vasprun.xml", **changes)
    with pytest.raises(DataError, match="holds something else than numbers"):
        read_vasprun(path)


def incar(**tags):
    return "".join(f'<i type="string" name="{k}">{v}</i>' for k, v in tags.items())


def values(records):
    return {record.quantity: record.value for record in records}


@pytest.mark.slow
def test_phonopy_gives_what_the_built_in_records_hold():
    path = FORCE_SETS / "NaCl" / "phonopy_disp.yaml"
    found = from_phonopy(path, Origin(functional="PBE", code="VASP"))
    mine = values(found)
    known = {
        r.quantity: r.value
        for r in load_references("NaCl")
        if "example/NaCl" in r.source.text
        and r.quantity not in {"lattice_constant", "frequency_difference_mean"}
    }
    assert len(known) > 15
    for quantity, value in known.items():
        assert mine[quantity] == pytest.approx(value, abs=2e-3), quantity
    assert mine["frequency_Gamma_LO"] == pytest.approx(7.396, abs=1e-3)
    assert {(r.material, r.space_group, str(r.level)) for r in found} == {
        ("NaCl", 225, "PBE, VASP")
    }
    assert "sha256" in found[0].source.text


def test_phonopy_file_with_forces_in_it_needs_no_other(tmp_path, monkeypatch):
    shutil.copy(FORCE_SETS / "Si" / "phonopy_params_Si.yaml", tmp_path / "mine.yaml")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "FORCE_SETS").write_text("nonsense")
    (elsewhere / "BORN").write_text("nonsense")
    monkeypatch.chdir(elsewhere)
    found = values(from_phonopy(tmp_path / "mine.yaml", PBE))
    assert found["frequency_Gamma_TO"] == pytest.approx(15.111, abs=1e-3)
    assert "frequency_Gamma_LO" not in found


def test_phonopy_never_guesses_the_functional():
    path = FORCE_SETS / "Si" / "phonopy_params_Si.yaml"
    with pytest.raises(ConfigError, match="level of theory is not known"):
        from_phonopy(path, Origin())
    with pytest.raises(ConfigError, match="another material; got: Ge; wanted: Si"):
        from_phonopy(path, Origin(functional="PBE", material="Ge"))
    with pytest.raises(ConfigError, match="another space group; got: 225"):
        from_phonopy(path, Origin(functional="PBE", space_group=225))


def test_phonopy_without_forces_is_refused(tmp_path, monkeypatch):
    shutil.copy(FORCE_SETS / "NaCl" / "phonopy_disp.yaml", tmp_path)
    monkeypatch.chdir(FORCE_SETS / "NaCl")  # its FORCE_SETS must not be taken
    with pytest.raises(DataError, match="displacements without forces"):
        from_phonopy(tmp_path / "phonopy_disp.yaml", PBE)
    with pytest.raises(DataError, match="no phonons in"):
        from_phonopy(tmp_path / "absent.yaml", PBE)


def test_a_relaxed_vasprun_gives_the_lattice_constant(tmp_path):
    found = from_vasprun([vasprun(tmp_path / "vasprun.xml")], Origin())
    assert values(found) == pytest.approx(
        {"lattice_constant": 4.2556, "volume_per_atom": 4.2556**3 / 8}, abs=1e-5
    )
    assert str(found[0].level) == "PBE, VASP, 500 eV"
    assert found[0].material == "MgO"
    assert found[0].space_group == 225


def test_volumes_give_the_equation_of_state(tmp_path):
    v0, b0 = 19.27, 150.0 / 160.2176634
    paths = []
    for k, scale in enumerate(np.linspace(0.94, 1.06, 7)):
        volume = v0 * scale
        energy = float(birch_murnaghan(np.array([volume]), v0, b0, 4.2)[0]) - 11.9
        a = (4 * volume) ** (1 / 3)
        paths.append(vasprun(tmp_path / f"{k}.xml", a=a, energy=energy, p=50))
    found = {r.quantity: r for r in from_vasprun(paths, Origin())}
    assert found["lattice_constant"].value == pytest.approx((4 * v0) ** (1 / 3), 1e-6)
    assert found["bulk_modulus"].value == pytest.approx(150.0, abs=0.01)
    assert 0 < found["bulk_modulus"].error < 1.0
    assert found["bulk_modulus_derivative"].value == pytest.approx(4.2, abs=0.01)
    with pytest.raises(DataError, match=r"too few volumes .*got: 3 files"):
        from_vasprun(paths[:3], Origin())
    jump = vasprun(tmp_path / "jump.xml", a=4.5, energy=0)
    with pytest.raises(DataError, match="no smooth curve with its minimum inside"):
        from_vasprun([*paths[1:], jump], Origin())


@pytest.mark.parametrize(
    ("tags", "functional"),
    [
        ({}, "PBE"),
        ({"GGA": "PS"}, "PBEsol"),
        ({"METAGGA": "R2SCAN"}, "r2SCAN"),
        ({"IVDW": "12"}, "PBE-D3(BJ)"),
        ({"LHFCALC": ".TRUE."}, ""),
        ({"LDAU": "T"}, ""),
        ({"IVDW": "4"}, ""),
    ],
)
def test_the_functional_is_what_the_file_says_or_nothing(tmp_path, tags, functional):
    path = vasprun(tmp_path / "vasprun.xml", incar=incar(**tags))
    assert read_vasprun(path).functional == functional
    if not functional:
        with pytest.raises(ConfigError, match="--functional PBE"):
            from_vasprun([path], Origin())
        assert from_vasprun([path], Origin(functional="HSE06"))


def test_a_flag_against_the_file_is_refused(tmp_path):
    path = vasprun(tmp_path / "vasprun.xml")
    with pytest.raises(ConfigError, match=r"another functional; .*r2SCAN; wanted: PBE"):
        from_vasprun([path], Origin(functional="r2SCAN"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p": 8.0}, r"not at its minimum; got: stress 0\.80 GPa"),
        ({"nelm": 2}, "did not converge; got: 2 steps"),
        ({"oxygen": "PAW"}, "mixes potentials of different functionals"),
    ],
)
def test_a_vasprun_that_says_little_is_refused(tmp_path, changes, message):
    path = vasprun(tmp_path / "vasprun.xml", **changes)
    with pytest.raises(DataError, match=message):
        from_vasprun([path], Origin())


def test_an_unfinished_vasprun_is_refused(tmp_path):
    path = vasprun(tmp_path / "vasprun.xml")
    whole = path.read_text()
    path.write_text(whole[:900])
    with pytest.raises(DataError, match=r"cannot read .*vasprun"):
        from_vasprun([path], PBE)
    path.write_text("<modeling></modeling>")
    with pytest.raises(DataError, match="no finished calculation"):
        from_vasprun([path], PBE)
    path.write_text(whole)
    other = tmp_path / "other.xml"
    other.write_text(whole.replace("<c>Mg</c><c>1<", "<c>Ca</c><c>1<"))
    with pytest.raises(DataError, match=r"another crystal .*got: CaO"):
        from_vasprun([path, other], PBE)
    vasprun(other, incar=incar(GGA="PS"))
    with pytest.raises(DataError, match="different functionals; got: PBE, PBEsol"):
        from_vasprun([path, other], PBE)


CSV = """quantity,value,unit,error,functional,temperature_K,kind,source,note,verified
C11,297.8,GPa,1.5,,295,experiment,Somebody (1990),resonance,yes
lattice_constant,4.26,,,PBEsol,,,,,no
bulk_modulus,149,GPa,,,,,,,
"""


def test_a_table_gives_one_record_a_row(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(CSV)
    origin = Origin(functional="PBE", material="MgO", structure="rocksalt")
    first, second, third = from_csv(path, origin)
    assert (first.value, first.error, first.note) == (297.8, 1.5, "resonance")
    assert str(first.level) == "experiment, 295 K"
    assert first.level.zpe == "included"
    assert first.source.text == "Somebody (1990)"
    assert (second.unit, str(second.level), second.verified) == ("Å", "PBEsol", False)
    assert (str(third.level), third.verified) == ("PBE", True)
    written = write_records(tmp_path / "mine.yaml", [first, second, third])
    assert load_file(written, unverified="use") == (first, second, third)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quantity\nC11\n", "wrong columns; got: quantity; wanted: quantity, value"),
        ("quantity,value,colour\nC11,1,red\n", "wrong columns"),
        ("quantity,value\n", "no row below its header"),
        ("quantity,value\nC11,abc\n", "line 2: value is no number; got: 'abc'"),
        ("quantity,value\nC11,\n", "line 2: no value"),
        ("quantity,value\nC11,1,2\n", "line 2: more cells than columns"),
        ("quantity,value,unit\nC11,100,eV\n", "line 2: C11 stands in another unit"),
        ("quantity,value,kind\nC11,100,guess\n", "unknown kind; got: guess"),
        ("quantity,value,verified\nC11,100,often\n", "verified is no truth value"),
        ("quantity,value\nC11,1e6\n", "line 2: C11 of MgO is not plausible"),
    ],
)
def test_tables_are_refused_by_line(tmp_path, text, message):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        from_csv(path, Origin(functional="PBE", material="MgO"))


def test_a_table_says_material_and_level(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("quantity,value\nC11,100\n")
    with pytest.raises(ConfigError, match="material is not known"):
        from_csv(path, PBE)
    with pytest.raises(ConfigError, match="level of theory is not known"):
        from_csv(path, Origin(material="MgO"))
    with pytest.raises(ConfigError, match="an experiment has no functional"):
        Origin(functional="PBE", experiment=True)
    with pytest.raises(DataError, match="cannot read the table"):
        from_csv(tmp_path / "absent.csv", PBE)


def test_records_of_two_crystals_do_not_share_a_file(tmp_path):
    records = [load_references("Si")[0], load_references("Al")[0]]
    with pytest.raises(DataError, match="records of one crystal; got: Al fcc; Si"):
        write_records(tmp_path / "two.yaml", records)
    assert list(tmp_path.iterdir()) == []


def test_refs_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vasprun(tmp_path / "vasprun.xml", a=4.26)
    add = ["validate", "refs", "add", "--from-vasprun", "vasprun.xml", "-o", "my.yaml"]
    assert run(add) == 0
    assert "2 records of MgO, PBE, VASP, 500 eV: my.yaml" in capsys.readouterr().out
    assert run(add) == 2
    assert "my.yaml exists already" in capsys.readouterr().err
    assert run(["validate", "refs", "check", "my.yaml"]) == 0
    assert "2 records in 1 files, 0 problems" in capsys.readouterr().out
    show = ["validate", "refs", "show", "MgO", "--files", "my.yaml", "--json"]
    assert run([*show, "--quantity", "volume*"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["value"] == pytest.approx(4.26**3 / 8, abs=1e-4)


def test_refs_check_finds_what_contradicts_the_built_in_records(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text("quantity,value\nlattice_constant,4.9\n")
    origin = Origin(functional="PBE", material="MgO", structure="rocksalt")
    wrong = write_records(tmp_path / "my.yaml", from_csv(path, origin))
    assert run(["validate", "refs", "check", str(wrong)]) == 1
    out = capsys.readouterr().out
    assert "lattice_constant of MgO 4.9 Å (PBE) against 4.2" in out
    assert "1 problems" in out


def test_refs_commands_say_what_is_missing(tmp_path, capsys):
    assert run(["validate", "refs", "show", "MgO", "--quantity", "colour"]) == 2
    assert "no reference of MgO for this quantity" in capsys.readouterr().err
    assert run(["validate", "refs", "add", "-o", str(tmp_path / "x.yaml")]) == 2
    assert "one of --from-phonopy" in capsys.readouterr().err
    assert run(["validate", "refs", "show"]) == 0
    assert "Al, " in capsys.readouterr().out
    assert run(["validate", "refs", "show", "W", "--quantity", "C11"]) == 0
    assert "532" not in capsys.readouterr().out
    assert run(["validate", "refs", "show", "W", "--unverified"]) == 0
    assert "not verified" in capsys.readouterr().out
