"""Nominal charges in an Ewald sum: polar cuts are those whose energy diverges.

Point charges are what a local model cannot see: here they judge which planes have a
surface energy at all.
"""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup import crystal as make_crystal
from pymatgen.analysis.ewald import EwaldSummation
from pymatgen.io.ase import AseAtomsAdaptor

from lamplighter.units import J_M2_PER_EV_A2
from lamplighter.validation.properties.slabs import nominal_charges, terminations

MGO = bulk("MgO", "rocksalt", a=4.21, cubic=True)
FLUORITE = make_crystal(
    ["Ca", "F"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225,
    cellpar=[5.46] * 3 + [90] * 3,
)  # fmt: skip
RUTILE = make_crystal(
    ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136,
    cellpar=[4.6, 4.6, 2.96, 90, 90, 90],
)  # fmt: skip
WURTZITE = bulk("ZnO", "wurtzite", a=3.25, c=5.2, u=0.382)


def electrostatic(atoms, charge_of):
    """Return the energy of point charges, eV, periodic in three directions."""
    structure = AseAtomsAdaptor.get_structure(atoms)
    structure.add_oxidation_state_by_element(charge_of)
    return EwaldSummation(structure).total_energy


@pytest.mark.parametrize(
    ("crystal", "miller", "polar"),
    [
        (MGO, (1, 0, 0), [False]),
        (MGO, (1, 1, 0), [False]),
        (MGO, (1, 1, 1), [True]),
        (FLUORITE, (1, 1, 1), [False, True]),
        (FLUORITE, (1, 0, 0), [True]),
        (RUTILE, (1, 1, 0), [False, True]),
        (WURTZITE, (1, 0, 0), [False, False]),
        (WURTZITE, (0, 0, 1), [True, True]),
    ],
)
def test_a_cut_is_polar_where_its_energy_diverges(crystal, miller, polar):
    cuts = terminations(crystal, miller, [7.0] * 3, 40.0)
    assert sorted(cut.polar for cut in cuts) == polar
    charges = nominal_charges(crystal)
    charge_of = dict(zip(crystal.get_chemical_symbols(), charges, strict=True))
    each = electrostatic(crystal, charge_of) / len(crystal)
    for cut in cuts:
        excess = [electrostatic(s, charge_of) - each * len(s) for s in cut.slabs]
        gamma = np.array(excess) / (2 * cut.area) * J_M2_PER_EV_A2
        growth = np.diff(gamma)
        if cut.polar:
            # In steps of 3.5 Å or more, and all alike: linear without bound.
            assert growth.min() > 1.0
            assert gamma[-1] > 1.3 * gamma[0]
        else:
            assert np.abs(growth).max() < 1e-2 * gamma[0]
