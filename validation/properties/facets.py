"""One plane of a crystal: slabs of several thicknesses, cleaved and relaxed.

What the properties `surface`, `surfaces` and `wulff` have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.units import J_M2_PER_EV_A2
from lamplighter.validation.engines.base import Engine, EngineInfo
from lamplighter.validation.properties.base import (
    Check,
    Quantity,
    at_least,
    at_most,
)
from lamplighter.validation.properties.cleave import Miller, plane_name
from lamplighter.validation.properties.slabs import Termination, terminations
from lamplighter.validation.properties.thickness import ThicknessFit, fit_thickness
from lamplighter.validation.relax import Relaxed, largest_force, relax_ions

MIN_THICKNESSES: Final = 3
_MIN_LENGTH: Final = 10.0
_MIN_VACUUM: Final = 12.0
_BEYOND_CUTOFF: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlabSettings:
    """How slabs are made and judged: what `surface`, `surfaces` and `wulff` share.

    Attributes:
        n_thicknesses: how many slabs per termination, at least three.
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
            ConfigError: too few thicknesses, or a number that has to be positive.
        """
        if self.n_thicknesses < MIN_THICKNESSES:
            problem = "too few thicknesses for a fit with a check"
            wanted = f"at least {MIN_THICKNESSES}"
            raise ConfigError(explain(problem, got=self.n_thicknesses, wanted=wanted))
        for name in SlabSettings.__slots__:
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                problem = f"{name} of the surface settings must be positive"
                raise ConfigError(explain(problem, got=value, wanted="> 0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """Energies of one termination, cleaved and relaxed.

    Attributes:
        termination: the slabs.
        cleaved: fit of the bare cuts.
        relaxed: fit of the relaxed slabs.
        cleaved_energies: eV.
        relaxed_energies: eV.
        displacement: how far an atom went, Å, without the drift of its slab.
        force: largest force on a relaxed slab, eV/Å.
        converged: whether every relaxation did.
    """

    termination: Termination
    cleaved: ThicknessFit
    relaxed: ThicknessFit
    cleaved_energies: list[float]
    relaxed_energies: list[float]
    displacement: float
    force: float
    converged: bool


def cuts_of(
    crystal: Atoms, miller: Miller, info: EngineInfo, settings: SlabSettings
) -> tuple[Termination, ...]:
    """Return all terminations of a plane, at the thicknesses of the settings.

    Raises:
        ConfigError: the vacuum lets the two faces of a slab feel each other.
        DataError: a slab is no part of the crystal.
    """
    length = least_length(info, settings)
    return terminations(
        crystal, miller, [length] * settings.n_thicknesses, vacuum_of(info, settings)
    )


def least_length(info: EngineInfo, settings: SlabSettings) -> float:
    """Return the thickness of the thinnest slab, Å."""
    return settings.min_length or max(_MIN_LENGTH, 2 * info.cutoff)


def vacuum_of(info: EngineInfo, settings: SlabSettings) -> float:
    """Return the empty space above a slab, Å.

    Raises:
        ConfigError: it is within the range of the model.
    """
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


def polarity_of(cuts: Sequence[Termination]) -> Check:
    """Return whether a cut without a dipole of nominal charges exists."""
    dipoles = [cut.dipole for cut in cuts if cut.dipole is not None]
    if not dipoles:
        unknown = any(cut.ionic for cut in cuts)
        text = (
            "NOT tested: no nominal charges can be assigned, and a polar plane would "
            "get a number that means nothing"
            if unknown
            else "no nominal charges (an element or an alloy): no polar planes"
        )
        return Check(name="polar surface", ok=not unknown, text=text, hard=False)
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


def compute_facet(
    cut: Termination, engine: Engine, per_atom: float, settings: SlabSettings
) -> Facet:
    """Return the energies of one termination.

    Args:
        cut: its slabs.
        engine: what computes.
        per_atom: energy of the crystal, eV/atom.
        settings: see `SurfaceSettings`.

    Raises:
        EngineError: the engine fails.
    """
    bare = engine.compute_many(cut.slabs, want=("energy", "forces"))
    cleaved = [result.energy for result in bare]
    relaxed = [
        relax_ions(slab, engine, fmax=settings.fmax, max_steps=settings.max_steps)
        for slab in cut.slabs
    ]
    energies = [end.energy for end in relaxed]
    counts = [len(slab) for slab in cut.slabs]
    return Facet(
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


def facet_values(facet: Facet, miller: Miller) -> dict[str, Quantity]:
    """Return surface and cleavage energy in J/m^2, named after the plane.

    The error is the difference between the fit and the thickest slab alone.
    """
    plane = plane_name(miller)
    equal = facet.termination.equal_faces
    middle, faces = ("", 1.0) if equal else ("sum_", 2.0)
    values = {}
    for name, fit in (
        (f"surface_energy_{middle}{plane}", facet.relaxed),
        (f"cleavage_energy_{middle}{plane}", facet.cleaved),
    ):
        scale = faces * J_M2_PER_EV_A2
        values[name] = Quantity(
            value=fit.gamma * scale,
            unit="J/m^2",
            error=abs(fit.gamma - float(fit.each[-1])) * scale,
        )
    return values


def facet_arrays(facet: Facet, crystal: Relaxed) -> dict[str, Any]:
    """Return what the plots of one termination need; see `surface.run`."""
    return {
        "layers": list(facet.termination.n_layers),
        "n_atoms": [len(slab) for slab in facet.termination.slabs],
        "area": facet.termination.area,
        "bulk_energy_per_atom": crystal.energy / len(crystal.atoms),
        "energies": facet.relaxed_energies,
        "cleaved_energies": facet.cleaved_energies,
        "gamma": facet.relaxed.each * J_M2_PER_EV_A2,
        "cleaved_gamma": facet.cleaved.each * J_M2_PER_EV_A2,
        "gamma_fit": facet.relaxed.gamma * J_M2_PER_EV_A2,
        "cleaved_gamma_fit": facet.cleaved.gamma * J_M2_PER_EV_A2,
        "slope": facet.relaxed.slope,
        "cleaved_slope": facet.cleaved.slope,
    }


def facet_method(facet: Facet) -> dict[str, Any]:
    """Return what a reader has to know about the slabs of one termination."""
    return {
        "equal_faces": facet.termination.equal_faces,
        "in_plane_repeat": "1x1: no reconstruction that needs a larger cell",
        "slope_error_eV_per_atom": facet.relaxed.slope_error,
        "cleaved_slope_error_eV_per_atom": facet.cleaved.slope_error,
        "fit_residual_eV": facet.relaxed.residual,
    }


def facet_checks(facet: Facet, settings: SlabSettings) -> list[Check]:
    """Return the checks of one termination."""
    equal = facet.termination.equal_faces
    slope = max(
        facet.relaxed.slope_error,
        facet.cleaved.slope_error,
        key=abs,
    )
    return [
        Check(
            name="slab relaxation",
            ok=facet.converged,
            value=facet.force,
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
            facet.relaxed.gamma * J_M2_PER_EV_A2,
            0.0,
            "a crystal that gains energy by splitting is none, J/m^2",
            hard=False,
        ),
        at_most(
            "thickness",
            facet.relaxed.change,
            settings.max_change,
            "difference between the two thickest slabs, as a fraction",
            hard=False,
        ),
        at_most(
            "displacement",
            facet.displacement,
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


def others_relaxed(found: Sequence[Facet]) -> list[Check]:
    """Return the check that no termination may yet become the lowest one."""
    if len(found) < 2:
        return []
    open_ones = sum(not facet.converged for facet in found)
    return [
        Check(
            name="other terminations",
            ok=not open_ones,
            value=float(open_ones),
            limit=0.0,
            text=f"of {len(found)} that did not relax: one of them may be the lowest",
            hard=False,
        )
    ]
