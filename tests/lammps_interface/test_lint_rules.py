"""Every rule of the linter: a script that trips it, and the same script put right."""

import re
from pathlib import Path

import pytest
from lint_texts import BASE, COEFF, D3, FIX, RUN, STYLE, changed

from lamplighter.lammps_interface.lint import WHY

TWO_STYLES = (
    "pair_style {} mliap unified mgo.pt 0 lj/cut 5\n"
    "pair_coeff * * mliap {}\npair_coeff {} lj/cut 0.1 2"
)


# rule, severity, text of the line found, bad script, the same put right
SCRIPTS = {
    "quote": ("syntax", "error", 'print "no', BASE + 'print "no', BASE + 'print "no"'),
    "bracket": ("syntax", "error", "run ${n", BASE + "run ${n", BASE + "run 5"),
    "comment": (
        "comment-continuation",
        "warning",
        "# a comment &",
        changed((RUN, "# a comment &\nnewton on\n" + RUN)),
        changed((RUN, "# a comment\nnewton on\n" + RUN)),
    ),
    "variable": (
        "variable",
        "error",
        "run ${n}",
        changed((RUN, "run ${n}")),
        changed((RUN, "variable n index 10\nrun ${n}")),
    ),
    "include": (
        "include",
        "warning",
        "include no.lammps",
        changed((RUN, "include no.lammps\n" + RUN)),
        BASE,
    ),
    "nothing": ("no-potential", "note", "units metal", "units metal", BASE),
    "units": ("units", "error", "units si", changed(("metal", "si")), BASE),
    "no units": ("units", "error", STYLE, changed(("units metal\n", "")), BASE),
    "newton": (
        "newton",
        "error",
        "newton off",
        "newton off\n" + BASE,
        "newton on off\n" + BASE,
    ),
    "newton package": (
        "newton",
        "error",
        "package omp 2 newton off",
        "package omp 2 newton off\n" + BASE,
        "package omp 2 neigh yes\n" + BASE,
    ),
    "too late": (
        "order",
        "error",
        "boundary p p p",
        changed((RUN, "boundary p p p\n" + RUN)),
        "boundary p p p\n" + BASE,
    ),
    "too early": (
        "order",
        "error",
        "mass 1 24.305",
        "mass 1 24.305\n" + BASE,
        changed((RUN, "mass 1 24.305\n" + RUN)),
    ),
    "fs": ("timestep", "error", "timestep 2", changed(("0.002", "2")), BASE),
    "s": ("timestep", "warning", "timestep 2e-15", changed(("0.002", "2e-15")), BASE),
    "long step": (
        "timestep",
        "warning",
        "timestep 0.005",
        changed(("0.002", "0.005")),
        changed(("0.002", "0.003")),
    ),
    "damping": (
        "damping",
        "warning",
        "fix 1 all nvt temp 300 300 100",
        changed((FIX, "fix 1 all nvt temp 300 300 100")),
        BASE,
    ),
    "damping langevin": (
        "damping",
        "warning",
        "fix 2 all langevin 300 300 100 1",
        changed((FIX, "fix 1 all nve\nfix 2 all langevin 300 300 100 1")),
        changed((FIX, "fix 1 all nve\nfix 2 all langevin 300 300 1 1")),
    ),
    "short damping": (
        "damping",
        "warning",
        "fix 1 all nvt temp 300 300 0.002",
        changed((FIX, "fix 1 all nvt temp 300 300 0.002")),
        BASE,
    ),
    "no skin": (
        "skin",
        "warning",
        "neighbor 0.3 bin",
        changed((RUN, "neighbor 0.3 bin\n" + RUN)),
        changed((RUN, "neighbor 1.0 bin\n" + RUN)),
    ),
    "wide skin": (
        "skin",
        "note",
        "neighbor 9 bin",
        changed((RUN, "neighbor 9 bin\n" + RUN)),
        changed((RUN, "neighbor 3 bin\n" + RUN)),
    ),
    "neigh": (
        "neigh-check",
        "warning",
        "neigh_modify every 20 delay 0 check no",
        changed((RUN, "neigh_modify every 20 delay 0 check no\n" + RUN)),
        changed((RUN, "neigh_modify every 1 delay 0 check no\n" + RUN)),
    ),
    "neighbor one": (
        "neighbor-one",
        "error",
        "pair_style hybrid/overlay",
        changed((STYLE, D3.replace("10 8", "60 40")), (COEFF, "")),
        changed(
            (STYLE, D3.replace("10 8", "60 40")),
            (COEFF, "neigh_modify one 10000 page 200000"),
        ),
    ),
    "respa split": (
        "respa",
        "error",
        "run_style respa 2 2 inner 1 3 4 outer 2",
        changed((RUN, "run_style respa 2 2 inner 1 3 4 outer 2\n" + RUN)),
        changed((RUN, "run_style verlet\n" + RUN)),
    ),
    "respa": (
        "respa",
        "error",
        "run_style respa 2 2 pair 2",
        changed((RUN, "run_style respa 2 2 pair 2\n" + RUN)),
        BASE,
    ),
    "step of real units": (
        "timestep",
        "warning",
        "timestep 5",
        changed(("metal", "real"), (RUN, "timestep 5\n" + RUN)),
        changed(("metal", "real"), (RUN, "timestep 2\n" + RUN)),
    ),
    "damping of real units": (
        "damping",
        "warning",
        "fix 1 all nvt temp 300 300 0.1",
        changed(("metal", "real"), (RUN, "timestep 1\n" + RUN)),
        changed(("metal", "real"), (" 0.1", " 100"), (RUN, "timestep 1\n" + RUN)),
    ),
    "keyword": (
        "pair-style",
        "error",
        STYLE + " chek 10",
        changed(("pt 0", "pt 0 chek 10")),
        changed(("pt 0", "pt 0 check 10")),
    ),
    "lost": (
        "lost-atoms",
        "warning",
        "thermo_modify lost ignore",
        changed((RUN, "thermo_modify lost ignore\n" + RUN)),
        changed((RUN, "thermo_modify lost error\n" + RUN)),
    ),
    "flag": ("pair-style", "error", STYLE[:-1] + "2", changed(("pt 0", "pt 2")), BASE),
    "no file": (
        "pair-style",
        "error",
        "pair_style mliap unified",
        changed((" mgo.pt 0", "")),
        BASE,
    ),
    "other file": (
        "model-file",
        "error",
        "pair_style mliap unified m.safetensors 0",
        changed(("mgo.pt", "m.safetensors")),
        BASE,
    ),
    "no coeff": ("pair-coeff", "error", STYLE, changed((COEFF + "\n", "")), BASE),
    "hybrid keyword": (
        "pair-coeff",
        "error",
        "pair_coeff * * Mg O",
        changed((STYLE, "pair_style hybrid mliap unified mgo.pt 0")),
        changed(
            (STYLE, "pair_style hybrid mliap unified mgo.pt 0"),
            (COEFF, "pair_coeff * * mliap Mg O"),
        ),
    ),
    "unused": (
        "pair-coeff",
        "error",
        "pair_style hybrid/overlay",
        changed((STYLE, D3.rpartition("\n")[0]), (COEFF, "")),
        changed((STYLE, D3), (COEFF, "")),
    ),
    "one pair": (
        "pair-coeff-types",
        "error",
        "pair_coeff 1 1 Mg O",
        changed(("* *", "1 1")),
        BASE,
    ),
    "few names": (
        "pair-coeff-count",
        "error",
        "pair_coeff * * Mg",
        changed(("Mg O", "Mg")),
        BASE,
    ),
    "no element": (
        "element-name",
        "error",
        "pair_coeff * * MG O",
        changed(("Mg O", "MG O")),
        BASE,
    ),
    "null alone": (
        "hybrid-null",
        "error",
        "pair_coeff * * Mg NULL",
        changed(("Mg O", "Mg NULL")),
        BASE,
    ),
    "null": (
        "hybrid-null",
        "error",
        "pair_coeff 2 2 lj/cut",
        changed((STYLE, TWO_STYLES.format("hybrid", "Mg NULL", "2 2")), (COEFF, "")),
        changed((STYLE, TWO_STYLES.format("hybrid", "Mg NULL", "*2 2")), (COEFF, "")),
    ),
    "lost style": (
        "pair-coeff",
        "error",
        COEFF.replace("* *", "* * mliap"),
        changed(
            (STYLE, "pair_style hybrid mliap unified mgo.pt 0 lj/cut 5"),
            (COEFF, "pair_coeff 1 1 lj/cut 0 2\npair_coeff * * mliap Mg O"),
        ),
        changed(
            (STYLE, "pair_style hybrid/overlay mliap unified mgo.pt 0 lj/cut 5"),
            (COEFF, "pair_coeff 1 1 lj/cut 0 2\npair_coeff * * mliap Mg O"),
        ),
    ),
    "override": (
        "hybrid-override",
        "error",
        "pair_coeff 1 1 lj/cut",
        changed((STYLE, TWO_STYLES.format("hybrid", "Mg O", "1 1")), (COEFF, "")),
        changed(
            (STYLE, TWO_STYLES.format("hybrid/overlay", "Mg O", "1 1")), (COEFF, "")
        ),
    ),
    "tail": (
        "pair-modify",
        "warning",
        "pair_modify tail yes",
        changed((RUN, "pair_modify tail yes\n" + RUN)),
        changed((RUN, "pair_modify tail no\n" + RUN)),
    ),
    "group": (
        "pairwise-compute",
        "error",
        "compute g all group/group all",
        changed((RUN, "compute g all group/group all\n" + RUN)),
        changed((RUN, "compute g all pe/atom\n" + RUN)),
    ),
    "kspace": (
        "double-counting",
        "warning",
        "kspace_style pppm 1e-4",
        changed((RUN, "kspace_style pppm 1e-4\n" + RUN)),
        changed((RUN, "kspace_style none\n" + RUN)),
    ),
    "exclude": (
        "exclude",
        "error",
        "neigh_modify exclude type 1 1",
        changed((RUN, "neigh_modify exclude type 1 1\n" + RUN)),
        changed(
            (RUN, "neigh_modify exclude type 1 1\nneigh_modify exclude none\n" + RUN)
        ),
    ),
    "exclude group": (
        "exclude",
        "error",
        "neigh_modify exclude group a b",
        changed((RUN, "neigh_modify exclude group a b\n" + RUN)),
        changed((RUN, "neigh_modify exclude group a all\n" + RUN)),
    ),
    "shell": (
        "ghost-shell",
        "warning",
        STYLE[:-1] + "1",
        changed(("pt 0", "pt 1")),
        changed(("pt 0", "pt 1"), (RUN, "comm_modify cutoff 14\n" + RUN)),
    ),
    "no integrator": ("no-integrator", "warning", RUN, changed((FIX, "")), BASE),
    "twice": (
        "double-integration",
        "error",
        "fix 2 all nve",
        changed((RUN, "fix 2 all nve\n" + RUN)),
        changed((RUN, "unfix 1\nfix 2 all nve\n" + RUN)),
    ),
    "tri": (
        "barostat-triclinic",
        "error",
        "fix 1 all npt temp 300 300 0.1 tri 0 0 1",
        changed((FIX, "fix 1 all npt temp 300 300 0.1 tri 0 0 1")),
        changed(
            (
                FIX,
                "change_box all triclinic\n" + FIX.replace("nvt", "npt") + " tri 0 0 1",
            )
        ),
    ),
    "flux": (
        "stress-many-body",
        "error",
        "compute f all heat/flux k p s",
        changed(
            (
                RUN,
                "compute s all stress/atom NULL\ncompute f all heat/flux k p s\n" + RUN,
            )
        ),
        changed(
            (
                RUN,
                "compute s all centroid/stress/atom NULL virial\n"
                "compute f all heat/flux k p s\n" + RUN,
            )
        ),
    ),
    "dump": (
        "dump-elements",
        "warning",
        "dump_modify d element O Mg",
        changed((RUN, "dump_modify d element O Mg\n" + RUN)),
        changed((RUN, "dump_modify d element Mg O\n" + RUN)),
    ),
    "no data": (
        "data-file",
        "note",
        "read_data other.data",
        changed(("mgo.data", "other.data")),
        BASE,
    ),
    "swapped": (
        "data-masses",
        "error",
        "read_data mgo.data",
        changed(("Mg O", "O Mg")),
        BASE,
    ),
    "wrong mass": (
        "data-masses",
        "warning",
        "mass 2 20",
        changed((RUN, "mass 2 20\n" + RUN)),
        changed((RUN, "mass 2 15.99\n" + RUN)),
    ),
    "no mass": (
        "mass-missing",
        "error",
        "create_box 2 b",
        changed(("read_data mgo.data", "create_box 2 b\nmass 1 24.3")),
        changed(("read_data mgo.data", "create_box 2 b\nmass 1 24.3\nmass 2 16")),
    ),
}


@pytest.mark.parametrize("case", SCRIPTS)
def test_a_rule_finds_its_line(check, case):
    rule, severity, line, bad, good = SCRIPTS[case]
    found = check(bad)
    assert (rule, severity) in found
    assert bad.split("\n")[found[rule, severity].where.line - 1].startswith(line)
    assert rule not in {name for name, _ in check(good)}


KOKKOS = {
    "newton": ("-k on g 1 -sf kk", "-k on g 1 -sf kk -pk kokkos newton on neigh half"),
    "kokkos-suffix": (
        "-k on g 1 -pk kokkos newton on",
        "-k on g 1 -sf kk -pk kokkos newton on",
    ),
    "kokkos-comm": (
        "-k on g 2 -sf kk -pk kokkos newton on gpu/aware off",
        "-k on g 2 -sf kk -pk kokkos newton on gpu/aware on",
    ),
    "kokkos-host": ("-k on t 4 -sf kk", "-k on g 1 -sf kk -pk kokkos newton on"),
    "kokkos-langevin": ("-k on g 1 -sf kk -pk kokkos newton on", ""),
    "kokkos-stress": ("-k on g 1 -sf kk -pk kokkos newton on", ""),
}


@pytest.mark.parametrize("rule", KOKKOS)
def test_options_of_kokkos(check, rule):
    bad, good = KOKKOS[rule]
    script = changed((FIX, "fix 1 all nve\nfix 2 all langevin 300 300 1 1"))
    script = changed((RUN, "compute s all stress/atom NULL\n" + RUN), text=script)
    assert rule in {name for name, _ in check(script, options=bad.split())}
    assert rule not in {name for name, _ in check(script, options=good.split())}


def test_every_rule_is_tripped_above():
    tripped = {case[0] for case in SCRIPTS.values()} | set(KOKKOS)
    apart = {
        "special-bonds", "vacuum", "data-labels", "data-atoms", "data-charges",
        "data-tilt", "model-elements", "box-small", "dispersion-twice",
        "dispersion-missing", "head-mismatch", "minimize-float32", "gcmc",
    }  # fmt: skip
    assert tripped | apart == set(WHY)
    assert not tripped & apart


def test_every_rule_is_in_the_documentation():
    text = (Path(__file__).parents[2] / "docs" / "lint.md").read_text()
    table = text[text.index("## Rules") :]
    assert set(re.findall(r"`([a-z0-9-]+)`", table)) & set(WHY) == set(WHY)


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("fix 2 all gcmc 10 1 1 1 2 300 -1 0.5", "gcmc"),
        ("compute s all centroid/stress/atom NULL virial", "stress-many-body"),
        ("neigh_modify exclude group a all", "exclude"),
    ],
)
def test_what_only_the_pair_style_of_kokkos_lacks(check, command, rule):
    script = changed((RUN, f"{command}\n{RUN}"))
    options = "-k on g 1 -sf kk -pk kokkos newton on neigh half"
    assert rule not in {name for name, _ in check(script)}
    assert rule in {name for name, _ in check(script, options=options.split())}
