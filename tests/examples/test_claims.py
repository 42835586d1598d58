"""What READMEs of examples say about LAMMPS, without any potential."""

import pytest
from example_shell import shell

MOLECULE = """# a dimer

2 atoms

Coords

1 0 0 0
2 1.0 0 0

Types

1 1
2 1
"""

DECK = """
units        lj
atom_style   molecular
atom_modify  map array
region       box block 0 20 0 20 0 20
region       inside block 0.001 19.999 0.001 19.999 0.001 19.999
create_box   1 box
mass         1 1.0
molecule     dimer dimer.txt
create_atoms 0 single 5 5 5 mol dimer 1
create_atoms 0 single 12 12 12 mol dimer 2
pair_style   zero 3.0
pair_coeff   * *
special_bonds lj/coul 1 1 1
group        gas type 1
fix          gas gas gcmc 1 10 0 0 123 1.0 -60 0.5 mol dimer &
             full_energy group gas {region}
run          20
print        "left: $(atoms) atoms"
"""


@pytest.mark.parametrize(("region", "atoms"), [("", 0), ("region inside", 2)])
def test_gcmc_never_deletes_the_last_molecule_of_a_region(tmp_path, region, atoms):
    # At this chemical potential every attempt to delete is accepted.
    (tmp_path / "dimer.txt").write_text(MOLECULE)
    (tmp_path / "in.dimers").write_text(DECK.format(region=region))
    said = shell("lmp -in in.dimers", tmp_path)
    assert f"left: {atoms} atoms\n" in said
