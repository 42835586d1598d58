from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from lamplighter.errors import ConfigError
from lamplighter.validation.engines import AseEngine
from lamplighter.validation.materials import BUILT_IN, parity_structures
from lamplighter.validation.properties.molecule import MoleculeSettings, run


def test_two_argon_atoms_are_held_by_the_depth_of_their_well() -> None:
    engine = AseEngine(LennardJones(epsilon=0.0104, sigma=3.4, rc=60.0))
    result = run(Atoms("Ar2", [[0, 0, 0], [0, 0, 4.0]]), engine)
    assert result.status == "ok"
    assert result.values["binding_energy"].value == pytest.approx(0.0104, rel=1e-6)
    contact = result.values["contact_Ar_Ar"].value
    assert contact == pytest.approx(3.4 * 2 ** (1 / 6), rel=1e-3)
    assert "bond_length_Ar_Ar" not in result.values


def test_bonds_of_one_molecule() -> None:
    result = run(molecule("CO2"), AseEngine(EMT()), MoleculeSettings(fmax=1e-3))
    assert result.status == "ok"
    assert list(result.values) == ["bond_length_C_O"]
    lengths = np.diff(sorted(np.array(result.arrays["positions"])[:, 2]))
    assert result.values["bond_length_C_O"].value == pytest.approx(lengths.mean())


def test_a_molecule_that_turns_into_another_is_invalid() -> None:
    engine = AseEngine(LennardJones(epsilon=0.0104, sigma=3.4, rc=60.0))
    result = run(Atoms("Ar2", [[0, 0, 0], [0, 0, 2.6]]), engine)
    assert result.status == "invalid"
    assert "bonds that broke" in result.failed()[0].text


def test_a_periodic_structure_is_refused() -> None:
    crystal = bulk("Cu", cubic=True)
    with pytest.raises(ConfigError, match="takes no periodic structure"):
        run(crystal, AseEngine(EMT()))


def test_settings_without_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="fmax of molecule; got: 0"):
        MoleculeSettings(fmax=0)


@pytest.mark.parametrize("name", ["water_dimer", "MgO(100)"])
def test_finite_structures_have_a_parity_set_of_their_own(name: str) -> None:
    found = parity_structures(BUILT_IN[name]())
    assert len(found) == 5
    assert found["isolated atom"].pbc.all()
    flags = {bool(atoms.pbc.all()) for atoms in found.values()}
    assert flags == ({True, False} if name == "water_dimer" else {True})
    for atoms in found.values():
        distances = atoms.get_all_distances(mic=True)
        assert distances[distances > 0].min(initial=9) > 0.7
