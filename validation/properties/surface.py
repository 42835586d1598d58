"""Surface energies from slabs of at least three thicknesses, through any engine.

Slabs are cut from the crystal that the engine relaxed; the surface energy is the
intercept of a straight line, whose slope is held against the crystal's own energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.units import J_M2_PER_EV_A2
from lamplighter.validation.engines.base import Engine, EngineInfo
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
)
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.slabs import Miller, Termination, terminations
from lamplighter.validation.properties.thickness import ThicknessFit, fit_thickness
from lamplighter.validation.relax import (
    Relaxed,
    RelaxSettings,
    largest_force,
    relax_crystal,
    relax_ions,
)

MIN_THICKNESSES: Final = 3
_MIN_LENGTH: Final = 10.0
_MIN_VACUUM: Final = 12.0
_BEYOND_CUTOFF: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceSettings:
    """How surface energies are computed.

    Attributes:
        miller: indices of the plane in the standard conventional cell.
        n_thicknesses: how many slabs, at least three, one repeat apart.
        min_length: thickness of the thinnest slab, Å; ``None`` is 10 Å or twice the
            engine's cutoff, whichever is more.
        vacuum: empty space, Å; ``None`` is 12 Å, or the cutoff and 2 Å if that is more.
        fmax: largest force on the relaxed slab, eV/Å.
        max_steps: of each slab's relaxation.
        crystal_fmax: largest force of the relaxed crystal, eV/Å.
        max_slope_error: how far the slope may be from the crystal's energy, eV/atom.
        max_displacement: beyond which an atom's move counts as a reconstruction, Å.
        max_change: how much the surface energies of the two thickest slabs may differ,
            as a fraction.
    """

    miller: Miller = (1, 0, 0)
    n_thicknesses: int = 3
    min_length: float | None = None
    vacuum: float | None = None
    fmax: float = 1e-3
    max_steps: int = 200
    crystal_fmax: float = 1e-4
    max_slope_error: float = 1e-4
    max_displacement: float = 1.0
    max_change: float = 0.01

    def __post_init__(self) -> None:
        """Refuse settings that give no surface energy.

        Raises:
            ConfigError: no plane, too few thicknesses, or a length not positive.
        """
        if not any(self.miller):
            problem = "no plane has these Miller indices"
            raise ConfigError(explain(problem, got=self.miller, wanted="not all zero"))
        if self.n_thicknesses < MIN_THICKNESSES:
            problem = "too few thicknesses for a fit with a check"
            wanted = f"at least {MIN_THICKNESSES}"
            raise ConfigError(explain(problem, got=self.n_thicknesses, wanted=wanted))
        lengths = {"min_length": self.min_length, "vacuum": self.vacuum}
        given = {key: value for key, value in lengths.items() if value is not None}
        for name, value in {**given, "fmax": self.fmax}.items():
            if not value > 0:
                problem = f"{name} of the surface settings must be positive"
                raise ConfigError(explain(problem, got=value, wanted="> 0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slabs:
    """Energies of one termination, cleaved and relaxed."""

    termination: Termination
    cleaved: ThicknessFit
    relaxed: ThicknessFit
    cleaved_energies: list[float]
    relaxed_energies: list[float]
    displacement: float
    force: float
    converged: bool


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
    vacuum = _vacuum(engine.info, settings)
    length = settings.min_length or max(_MIN_LENGTH, 2 * engine.info.cutoff)
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
    cuts = terminations(
        crystal.atoms, settings.miller, [length] * settings.n_thicknesses, vacuum
    )
    method = {
        **asdict(settings),
        "vacuum": vacuum,
        "min_length": length,
        "n_terminations": len(cuts),
        "cell": crystal.atoms.cell.array.tolist(),
    }
    polarity = _polarity(cuts)
    if not polarity.ok:
        return PropertyResult.conclude(
            "surface",
            material_name(structure),
            engine.info,
            method=method,
            checks=[*crystal.checks, polarity],
        )
    per_atom = crystal.energy / len(crystal.atoms)
    computed = [
        _compute(cut, engine, per_atom, settings) for cut in cuts if not cut.polar
    ]
    best = min(computed, key=lambda slabs: slabs.relaxed.gamma)
    return PropertyResult.conclude(
        "surface",
        material_name(structure),
        engine.info,
        method=method | _termination_method(best),
        checks=[*crystal.checks, polarity, *_checks(best, settings)],
        values=_values(best, settings),
        arrays=_arrays(best, crystal),
    )


def _vacuum(info: EngineInfo, settings: SurfaceSettings) -> float:
    if settings.vacuum is None:
        return max(_MIN_VACUUM, info.cutoff + _BEYOND_CUTOFF)
    if settings.vacuum <= info.cutoff:
        raise ConfigError(
            explain(
                "the vacuum is within the range of the model",
                got=f"{settings.vacuum} Å",
                wanted=f"more than {info.cutoff} Å",
                fix="leave vacuum out of the settings",
            )
        )
    return settings.vacuum


def _polarity(cuts: Sequence[Termination]) -> Check:
    """Return whether a cut without a dipole of nominal charges exists."""
    dipoles = [cut.dipole for cut in cuts if cut.dipole is not None]
    if not dipoles:
        text = "no nominal charges (an element or an alloy): no polar planes"
        return Check(name="polar surface", ok=True, text=text)
    lowest = min(dipoles)
    polar = all(cut.polar for cut in cuts)
    return Check(
        name="polar surface",
        ok=not polar,
        value=lowest,
        limit=1e-3,
        text=(
            "every cut along this plane has a dipole of nominal charges (Tasker's type "
            "III, e/Å): its energy diverges with thickness, and a local model does not "
            "see that; choose another plane or a reconstructed slab"
            if polar
            else "smallest dipole of a cut per area from nominal charges, e/Å"
        ),
    )


def _compute(
    cut: Termination, engine: Engine, per_atom: float, settings: SurfaceSettings
) -> _Slabs:
    bare = engine.compute_many(cut.slabs, want=("energy", "forces"))
    cleaved = [result.energy for result in bare]
    relaxed = [
        relax_ions(slab, engine, fmax=settings.fmax, max_steps=settings.max_steps)
        for slab in cut.slabs
    ]
    energies = [end.energy for end in relaxed]
    counts = [len(slab) for slab in cut.slabs]
    return _Slabs(
        termination=cut,
        cleaved=fit_thickness(counts, cleaved, cut.area, per_atom),
        relaxed=fit_thickness(counts, energies, cut.area, per_atom),
        cleaved_energies=cleaved,
        relaxed_energies=energies,
        displacement=max(map(_largest_move, cut.slabs, relaxed)),
        force=max(largest_force(end.forces) for end in relaxed),
        converged=all(end.ok for end in relaxed),
    )


def _largest_move(start: Atoms, end: Relaxed) -> float:
    """Return how far an atom went, Å, without the drift of the whole slab."""
    move = end.atoms.positions - start.positions
    return float(np.linalg.norm(move - move.mean(axis=0), axis=1).max())


def _values(slabs: _Slabs, settings: SurfaceSettings) -> dict[str, Quantity]:
    plane = "".join(str(index) for index in settings.miller)
    equal = slabs.termination.equal_faces
    middle, faces = ("", 1.0) if equal else ("sum_", 2.0)
    values = {}
    for name, fit in (
        (f"surface_energy_{middle}{plane}", slabs.relaxed),
        (f"cleavage_energy_{middle}{plane}", slabs.cleaved),
    ):
        scale = faces * J_M2_PER_EV_A2
        values[name] = Quantity(
            value=fit.gamma * scale,
            unit="J/m^2",
            error=abs(fit.gamma - float(fit.each[-1])) * scale,
        )
    return values


def _arrays(slabs: _Slabs, crystal: Relaxed) -> dict[str, Any]:
    return {
        "layers": list(slabs.termination.n_layers),
        "n_atoms": [len(slab) for slab in slabs.termination.slabs],
        "area": slabs.termination.area,
        "bulk_energy_per_atom": crystal.energy / len(crystal.atoms),
        "energies": slabs.relaxed_energies,
        "cleaved_energies": slabs.cleaved_energies,
        "gamma": slabs.relaxed.each * J_M2_PER_EV_A2,
        "cleaved_gamma": slabs.cleaved.each * J_M2_PER_EV_A2,
        "gamma_fit": slabs.relaxed.gamma * J_M2_PER_EV_A2,
        "cleaved_gamma_fit": slabs.cleaved.gamma * J_M2_PER_EV_A2,
        "slope": slabs.relaxed.slope,
        "cleaved_slope": slabs.cleaved.slope,
    }


def _termination_method(slabs: _Slabs) -> dict[str, Any]:
    return {
        "equal_faces": slabs.termination.equal_faces,
        "in_plane_repeat": "1x1: no reconstruction that needs a larger cell",
        "slope_error_eV_per_atom": slabs.relaxed.slope_error,
        "cleaved_slope_error_eV_per_atom": slabs.cleaved.slope_error,
        "fit_residual_eV": slabs.relaxed.residual,
    }


def _checks(slabs: _Slabs, settings: SurfaceSettings) -> list[Check]:
    equal = slabs.termination.equal_faces
    slope = max(
        slabs.relaxed.slope_error,
        slabs.cleaved.slope_error,
        key=abs,
    )
    return [
        Check(
            name="slab relaxation",
            ok=slabs.converged,
            value=slabs.force,
            limit=settings.fmax,
            text="largest force on a relaxed slab, eV/Å",
        ),
        at_most(
            "slope of E(N)",
            1000 * abs(slope),
            1000 * settings.max_slope_error,
            "distance of the slope from the crystal's energy, meV/atom; a slab with "
            "another lattice, or too thin a slab for the model's range",
        ),
        at_least(
            "surface energy",
            slabs.relaxed.gamma * J_M2_PER_EV_A2,
            0.0,
            "a crystal that gains energy by splitting is none, J/m^2",
            hard=False,
        ),
        at_most(
            "thickness",
            slabs.relaxed.change,
            settings.max_change,
            "difference between the two thickest slabs, as a fraction",
            hard=False,
        ),
        at_most(
            "displacement",
            slabs.displacement,
            settings.max_displacement,
            "largest move of an atom, Å; beyond the limit the surface reconstructed",
            hard=False,
        ),
        Check(
            name="equal faces",
            ok=equal,
            text=(
                "a symmetry exchanges the two faces"
                if equal
                else "no symmetry exchanges the two faces: only their sum is defined"
            ),
            hard=False,
        ),
    ]
