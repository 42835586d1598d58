"""A data file and a script in which the linter finds nothing, and parts of them."""

DATA = """MgO

4 atoms
2 atom types
0.0 10.0 xlo xhi
0.0 10.0 ylo yhi
0.0 10.0 zlo zhi

Masses

1 24.305 # Mg
2 15.999 # O

Atoms # atomic

1 1 0 0 0
2 2 2 2 3
3 1 5 5 5
4 2 7 8 8
"""
BASE = """units metal
atom_style atomic
read_data mgo.data
pair_style mliap unified mgo.pt 0
pair_coeff * * Mg O
timestep 0.002
fix 1 all nvt temp 300 300 0.1
run 100
"""
D3 = (
    "pair_style hybrid/overlay mliap unified mgo.pt 0 dispersion/d3 bj pbe 10 8\n"
    "pair_coeff * * mliap Mg O\npair_coeff * * dispersion/d3 Mg O"
)
STYLE = "pair_style mliap unified mgo.pt 0"
COEFF = "pair_coeff * * Mg O"
FIX = "fix 1 all nvt temp 300 300 0.1"
RUN = "run 100"


def changed(*pairs, text=BASE):
    """Replace parts of a text; each must be in it."""
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text
