"""Lattice energies: molecules across faces, Lennard-Jones sums, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.neighborlist import neighbor_list
from ase.stress import full_3x3_to_voigt_6_stress

from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.engines import AseEngine
from lamplighter.validation.materials import BUILT_IN
from lamplighter.validation.properties import lattice_energy, relaxation
from lamplighter.validation.properties.lattice_energy import (
    LatticeEnergySettings,
    molecules,
)

LENGTH, STIFFNESS = 1.1, 60.0
SIGMA, DEPTH, CUTOFF = 3.0, 0.02, 9.0
KJ_MOL = 96.485332
EDGE = 5.55


class Springs(Calculator):
    """Springs within 1.6 Å, a Lennard-Jones well beyond 2 Å: molecules of two atoms."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), changes=all_changes):
        super().calculate(atoms, properties, changes)
        i, d, v = neighbor_list("idD", atoms, CUTOFF)
        near = d < 1.6
        ratio, end = (SIGMA / d) ** 6, (SIGMA / CUTOFF) ** 6
        pair = 4 * DEPTH * (ratio**2 - ratio - end**2 + end)
        slope = 4 * DEPTH * (-12 * ratio**2 + 6 * ratio) / d
        pair = np.where(near, STIFFNESS / 2 * (d - LENGTH) ** 2, pair)
        slope = np.where(near, STIFFNESS * (d - LENGTH), slope)
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, (slope / d)[:, None] * v)
        energy = pair.sum() / 2
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
        if atoms.cell.rank == 3:
            virial = np.einsum("p,pa,pb->ab", slope / d / 2, v, v)
            stress = virial / atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)


def nitrogen(shift=0.0):
    """Return four molecules on an fcc lattice along the cube's diagonals, Pa-3."""
    axes = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]) / 3**0.5
    axes = axes[[0, 3, 2, 1]]
    centres = np.array([(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]) * EDGE
    places = [c + s * LENGTH / 2 * a for c, a in zip(centres, axes) for s in (1, -1)]  # noqa: B905
    crystal = Atoms("N8", np.array(places) + shift, cell=EDGE * np.eye(3), pbc=True)
    crystal.wrap()
    return crystal


def test_molecules_are_whole_across_faces():
    for crystal, count, formula in (
        (nitrogen(), 4, "N2"),
        (nitrogen(shift=0.3), 4, "N2"),
        (BUILT_IN["ice"](), 2, "H2O"),
    ):
        found = molecules(crystal)
        assert [one.get_chemical_formula() for one in found] == [formula] * count
        assert not any(one.pbc.any() for one in found)
        assert max(one.get_all_distances().max() for one in found) < 2.0
    assert len(molecules(nitrogen(shift=0.3).repeat((2, 1, 1)))) == 8


def test_the_energy_of_a_crystal_of_springs_and_wells():
    result = lattice_energy.run(nitrogen(), AseEngine(Springs()))
    assert result.status == "ok", result.failed()
    assert result.method["molecule"] == "N2"
    # The molecule alone has no energy: what is left is the crystal's, per molecule.
    relaxed = relaxation.run(nitrogen(), AseEngine(Springs()))
    per_molecule = 2 * relaxed.values["energy_per_atom"].value
    assert result.values["lattice_energy"].value == pytest.approx(
        KJ_MOL * per_molecule, abs=1e-3
    )
    assert per_molecule < -0.05
    assert 0.0 <= result.values["molecule_strain_energy"].value < 0.5
    assert result.arrays["symbols"] == ["N", "N"]


def test_atoms_that_are_bound_to_none_are_molecules_too():
    result = lattice_energy.run(bulk("Ar", a=4.6), AseEngine(Springs()))
    assert result.status == "ok", result.failed()
    assert result.values["lattice_energy"].value < -5.0
    assert result.values["molecule_strain_energy"].value == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("crystal", "message"),
    [
        (bulk("MgO", "rocksalt", a=4.2), "MgO is no crystal of molecules; got: bonds"),
        (BUILT_IN["brucite"](), "bonds without end through"),
        (
            Atoms("NNAr", [(0, 0, 0), (1.1, 0, 0), (4, 4, 4)], cell=[8] * 3, pbc=True),
            "one kind of molecule; got: Ar, N2",
        ),
    ],
)
def test_other_crystals_are_refused(crystal, message):
    with pytest.raises(DataError, match=message):
        lattice_energy.run(crystal, AseEngine(Springs()))


def test_a_molecule_that_changes_makes_it_invalid():
    settings = LatticeEnergySettings(max_bond_change=1e-9)
    result = lattice_energy.run(nitrogen(), AseEngine(Springs()), settings)
    assert result.status == "invalid"
    assert result.values == {}
    assert [check.name for check in result.failed()] == ["bonds of the molecule"]


def test_thresholds_are_refused():
    with pytest.raises(ConfigError, match="bond of lattice_energy; got: 0"):
        LatticeEnergySettings(bond=0)
