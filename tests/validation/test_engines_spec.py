"""Engines of suites: what YAML may say, what is built from it, what is refused."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from classical import stillinger_weber

from lamplighter.errors import (
    ConfigError,
    EngineError,
    OptionalDependencyError,
)
from lamplighter.resources import base_model
from lamplighter.validation.engines import (
    CachedEngine,
    EngineSpec,
    LammpsEngine,
    LammpsFileEngine,
    LammpsLibEngine,
    ase_engine,
    engine_spec,
    factory,
    pair_style,
)
from lamplighter.validation.engines.factory import calculator_factory
from lamplighter.validation.engines.pair_style import (
    with_files_found,
    with_preamble,
)
from lamplighter.validation.engines.user_style import style_of
from lamplighter.validation.open_engines import open_engine, read_card
from lamplighter.validation.suite import ModelSpec

SW = {"pair_style": "sw", "pair_coeff": ["* * Si.sw Si"]}
TERSOFF = "ase.calculators.tersoff:Tersoff.from_lammps"


def spec(folder=Path(), **keys) -> EngineSpec:
    return engine_spec(keys, folder)


@pytest.fixture
def own(tmp_path):
    """A folder with a potential file of the user's."""
    stillinger_weber(tmp_path)
    (tmp_path / "own.sw").rename(tmp_path / "mine.sw")
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "cls"),
    [
        ("lammps", LammpsEngine),
        ("lammps-file", LammpsFileEngine),
        ("lammps-lib", LammpsLibEngine),
    ],
)
def test_any_pair_style_with_a_file_beside_the_suite(kind, cls, own):
    one = spec(own, kind=kind, pair_style="sw", pair_coeff="* * mine.sw Si", cutoff=4)
    assert one.foreign
    with open_engine(one, None, ["Si"], own) as engine:
        assert type(engine) is cls
        info = engine.info
        assert engine.compute(bulk("Si", a=5.431)).energy / 2 == pytest.approx(
            -4.3366, abs=1e-4
        )
    assert (info.kind, info.name, info.cutoff) == (kind, kind, 4.0)
    assert info.model == 'pair_style sw; pair_coeff * * "mine.sw" Si'
    assert len(info.model_sha256) == 64


def test_the_file_not_its_place_is_in_the_record(own, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "mine.sw").write_bytes((own / "mine.sw").read_bytes())
    keys = {"kind": "lammps", "pair_style": "sw", "pair_coeff": "* * mine.sw Si"}
    first = style_of(engine_spec(keys, own)).info
    assert style_of(engine_spec(keys, other)).info == first
    (other / "mine.sw").write_text("changed\n")
    assert style_of(engine_spec(keys, other)).info != first


def test_potentials_of_lammps_are_found(tmp_path, monkeypatch):
    style = style_of(spec(tmp_path, kind="lammps", **SW))
    assert "share/lammps/potentials/Si.sw" in style.commands[1]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "Si.sw").write_text("")
    monkeypatch.setenv("LAMMPS_POTENTIALS", str(tmp_path / "mine"))
    style = style_of(spec(tmp_path, kind="lammps", **SW))
    assert str(tmp_path / "mine" / "Si.sw") in style.commands[1]


def test_types_are_named_or_told_by_the_coefficients(tmp_path):
    def elements(known=(), **keys):
        return style_of(spec(tmp_path, kind="lammps", **keys), known).elements

    assert elements(**SW) == ("Si",)
    lj = {"pair_style": "lj/cut 5.0", "pair_coeff": ["1 1 0.1 2.0", "2 2 0.2 2.0"]}
    assert elements(elements=["Ar", "Ne"], **lj) == ("Ar", "Ne")
    assert elements(("Kr",), **lj) == ("Kr",)
    with pytest.raises(ConfigError, match="which type is which element"):
        elements(**lj)
    # Two elements in the order of the alphabet would be a guess.
    with pytest.raises(ConfigError, match="which type is which element"):
        elements(("Ar", "Ne"), **lj)
    some = {"pair_style": "eam/alloy", "pair_coeff": ["* * x.alloy Ne NULL"]}
    with pytest.raises(ConfigError, match="which type is which element"):
        elements(("Ar", "Ne"), **some)
    alike = {"pair_style": "lj/cut 5.0", "pair_coeff": ["* * 0.1 2.0"]}
    assert elements(("Ar", "Ne"), **alike) == ("Ar", "Ne")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"commands": ["shell rm -r x"]}, "may not give under commands"),
        ({"commands": ["python f input 1"]}, "may not give under commands"),
        ({"commands": ["include other.in"]}, "may not give under commands"),
        ({"commands": ["variable a python f"]}, "may not give under commands"),
        ({"commands": ["fix 1 all python/invoke 1 end_of_step f"]}, "may not run code"),
        ({"commands": ["pair_modify shift $(1+1)"]}, "may not run code"),
        ({"preamble": ["shell ls"]}, "may not give under preamble"),
        ({"preamble": ["newton on &"]}, "may not run code"),
        ({"pair_style": "python 5.0"}, "may not run code"),
        ({"pair_style": "sw\nshell ls"}, "may not run code"),
    ],
)
def test_a_suite_runs_no_code_in_lammps(keys, message):
    with pytest.raises(ConfigError, match=message):
        style_of(spec(kind="lammps", **{**SW, **keys}))


def test_a_suite_runs_no_code_in_the_lammps_of_its_own_model(tmp_path):
    card = read_card(ModelSpec(file=base_model(), head="pbe"))
    for line in ("shell touch ran", "newton on &"):
        one = spec(kind="lammps", preamble=[line])
        with (
            pytest.raises(ConfigError, match="may not"),
            open_engine(one, card, ["Mg", "O"], tmp_path),
        ):
            pass
    assert list(tmp_path.iterdir()) == []  # refused before anything is converted


def test_lines_before_the_box_are_in_the_record():
    style = pair_style(["pair_style zero 5.0", "pair_coeff * *"], ["Si"])
    assert with_preamble(style, ()) is style
    changed = with_preamble(style, ("newton off", "processors 1 1 *"))
    assert changed.preamble == ("newton off", "processors 1 1 *")
    assert changed.info.extra["preamble"] == "newton off; processors 1 1 *"


def test_files_are_found_whatever_their_names_share(tmp_path):
    for name in ("a.fs", "C.meam", "SiC.meam", "my file.fs"):
        (tmp_path / name).write_text(name)
    lines = ["* * a.fs a.fs", "* * SiC.meam Si C.meam C", '* * "my file.fs" 1.0']
    assert with_files_found(lines, tmp_path) == (
        f'* * "{tmp_path}/a.fs" "{tmp_path}/a.fs"',
        f'* * "{tmp_path}/SiC.meam" Si "{tmp_path}/C.meam" C',
        f'* * "{tmp_path}/my file.fs" 1.0',
    )


def test_a_relative_file_is_found_from_python_too(own, monkeypatch):
    monkeypatch.chdir(own)
    style = pair_style(["pair_style sw", "pair_coeff * * mine.sw Si"], ["Si"])
    with LammpsLibEngine(style) as engine:
        assert engine.compute(bulk("Si", a=5.431)).energy / 2 < -4.3
    first = style.info.model_sha256
    (own / "mine.sw").write_text("changed")
    again = pair_style(["pair_style sw", "pair_coeff * * mine.sw Si"], ["Si"])
    assert again.info.model_sha256 != first


def test_what_a_suite_may_say_reaches_lammps(tmp_path):
    one = spec(
        tmp_path,
        kind="lammps-lib",
        pair_style="hybrid/overlay sw coul/cut 8.0",
        pair_coeff=["* * sw Si.sw Si", "1 1 coul/cut"],
        preamble="newton on",
        commands=["set type 1 charge 0.3"],
        elements="Si",
        atom_style="charge",
        level_of_theory="none",
    )
    plain = spec(tmp_path, kind="lammps-lib", **SW)
    atoms = bulk("Si")
    atoms.set_initial_charges([0.0, 0.0])
    energies = []
    for item in (one, plain):
        with open_engine(item, None, ["Si"], tmp_path) as engine:
            energies.append(engine.compute(atoms).energy)
            extra = dict(engine.info.extra)
    assert energies[0] - energies[1] > 1.0  # charges of one sign repel
    assert style_of(one).info.extra["level_of_theory"] == "none"
    assert "level_of_theory" not in extra


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("vasp", "unknown engine"),
        (3, "an engine of the suite"),
        ({"name": "x"}, "an engine of the suite"),
        ({"kind": "lammps", "pair_stile": "sw"}, "did you mean 'pair_style'"),
        ({"kind": "lammps", "elements": [1]}, "elements.*a list of texts"),
        ({"kind": "lammps", "ranks": 1.5}, "ranks.*a whole number"),
        ({"kind": "lammps", "ranks": True}, "ranks.*a whole number"),
        ({"kind": "lammps", "ranks": 0}, "at least 1"),
        ({"kind": "lammps", "timeout_s": "long"}, "timeout_s.*a number"),
        ({"kind": "lammps", "timeout_s": 0}, "a positive number"),
        ({"kind": "lammps", "timeout_s": float("inf")}, "a positive number"),
        ({"kind": "lammps", "timeout_s": float("nan")}, "a positive number"),
        ({"kind": "ase", "calculator": "a:B", "cutoff": -1}, "cutoff"),
        ({"kind": "ase", "calculator": "a:B", "cutoff": float("nan")}, "cutoff"),
        ({"kind": "lammps", "command": 7}, "command.*text"),
        ({"kind": "ase", "calculator": "a:B", "arguments": 1}, "a mapping"),
        ({"kind": "ase", "dtype": "float16"}, "dtype"),
        ({"kind": "lammps", "pair_style": "sw", "units": "lj"}, "metal or real"),
        ({"kind": "lammps", "pair_style": "sw", "atom_style": "x"}, "atom_style"),
        ({"kind": "ase", "pair_style": "sw"}, "'pair_style' has no meaning"),
        ({"kind": "lammps", "calculator": "a:B"}, "'calculator' has no meaning"),
        ({"kind": "lammps", "elements": ["Si"]}, "none is named"),
        ({"kind": "lammps", "pair_style": "sw", "artifact": "a.pt"}, "another pair"),
        ({"kind": "lammps-lib", "command": "lmp"}, "a library is loaded"),
        ({"kind": "lammps-lib", "ranks": 2}, "take lammps-file"),
        ({"kind": "lammps", "command": "lmp", "ranks": 2}, "belongs into command"),
    ],
)
def test_contradictions_are_refused(content, message):
    with pytest.raises(ConfigError, match=message):
        engine_spec(content, Path())


def test_the_shortest_engine_is_a_word(tmp_path):
    assert engine_spec("ase", tmp_path) == EngineSpec(kind="ase", name="ase")
    assert not engine_spec("lammps", tmp_path).foreign
    with (
        pytest.raises(ConfigError, match="there is none"),
        open_engine(engine_spec("ase", tmp_path), None, ["Si"], tmp_path),
    ):
        pass


def test_any_ase_calculator_with_a_file_and_a_cache(tmp_path):
    from classical import tersoff

    tersoff(tmp_path)
    one = spec(
        tmp_path,
        kind="ase",
        name="mine",
        calculator=TERSOFF,
        arguments={"potential_file": {"file": "own.tersoff"}},
        level_of_theory="PBE",
    )
    with open_engine(one, None, ["Si"], tmp_path, tmp_path / "cache") as engine:
        assert isinstance(engine, CachedEngine)
        first = engine.compute(bulk("Si"))
        assert engine.compute(bulk("Si")).energy == first.energy
        assert engine.hits == 1
        info = engine.info
    assert (info.name, info.model, info.kind) == ("mine", TERSOFF, "ase")
    assert info.extra["arguments"] == '{"potential_file": {"file": "own.tersoff"}}'
    assert info.extra["package"].startswith("ase 3.")
    assert info.extra["level_of_theory"] == "PBE"
    assert len(info.model_sha256) == 64


def test_arguments_reach_the_calculator():
    engine = ase_engine("ase.calculators.lj:LennardJones", {"epsilon": 2.0, "rc": 5.0})
    atoms = bulk("Ar", a=5.3)
    twice = ase_engine("ase.calculators.lj:LennardJones", {"epsilon": 4.0, "rc": 5.0})
    ratio = twice.compute(atoms).energy / engine.compute(atoms).energy
    assert ratio == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("LennardJones", ConfigError, "the name of a calculator"),
        ("a.b:c()", ConfigError, "the name of a calculator"),
        ("os:system", OptionalDependencyError, "'os' is not installed"),
        ("not_there.at_all:X", OptionalDependencyError, "is not installed"),
        ("ase.not_there:X", OptionalDependencyError, "cannot be imported"),
        ("ase.calculators.lj:Lennard", ConfigError, "LennardJones"),
        ("ase.build:bulk", ConfigError, "does not make ASE calculators"),
        ("ase.io:read", ConfigError, "does not make ASE calculators"),
        ("ase:Atoms", ConfigError, "does not make ASE calculators"),
        ("numpy:load", ConfigError, "does not make ASE calculators"),
        ("ase.calculators.lj:np.load", ConfigError, "does not make ASE"),
    ],
)
def test_what_is_no_calculator_of_a_package_is_refused(name, error, message):
    with pytest.raises(error, match=message):
        calculator_factory(name)


def test_a_module_that_nobody_installed_is_refused(tmp_path, monkeypatch):
    (tmp_path / "my_module.py").write_text("raise SystemExit('code of a suite ran')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OptionalDependencyError, match="a suite brings no code"):
        calculator_factory("my_module:Mine")


def test_a_folder_that_hides_a_package_is_refused(tmp_path, monkeypatch):
    hidden = tmp_path / "wheel"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise SystemExit('code of a folder ran')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wheel", raising=False)
    monkeypatch.setattr(
        "lamplighter.validation.engines.factory._installed",
        lambda: {"wheel": ["wheel"]},
    )
    with pytest.raises(ConfigError, match="hidden by a folder"):
        calculator_factory("wheel:X")


def test_functions_count_when_their_annotation_says_what_they_return(monkeypatch):
    import ase.calculators.emt as module

    def plain():
        return module.EMT()

    def annotated() -> module.EMT:
        return module.EMT()

    annotated.__annotations__ = {"return": module.EMT}
    monkeypatch.setattr(module, "plain", plain, raising=False)
    monkeypatch.setattr(module, "annotated", annotated, raising=False)
    assert calculator_factory("ase.calculators.emt:annotated") is annotated
    with pytest.raises(ConfigError, match="annotated to return one"):
        calculator_factory("ase.calculators.emt:plain")


def test_what_a_calculator_refuses_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"refuses its arguments.*potential_file"):
        ase_engine(TERSOFF, {"wrong": 1})
    with pytest.raises(ConfigError, match="potential_file: no such file"):
        ase_engine(TERSOFF, {"potential_file": {"file": "gone"}}, folder=tmp_path)


def test_the_content_of_every_file_is_in_the_record(tmp_path, monkeypatch):
    """Also of files in lists; of those that a plain text names, in the cache."""
    from classical import tersoff

    tersoff(tmp_path)
    monkeypatch.chdir(tmp_path)
    records = []
    for text in ("", "# another comment\n"):
        file = tmp_path / "own.tersoff"
        file.write_text(text + file.read_text())
        engine = ase_engine(TERSOFF, {"potential_file": {"file": "own.tersoff"}})
        plain = ase_engine(TERSOFF, {"potential_file": "own.tersoff"})
        path = CachedEngine(plain, tmp_path).path(bulk("Si"), ("energy",))
        records.append((engine.info.model_sha256, path))
        # It may be one that the calculator writes: no record may change with it.
        assert plain.info.model_sha256 == ""
    assert records[0][0] != records[1][0]
    assert records[0][1] != records[1][1]
    files: list[Path] = []
    named: list[Path] = []
    value = {"models": [{"file": "own.tersoff"}, 3, {"deep": {"file": "own.tersoff"}}]}
    given = factory._with_paths(value, tmp_path, files, named)
    path = str(tmp_path / "own.tersoff")
    assert given == {"models": [path, 3, {"deep": path}]}
    assert files == [Path(path)] * 2
    factory._with_paths({"log": "own.tersoff", "k": "x" * 9999}, tmp_path, files, named)
    assert named == [Path("own.tersoff")]


def test_any_error_of_a_calculator_is_an_error_of_the_engine():
    engine = ase_engine("ase.calculators.emt:EMT")
    for _ in range(2):  # the second time it must not take half a state for known
        with pytest.raises(EngineError, match="NotImplementedError: No EMT-potential"):
            engine.compute(bulk("Si"))
    assert np.isfinite(engine.compute(bulk("Cu")).energy)


def test_the_folder_of_a_suite_is_no_part_of_its_engines(tmp_path):
    one = engine_spec("ase", tmp_path)
    assert one == dataclasses.replace(one, folder=Path("elsewhere"))


def test_ase_evaluates_the_reference_unless_told_otherwise(tmp_path, monkeypatch):
    """What LAMMPS compiles would else be compared with itself."""
    monkeypatch.delenv("LAMPLIGHTER_BACKEND", raising=False)
    card = read_card(ModelSpec(file=base_model(), head="pbe"))
    crystal = bulk("MgO", "rocksalt", a=4.2)
    results = {}
    for backend in ("", "reference", "compiled", "auto"):
        keys = {"backend": backend} if backend else {}
        one = spec(kind="ase", **keys)
        with open_engine(one, card, ["Mg", "O"], tmp_path) as engine:
            results[backend] = engine.compute(crystal)
            said = engine.info.extra["backend"]
        assert said == {"": "reference", "auto": "compiled"}.get(backend, backend)
    assert results[""].energy == results["reference"].energy
    assert results["compiled"].energy == results["auto"].energy
    assert results["compiled"].energy != results["reference"].energy
    assert results["compiled"].energy == pytest.approx(
        results["reference"].energy, abs=1e-6
    )
    with pytest.raises(ConfigError, match=r"engines: backend.*fast"):
        spec(kind="ase", backend="fast")
    with pytest.raises(ConfigError, match="'backend' has no meaning for kind: lammps"):
        spec(kind="lammps", backend="compiled")
    with pytest.raises(ConfigError, match="'backend' is one of the model of the suite"):
        spec(kind="ase", calculator=TERSOFF, backend="compiled")
