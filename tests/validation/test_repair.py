"""Following an imaginary mode: where bcc copper goes, and what stops it."""

import dataclasses

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from phonopy.harmonic.force_constants import compact_fc_to_full_fc

from lamplighter.errors import ConfigError
from lamplighter.validation.engines import AseEngine, LammpsEngine, pair_style
from lamplighter.validation.properties import repair
from lamplighter.validation.properties.repair import (
    RepairSettings,
    mode_displacements,
)
from lamplighter.validation.properties.spectra import commensurate_points
from lamplighter.validation.refs.force_sets import force_set
from lamplighter.validation.relax import relax_crystal, space_group

FAST = RepairSettings(supercell=(2, 2, 2), mesh=5)


@pytest.fixture(scope="module")
def copper():
    return repair.run(bulk("Cu", "bcc", a=2.9), AseEngine(EMT()), FAST)


def test_bcc_copper_becomes_close_packed(copper):
    assert copper.status == "ok", copper.failed()
    assert copper.values["frequency_lowest"].value < -1.0
    assert copper.method["verdict"].startswith("unstable")
    assert copper.method["space_group_before"] == "Im-3m"
    assert copper.method["space_group_after"] == "P6_3/mmc"
    assert copper.values["frequency_lowest_after"].value > 0.5
    # What EMT says of hcp copper that was built as such.
    engine = AseEngine(EMT())
    hcp = relax_crystal(bulk("Cu", "hcp", a=2.55, c=4.16), engine)
    bcc = relax_crystal(bulk("Cu", "bcc", a=2.9), engine)
    gain = 1e3 * (bcc.energy - hcp.energy / 2)
    assert copper.values["energy_gain"].value == pytest.approx(gain, abs=0.05)
    assert 0 < copper.values["energy_gain_fixed_cell"].value < gain


def test_the_new_crystal_is_in_the_record(copper):
    arrays = copper.arrays
    atoms = Atoms(
        arrays["symbols"],
        cell=arrays["cell"],
        scaled_positions=arrays["scaled_positions"],
        pbc=True,
    )
    assert space_group(atoms) == 194
    assert arrays["amplitudes"][0] == arrays["energies"][0] == 0.0
    assert min(arrays["energies"]) < 0.0


def test_a_pattern_is_an_eigenvector_of_the_supercell():
    phonons = force_set("MgO").phonons()
    constants = np.array(phonons.force_constants)
    if constants.shape[0] != constants.shape[1]:
        constants = compact_fc_to_full_fc(phonons.primitive, constants)
    masses = np.array(phonons.supercell.masses)[:, None]
    for q in commensurate_points(phonons)[1:8]:
        frequencies = np.sort(phonons.run_qpoints([q]).frequencies[0])
        for band in (0, 3, 5):
            pattern = mode_displacements(phonons, q, band)
            assert np.linalg.norm(pattern, axis=1).max() == pytest.approx(1.0)
            forces = np.einsum("ijab,jb->ia", constants, pattern)
            omega = frequencies[band] / phonons.unit_conversion_factor
            np.testing.assert_allclose(
                forces, masses * omega**2 * pattern, atol=2e-3 * np.abs(forces).max()
            )


def test_a_stable_crystal_has_nothing_to_repair():
    found = repair.run(bulk("Cu"), AseEngine(EMT()), FAST)
    assert found.status == "ok"
    assert set(found.values) == {"frequency_lowest"}
    assert found.method["verdict"].startswith("stable")


def test_one_definition_through_ase_and_through_lammps():
    cutoff = 6.0
    lines = (
        f"pair_style lj/cut {cutoff}",
        "pair_coeff * * 0.2 2.3",
        "pair_modify shift yes",
    )
    crystal = bulk("Cu", "bcc", a=2.9)
    calculator = LennardJones(sigma=2.3, epsilon=0.2, rc=cutoff, smooth=False)
    settings = dataclasses.replace(FAST, verify=False)
    first = repair.run(crystal, AseEngine(calculator), settings)
    with LammpsEngine(pair_style(lines, ("Cu",), cutoff=0.0)) as engine:
        second = repair.run(crystal, engine, settings)
    assert first.status == second.status == "ok", second.failed()
    assert first.method["space_group_after"] == "P6_3/mmc"
    assert second.method["space_group_after"] == "P6_3/mmc"
    for name, quantity in first.values.items():
        other = second.values[name].value
        assert quantity.value == pytest.approx(other, rel=2e-3, abs=2e-3), name


class Upside(EMT):
    """EMT with forces of the wrong sign: every mode is imaginary."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = -self.results["forces"]


def test_a_mode_along_which_the_energy_rises_is_caught():
    few = dataclasses.replace(FAST, max_steps=20, amplitudes=(0.05,))
    found = repair.run(bulk("Cu"), AseEngine(Upside()), few)
    assert found.status == "invalid"
    failed = {check.name for check in found.failed()}
    assert {
        "energy along the mode",
        "relaxation converged, displaced supercell",
    } & failed
    assert found.values == {}


@pytest.mark.parametrize("amplitudes", [(), (0.0,), (-0.1, 0.2)])
def test_amplitudes_are_refused(amplitudes):
    with pytest.raises(ConfigError, match="'amplitudes'"):
        RepairSettings(amplitudes=amplitudes)
