"""The slabs on which something adsorbs: cut from a crystal, or given."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from lamplighter.errors import DataError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.adsorption_settings import (
    AdsorptionSettings,
    free_molecule,
)
from lamplighter.validation.properties.base import Check, at_least, status_of
from lamplighter.validation.properties.facets import polarity_of
from lamplighter.validation.properties.sites import find_sites, start_height
from lamplighter.validation.properties.slabs import (
    LAYER_WIDTH,
    lowest_cut,
    terminations,
)
from lamplighter.validation.relax import RelaxSettings, relax_crystal


def adsorption_slabs(
    structure: Atoms, engine: Engine, settings: AdsorptionSettings
) -> tuple[list[Atoms], list[Check]]:
    """Return the slab and, for the error bars, a thicker one, with their checks.

    Args:
        structure: a crystal, or a slab.
        engine: what computes.
        settings: see `AdsorptionSettings`.

    Raises:
        DataError: the given slab is not upright in its cell.
        EngineError: the engine fails.
    """
    repeat = (*settings.repeat, 1)
    if settings.given_slab:
        slab = structure.repeat(repeat)
        _check_upright(slab)
        return [slab], [_room(slab, engine, settings)]
    crystal = relax_crystal(
        structure, engine, RelaxSettings(fmax=settings.crystal_fmax)
    )
    checks = list(crystal.checks)
    if not crystal.ok:
        return [], checks
    factors = (1.0, 1.5) if settings.check_thickness else (1.0,)
    vacuum = max(settings.vacuum, engine.info.cutoff + 5.0) + _extent(settings)
    cuts = terminations(
        crystal.atoms,
        settings.miller,
        [settings.min_length * f for f in factors],
        vacuum,
    )
    checks.append(polarity_of(cuts))
    if status_of(checks) == "invalid":
        return [], checks
    cut = lowest_cut(cuts, engine)
    slabs = [slab.repeat(repeat) for slab in cut.slabs]
    if not cut.equal_faces:
        text = f"the adsorbate sits on {outer_layer(slabs[0])}; the other face differs"
        checks.append(Check(name="equal faces", ok=False, text=text, hard=False))
    return slabs, [*checks, _room(slabs[0], engine, settings)]


def outer_layer(slab: Atoms) -> str:
    """Return the formula of the outermost layer of a slab."""
    heights = slab.positions[:, 2]
    layer = slab[heights > heights.max() - LAYER_WIDTH]
    return str(layer.get_chemical_formula("metal", empirical=True))


def n_outer(slab: Atoms) -> int:
    """Return the number of atoms of the outermost layer of a slab."""
    heights = slab.positions[:, 2]
    return int(np.sum(heights > heights.max() - LAYER_WIDTH))


def _check_upright(slab: Atoms) -> None:
    """Refuse a slab that leans, or that is cut in two by the cell.

    Raises:
        DataError: its normal is not the third cell vector and z, or it has no gap.
    """
    cell = slab.cell.array
    leans = max(np.abs(cell[2, :2]).max(), np.abs(cell[:2, 2]).max())
    heights = np.sort(slab.positions[:, 2])
    inside = float(np.diff(heights).max(initial=0.0))
    outside = cell[2, 2] - float(np.ptp(heights))
    if leans < 1e-6 and outside > inside:
        return
    raise DataError(
        explain(
            "the given slab is not upright in its cell",
            got=f"{leans:.3g} Å off the axes, {outside:.2f} Å of vacuum, and a gap of "
            f"{inside:.2f} Å inside",
            wanted="normal along z and the third cell vector, vacuum above and below",
            fix="turn it, or move its atoms to the middle of the cell",
        )
    )


def _extent(settings: AdsorptionSettings) -> float:
    """Return the largest distance within the adsorbate, Å."""
    return float(free_molecule(settings.adsorbate).get_all_distances().max())


def _room(slab: Atoms, engine: Engine, settings: AdsorptionSettings) -> Check:
    """Return whether the adsorbate is out of reach of the slab's next image."""
    heights = slab.positions[:, 2]
    number = free_molecule(settings.adsorbate).numbers[settings.binding_atom]
    above = max(
        start_height(slab, site.place, int(number)) for site in find_sites(slab)
    )
    top = max(above, float(heights.max())) + _extent(settings)
    free = float(slab.cell.array[2, 2] - (top - heights.min()))
    return at_least(
        "vacuum",
        free,
        engine.info.cutoff,
        "Å between adsorbate and the next image of the slab; less is within the range "
        "of the model",
    )
