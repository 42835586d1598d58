"""Atoms that LAMMPS hides from the neighbour list are not there for the model."""

import numpy as np
import pytest

SCRIPT = """
units {units}
atom_style atomic
atom_modify map yes
processors * 1 1
read_data a.data
mass * 20.0
pair_style mliap unified TOY 0
pair_coeff * * Mg O
compute pe all pe/atom
{before}
thermo_style custom step pe pxx pyy pzz pxy pxz pyz
run 0 post no
print "energy: $(pe:%.17g)"
print "pressure: $(pxx:%.17g) $(pyy:%.17g) $(pzz:%.17g) $(pxy:%.17g)"
write_dump all custom a.dump id fx fy fz c_pe modify sort id format float %.17g
"""
CELL = np.diag([9.0, 8.0, 7.5])


@pytest.fixture
def crowd(rng):
    """Twelve atoms at least 1.6 Å apart."""
    positions = []
    while len(positions) < 12:
        new = rng.random(3) @ CELL
        apart = np.array(positions).reshape(-1, 3) - new
        apart -= np.round(apart / np.diag(CELL)) * np.diag(CELL)
        if (np.linalg.norm(apart, axis=1) > 1.6).all():
            positions.append(new)
    return np.array(positions), rng.integers(0, 2, 12)


def write(folder, positions, species, cell=CELL):
    lines = ["atoms", "", f"{len(positions)} atoms", "2 atom types", ""]
    lines += [f"0 {cell[k, k]} {'xyz'[k]}lo {'xyz'[k]}hi" for k in range(3)]
    lines += ["", "Atoms # atomic", ""]
    for k, (z, r) in enumerate(zip(species, positions, strict=True)):
        lines.append(f"{k + 1} {z + 1} " + " ".join(f"{v:.17g}" for v in r))
    (folder / "a.data").write_text("\n".join(lines) + "\n")


def dumped(folder):
    return np.loadtxt(folder / "a.dump", skiprows=9, ndmin=2)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_group_excluded_from_all_is_absent(lmp, tmp_path, toy, crowd, ranks):
    positions, species = crowd
    write(tmp_path, positions, species)
    before = "group gone id 2 5 6\nneigh_modify exclude group gone all"
    outcome = lmp(SCRIPT.format(units="metal", before=before), ranks=ranks)
    assert outcome.status == 0, outcome.text[-2000:]
    there = np.setdiff1d(np.arange(12), [1, 4, 5])
    wanted = toy.energies(positions[there], CELL, species[there])
    assert outcome.numbers("energy")[0][0] == pytest.approx(wanted.sum(), rel=1e-12)
    table = dumped(tmp_path)
    np.testing.assert_allclose(table[there, 4], wanted, rtol=1e-11)
    forces = toy.forces(positions[there], CELL, species[there])
    np.testing.assert_allclose(table[there, 1:4], forces, atol=1e-7)
    np.testing.assert_array_equal(table[[1, 4, 5], 1:], 0.0)
    whole = toy.energies(positions, CELL, species).sum()
    assert abs(whole - wanted.sum()) > 1.0


GAS = """
units metal
atom_style atomic
region b block 0 30 0 30 0 30
create_box 2 b
create_atoms 2 random 5 77 b
mass * 20.0
pair_style mliap unified TOY 0
pair_coeff * * Mg O
neigh_modify every 1 delay 0
fix 1 all gcmc 1 20 0 2 4711 {temperature} {mu} 0.5 full_energy
variable n equal atoms
fix n all ave/time 1 80 100 v_n
thermo_style custom step atoms pe f_n
thermo 100
run 100
print "mean: $(f_n)"
print "energy: $(pe:%.17g)"
write_dump all custom a.dump id x y z modify sort id format float %.17g
"""


def test_grand_canonical_numbers_are_those_of_a_gas(lmp, tmp_path, toy):
    """N = V exp((mu - E0) / kT) / Lambda^3: a deletion has to give back E0."""
    temperature, wanted = 20000.0, 25.0
    kt = 8.617333e-5 * temperature
    wavelength = 17.458 / np.sqrt(20.0 * temperature)  # h / sqrt(2 pi m kT), Å
    mu = toy.E0[1] + kt * np.log(wanted * wavelength**3 / 30.0**3)
    outcome = lmp(GAS.format(temperature=temperature, mu=mu), timeout=300)
    assert outcome.status == 0, outcome.text[-2000:]
    assert outcome.numbers("mean")[0][0] == pytest.approx(wanted, abs=6)
    atoms = dumped(tmp_path)
    final = toy.energies(
        atoms[:, 1:4], np.eye(3) * 30.0, np.ones(len(atoms), dtype=int)
    )
    assert outcome.numbers("energy")[0][0] == pytest.approx(final.sum(), rel=1e-10)


WIDOM = """
units metal
atom_style atomic
region b block 0 120 0 120 0 120
create_box 2 b
create_atoms 1 single 60 60 60
create_atoms 1 single 61.7 60 60
mass * 20.0
pair_style mliap unified TOY 0
pair_coeff * * Mg O
neigh_modify every 1 delay 0
fix 1 all widom 1 5 2 4711 5000.0 full_energy
thermo_style custom step atoms pe f_1[1] f_1[2]
run 2
print "mu: $(f_1[1]:%.17g)"
print "energy: $(pe:%.17g)"
print "atoms: $(atoms)"
"""


def test_an_inserted_ghost_costs_its_free_atom(lmp, toy):
    """Widom: in a box that is nearly empty the excess potential is E0."""
    outcome = lmp(WIDOM, timeout=300)
    assert outcome.status == 0, outcome.text[-2000:]
    assert outcome.numbers("mu")[0][0] == pytest.approx(toy.E0[1], rel=1e-9)
    pair = np.array([[60.0, 60.0, 60.0], [61.7, 60.0, 60.0]])
    wanted = toy.energies(pair, np.eye(3) * 120.0, np.zeros(2, dtype=int))
    assert outcome.numbers("energy")[0][0] == pytest.approx(wanted.sum(), rel=1e-11)
    assert outcome.numbers("atoms")[0][0] == 2


SWAP = """
fix 1 all atom/swap 1 10 4711 3000.0 ke no types 1 2
run 5 post no
"""


def test_swapped_types_are_other_elements(lmp, tmp_path, toy, crowd):
    positions, species = crowd
    write(tmp_path, positions, species)
    script = SCRIPT.format(units="metal", before=SWAP).replace("fx fy fz", "type y z")
    outcome = lmp(script)
    assert outcome.status == 0, outcome.text[-2000:]
    now = dumped(tmp_path)[:, 1].astype(int) - 1
    assert (now != species).any()
    wanted = toy.energies(positions, CELL, now).sum()
    assert outcome.numbers("energy")[0][0] == pytest.approx(wanted, rel=1e-11)


@pytest.mark.mpi
@pytest.mark.parametrize("ranks", [1, 2])
def test_real_units_are_converted(lmp, tmp_path, crowd, ranks):
    write(tmp_path, *crowd)
    found = {}
    for units in ("metal", "real"):
        outcome = lmp(SCRIPT.format(units=units, before=""), ranks=ranks)
        assert outcome.status == 0, outcome.text[-2000:]
        energy = outcome.numbers("energy")[0][0]
        pressure = np.array(outcome.numbers("pressure")[0])
        found[units] = energy, pressure, dumped(tmp_path)[:, 1:]
    kcal = 23.060549  # LAMMPS' own factor
    assert found["real"][0] == pytest.approx(kcal * found["metal"][0], rel=1e-13)
    np.testing.assert_allclose(found["real"][2], kcal * found["metal"][2], rtol=1e-10)
    # LAMMPS' factors from energy per volume to bar and to atmospheres, per its units
    atm = (68568.415 * kcal) / 1.6021765e6
    np.testing.assert_allclose(found["real"][1], atm * found["metal"][1], rtol=1e-10)
