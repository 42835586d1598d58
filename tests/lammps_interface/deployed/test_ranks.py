"""The number of ranks, and where atoms lie among them, changes nothing."""

import numpy as np
import pytest
from ase import Atoms

from lamplighter.lammps_interface.convert import convert

pytestmark = pytest.mark.mpi


@pytest.fixture(scope="module")
def crowd(structures):
    """Structures with ranks that hold all atoms, some, one, or none."""
    corner = Atoms(
        "MgOMg",
        positions=[[1, 1, 1], [1, 1, 3.1], [2.5, 2, 2]],
        cell=np.eye(3) * 22,
        pbc=True,
    )
    names = ("rattled", "tilted back", "slab", "open slab", "isolated Mg", "far pair")
    return {name: structures[name] for name in names} | {"corner": corner}


@pytest.fixture(scope="module")
def serial(model, crowd, evaluate, tmp_path_factory):
    return evaluate(crowd, model.float64, tmp_path_factory.mktemp("serial"))


def compare(found, serial):
    for label, one in serial.items():
        n = len(one.energies)
        other = found[label]
        assert abs(other.energy - one.energy) / n < 1e-9, label
        np.testing.assert_allclose(other.energies, one.energies, rtol=0, atol=1e-9)
        np.testing.assert_allclose(other.forces, one.forces, rtol=0, atol=1e-8)
        np.testing.assert_allclose(other.stress, one.stress, rtol=0, atol=1e-9)
        np.testing.assert_allclose(other.atom_virial, one.atom_virial, atol=1e-7)


@pytest.mark.parametrize("grid", ["1 1 2", "2 1 1"])
def test_two_ranks_equal_one(lammps, model, crowd, serial, grid):
    found = lammps(crowd, model.float64, ranks=2, processors=f"processors {grid}")
    assert "MPI processor grid" in found["rattled"].output
    compare(found, serial)


def test_four_ranks_equal_one(lammps, model, crowd, serial):
    compare(lammps(crowd, model.float64, ranks=4), serial)


def test_three_layers_on_two_ranks(lammps, crowd, tmp_path, make_model):
    path = make_model(tmp_path, 3)
    file = convert(path, "pbe", ["Mg", "O"], tmp_path / "three.pt", tables=False)
    chosen = {label: crowd[label] for label in ("slab", "corner", "far pair")}
    compare(lammps(chosen, file, ranks=2), lammps(chosen, file))


def test_atoms_that_move_between_ranks(lammps, model, structures):
    """Both trajectories are the same, while atoms cross from rank to rank."""
    before = """
velocity all create 3000 4928 loop geom
velocity all set 0 0 150 sum yes
fix nve all nve
timestep 0.0005
thermo 10
"""
    chosen = {"slab": structures["slab"]}
    runs = [
        lammps(chosen, model.float64, ranks=ranks, before=before, steps=50)["slab"]
        for ranks in (1, 2)
    ]
    for name in ("PotEng", "KinEng"):
        np.testing.assert_allclose(runs[0].table[name], runs[1].table[name], atol=1e-7)
