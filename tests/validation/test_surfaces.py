"""All planes and terminations, and the Wulff shape, against known counts and shapes."""

from __future__ import annotations

import builtins
import dataclasses
import math

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal as make_crystal
from scipy.spatial import ConvexHull, HalfspaceIntersection

from lamplighter.errors import ConfigError, OptionalDependencyError
from lamplighter.units import J_M2_PER_EV_A2
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.engines.base import EngineInfo, Result
from lamplighter.validation.properties import surfaces, wulff
from lamplighter.validation.properties.cleave import cleaver, miller_orbits
from lamplighter.validation.properties.surfaces import SurfacesSettings
from lamplighter.validation.properties.wulff import WulffSettings, wulff_shape
from lamplighter.validation.refs import load_references
from lamplighter.validation.refs.loader import RECORDS_FOLDER


def mgo():
    return bulk("MgO", "rocksalt", a=4.25, cubic=True)


QUARTZ = make_crystal(
    ["Si", "O"],
    [(0.4697, 0, 0), (0.4135, 0.2669, 0.1191)],
    spacegroup=152,
    cellpar=[4.916, 4.916, 5.405, 90, 90, 120],
)
ZIRCONIA = make_crystal(
    ["Zr", "O", "O"],
    [(0.275, 0.04, 0.208), (0.07, 0.33, 0.345), (0.45, 0.757, 0.479)],
    spacegroup=14,
    cellpar=[5.15, 5.21, 5.32, 90, 99.2, 90],
)
RUTILE = make_crystal(
    ["Ti", "O"],
    [(0, 0, 0), (0.305, 0.305, 0)],
    spacegroup=136,
    cellpar=[4.6, 4.6, 2.96, 90, 90, 90],
)


class Bonds:
    """An engine that counts: so many eV per pair of atoms within 2.5 Å.

    `in_slabs` is an energy per atom that only cells with much vacuum have.
    """

    info = EngineInfo(kind="ase", name="bonds", model="counted", cutoff=2.5)

    def __init__(self, energy=-1.0, in_slabs=0.0):
        self.energy, self.in_slabs = energy, in_slabs

    def compute(self, atoms, want=()):
        del want
        bonds = len(neighbor_list("i", atoms, 2.5)) / 2
        extra = self.in_slabs * len(atoms) if atoms.cell.lengths().max() > 25 else 0.0
        return Result(
            energy=self.energy * bonds + extra,
            forces=np.zeros((len(atoms), 3)),
            stress=np.zeros((3, 3)),
            energies=None,
            info=self.info,
            wall_s=0.0,
        )

    def compute_many(self, structures, want=()):
        return [self.compute(atoms, want) for atoms in structures]


@pytest.mark.parametrize(
    ("crystal", "max_index", "count"),
    [
        (bulk("Cu"), 1, 3),
        (bulk("Cu"), 2, 6),
        (bulk("Cu"), 3, 13),
        (bulk("Mg", "hcp", a=3.2, c=5.2), 1, 5),
        (QUARTZ, 1, 6),
        (Atoms("Cu", cell=[3, 3.1, 3.2], pbc=True), 1, 7),
    ],
)
def test_every_plane_is_counted_once(crystal, max_index, count):
    orbits = miller_orbits(crystal, max_index)
    assert len(orbits) == count
    assert all(math.gcd(*plane) == 1 for plane in orbits)
    indices = range(-max_index, max_index + 1)
    everything = {
        (h, k, l)
        for h in indices
        for k in indices
        for l in indices
        if math.gcd(h, k, l) == 1
    }
    rotations = wulff.laue_rotations(wulff.conventional(crystal))
    covered = [
        {tuple(p) for p in (np.asarray(plane) @ rotations).tolist()} for plane in orbits
    ]
    assert everything <= set().union(*covered)
    assert sum(map(len, covered)) == len(set().union(*covered))
    assert [len(orbit) for orbit in covered] == list(orbits.values())


def test_cubic_planes_have_the_known_sizes():
    orbits = miller_orbits(bulk("Cu"), 3)
    assert orbits[1, 0, 0] == 6
    assert orbits[1, 1, 1] == 8
    assert orbits[2, 1, 0] == 24
    assert orbits[3, 2, 1] == 48
    with pytest.raises(ConfigError, match="largest Miller index must be positive"):
        miller_orbits(bulk("Cu"), 0)


@pytest.mark.parametrize(
    ("crystal", "miller", "spacing", "n_cuts"),
    [
        (bulk("Cu", a=4.0), (1, 0, 0), 2.0, 1),
        (bulk("Cu", a=4.0), (1, 1, 1), 4 / 3**0.5, 1),
        (bulk("Si", a=4.0), (1, 1, 1), 4 / 3**0.5, 2),
        (bulk("GaAs", "zincblende", a=4.0), (1, 1, 1), 4 / 3**0.5, 2),
        (bulk("Mg", "hcp", a=3.2, c=5.2), (0, 0, 1), 5.2, 1),
        (bulk("Mg", "hcp", a=3.2, c=5.2), (1, 0, 0), 3.2 * 3**0.5 / 2, 2),
        (RUTILE, (1, 1, 0), 4.6 / 2**0.5, 2),
    ],
)
def test_inequivalent_cuts_are_found(crystal, miller, spacing, n_cuts):
    knife = cleaver(crystal, miller)
    assert knife.spacing == pytest.approx(spacing)
    assert len(knife.cuts()) == n_cuts
    for cut in knife.cuts():
        slab = knife.slab(cut, 3, 10.0)
        assert len(slab) == 3 * len(knife.primitive)
        normal = np.cross(*slab.cell.array[:2])
        heights = slab.positions @ normal / np.linalg.norm(normal) / knife.spacing
        assert heights.min() > cut
        assert heights.max() < cut + 3


@pytest.fixture(scope="module")
def oxide():
    """Planes and shape at once: the shape's record has what `surfaces` has."""
    return wulff.run(mgo(), Bonds())


def test_polar_planes_are_refused_and_the_others_keep_their_values(oxide):
    found = oxide
    assert found.status == "warn"
    assert found.arrays["planes"] == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert found.arrays["refused"] == ["", "", "polar surface"]
    assert found.arrays["gamma"][2] is None
    assert not any(name.endswith("_111") for name in found.values)
    # A cut along (100) breaks one bond of 1 eV per ion, two ions in a^2/2, and makes
    # two faces; on (110) twice as many on an area sqrt(2) times as large.
    per_area = 16.02176634 * 2 / 4.25**2
    assert found.values["surface_energy_100"].value == pytest.approx(per_area)
    expected = 2 * per_area / 2**0.5
    assert found.values["surface_energy_110"].value == pytest.approx(expected)


def test_a_wrong_slope_takes_the_values_of_all_planes():
    settings = SurfacesSettings(vacuum=30.0, min_length=5.0)
    found = surfaces.run(bulk("Cu", a=3.3), Bonds(in_slabs=0.02), settings)
    assert found.status == "invalid"
    assert found.values == {}
    assert found.arrays["refused"][0] == "slope of E(N)"
    (hard,) = [check for check in found.failed() if check.hard]
    assert hard.name == "planes with a surface energy"


def test_all_terminations_are_reported():
    found = surfaces.run(bulk("Si", a=5.43), Bonds())
    one = found.values["surface_energy_111"].value
    two = found.values["surface_energy_111_termination_2"].value
    assert two == pytest.approx(3 * one)


def test_a_termination_that_fails_a_hard_check_has_no_value(monkeypatch):
    # The second cut of silicon(111) gets a slope that is not the crystal's.
    real = surfaces.compute_facet

    def wrong_slope(cut, *others):
        facet = real(cut, *others)
        if facet.cleaved.gamma < 0.08:
            return facet
        tilted = dataclasses.replace(facet.relaxed, slope_error=0.01)
        return dataclasses.replace(facet, relaxed=tilted)

    settings = SurfacesSettings(min_length=5.0)
    monkeypatch.setattr(surfaces, "compute_facet", wrong_slope)
    found = surfaces.run(bulk("Si", a=5.43), Bonds(), settings)
    assert "surface_energy_111" in found.values
    assert not any("termination_2" in name for name in found.values)


def test_another_termination_that_did_not_relax_is_a_warning(monkeypatch):
    real = surfaces.compute_facet

    def unfinished(cut, *others):
        facet = real(cut, *others)
        return dataclasses.replace(facet, converged=facet.cleaved.gamma < 0.08)

    settings = SurfacesSettings(min_length=5.0)
    monkeypatch.setattr(surfaces, "compute_facet", unfinished)
    found = surfaces.run(bulk("Si", a=5.43), Bonds(), settings)
    assert "surface_energy_111" in found.values
    assert "other terminations (111)" in {check.name for check in found.failed()}


def test_a_plane_that_failed_leaves_no_shape(monkeypatch):
    real = surfaces.compute_facet

    def unfinished(cut, *others):
        facet = real(cut, *others)
        return dataclasses.replace(facet, converged=cut.area < 10.0)

    monkeypatch.setattr(surfaces, "compute_facet", unfinished)
    found = wulff.run(mgo(), Bonds(), WulffSettings(min_length=5.0))
    assert found.status == "invalid"
    assert found.values == {}
    (check,) = [c for c in found.failed() if c.name == "no plane failed"]
    assert "110" in check.text


def test_shape_of_broken_bonds_is_the_truncated_octahedron():
    # Nearest-neighbour bonds: gamma ~ (2 h + k) / |hkl|; the shape has six squares and
    # eight regular hexagons of the same edge: squares 6, hexagons 8 * 3 sqrt(3) / 2.
    energies = {(1, 1, 1): 3 / 3**0.5, (1, 0, 0): 2.0, (1, 1, 0): 3 / 2**0.5}
    shape = wulff_shape(bulk("Cu", a=3.6), energies)
    hexagons = 8 * 3 * 3**0.5 / 2
    assert shape.fractions[1, 1, 1] == pytest.approx(hexagons / (hexagons + 6))
    assert shape.fractions[1, 0, 0] == pytest.approx(6 / (hexagons + 6))
    assert shape.fractions[1, 1, 0] == pytest.approx(0.0, abs=1e-9)
    mean = (3 / 3**0.5 * hexagons + 2 * 6) / (hexagons + 6)
    assert shape.average == pytest.approx(mean)
    assert sorted(len(corners) for _, corners in shape.faces) == [4] * 6 + [6] * 8


def test_surface_energies_and_shape_of_copper_follow_from_dft_slabs():
    file = RECORDS_FOLDER.parent / "slab_energies" / "Cu_PBE.yaml"
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    crystal = bulk("Cu", a=data["lattice_constant"])
    published = {
        "111": 1.319, "100": 1.468, "110": 1.569, "332": 1.440, "322": 1.456,
        "221": 1.485, "331": 1.522, "311": 1.548, "321": 1.585, "310": 1.600,
        "210": 1.613, "320": 1.624, "211": 1.636,
    }  # fmt: skip
    energies = {}
    for plane in data["planes"]:
        miller = tuple(plane["miller"])
        area = np.linalg.norm(np.cross(*np.array(plane["cell"])))
        excess = plane["energy"] - plane["n_atoms"] * data["bulk_energy"]
        energies[miller] = excess / (2 * area) * J_M2_PER_EV_A2
        name = "".join(map(str, miller))
        assert energies[miller] == pytest.approx(published[name], abs=6e-4)
        knife = cleaver(crystal, miller)
        face = np.cross(*(knife.axes[:2] @ knife.primitive.cell.array))
        times = area / np.linalg.norm(face)  # the cell of (211) is twice as large
        assert times == pytest.approx(2 if miller == (2, 1, 1) else 1, rel=2e-3)
    assert set(energies) == set(miller_orbits(crystal, 3))
    records = {r.quantity: r for r in load_references("Cu")}
    assert records["surface_energy_111"].value == pytest.approx(
        energies[1, 1, 1], abs=6e-4
    )
    shape = wulff_shape(crystal, energies)
    assert sum(shape.fractions.values()) == pytest.approx(1.0)
    largest = sorted(shape.fractions, key=shape.fractions.get)[:-3:-1]
    assert largest == [(1, 1, 1), (1, 0, 0)]
    assert min(energies.values()) < shape.average < 1.45


def _areas(crystal, energies):
    """Return area fractions from an intersection of half-spaces."""
    cell = wulff.conventional(crystal)
    rows, planes = [], []
    for plane, energy in energies.items():
        images = np.asarray(plane) @ wulff.laue_rotations(cell)
        for index in sorted({tuple(image) for image in images.tolist()}):
            normal = np.linalg.inv(cell.cell.array) @ np.array(index)
            rows.append([*(normal / np.linalg.norm(normal)), -energy])
            planes.append(plane)
    corners = HalfspaceIntersection(np.array(rows), np.zeros(3)).intersections
    areas = dict.fromkeys(energies, 0.0)
    for row, plane in zip(rows, planes, strict=True):
        on = np.abs(corners @ row[:3] + row[3]) < 1e-8
        face = np.unique(corners[on].round(8), axis=0)
        if len(face) > 2:
            flat = face @ np.linalg.svd(np.array([row[:3]]))[2][1:].T
            areas[plane] += ConvexHull(flat).volume
    return {plane: area / sum(areas.values()) for plane, area in areas.items()}


@pytest.mark.parametrize(
    ("crystal", "energies"),
    [
        (bulk("Mg", "hcp", a=3.2, c=5.2), {(0, 0, 1): 1.0, (1, 1, 0): 1.1}),
        (QUARTZ, {(1, 0, 1): 1.0, (1, 0, 0): 1.2}),
        (ZIRCONIA, {(1, 1, 1): 1.0, (-1, 1, 1): 0.9, (0, 0, 1): 1.1}),
    ],
)
def test_shapes_of_other_systems_are_intersections_of_half_spaces(crystal, energies):
    shape = wulff_shape(crystal, energies)
    assert shape.fractions == pytest.approx(_areas(crystal, energies), abs=1e-6)
    assert min(shape.fractions.values()) > 0.05


def test_planes_that_enclose_nothing_give_no_shape():
    crystal = bulk("Mg", "hcp", a=3.2, c=5.2)
    with pytest.raises(ConfigError, match="no equilibrium shape"):
        wulff_shape(crystal, {(0, 0, 1): 1.0})
    with pytest.raises(ConfigError, match="positive energies"):
        wulff_shape(crystal, {(0, 0, 1): 1.0, (1, 0, 0): -0.1})


@pytest.mark.slow
def test_wulff_of_copper_has_all_three_planes():
    found = wulff.run(bulk("Cu", a=3.6), AseEngine(EMT()), WulffSettings())
    fractions = {
        name: value.value
        for name, value in found.values.items()
        if name.startswith("wulff_fraction")
    }
    assert sum(fractions.values()) == pytest.approx(1.0)
    assert fractions["wulff_fraction_111"] > 0.6
    gammas = [found.values[f"surface_energy_{p}"].value for p in ("111", "100", "110")]
    assert min(gammas) <= found.values["wulff_surface_energy"].value <= max(gammas)
    assert found.values["wulff_surface_energy"].error < 0.01
    assert len(found.arrays["faces"]) == len(found.arrays["face_planes"])


def test_a_shape_that_lacks_planes_says_so(oxide):
    found = oxide
    assert found.status == "warn"
    (check,) = [c for c in found.checks if c.name == "all planes in the shape"]
    assert not check.ok
    assert "111" in check.text
    assert found.values["wulff_fraction_100"].value == pytest.approx(1.0)


def test_the_missing_package_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("wulffpack"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionalDependencyError, match=r"lamplighter\[surfaces\]"):
        wulff.run(mgo(), Bonds())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_index": 0}, "largest Miller index"),
        ({"n_thicknesses": 2}, "too few thicknesses"),
        ({"vacuum": -1.0}, "vacuum of the surface settings"),
    ],
)
def test_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        SurfacesSettings(**settings)
    with pytest.raises(ConfigError, match=message):
        WulffSettings(**settings)
    with pytest.raises(ConfigError, match="needs atoms"):
        WulffSettings(n_atoms=0)
