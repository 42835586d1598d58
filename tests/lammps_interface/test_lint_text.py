"""The text of a script: lines, words, variables, formulas, branches, any input."""

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lamplighter.cli import run
from lamplighter.errors import DataError, LamplighterError
from lamplighter.lammps_interface.lint import lint
from lamplighter.lammps_interface.lint.expressions import evaluate, truth
from lamplighter.lammps_interface.lint.options import read_options
from lamplighter.lammps_interface.lint.script import Script
from lamplighter.lammps_interface.lint.source import logical_lines
from lamplighter.lammps_interface.lint.tokenizer import (
    ScriptSyntaxError,
    split_words,
    strip_comment,
)


@pytest.fixture
def read(tmp_path):
    """The commands of a script: line, words, and ? where they may not run."""

    def read_text(text, *options):
        script = Script(tmp_path, options)
        path = tmp_path / "in.lammps"
        found = [
            f"{one.where.line}{'' if one.sure else '?'}: "
            + " ".join((one.name, *one.args))
            for one in script.commands(text, path, "in.lammps")
        ]
        return found + [f"{one.where.line}: {one.rule}" for one in script.problems]

    return read_text


def test_lines_go_on_after_an_ampersand_and_inside_triple_quotes():
    text = 'fix 1 all &   \n nve\n\nprint """a\n b"""\nrun 0 & # no\nlast &'
    assert [(one.number, one.text) for one in logical_lines(text)] == [
        (1, "fix 1 all  nve"),
        (3, ""),
        (4, 'print """a\n b"""'),
        (6, "run 0 & # no"),
        (7, "last "),
    ]


def test_a_comment_swallows_the_line_after_its_ampersand():
    (line,) = logical_lines("run 0 # then &\nunits metal")
    assert line.swallowed == ("units metal",)
    assert strip_comment(line.text) == "run 0 "


def test_words_and_quotes():
    assert split_words("a 'b c' \"d # e\" \"\"\"f \"g\" h\"\"\" i'j") == [
        "a", "b c", "d # e", 'f "g" h', "i'j",
    ]  # fmt: skip
    assert strip_comment("print '#' # x") == "print '#' "
    with pytest.raises(ScriptSyntaxError, match="not closed"):
        split_words("a 'b")
    with pytest.raises(ScriptSyntaxError, match="more than white space"):
        split_words("'b'c")


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("1+2*3^2", 19),
        ("-2^2", 4),
        ("2^3^2", 64),
        ("(7 % 4) - -1", 4),
        ("8/4/2", 1),
        ("1 < 2 && !(3 == 4) || 0", 1),
        ("1 |^ 1", 0),
        ("sqrt(v_n*4) + ternary(1,2,3) + round(-0.5)", 7),
        ("PI*0 + yes", 1),
        ("1/0", None),
        ("step + 1", None),
        ("v_none", None),
        ("sqrt(4", None),
        ("1 2", None),
        ("2^5000", None),
        ("(" * 500 + "1" + ")" * 500, None),
        ("", None),
    ],
)
def test_formulas(formula, value):
    assert evaluate(formula, {"n": 9.0}.get) == value


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("1 == 1.0", True),
        ("metal == metal && 2 > 3", False),
        ("a != b", True),
        ("a == 1", None),
        ("a < b", None),
        ("${x} == 1", None),
    ],
)
def test_conditions(condition, value):
    assert truth(condition) is value


def test_variables(read):
    text = """variable a index 5 6
variable b equal 2*v_a
variable c string "Mg O"
variable d loop 10 pad
variable a index 9
variable n equal 7
variable f equal step
x ${a} $(v_b+0.5:%.1f) ${b} ${c} $d \\$a '${a}' ${f} $(step / 2) $n
variable a delete
y ${a}
"""
    assert read(text) == [
        "8: x 5 10.5 10 Mg O 01 $a ${a} ${f} $(step/2) 7",
        "10: y ${a}",
        "10: variable",
    ]
    assert "8: x 3 6.5 6 Mg O 01" in read(text, "-var", "a", "3")[0]
    assert read("variable a equal v_b\nvariable b equal v_a\nx ${a}") == ["3: x ${a}"]


def test_variables_that_grow_without_end_are_refused(read):
    text = "variable x string ab\n" + "variable x string $x$x\n" * 40
    assert {line.split()[1] for line in read(text)} == {"syntax"}
    assert read("x $(2:%1 2.3f) $(2:%.9999999f)")[0].startswith("1: x 2.000 2.0")


def test_branches(read):
    text = """variable a index 2
if "${a} == 2" then "x 1" 'x 2' else "x 3"
if "${a} == 3" then "x 4" elif "${a} < 3" "x 5" else "x 6"
if "$(step) > 2" then "x 7" &
  else "x 8"
if "${a} == 3" then quit
x 9
if "${a} == 2" then quit
x 10
"""
    assert read(text) == [
        "2: x 1", "2: x 2", "3: x 5", "4?: x 7", "4?: x 8", "7: x 9",
    ]  # fmt: skip


def test_jumps(read):
    text = """variable i loop 3
label top
x ${i}
next i
jump SELF top
y
if "$(step) > 2" then "jump SELF end"
z
label end
last
jump none.lammps
after
"""
    assert read(text) == [
        "3: x 1", "6: y", "8?: z", "10: last", "12?: after", "11: include",
    ]  # fmt: skip


def test_a_variable_set_in_an_open_branch_is_not_known(read):
    text = 'if "$(step) > 2" then "variable u string real"\nunits ${u}'
    assert read(text) == ["2: units ${u}"]


def test_included_files(read, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one.in").write_text(
        "variable u index metal\nx 1\ninclude two.in"
    )
    (tmp_path / "sub" / "two.in").write_text("x ${u}\n")
    assert read("include sub/one.in\nx 2") == ["2: x 1", "1: x metal", "2: x 2"]
    (tmp_path / "sub" / "two.in").write_text("include one.in\n")
    with pytest.raises(DataError, match=r"two\.in:1: a script includes itself"):
        read("include sub/one.in")


def test_options():
    words = "-in x -v T 300 -k on g 1 -sf kk -pk kokkos newton on -var a -5"
    variables, commands = read_options(words.split())
    assert variables == {"T": "300", "a": "-5"}
    assert [(one.name, one.args) for one in commands] == [
        ("kokkos", ("on", "g", "1")),
        ("suffix", ("kk",)),
        ("package", ("kokkos", "newton", "on")),
    ]


def test_the_command_line(tmp_path, capsys):
    path = tmp_path / "in.lammps"
    path.write_text("units ${u}\npair_style mliap unified a.pt\npair_coeff * * Mg\n")
    assert run(["lint", str(path), "--var", "u", "si", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["counts"]["error"] == 2
    found = {one["rule"]: one for one in report["findings"]}
    assert found["units"]["line"] == 1
    assert found["units"]["fix"] == "units metal"
    assert run(["lint", str(path), "--lmp", "-var u si"]) == 1
    text = capsys.readouterr().out
    assert f"{path}:1: error[units]: units si\n    why: " in text
    assert f"{path}: 2 errors, 0 warnings, 0 notes" in text
    path.write_text("units metal\n")
    assert run(["lint", str(path)]) == 0
    assert run(["lint", str(tmp_path / "none")]) == 2
    assert run(["lint", str(path), "--lmp", "'"]) == 2


WORDS = st.sampled_from(
    [
        "units",
        "metal",
        "real",
        "atom_style",
        "atomic",
        "full",
        "read_data",
        "mgo.data",
        "create_box",
        "2",
        "1",
        "0",
        "*",
        "NULL",
        "pair_style",
        "mliap",
        "unified",
        "a.pt",
        "hybrid",
        "hybrid/overlay",
        "hybrid/scaled",
        "lj/cut",
        "dispersion/d3",
        "pair_coeff",
        "Mg",
        "O",
        "none",
        "special_bonds",
        "lj",
        "coul",
        "lj/coul",
        "neigh_modify",
        "exclude",
        "every",
        "check",
        "no",
        "one",
        "99999999999999999999",
        "neighbor",
        "comm_modify",
        "cutoff",
        "timestep",
        "fix",
        "all",
        "npt",
        "nvt",
        "temp",
        "iso",
        "tri",
        "run",
        "minimize",
        "if",
        "then",
        "elif",
        "else",
        '"1==1"',
        '"x',
        "variable",
        "index",
        "loop",
        "equal",
        "pad",
        "delete",
        "next",
        "${a}",
        "$a",
        "$(1/0)",
        "$(2^9:%.3f)",
        "$(",
        "${",
        "'",
        '"',
        '"""',
        "&",
        "#",
        "\\",
        "label",
        "jump",
        "SELF",
        "include",
        "run_style",
        "respa",
        "inner",
        "compute",
        "heat/flux",
        "dump_modify",
        "element",
        "package",
        "kokkos",
        "newton",
        "off",
        "suffix",
        "kk",
        "thermo_modify",
        "lost",
        "ignore",
        "mass",
        "-1",
        "nan",
        "inf",
        "1e308",
        "1*2",
        "*3",
        "2*",
        "clear",
        "bond_style",
        "change_box",
        "read_restart",
        "kspace_style",
        "1.5",
        "²",
        "١",
    ]
)
LINES = st.lists(st.lists(WORDS, max_size=9).map(" ".join), max_size=25).map("\n".join)
SOFT = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@SOFT
@given(text=st.one_of(LINES, st.text(max_size=300)), tail=LINES)
def test_any_text_gives_a_report_or_an_error_of_ours(tmp_path, text, tail):
    path = tmp_path / "in.lammps"
    head = "units metal\ncreate_box 2 b\npair_style mliap unified a.pt 0\n"
    path.write_text(head + text + "\n" + tail, encoding="utf-8", errors="replace")
    with contextlib.suppress(LamplighterError):
        lint(path)


NUMBERS = st.sampled_from(
    [
        "--5",
        "²",
        "1e-150",
        "0",
        "1",
        "2",
        "4",
        "-1",
        "10.0",
        "nan",
        "inf",
        "1e400",
        "x",
        "99999999999999999999",
    ]
)
ROWS = st.lists(NUMBERS, max_size=7).map(" ".join)
SECTIONS = st.sampled_from(
    [
        "Atoms # full", "Atoms", "Masses", "Bonds", "Atom Type Labels", "2 atom types",
        "3 atoms", "0 10 xlo xhi", "0 0 ylo yhi", "nan 5 zlo zhi", "1 2 3 xy xz yz",
    ]
)  # fmt: skip


@SOFT
@given(lines=st.lists(st.one_of(ROWS, SECTIONS), max_size=30))
def test_any_data_file_gives_a_report_or_an_error_of_ours(tmp_path, lines):
    path, data = tmp_path / "in.lammps", tmp_path / "any.data"
    path.write_text(
        "units metal\natom_style full\nread_data any.data\n"
        "pair_style mliap unified a.pt 0\npair_coeff * * Mg O\n"
        "fix 1 all npt temp 1 1 1 iso 0 0 1\nrun 5"
    )
    data.write_text("title\n2 atom types\n" + "\n".join(lines), encoding="utf-8")
    with contextlib.suppress(LamplighterError):
        lint(path)
