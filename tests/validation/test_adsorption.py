"""Adsorption: which sites there are, and what it costs on EMT metals."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import add_adsorbate, bcc110, bulk, fcc100, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.optimize import BFGS
from pair_engine import SmoothPairs

from lamplighter.errors import ConfigError
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.properties import adsorption
from lamplighter.validation.properties.adsorption import AdsorptionSettings
from lamplighter.validation.properties.adsorption_settings import free_molecule
from lamplighter.validation.properties.sites import find_sites, start_height
from lamplighter.validation.properties.slabs import terminations

SMALL = {"repeat": (1, 1), "min_length": 5.0, "check_thickness": False, "fmax": 0.02}


@pytest.mark.parametrize(
    ("slab", "names"),
    [
        (fcc111("Cu", (1, 1, 4), vacuum=8.0, periodic=True),
         ["top", "bridge", "hollow", "hollow_2"]),
        (fcc111("Cu", (2, 2, 3), vacuum=8.0, periodic=True),
         ["top", "bridge", "hollow", "hollow_2"]),
        (fcc100("Cu", (2, 2, 3), vacuum=8.0, periodic=True),
         ["top", "bridge", "hollow"]),
        (bcc110("Fe", (1, 1, 3), vacuum=8.0, periodic=True),
         ["top", "bridge", "bridge_2", "hollow"]),
    ],
)  # fmt: skip
def test_each_kind_of_site_is_found_once(slab, names):
    assert [site.name for site in find_sites(slab)] == names


def test_compounds_name_the_atom_below():
    (cut,) = terminations(
        bulk("MgO", "rocksalt", a=4.2, cubic=True), (1, 0, 0), [5.0], 10.0
    )
    names = [site.name for site in find_sites(cut.slabs[0])]
    assert sorted(names) == ["bridge", "hollow", "top_Mg", "top_O"]


def test_atoms_start_where_they_touch():
    slab = fcc111("Cu", (1, 1, 3), vacuum=8.0, periodic=True)
    top, bridge, *_ = find_sites(slab)
    highest = slab.positions[:, 2].max()
    contact = 0.66 + 1.32
    assert start_height(slab, top.place, 8) - highest == pytest.approx(contact)
    half = np.linalg.norm(slab.cell[0]) / 2
    lower = np.sqrt(contact**2 - half**2)
    assert start_height(slab, bridge.place, 8) - highest == pytest.approx(lower)


def test_the_energy_is_that_of_ase():
    slab = fcc111("Cu", (1, 1, 3), a=3.61, vacuum=8.0, periodic=True)
    settings = AdsorptionSettings(
        given_slab=True, adsorbate="O", references=("O2=0.5",), sites=("hollow",),
        **SMALL,
    )  # fmt: skip
    found = adsorption.run(slab, AseEngine(EMT()), settings)
    assert found.status == "ok"

    def relaxed(atoms):
        atoms.calc = EMT()
        atoms.set_constraint(FixAtoms([a.index for a in atoms if a.tag == 3]))
        BFGS(atoms, logfile=None).run(fmax=0.005)
        return atoms.get_potential_energy()

    gas = free_molecule("O2")
    gas.calc = EMT()
    BFGS(gas, logfile=None).run(fmax=0.005)
    with_oxygen = slab.copy()
    add_adsorbate(with_oxygen, "O", 1.2, "fcc")
    expected = relaxed(with_oxygen) - relaxed(slab) - gas.get_potential_energy() / 2
    names = [name for name in found.values if name.startswith("adsorption_energy_O_")]
    energies = [found.values[name].value for name in names]
    assert min(abs(energy - expected) for energy in energies) < 2e-3
    assert found.values["adsorption_energy_O"].value == min(energies)
    assert found.values["adsorption_height_O_hollow"].unit == "Å"


def test_a_crystal_is_relaxed_and_cut_and_the_thickness_gives_the_error():
    settings = AdsorptionSettings(
        adsorbate="N", sites=("hollow",), **(SMALL | {"check_thickness": True})
    )
    found = adsorption.run(bulk("Cu", a=3.6), AseEngine(EMT()), settings)
    value = found.values["adsorption_energy_N"]
    assert value.value < -1.0
    assert 0 < value.error < 0.2
    assert len(found.method["n_atoms"]) == 2
    assert len(found.arrays["positions"]) == found.method["n_atoms"][0] + 1


def test_molecules_that_break_or_leave_are_named():
    slab = fcc111("Cu", (1, 1, 3), vacuum=8.0, periodic=True)
    site = find_sites(slab)[0]
    settings = AdsorptionSettings(adsorbate="CO", binding_atom=1)
    start = adsorption._placed(slab, site, settings)
    carbon, oxygen = start.positions[-1], start.positions[-2]
    assert carbon[:2] == pytest.approx(site.place, abs=1e-6)
    assert oxygen[2] > carbon[2]

    def judged(atoms):
        end = adsorption.RelaxedSlab(atoms=atoms, energy=0.0, force=0.0, converged=True)
        one = adsorption._adsorbed(slab, site, find_sites(slab), end, 0.0, settings)
        return {c.name for c in adsorption._site_checks([one]) if not c.ok}

    assert judged(start) == set()
    apart = start.copy()
    apart.positions[-2] += [0, 0, 3.0]
    assert judged(apart) == {"molecule intact"}
    gone = start.copy()
    gone.positions[-2:] += [0, 0, 3.0]
    assert judged(gone) == {"adsorbed"}
    moved = start.copy()
    moved.positions[-2:, :2] += find_sites(slab)[2].place - site.place
    assert "stays at its site" in judged(moved)


def test_no_convergence_and_polar_planes_are_invalid():
    slab = fcc111("Cu", (1, 1, 3), vacuum=8.0, periodic=True)
    settings = AdsorptionSettings(given_slab=True, max_steps=1, **SMALL)
    found = adsorption.run(slab, AseEngine(EMT()), settings)
    assert found.status == "invalid"
    assert found.values == {}
    polar = adsorption.run(
        bulk("MgO", "rocksalt", a=4.0),
        SmoothPairs(r0=2.0, inner=2.3, cutoff=2.7),
        AdsorptionSettings(miller=(1, 1, 1)),
    )
    assert polar.status == "invalid"
    assert "polar surface" in {check.name for check in polar.failed()}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sites": ("edge",)}, "sites of adsorption"),
        ({"fixed_share": 2.0}, "slab of adsorption"),
        ({"adsorbate": "Zz9"}, "unknown adsorbate or reference"),
        ({"references": ("O2",)}, "reference; got: 'O2'"),
        ({"references": ("Q2=1",)}, "unknown adsorbate or reference"),
        ({"binding_atom": 1}, "binding atom of O"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        AdsorptionSettings(**settings)
