"""The equilibrium shape of a particle, from the surface energies of its planes.

Source: Wulff, Z. Kristallogr. 34, 449 (1901); the construction is WulffPack's (Rahm,
Erhart, J. Open Source Softw. 5, 1944 (2020)), an extra of this project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from scipy.spatial import ConvexHull, QhullError

from lamplighter.errors import ConfigError, OptionalDependencyError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import Check, PropertyResult, Quantity
from lamplighter.validation.properties.cleave import Miller, plane_name
from lamplighter.validation.properties.crystal import (
    SYMPREC,
    conventional,
    material_name,
    spglib_cell,
)
from lamplighter.validation.properties.facets import (
    facet_values,
    least_length,
    vacuum_of,
)
from lamplighter.validation.properties.surfaces import (
    Plane,
    SurfacesSettings,
    compute_planes,
    scan_arrays,
    scan_checks,
    scan_values,
)
from lamplighter.validation.relax import RelaxSettings, relax_crystal


@dataclass(frozen=True, slots=True, kw_only=True)
class WulffSettings(SurfacesSettings):
    """How the equilibrium shape is found: see `SurfacesSettings` for the slabs.

    Attributes:
        n_atoms: size of the particle whose corners the arrays hold.
    """

    n_atoms: int = 1000

    def __post_init__(self) -> None:
        """Refuse settings that give no shape.

        Raises:
            ConfigError: no atoms, or settings of slabs that give no surface energy.
        """
        # Classes with slots are made anew: super() without arguments would not find it.
        SurfacesSettings.__post_init__(self)
        if self.n_atoms < 1:
            problem = "a particle needs atoms"
            raise ConfigError(explain(problem, got=self.n_atoms, wanted="1 or more"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A Wulff construction.

    Attributes:
        fractions: share of each orbit of planes in the surface; 0 for planes that do
            not appear.
        average: surface energy, weighted with the areas, in the unit that came in.
        faces: per face the indices of its orbit and its corners ``[n, 3]``, Å.
    """

    fractions: Mapping[Miller, float]
    average: float
    faces: tuple[tuple[Miller, list[list[float]]], ...]


def run(
    structure: Atoms, engine: Engine, settings: WulffSettings | None = None
) -> PropertyResult:
    """Return the equilibrium shape: area fractions and mean surface energy.

    Values: those of `surfaces`, ``wulff_surface_energy`` (weighted with the areas,
    J/m^2) and ``wulff_fraction_111`` per plane; errors follow from those of the surface
    energies, one at a time, added in quadrature. Arrays: those of `surfaces`,
    ``faces`` (corners in Å, conventional axes) and ``face_planes``.

    Planes that were refused are left out of the construction, and a soft check says so.

    Args:
        structure: a crystal, any cell; it is relaxed first.
        engine: what computes.
        settings: see [`WulffSettings`][].

    Raises:
        OptionalDependencyError: WulffPack is not installed.
        ConfigError: the vacuum lets the two faces of a slab feel each other.
        EngineError: the engine fails.
    """
    settings = settings or WulffSettings()
    single_crystal()  # before hours of slabs, not after
    crystal = relax_crystal(
        structure, engine, RelaxSettings(fmax=settings.crystal_fmax)
    )
    method: dict[str, Any] = {
        **asdict(settings),
        "vacuum": vacuum_of(engine.info, settings),
        "min_length": least_length(engine.info, settings),
    }
    checks = list(crystal.checks)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if crystal.ok:
        planes = compute_planes(crystal, engine, settings)
        more, values, arrays = _conclude(crystal.atoms, planes, settings)
        checks += more
    return PropertyResult.conclude(
        "wulff",
        material_name(structure),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def wulff_shape(
    crystal: Atoms, energies: Mapping[Miller, float], n_atoms: int = 1000
) -> Shape:
    """Return the shape of least surface energy.

    Args:
        crystal: its point group, with inversion, makes the faces of each plane.
        energies: surface energy of one plane of each orbit, all positive.
        n_atoms: whose volume the shape gets.

    Raises:
        OptionalDependencyError: WulffPack is not installed.
        ConfigError: an energy that is not positive, or planes that enclose no volume.
    """
    construct = single_crystal()
    cell = conventional(crystal)
    rotations = laue_rotations(cell)
    if not energies or min(energies.values()) <= 0 or not _closed(energies, cell):
        raise ConfigError(
            explain(
                "no equilibrium shape",
                got=", ".join(f"{plane_name(m)}: {e:.3g}" for m, e in energies.items()),
                wanted="positive energies of planes that enclose a volume",
                fix="raise max_index",
            )
        )
    particle = construct(
        dict(energies), cell, natoms=n_atoms, symmetry_operations=list(rotations)
    )
    fractions = particle.facet_fractions
    faces = [
        (form.parent_miller_indices, np.asarray(facet.ordered_vertices)[:-1].tolist())
        for form in particle.forms
        for facet in form.facets
    ]
    return Shape(
        fractions={plane: float(fractions.get(plane, 0.0)) for plane in energies},
        average=float(particle.average_surface_energy),
        faces=tuple(faces),
    )


def laue_rotations(crystal: Atoms) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the rotations of the point group, with inversion, as whole numbers.

    A slab has both faces of a plane: its energy cannot tell (hkl) from (-h-k-l).
    """
    found: Any = spglib.get_symmetry(spglib_cell(crystal), symprec=SYMPREC)
    rotations = found["rotations"]
    return np.unique(np.concatenate([rotations, -rotations]), axis=0)


def single_crystal() -> Any:
    """Return WulffPack's class of single crystals.

    Raises:
        OptionalDependencyError: WulffPack is not installed.
    """
    try:
        from wulffpack import SingleCrystal  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise OptionalDependencyError(
            explain(
                "Wulff shapes need the package wulffpack",
                got=error,
                fix="pip install 'lamplighter[surfaces]'",
            )
        ) from error
    return SingleCrystal


def _closed(energies: Mapping[Miller, float], cell: Atoms) -> bool:
    """Return whether the half-spaces of all faces enclose a finite volume."""
    rotations = laue_rotations(cell)
    normals = np.concatenate([np.asarray(plane) @ rotations for plane in energies])
    try:
        hull = ConvexHull(normals @ np.linalg.inv(cell.cell.array).T)
    except QhullError:
        return False
    return bool(np.all(hull.equations[:, -1] < -1e-9))


def _conclude(
    crystal: Atoms, planes: Sequence[Plane], settings: WulffSettings
) -> tuple[list[Check], dict[str, Quantity], dict[str, Any]]:
    found: dict[Miller, Quantity] = {}
    for plane in planes:
        if plane.ok and plane.facets[0].termination.equal_faces:
            name = f"surface_energy_{plane_name(plane.miller)}"
            found[plane.miller] = facet_values(plane.facets[0], plane.miller)[name]
    left_out = [plane_name(p.miller) for p in planes if p.miller not in found]
    # A polar plane costs more than the others; of one that failed nothing is known.
    failed = [plane_name(p.miller) for p in planes if p.facets and not p.ok]
    checks = [
        *scan_checks(planes),
        Check(
            name="all planes in the shape",
            ok=not left_out,
            value=float(len(found)),
            limit=float(len(planes)),
            text="left out, refused or without equal faces: "
            + (", ".join(left_out) or "none"),
            hard=False,
        ),
        Check(
            name="no plane failed",
            ok=not failed,
            value=float(len(failed)),
            limit=0.0,
            text="a shape without them would be another: " + (", ".join(failed) or "-"),
        ),
    ]
    try:
        shape = wulff_shape(
            crystal, {m: q.value for m, q in found.items()}, settings.n_atoms
        )
    except ConfigError as error:
        checks.append(Check(name="closed shape", ok=False, text=str(error)))
        return checks, {}, scan_arrays(planes)
    checks.append(Check(name="closed shape", ok=True, text="the planes enclose it"))
    arrays = scan_arrays(planes) | {
        "faces": [corners for _, corners in shape.faces],
        "face_planes": [plane_name(plane) for plane, _ in shape.faces],
    }
    values = scan_values(planes) | _shape_values(crystal, found, shape)
    return checks, values, arrays


def _shape_values(
    crystal: Atoms, found: Mapping[Miller, Quantity], shape: Shape
) -> dict[str, Quantity]:
    """Return the numbers of the shape, with the errors of the energies carried on."""
    squares = dict.fromkeys([*found, "average"], 0.0)
    middle = {plane: energy.value for plane, energy in found.items()}
    for plane, energy in found.items():
        if not energy.error:
            continue
        other = wulff_shape(crystal, middle | {plane: energy.value + energy.error})
        squares["average"] += (other.average - shape.average) ** 2
        for face, fraction in other.fractions.items():
            squares[face] += (fraction - shape.fractions[face]) ** 2
    values = {
        "wulff_surface_energy": Quantity(
            value=shape.average, unit="J/m^2", error=squares["average"] ** 0.5
        )
    }
    for plane, fraction in shape.fractions.items():
        values[f"wulff_fraction_{plane_name(plane)}"] = Quantity(
            value=fraction, unit="", error=squares[plane] ** 0.5
        )
    return values
