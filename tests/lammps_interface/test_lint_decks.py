"""Correct scripts of many kinds pass, in the linter and in `lmp`."""

from pathlib import Path

import pytest

from lamplighter.lammps_interface.lint import lint

EXAMPLE = Path(__file__).parents[2] / "examples" / "mgo-nvt"

BOX = """lattice fcc 4.25
region cell block 0 1 0 1 0 1
create_box 2 cell
create_atoms 1 box
lattice fcc 4.25 origin 0.5 0 0
create_atoms 2 box
mass 1 24.305
mass 2 15.999
"""
HEAD = "units metal\natom_style atomic\n" + BOX
POTENTIAL = "pair_style mliap unified ${model} 0\npair_coeff * * Mg O\n"

DECKS = {
    "nve": HEAD
    + POTENTIAL
    + """velocity all create 300 1
fix 1 all nve
timestep 0.001
thermo_style custom step pe ke etotal
run 2
""",
    "triclinic npt": HEAD
    + POTENTIAL
    + """change_box all triclinic
velocity all create 300 1
fix 1 all npt temp 300 300 $(100*dt) tri 0 0 $(1000*dt)
dump d all custom 1 out.lammpstrj id element x y z
dump_modify d element Mg O
compute s all stress/atom NULL virial
run 2
unfix 1
undump d
fix 1 all nve
fix 2 all langevin 300 300 0.1 7
run 1
""",
    "dispersion": HEAD
    + """neigh_modify one 10000 page 200000
pair_style hybrid/overlay mliap unified ${model} 0 dispersion/d3 bj pbe 12.0 8.0
pair_coeff * * mliap Mg O
pair_coeff * * dispersion/d3 Mg O
run 0
""",
    "minimize": HEAD
    + POTENTIAL
    + """min_style cg
minimize 1e-8 1e-5 2 4
fix 1 all box/relax iso 0.0 vmax 0.001
minimize 1e-8 1e-5 2 4
""",
    "loop": """variable a loop 2
label top
clear
"""
    + HEAD
    + POTENTIAL
    + """variable scale equal 0.99+0.01*v_a
change_box all x scale ${scale} y scale ${scale} z scale $(v_scale:%.5f) remap
variable cold index 1
if "${a} == 1 && ${cold} == 1" then "print 'first'" elif "${a} > 2" "units real" &
  else "neighbor 1.5 bin"
run 0
next a
jump SELF top
print "done"
""",
    "frozen part": HEAD
    + """pair_style hybrid mliap/unified ${model} 0 lj/cut 5.0
pair_coeff * * mliap/unified Mg NULL
pair_coeff *2 2 lj/cut 0.01 2.0   # everything with type 2
group held type 2
fix 1 held setforce 0 0 0
fix 2 all nve
run 1
""",
    "two parts": HEAD
    + """pair_style hybrid/scaled 0.5 mliap unified ${model} 0 0.5 zero 5.0
pair_coeff * * mliap Mg O
pair_coeff * * zero
group a id <= 4
group b subtract all a
velocity all create 10 3
fix 1 a nve
fix 2 b nvt temp 10 10 0.1
run 1
""",
    "bonds": "units metal\natom_style bond\n"
    + BOX.replace("2 cell", "2 cell bond/types 1 extra/bond/per/atom 2 &\n"
                  " extra/special/per/atom 2")
    + """bond_style zero
bond_coeff *
special_bonds lj/coul 1 1 1
create_bonds single/bond 1 1 5
"""
    + POTENTIAL
    + "run 0\n",
    "include": "include head.lammps\n" + POTENTIAL + "run 0\n",
}  # fmt: skip


@pytest.mark.parametrize("deck", DECKS)
def test_a_correct_script_is_left_alone(tmp_path, deck):
    (tmp_path / "head.lammps").write_text(HEAD)
    path = tmp_path / "in.lammps"
    path.write_text(DECKS[deck])
    options = ["-var", "model", str(EXAMPLE / "mgo-pbe.pt")]
    report = lint(path, options=options)
    rules = {one.rule: one for one in report.findings}
    assert set(rules) <= {"dispersion-missing"}, rules


def test_the_example_is_left_alone():
    report = lint(EXAMPLE / "in.lammps")
    assert {one.rule for one in report.findings} == {"dispersion-missing"}
    assert {one.severity for one in report.findings} == {"note"}


def test_a_head_that_the_file_lacks(tmp_path):
    start = f"variable model index {EXAMPLE / 'mgo-pbe.pt'}\n" + HEAD
    path = tmp_path / "in.lammps"
    for head, bad in (("scan", True), ("pbe", False)):
        path.write_text(start + POTENTIAL.replace("l} 0", f"l}} 0 head {head}"))
        found = {one.rule: one for one in lint(path).findings}
        assert ("pair-style" in found) == bad


def test_lammps_runs_the_correct_scripts(lmp, tmp_path):
    (tmp_path / "head.lammps").write_text(HEAD)
    script = f"variable model index {EXAMPLE / 'mgo-pbe.pt'}\n"
    for number, deck in enumerate(DECKS.values()):
        (tmp_path / f"{number}.in").write_text(deck)
        # A loop jumps to SELF, which is the file that is read now.
        script += f'clear\ninclude {number}.in\nprint "ran: {number}"\n'
    outcome = lmp(script)
    assert outcome.status == 0, outcome.text[-800:]
    assert [row[0] for row in outcome.numbers("ran")] == list(range(len(DECKS)))


# What LAMMPS says: it stops, or gives another energy without a word.
LOUD = {
    "units": (
        HEAD.replace("units metal", "units si") + POTENTIAL + "run 0",
        "'units metal' or 'units real' is needed",
    ),
    "tri": ("fix 1 all npt temp 300 300 0.1 tri 0 0 1\nrun 0", "non-triclinic"),
    "late": ("boundary p p p\nrun 0", "after simulation box"),
    "exclude": ("neigh_modify exclude type 1 1\nrun 0", "takes some pairs"),
    "keyword": ("pair_style mliap unified ${model} 0 chek 1", "unknown keyword"),
    "group": (
        "compute g all group/group all\nthermo_style custom step c_g\nrun 0",
        "group/group",
    ),
    "respa": (
        "fix 1 all nve\nrun_style respa 2 2 pair 2\nrun 1",
        "'run_style respa' splits",
    ),
}
SILENT = {
    "hybrid-override": "pair_style hybrid mliap unified ${model} 0 lj/cut 5\n"
    "pair_coeff * * mliap Mg O\npair_coeff 1 1 lj/cut 0 2\n",
}


@pytest.mark.parametrize("case", LOUD)
def test_errors_are_those_of_lammps(lmp, tmp_path, case):
    command, words = LOUD[case]
    script = f"variable model index {EXAMPLE / 'mgo-pbe.pt'}\n"
    script += (command if "units" in command else HEAD + POTENTIAL + command) + "\n"
    outcome = lmp(script)
    assert outcome.status == 1
    assert words in outcome.text
    assert not lint(tmp_path / "in.lammps").ok


def test_silent_traps_change_the_energy(lmp, tmp_path):
    start = f"variable model index {EXAMPLE / 'mgo-pbe.pt'}\n"
    energy = 'run 0\nprint "energy: $(pe:%.8f)"\nclear\n'
    script = start + HEAD + POTENTIAL + energy
    for rule, command in SILENT.items():
        (tmp_path / "trap.lammps").write_text(start + HEAD + POTENTIAL + command)
        found = lint(tmp_path / "trap.lammps").findings
        assert (rule, "error") in {(one.rule, one.severity) for one in found}
        script += HEAD + POTENTIAL + command + energy
    outcome = lmp(script)
    right, *wrong = (row[0] for row in outcome.numbers("energy"))
    assert len(wrong) == len(SILENT)
    assert all(abs(one - right) > 0.1 for one in wrong)
