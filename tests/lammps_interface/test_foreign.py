"""Objects of other programs in the stock `lmp`: refused, trusted, or LAMMPS' own."""

import hashlib
import pickle

import numpy as np
import pytest

from lamplighter.lammps_interface.foreign import TRUST
from lamplighter.lammps_interface.foreign.lammps_module import lammps_mliap

GAS = """
units metal
atom_style atomic
boundary p p p
lattice fcc 1.7
region b block 0 3 0 3 0 3
create_box 1 b
create_atoms 1 box
mass * 40
displace_atoms all random 0.1 0.1 0.1 4711
{style}
compute e all pe/atom
compute p all pressure NULL virial
compute least all reduce min c_e
compute largest all reduce max c_e
variable f atom sqrt(fx^2+fy^2+fz^2)
compute force all reduce sum v_f
thermo_style custom step pe c_p[*] c_least c_largest c_force
run 0
print "found: $(pe:%.16g) $(c_p[1]:%.16g) $(c_p[2]:%.16g) $(c_p[3]:%.16g) &
$(c_p[4]:%.16g) $(c_p[5]:%.16g) $(c_p[6]:%.16g) $(c_least:%.16g) &
$(c_largest:%.16g) $(c_force:%.16g)"
"""
ATOMS = """
units metal
atom_style atomic
boundary p p p
region b block 0 12 0 12 0 12
create_box 1 b
create_atoms 1 single 1 1 1
create_atoms 1 single 5 1 1
mass * 40
pair_style mliap unified model.pkl
pair_coeff * * Ar
run 0
print "found: $(pe:%.16g)"
"""


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_example_of_lammps_equals_its_pair_style(lmp, tmp_path, ranks):
    with lammps_mliap():
        from lammps.mliap.mliap_unified_lj import MLIAPUnifiedLJ
    MLIAPUnifiedLJ(["Ar"], epsilon=0.01, sigma=1.0, rcutfac=1.25).pickle(
        tmp_path / "lj.pkl"
    )
    styles = {
        "example": "pair_style mliap unified lj.pkl\npair_coeff * * Ar",
        "lj/cut": "pair_style lj/cut 2.5\npair_coeff * * 0.01 1.0",
    }
    found = {}
    for name, style in styles.items():
        outcome = lmp(GAS.format(style=style), ranks=ranks)
        assert outcome.status == 0, outcome.text
        found[name] = np.array(outcome.numbers("found")[0])
    np.testing.assert_allclose(found["example"], found["lj/cut"], rtol=1e-12)
    assert np.abs(found["lj/cut"]).min() > 1e-3


@pytest.mark.mpi
def test_a_pickle_is_refused_until_it_is_trusted(lmp, tmp_path, toy):
    path = tmp_path / "model.pkl"
    # By reference: the class is imported where the file is loaded.
    path.write_bytes(pickle.dumps(toy.LennardJones()))
    outcome = lmp(ATOMS, ranks=2)
    text = " ".join(outcome.text.split())
    assert outcome.status != 0
    assert "loading it executes code" in text
    assert "toy_models.LennardJones" in text
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"export {TRUST}={digest}" in text
    outcome = lmp(ATOMS, ranks=2, **{TRUST: digest})
    assert outcome.status == 0, outcome.text
    assert "toy_models.LennardJones, elements Ar" in outcome.text
    power = (3.4 / 4.0) ** 6
    assert outcome.numbers("found")[0][0] == pytest.approx(
        4 * 0.01 * (power**2 - power), rel=1e-12
    )
