"""Together with other pair styles: each adds its own, and none changes the other's."""

import numpy as np
import pytest

PART = """
clear
units metal
atom_style atomic
read_data a.data
mass * 20.0
{style}
compute pe all pe/atom
compute p all pressure NULL virial
compute v all stress/atom NULL
thermo_style custom step pe c_p[*]
run 0 post no
print "numbers: $(pe:%.17g) $(c_p[1]:%.17g) $(c_p[2]:%.17g) $(c_p[3]:%.17g) &
 $(c_p[4]:%.17g) $(c_p[5]:%.17g) $(c_p[6]:%.17g)"
write_dump all custom {name}.dump id fx fy fz c_pe c_v[*] &
 modify sort id format float %.17g
"""
MODEL = "pair_style mliap unified TOY 0\npair_coeff * * Mg O"
# LAMMPS wants a coefficient for each pair of types, also of those without an element.
HALF = """pair_style hybrid/overlay mliap unified TOY 0 zero 5.0
pair_coeff * * mliap Mg NULL
pair_coeff * * zero"""
D3 = "pair_style dispersion/d3 bj pbe 15.0 10.0\npair_coeff * * Mg O"
LJ = "pair_style lj/cut 5.0\npair_coeff * * 0.0 1.0\npair_coeff {types} 0.3 2.0"
WITH_D3 = """pair_style hybrid/overlay mliap unified TOY 0 dispersion/d3 bj pbe 15 10
pair_coeff * * mliap Mg O
pair_coeff * * dispersion/d3 Mg O"""
WITH_LJ = """pair_style hybrid/overlay mliap/unified TOY 0 lj/cut 5.0
pair_coeff * * mliap/unified Mg NULL
pair_coeff * * lj/cut 0.0 1.0
pair_coeff 1 2 lj/cut 0.3 2.0
pair_coeff 2 2 lj/cut 0.3 2.0"""
CELL = np.array([[9.0, 0.0, 0.0], [-2.0, 8.5, 0.0], [1.5, 1.0, 10.0]])


@pytest.fixture
def written(tmp_path, rng):
    """A data file with a rattled grid of both species in a skewed cell."""
    steps = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1)
    parts = (steps.reshape(-1, 3) + 0.2 * rng.random((27, 3))) / 3
    lines = ["atoms", "", "27 atoms", "2 atom types", ""]
    lines += [f"0 {CELL[k, k]} {'xyz'[k]}lo {'xyz'[k]}hi" for k in range(3)]
    lines += [f"{CELL[1, 0]} {CELL[2, 0]} {CELL[2, 1]} xy xz yz", ""]
    lines += ["Atoms # atomic", ""]
    for k, r in enumerate(parts @ CELL):
        lines.append(f"{k + 1} {k % 2 + 1} " + " ".join(f"{v:.17g}" for v in r))
    (tmp_path / "a.data").write_text("\n".join(lines) + "\n")


@pytest.mark.mpi
@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    ("styles", "moving"),
    [
        ((MODEL, D3, WITH_D3), 1e-4),
        ((HALF, LJ.format(types="* 2"), WITH_LJ), 1e-3),
    ],
    ids=["dispersion", "frozen substrate"],
)
def test_an_overlay_is_the_sum_of_its_parts(lmp, tmp_path, styles, moving, ranks):
    script = "".join(
        PART.format(style=style, name=name)
        for style, name in zip(styles, ("one", "other", "both"), strict=True)
    )
    outcome = lmp(script, ranks=ranks)
    assert outcome.status == 0, outcome.text[-2000:]
    one, other, both = np.array(outcome.numbers("numbers"))
    np.testing.assert_allclose(both, one + other, rtol=1e-12, atol=1e-9)
    tables = [
        np.loadtxt(tmp_path / f"{name}.dump", skiprows=9)[:, 1:]
        for name in ("one", "other", "both")
    ]
    np.testing.assert_allclose(tables[2], tables[0] + tables[1], rtol=1e-11, atol=1e-9)
    for table in tables[:2]:
        assert abs(table[:, :3]).max() > moving
        assert abs(table[:, 3]).max() > moving
