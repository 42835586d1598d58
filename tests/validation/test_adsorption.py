"""Adsorption: which sites there are, and what it costs on EMT metals."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bcc110, bulk, fcc100, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.optimize import BFGS
from pair_engine import SmoothPairs

from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.properties import adsorption
from lamplighter.validation.properties.adsorption import AdsorptionSettings
from lamplighter.validation.properties.adsorption_settings import free_molecule
from lamplighter.validation.properties.adsorption_slabs import adsorption_slabs
from lamplighter.validation.properties.sites import (
    Site,
    _shortest,
    find_sites,
    nearest_site,
    start_height,
)
from lamplighter.validation.properties.slabs import lowest_cut, terminations

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


def test_a_name_is_not_counted_for_an_element_that_begins_alike():
    # One atom of carbon, one of calcium in the outermost layer: each the first.
    slab = Atoms(
        "CaCCaC",
        positions=[[0, 0, 5], [2.0, 2.1, 5], [2.0, 2.1, 3], [0, 0, 3]],
        cell=[4.0, 4.2, 20.0],
        pbc=True,
    )
    names = [site.name for site in find_sites(slab) if site.kind == "top"]
    assert sorted(names) == ["top_C", "top_Ca"]


def test_the_nearest_image_in_an_oblique_cell_is_found():
    # In fractions (0.45, 0.45) is 0.78 of an edge away from the corner, and 0.51 from
    # the next one in a plane of 60 degrees: rounding keeps the first.
    plane = 3.0 * np.array([[1.0, 0.0], [0.5, 3**0.5 / 2]])
    sites = [
        Site(name=name, kind="top", place=np.zeros(2), images=np.array([place]))
        for name, place in (("corner", [0.0, 0.0]), ("other", [0.19, 0.6]))
    ]
    place = np.array([0.6, 0.45]) @ plane
    every = {
        site.name: min(
            np.linalg.norm((site.images[0] + shift - [0.6, 0.45]) @ plane)
            for shift in np.array(list(np.ndindex(5, 5))) - 2
        )
        for site in sites
    }
    assert nearest_site(place, tuple(sites), plane) == min(every, key=every.get)
    for scaled in np.random.default_rng(3).uniform(-2, 2, (50, 2)):
        exact = min(
            np.linalg.norm((scaled + shift) @ plane)
            for shift in np.array(list(np.ndindex(9, 9))) - 4
        )
        assert _shortest(scaled[None], plane)[0] == pytest.approx(exact)


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


def test_a_large_molecule_gets_more_vacuum_and_a_given_slab_is_measured():
    far = SmoothPairs(cutoff=6.0)
    slab = fcc111("Cu", (1, 1, 3), vacuum=5.0, periodic=True)
    given = AdsorptionSettings(given_slab=True, adsorbate="C6H6", repeat=(1, 1))
    found = adsorption.run(slab, far, given)
    assert found.status == "invalid"
    (check,) = found.failed()
    assert check.name == "vacuum"
    assert check.value < check.limit == 6.0
    settings = AdsorptionSettings(adsorbate="C6H6", repeat=(1, 1))
    slabs, checks = adsorption_slabs(bulk("Cu", a=3.45), far, settings)
    assert all(check.ok for check in checks)
    assert checks[-1].name == "vacuum"
    assert len(slabs) == 2


def test_a_given_slab_has_to_stand_upright():
    settings = AdsorptionSettings(given_slab=True, repeat=(1, 1))
    slab = fcc111("Cu", (1, 1, 3), vacuum=8.0, periodic=True)
    leaning = slab.copy()
    leaning.cell[2, 0] = 1.0
    with pytest.raises(DataError, match="not upright in its cell"):
        adsorption.run(leaning, SmoothPairs(), settings)
    halved = slab.copy()
    halved.positions[:, 2] -= halved.positions[1, 2] + 0.5
    halved.wrap()
    with pytest.raises(DataError, match="a gap of"):
        adsorption.run(halved, SmoothPairs(), settings)


def test_the_lowest_cut_is_taken_and_its_outer_layer_named():
    # Bonds of silicon: one per atom on one cut of (111), three on the other.
    engine = SmoothPairs(depth=1.0, r0=2.35, inner=2.6, cutoff=3.0)
    silicon = bulk("Si", a=5.43)
    cuts = terminations(silicon, (1, 1, 1), [8.0], 12.0)
    energies = [engine.compute(cut.slabs[0]).energy for cut in cuts]
    assert abs(energies[0] - energies[1]) > 1.0
    chosen = lowest_cut(cuts[::-1], engine)
    assert engine.compute(chosen.slabs[0]).energy == min(energies)
    assert lowest_cut(cuts, engine) is cuts[int(np.argmin(energies))]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"references": ("H2=0.5",)}, "the references do not add up to O"),
        ({"references": ("O2=1",)}, "the references do not add up to O"),
        ({"adsorbate": "OH", "references": ("H2O=1", "H2=0.5")}, "do not add up"),
        ({"miller": (0, 0, 0, 1)}, "no plane has these Miller indices"),
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
