"""Work of adhesion: of a crystal with itself twice its surface energy."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from pair_engine import SmoothPairs

from lamplighter.errors import ConfigError
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.properties import adhesion, surface
from lamplighter.validation.properties.adhesion import AdhesionSettings
from lamplighter.validation.properties.matching import best_match
from lamplighter.validation.properties.surface import SurfaceSettings

HEXAGON = np.array([[1.0, 0.0], [0.5, 3**0.5 / 2]])
SMALL = {"min_length": 6.0, "check_thickness": False}


def test_a_crystal_sticks_to_itself_with_twice_its_surface_energy():
    engine = AseEngine(EMT())
    copper = bulk("Cu", a=3.6)
    found = adhesion.run(copper, engine, AdhesionSettings(**SMALL))
    gamma = surface.run(copper, engine, SurfaceSettings(miller=(1, 1, 1)))
    assert found.status == "ok"
    assert found.material == "Cu-Cu"
    rigid = found.values["work_of_adhesion_rigid"].value
    assert rigid == pytest.approx(
        2 * gamma.values["cleavage_energy_111"].value, rel=0.02
    )
    relaxed = found.values["work_of_adhesion"].value
    assert relaxed == pytest.approx(
        2 * gamma.values["surface_energy_111"].value, rel=5e-3
    )
    assert found.values["interface_strain"].value == pytest.approx(0.0, abs=1e-9)
    assert found.values["interface_gap"].value == pytest.approx(3.6 / 3**0.5, abs=0.1)
    assert min(found.arrays["shift_energies"]) == pytest.approx(-rigid, rel=0.05)


def test_polar_planes_are_refused_before_anything_is_computed():
    engine = SmoothPairs(r0=2.0, inner=2.3, cutoff=2.7)
    found = adhesion.run(bulk("MgO", "rocksalt", a=4.0), engine, AdhesionSettings())
    assert found.status == "invalid"
    assert found.values == {}
    assert {check.name for check in found.failed()} == {"polar surface"}


@pytest.mark.slow
def test_the_registry_is_sought_again_with_thicker_slabs():
    # Six layers of (110) end with another layer of the stacking than nine: at one
    # shift the interfaces differ by 40 J/m^2. The faces interlock: 1.27 Å apart.
    settings = AdhesionSettings(
        miller=(1, 1, 0), other_miller=(1, 1, 0), min_length=6.0, n_shifts=2
    )
    found = adhesion.run(bulk("Cu", a=3.6), AseEngine(EMT()), settings)
    assert found.status == "ok"
    gap = found.values["interface_gap"].value
    assert gap == pytest.approx(3.6 / 8**0.5, abs=0.1)
    for name in ("work_of_adhesion", "work_of_adhesion_rigid"):
        assert found.values[name].error < 0.01 * found.values[name].value


@pytest.mark.slow
def test_a_registry_off_the_grid_is_found():
    # No point of the grid is the crystal's own stacking along (211).
    engine = AseEngine(EMT())
    planes = {"miller": (2, 1, 1), "other_miller": (2, 1, 1)}
    found = adhesion.run(
        bulk("Cu", a=3.6), engine, AdhesionSettings(n_shifts=4, **planes, **SMALL)
    )
    gamma = surface.run(
        bulk("Cu", a=3.6), engine, SurfaceSettings(miller=(2, 1, 1), min_length=8.0)
    )
    assert found.values["work_of_adhesion_rigid"].value == pytest.approx(
        2 * gamma.values["cleavage_energy_211"].value, rel=0.02
    )


@pytest.mark.slow
def test_another_metal_is_strained_and_says_so():
    settings = AdhesionSettings(
        other="Al", max_area=60.0, max_strain=0.05, n_shifts=1, **SMALL
    )
    found = adhesion.run(bulk("Cu", a=3.6), AseEngine(EMT()), settings)
    strain = found.values["interface_strain"].value
    assert 0.0 < strain <= 0.05
    assert found.material == "Cu-Al"
    assert 0.5 < found.values["work_of_adhesion"].value < 4.0
    assert found.values["work_of_adhesion"].unit == "J/m^2"
    assert found.method["area"] <= 60.0
    assert [c.name for c in found.failed()] == (["strain"] if strain > 0.02 else [])


@pytest.mark.parametrize(
    ("upper", "area", "strain", "n"),
    [
        (HEXAGON, 1.0, 0.0, 1),
        (1.02 * HEXAGON, 1.0, 1 / 1.02 - 1, 1),
        (1.5 * HEXAGON, 7.0, 7**0.5 / (1.5 * 3**0.5) - 1, 7),
        (2 / 3**0.5 * HEXAGON, 4.0, 0.0, 4),
    ],
)
def test_the_smallest_common_cell_is_found(upper, area, strain, n):
    unit = np.linalg.det(HEXAGON)
    turn = np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
    found = best_match(HEXAGON, upper @ turn, 12.0, 0.021)
    assert found.area == pytest.approx(area * unit)
    assert found.strains == pytest.approx((strain, strain), abs=1e-9)
    assert abs(np.linalg.det(found.lower)) == pytest.approx(n)
    start = found.lower @ HEXAGON
    end = found.upper @ upper @ turn
    stretch = np.linalg.svd(np.linalg.solve(end, start), compute_uv=False) - 1
    assert stretch == pytest.approx(found.strains)


def test_lattices_that_do_not_fit_are_refused():
    assert best_match(HEXAGON, 1.4 * np.eye(2), 3.0, 0.01) is None
    settings = AdhesionSettings(other_miller=(1, 0, 0), max_area=8.0, max_strain=0.01)
    found = adhesion.run(bulk("Cu", a=3.65), SmoothPairs(), settings)
    assert found.status == "invalid"
    assert found.values == {}
    assert "common cell" in {check.name for check in found.failed()}


def test_a_scan_that_misses_the_minimum_is_invalid():
    settings = AdhesionSettings(gaps=(1.2, 1.3, 1.4), n_shifts=1, max_steps=1, **SMALL)
    found = adhesion.run(bulk("Cu", a=3.6), AseEngine(EMT()), settings)
    assert found.status == "invalid"
    assert {"distance inside the scan", "relaxations"} <= {
        check.name for check in found.failed()
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gaps": (1.0, 1.1)}, "registries of an interface"),
        ({"n_shifts": 0}, "registries of an interface"),
        ({"max_strain": 0.0}, "common cell of an interface: max_strain"),
        ({"min_length": -1.0}, "common cell of an interface: min_length"),
        ({"other_miller": (0, 0, 0, 1)}, "no plane has these Miller indices"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        AdhesionSettings(**settings)
    with pytest.raises(ConfigError, match="unknown material"):
        adhesion.run(
            bulk("Cu"), AseEngine(EMT()), AdhesionSettings(other="Unobtainium")
        )
