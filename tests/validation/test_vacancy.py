"""Vacancies: the energy of cut bonds, a known crystal, and what makes them invalid."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from pair_engine import SmoothPairs

from lamplighter.errors import ConfigError
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.properties import vacancy
from lamplighter.validation.properties.vacancy import VacancySettings, extrapolate

NEAREST = SmoothPairs(depth=0.5, r0=2.6, inner=2.9, cutoff=3.2)

EMT_VACANCY = 1.2238
"""eV, of EMT copper in 256 atoms, relaxed."""


@pytest.fixture(scope="module")
def copper():
    settings = VacancySettings(sizes=(1, 2, 3), max_extrapolation=1.0)
    return vacancy.run(bulk("Cu", a=3.6), AseEngine(EMT()), settings)


def test_emt_copper(copper):
    assert copper.status == "ok"
    relaxed = copper.values["vacancy_formation_energy"]
    bare = copper.values["vacancy_formation_energy_unrelaxed"]
    assert relaxed.unit == "eV"
    assert relaxed.value == pytest.approx(EMT_VACANCY, abs=0.01)
    assert abs(relaxed.value - EMT_VACANCY) < 2 * relaxed.error
    assert relaxed.value < bare.value
    assert relaxed.error > 0
    assert copper.arrays["n_atoms"] == [[4, 32, 108]]
    volume = copper.values["vacancy_relaxation_volume"]
    assert -11.5 < volume.value < 0
    assert volume.unit == "Å^3"


def test_the_energy_of_one_cell_is_that_of_ase(copper):
    cell = bulk("Cu", cubic=True)
    cell.set_cell(copper.method["cell"], scale_atoms=True)
    cell.calc = EMT()
    per_atom = cell.get_potential_energy() / 4
    hole = cell.repeat(2)
    del hole[0]
    hole.calc = EMT()
    bare = hole.get_potential_energy() - 31 * per_atom
    assert copper.arrays["unrelaxed_energies"][0][1] == pytest.approx(bare, abs=1e-6)
    BFGS(hole, logfile=None).run(fmax=1e-3)
    relaxed = hole.get_potential_energy() - 31 * per_atom
    assert copper.arrays["energies"][0][1] == pytest.approx(relaxed, abs=1e-5)


def test_cut_bonds_of_nearest_neighbours_cost_their_half():
    # N atoms with z / 2 bonds each; a vacancy breaks z bonds and gives z / 2 back.
    found = vacancy.run(bulk("Cu", a=3.67), NEAREST, VacancySettings(sizes=(2, 3, 4)))
    energies = np.array(found.arrays["unrelaxed_energies"][0])
    assert energies == pytest.approx(np.full(3, 6 * 0.5), rel=1e-6)


def test_stress_that_the_crystal_keeps_is_not_the_vacancys(monkeypatch):
    # 0.02 GPa left in the crystal are Å^3 in the largest cell, and grow with it.
    settings = VacancySettings(sizes=(1, 2, 3), max_extrapolation=1.0)
    crystal = bulk("Cu", a=3.67)
    clean = vacancy.run(crystal, NEAREST, settings)

    class Pressed(SmoothPairs):
        def compute(self, atoms, want=()):
            found = super().compute(atoms, want)
            if found.stress is None:
                return found
            stress = found.stress + 0.02 / 160.2 * np.eye(3)
            return dataclasses.replace(found, stress=stress)

    pressed = Pressed(depth=0.5, r0=2.6, inner=2.9, cutoff=3.2)
    real = vacancy.relax_crystal
    monkeypatch.setattr(vacancy, "relax_crystal", lambda *a: real(a[0], NEAREST, a[2]))
    found = vacancy.run(crystal, pressed, settings)
    name = "vacancy_relaxation_volume"
    assert found.values[name].value == pytest.approx(clean.values[name].value, rel=1e-3)


@pytest.mark.slow
def test_a_compound_needs_to_know_where_the_atom_goes():
    engine = SmoothPairs(r0=2.6, inner=2.8, cutoff=3.4)
    crystal = bulk("CuAu", "cesiumchloride", a=2.95)
    sizes = {"sizes": (1, 2, 3), "max_extrapolation": 9.0}
    free = vacancy.run(crystal, engine, VacancySettings(**sizes))
    settings = VacancySettings(chemical_potentials=("Cu=-1.0",), **sizes)
    given = vacancy.run(crystal, engine, settings)
    assert {name for name in free.values if "energy" in name} == {
        "vacancy_removal_energy_Cu",
        "vacancy_removal_energy_unrelaxed_Cu",
        "vacancy_removal_energy_Au",
        "vacancy_removal_energy_unrelaxed_Au",
    }
    assert "vacancy_formation_energy_Cu" in given.values
    assert "vacancy_removal_energy_Au" in given.values


def test_a_line_in_one_over_n_is_extrapolated():
    counts = [32, 108, 256]
    value, error = extrapolate(counts, 1.3 + 2.0 / np.array(counts))
    assert value == pytest.approx(1.3)
    assert error == pytest.approx(2.0 / 256)
    _, error = extrapolate(counts, np.array([1.0, 1.2, 1.0]))
    assert error > 0.1


def test_what_did_not_relax_is_invalid():
    settings = VacancySettings(sizes=(1, 2, 3), max_steps=1, max_extrapolation=1e-6)
    found = vacancy.run(bulk("Cu", a=3.6), SmoothPairs(), settings)
    assert found.status == "invalid"
    assert found.values == {}
    names = {check.name for check in found.failed()}
    assert "relaxation of the vacancy (Cu)" in names
    assert "extrapolation (Cu)" in names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": (2, 3)}, "cells of a vacancy"),
        ({"sizes": (0, 1, 2)}, "cells of a vacancy"),
        ({"chemical_potentials": ("Mg",)}, "chemical potential"),
        ({"chemical_potentials": ("Mg=nan",)}, "chemical potential; got: Mg=nan"),
        ({"chemical_potentials": ("MgO=-6",)}, "symbols of elements"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        VacancySettings(**settings)
    with pytest.raises(ConfigError, match="two sizes of a vacancy's cell are the same"):
        vacancy._repeats(bulk("Cu", cubic=True).repeat((1, 1, 1)), (1, 2, 2))
