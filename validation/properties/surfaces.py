"""Surface energies of every plane up to a Miller index, and of every termination.

The crystal is relaxed once; each plane then goes through the protocol of `surface`. A
plane that is refused (polar, not converged, wrong slope) has no values and is named in
the record; the others keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.units import J_M2_PER_EV_A2
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    status_of,
)
from lamplighter.validation.properties.cleave import Miller, miller_orbits, plane_name
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.facets import (
    Facet,
    SlabSettings,
    compute_facet,
    cuts_of,
    facet_checks,
    facet_values,
    least_length,
    others_relaxed,
    polarity_of,
    vacuum_of,
)
from lamplighter.validation.relax import Relaxed, RelaxSettings, relax_crystal


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfacesSettings(SlabSettings):
    """How the surface energies of many planes are computed: see `SlabSettings`.

    Attributes:
        max_index: largest Miller index in the standard conventional cell.
    """

    max_index: int = 1

    def __post_init__(self) -> None:
        """Refuse settings that give no surface energy.

        Raises:
            ConfigError: no index, too few thicknesses, or a number not positive.
        """
        SlabSettings.__post_init__(self)
        if self.max_index < 1:
            problem = "the largest Miller index must be positive"
            raise ConfigError(explain(problem, got=self.max_index, wanted="1 or more"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """All terminations of one plane.

    Attributes:
        miller: of the plane that stands for its orbit.
        size: planes of the orbit, both signs counted.
        facets: terminations without dipole, by rising energy of the relaxed slab;
            empty when all have one.
        checks: of the plane and of its lowest termination.
        sound: for each termination, whether it passed its own hard checks.
    """

    miller: Miller
    size: int
    facets: tuple[Facet, ...]
    checks: tuple[Check, ...]
    sound: tuple[bool, ...]

    @property
    def ok(self) -> bool:
        """Whether the plane has values."""
        return bool(self.facets) and status_of(self.checks) != "invalid"


def run(
    structure: Atoms, engine: Engine, settings: SurfacesSettings | None = None
) -> PropertyResult:
    """Return the surface energies of all planes up to an index.

    Values in J/m^2, as in [`surface.run`][]: ``surface_energy_111``,
    ``cleavage_energy_111`` of the lowest termination; further ones end in
    ``_termination_2`` and so on, by rising energy. Arrays, one entry a plane:
    ``planes``, ``orbit_sizes``, ``n_terminations``, ``gamma`` (relaxed, J/m^2 of one
    face, None where refused), ``equal_faces``, ``refused`` (why, or empty).

    Args:
        structure: a crystal, any cell; it is relaxed first.
        engine: what computes.
        settings: see [`SurfacesSettings`][].

    Raises:
        ConfigError: the vacuum lets the two faces of a slab feel each other.
        EngineError: the engine fails.
    """
    settings = settings or SurfacesSettings()
    crystal = relax_crystal(
        structure, engine, RelaxSettings(fmax=settings.crystal_fmax)
    )
    method: dict[str, Any] = {
        **asdict(settings),
        "vacuum": vacuum_of(engine.info, settings),
        "min_length": least_length(engine.info, settings),
        "in_plane_repeat": "1x1: no reconstruction that needs a larger cell",
    }
    planes = compute_planes(crystal, engine, settings) if crystal.ok else []
    return PropertyResult.conclude(
        "surfaces",
        material_name(structure),
        engine.info,
        method=method,
        checks=[*crystal.checks, *(scan_checks(planes) if crystal.ok else [])],
        values=scan_values(planes),
        arrays=scan_arrays(planes),
    )


def compute_planes(
    crystal: Relaxed, engine: Engine, settings: SurfacesSettings
) -> list[Plane]:
    """Return every plane up to the index of the settings, computed.

    Args:
        crystal: relaxed by the same engine.
        engine: what computes.
        settings: see [`SurfacesSettings`][].

    Raises:
        EngineError: the engine fails.
    """
    per_atom = crystal.energy / len(crystal.atoms)
    planes = []
    for miller, size in miller_orbits(crystal.atoms, settings.max_index).items():
        cuts = cuts_of(crystal.atoms, miller, engine.info, settings)
        polarity = polarity_of(cuts)
        facets = sorted(
            (compute_facet(c, engine, per_atom, settings) for c in cuts if not c.polar),
            key=lambda facet: facet.relaxed.gamma,
        )
        checks = [
            polarity,
            *(facet_checks(facets[0], settings) if facets else []),
            *others_relaxed(facets),
        ]
        planes.append(
            Plane(
                miller=miller,
                size=size,
                facets=tuple(facets),
                checks=tuple(checks),
                sound=tuple(
                    status_of(facet_checks(facet, settings)) != "invalid"
                    for facet in facets
                ),
            )
        )
    return planes


def scan_checks(planes: Sequence[Plane]) -> list[Check]:
    """Return the checks of all planes, and that one plane at least has values.

    A plane that is refused costs its own values and no others: its checks are soft.
    """
    checks = [
        Check(
            name=f"{check.name} ({plane_name(plane.miller)})",
            ok=check.ok,
            value=check.value,
            limit=check.limit,
            text=check.text,
            hard=False,
        )
        for plane in planes
        for check in plane.checks
    ]
    good = sum(plane.ok for plane in planes)
    return [
        *checks,
        Check(
            name="planes with a surface energy",
            ok=good > 0,
            value=float(good),
            limit=1.0,
            text=f"of {len(planes)} planes; their checks say why others have none",
        ),
    ]


def scan_values(planes: Sequence[Plane]) -> dict[str, Quantity]:
    """Return the energies of all terminations of the planes that passed."""
    values: dict[str, Quantity] = {}
    for plane in planes:
        if not plane.ok:
            continue
        for number, facet in enumerate(plane.facets, start=1):
            ending = f"_termination_{number}" if number > 1 else ""
            if not plane.sound[number - 1]:
                continue
            values |= {
                name + ending: value
                for name, value in facet_values(facet, plane.miller).items()
            }
    return values


def scan_arrays(planes: Sequence[Plane]) -> dict[str, Any]:
    """Return one entry a plane for tables and plots."""
    return {
        "planes": [list(plane.miller) for plane in planes],
        "orbit_sizes": [plane.size for plane in planes],
        "n_terminations": [len(plane.facets) for plane in planes],
        "gamma": [gammas(plane).get("relaxed") for plane in planes],
        "cleaved_gamma": [gammas(plane).get("cleaved") for plane in planes],
        "equal_faces": [
            bool(plane.facets) and plane.facets[0].termination.equal_faces
            for plane in planes
        ],
        "refused": [_reason(plane) for plane in planes],
    }


def gammas(plane: Plane) -> Mapping[str, float]:
    """Return the energies of the lowest termination, J/m^2; nothing if refused."""
    if not plane.ok:
        return {}
    facet = plane.facets[0]
    return {
        "relaxed": facet.relaxed.gamma * J_M2_PER_EV_A2,
        "cleaved": facet.cleaved.gamma * J_M2_PER_EV_A2,
    }


def _reason(plane: Plane) -> str:
    return "; ".join(c.name for c in plane.checks if c.hard and not c.ok)
