"""BibTeX of what files and runs used."""

import re

import pytest

from lamplighter import __version__, cli
from lamplighter.commands.cite import ALWAYS, read_table
from lamplighter.resources import base_model


def _keys(text: str) -> list[str]:
    return re.findall(r"^@\w+\{(\w+),", text, re.MULTILINE)


def _cited(capsys, *files: object) -> str:
    assert cli.run(["cite", *map(str, files)]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("key", read_table())
def test_entries_are_whole(key: str) -> None:
    entry = read_table()[key]["bibtex"]
    assert entry.count("{") == entry.count("}")
    assert {"title", "author"} <= set(re.findall(r"^ {2}(\w+)", entry, re.MULTILINE))
    (first,) = _keys(entry)
    if "@article" in entry:
        assert re.search(r"doi +=? \{10\.\d{4,5}/\S+\}", entry), first


def test_without_files_the_toolkit_and_lammps_are_cited(capsys) -> None:
    out = _cited(capsys)
    assert _keys(out)[0] == "lamplighter"
    assert f"version = {{{__version__}}}" in out
    assert "thompson2022lammps" in out
    assert len(_keys(out)) == len(ALWAYS) + 1


def test_a_potential_cites_its_parts_and_names_the_sources_of_its_heads(capsys) -> None:
    out = _cited(capsys, base_model())
    assert {"ziegler1985stopping", "grimme2010d3"} <= set(_keys(out))
    assert "% head pbe: Lamplighter data set (GPAW), licence CC-BY-4.0" in out


def test_suites_and_scripts_cite_what_they_use_once(tmp_path, capsys) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text("properties: {phonon: {}, wulff: {}, s22: {}}\nengines: [ase]\n")
    script = tmp_path / "in.lammps"
    script.write_text(
        "units metal\npair_style hybrid/overlay mliap unified a.pt 0 "
        "dispersion/d3 bj pbe 20.0 10.0\ncompute f all heat/flux k p s\n"
    )
    keys = _keys(_cited(capsys, suite, script, script))
    wanted = {"togo2023phonopy", "rahm2020wulffpack", "jurecka2006s22"}
    assert wanted | {"grimme2011bj", "fan2015heat", "thompson2022lammps"} <= set(keys)
    assert len(keys) == len(set(keys))
    assert "zheng2007dbh24" not in keys


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("notes.txt", "hello", "cannot tell what this used"),
        ("a.yaml", "- 1", "no settings"),
        ("b.yaml", "{", "no YAML"),
        ("missing.lmp", None, "there is no such file"),
    ],
)
def test_what_is_not_known_is_refused(name, text, says, tmp_path, capsys) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    assert cli.run(["cite", str(path)]) == 2
    assert says in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_refused(tmp_path, capsys) -> None:
    assert cli.run(["cite", str(tmp_path)]) == 2
    assert "no folder of a validation run" in capsys.readouterr().err
