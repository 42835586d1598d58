"""Surface energies from slabs of at least three thicknesses, through any engine.

Slabs are cut from the crystal that the engine relaxed; the surface energy is the
intercept of a straight line, whose slope is held against the crystal's own energy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ase import Atoms

from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import PropertyResult, status_of
from lamplighter.validation.properties.cleave import Miller, check_miller
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.facets import (
    SlabSettings,
    compute_facet,
    cuts_of,
    facet_arrays,
    facet_checks,
    facet_method,
    facet_values,
    least_length,
    others_relaxed,
    polarity_of,
    vacuum_of,
)
from lamplighter.validation.relax import RelaxSettings, relax_crystal


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceSettings(SlabSettings):
    """How the surface energy of a plane is computed: see `SlabSettings` for the rest.

    Attributes:
        miller: indices of the plane in the standard conventional cell.
    """

    miller: Miller = (1, 0, 0)

    def __post_init__(self) -> None:
        """Refuse settings that give no surface energy.

        Raises:
            ConfigError: no plane, too few thicknesses, or a number not positive.
        """
        # Classes with slots are made anew: super() without arguments would not find it.
        SlabSettings.__post_init__(self)
        check_miller(self.miller)


def run(
    structure: Atoms, engine: Engine, settings: SurfaceSettings | None = None
) -> PropertyResult:
    """Return the surface energy of a crystal plane, cleaved and with relaxed atoms.

    Values for the plane (100), in J/m^2: ``surface_energy_100`` with relaxed atoms,
    ``cleavage_energy_100`` of the bare cut; of several terminations the one of lowest
    energy. If no symmetry exchanges the two faces only their sum is defined, and the
    values are ``surface_energy_sum_100`` and ``cleavage_energy_sum_100``.
    Arrays: ``layers``, ``n_atoms``, ``energies``, ``cleaved_energies`` (eV), ``gamma``,
    ``cleaved_gamma`` (J/m^2 of each slab with the crystal's energy).

    A plane whose every cut has a dipole of nominal charges is refused: a local model
    gives a finite number for it that means nothing (Tasker's type III).

    Args:
        structure: a crystal, any cell; it is relaxed first.
        engine: what computes.
        settings: see [`SurfaceSettings`][].

    Raises:
        ConfigError: the vacuum lets the two faces of a slab feel each other.
        EngineError: the engine fails.
    """
    settings = settings or SurfaceSettings()
    vacuum = vacuum_of(engine.info, settings)
    crystal = relax_crystal(
        structure, engine, RelaxSettings(fmax=settings.crystal_fmax)
    )
    if not crystal.ok:
        return PropertyResult.conclude(
            "surface",
            material_name(structure),
            engine.info,
            method=asdict(settings),
            checks=crystal.checks,
        )
    cuts = cuts_of(crystal.atoms, settings.miller, engine.info, settings)
    method = {
        **asdict(settings),
        "vacuum": vacuum,
        "min_length": least_length(engine.info, settings),
        "n_terminations": len(cuts),
        "cell": crystal.atoms.cell.array.tolist(),
    }
    polarity = polarity_of(cuts)
    if status_of([polarity]) == "invalid":
        return PropertyResult.conclude(
            "surface",
            material_name(structure),
            engine.info,
            method=method,
            checks=[*crystal.checks, polarity],
        )
    per_atom = crystal.energy / len(crystal.atoms)
    computed = [
        compute_facet(cut, engine, per_atom, settings) for cut in cuts if not cut.polar
    ]
    best = min(computed, key=lambda facet: facet.relaxed.gamma)
    return PropertyResult.conclude(
        "surface",
        material_name(structure),
        engine.info,
        method=method | facet_method(best),
        checks=[
            *crystal.checks,
            polarity,
            *facet_checks(best, settings),
            *others_relaxed(computed),
        ],
        values=facet_values(best, settings.miller),
        arrays=facet_arrays(best, crystal),
    )
