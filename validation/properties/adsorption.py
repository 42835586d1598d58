"""Adsorption energies of an atom or a molecule on the sites of a slab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.adsorption_settings import (
    AdsorptionSettings,
    free_molecule,
)
from lamplighter.validation.properties.adsorption_slabs import (
    adsorption_slabs,
    n_outer,
    outer_layer,
)
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    status_of,
)
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.molecules import boxed, vacuum_for
from lamplighter.validation.properties.sites import (
    Site,
    find_sites,
    nearest_site,
    start_height,
)
from lamplighter.validation.properties.slab_relax import (
    RelaxedSlab,
    lower_half,
    relax_free,
)
from lamplighter.validation.properties.slabs import FloatArray

__all__ = ["AdsorptionSettings", "run"]

_BOND = 1.25
"""Two atoms closer than this times the sum of their radii are bonded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adsorbed:
    """An adsorbate on one site.

    Attributes:
        site: where it started.
        energy: of adsorption, eV; negative when bound.
        height: of the binding atom above the outermost layer, Å.
        ended: name of the site that it is closest to at the end.
        intact: whether it has the bonds that it had.
        bound: whether an atom of it touches the slab.
        end: the relaxed structure.
    """

    site: Site
    energy: float
    height: float
    ended: str
    intact: bool
    bound: bool
    end: RelaxedSlab


def run(
    structure: Atoms, engine: Engine, settings: AdsorptionSettings | None = None
) -> PropertyResult:
    """Return adsorption energies on every kind of site.

    Values: ``adsorption_energy_O_top`` (eV, negative when bound) and
    ``adsorption_height_O_top`` (Å) per site, ``adsorption_energy_O`` of the lowest.
    The energy is that of the relaxed slab with the adsorbate, minus the relaxed slab,
    minus the references; errors are the change on a slab half as thick again. Arrays:
    ``sites``, ``ended``, ``positions`` and ``cell`` of the lowest.

    Args:
        structure: a crystal, which is relaxed and cut, or a slab (`given_slab`).
        engine: what computes.
        settings: see [`AdsorptionSettings`][].

    Raises:
        ConfigError: the slab has no site of the kinds that were asked for.
        DataError: the given slab is not upright in its cell.
        EngineError: the engine fails.
    """
    settings = settings or AdsorptionSettings()
    slabs, checks = adsorption_slabs(structure, engine, settings)
    method: dict[str, Any] = asdict(settings)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if slabs and status_of(checks) != "invalid":
        gas, gas_ok = _references(engine, settings)
        checks.append(
            Check(name="references relaxed", ok=gas_ok, text="free molecules")
        )
        found = [_on_slab(slab, gas, engine, settings, checks) for slab in slabs]
        values = _values(found, settings)
        checks += _site_checks(found[0])
        best = min(found[0], key=lambda one: one.energy)
        method |= {
            "n_atoms": [len(slab) for slab in slabs],
            "reference_energy": gas,
            "binding_element": free_molecule(settings.adsorbate).symbols[
                settings.binding_atom
            ],
            "outer_layer": outer_layer(slabs[0]),
            "coverage": 1.0 / n_outer(slabs[0]),
        }
        arrays = {
            "sites": [one.site.name for one in found[0]],
            "ended": [one.ended for one in found[0]],
            "numbers": best.end.atoms.numbers,
            "positions": best.end.atoms.positions,
            "cell": best.end.atoms.cell.array,
        }
    return PropertyResult.conclude(
        "adsorption",
        material_name(structure),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def _references(engine: Engine, settings: AdsorptionSettings) -> tuple[float, bool]:
    """Return the energy of the references, eV, and whether all were relaxed."""
    total, converged = 0.0, True
    for name, factor in settings.terms():
        free = boxed(free_molecule(name), vacuum_for(engine))
        if len(free) == 1:
            total += factor * engine.compute(free, ("energy", "forces")).energy
            continue
        end = relax_free(
            free, engine, (), fmax=settings.fmax, max_steps=settings.max_steps
        )
        total += factor * end.energy
        converged = converged and end.converged
    return total, converged


def _on_slab(
    slab: Atoms,
    gas: float,
    engine: Engine,
    settings: AdsorptionSettings,
    checks: list[Check],
) -> list[Adsorbed]:
    """Return the adsorbate on every site of one slab."""
    fixed = lower_half(slab, settings.fixed_share)

    def relax(atoms: Atoms) -> RelaxedSlab:
        return relax_free(
            atoms, engine, fixed, fmax=settings.fmax, max_steps=settings.max_steps
        )

    bare = relax(slab)
    sites = find_sites(slab)
    found = []
    for site in sites:
        if site.kind not in settings.sites:
            continue
        end = relax(_placed(slab, site, settings))
        found.append(_adsorbed(slab, site, sites, end, bare.energy + gas, settings))
    if not found:
        raise ConfigError(
            explain(
                "the slab has no site of these kinds",
                got=", ".join(settings.sites),
                wanted="some of " + ", ".join(site.name for site in sites),
            )
        )
    worst = max([bare, *(one.end for one in found)], key=lambda one: one.force)
    checks.append(
        Check(
            name=f"relaxations of {len(slab)} atoms",
            ok=bare.converged and all(one.end.converged for one in found),
            value=worst.force,
            limit=settings.fmax,
            text="largest force on a free atom, with and without adsorbate, eV/Å",
        )
    )
    return found


def _placed(slab: Atoms, site: Site, settings: AdsorptionSettings) -> Atoms:
    """Return the slab with the adsorbate touching a site."""
    free = free_molecule(settings.adsorbate)
    free.positions -= free.positions[settings.binding_atom]
    up = free.positions.mean(axis=0)
    if np.linalg.norm(up) > 0.1:
        free.rotate(up, (0, 0, -1) if settings.upside_down else (0, 0, 1))
    number = int(free.numbers[settings.binding_atom])
    height = start_height(slab, site.place, number)
    free.positions += [*site.place, height]
    whole: Atoms = slab + free
    return whole


def _adsorbed(
    slab: Atoms,
    site: Site,
    sites: tuple[Site, ...],
    end: RelaxedSlab,
    reference: float,
    settings: AdsorptionSettings,
) -> Adsorbed:
    n_slab = len(slab)
    atoms = end.atoms
    binding = atoms.positions[n_slab + settings.binding_atom]
    outer = slab.positions[:, 2] > slab.positions[:, 2].max() - 0.3
    plane = slab.cell.array[:2, :2]
    free = free_molecule(settings.adsorbate)
    return Adsorbed(
        site=site,
        energy=end.energy - reference,
        height=float(binding[2] - atoms.positions[:n_slab][outer, 2].mean()),
        ended=nearest_site(binding[:2], sites, plane),
        intact=_bonds(atoms[n_slab:]) == _bonds(free),
        bound=_touches(atoms, n_slab),
        end=end,
    )


def _bonds(atoms: Atoms) -> set[tuple[int, int]]:
    """Return the bonded pairs of a molecule."""
    return {
        (i, j)
        for i, j in combinations(range(len(atoms)), 2)
        if atoms.get_distance(i, j, mic=bool(atoms.pbc.any()))
        < _BOND * (covalent_radii[atoms.numbers[i]] + covalent_radii[atoms.numbers[j]])
    }


def _touches(atoms: Atoms, n_slab: int) -> bool:
    """Return whether an atom of the adsorbate is bonded to one of the slab."""
    radii: FloatArray = covalent_radii[atoms.numbers]
    for index in range(n_slab, len(atoms)):
        away = atoms.get_distances(index, range(n_slab), mic=True)
        if np.any(away < _BOND * (radii[index] + radii[:n_slab])):
            return True
    return False


def _site_checks(found: Sequence[Adsorbed]) -> list[Check]:
    """Return what went another way than it was put; soft, and the sites named."""
    moved = [f"{o.site.name} to {o.ended}" for o in found if o.ended != o.site.name]
    broken = [one.site.name for one in found if not one.intact]
    away = [one.site.name for one in found if not one.bound]
    return [
        Check(name=name, ok=not names, text=f"{text}: {', '.join(names) or 'none'}",
              hard=False)
        for name, names, text in (
            ("stays at its site", moved, "moved"),
            ("molecule intact", broken, "bonds broken or made on"),
            ("adsorbed", away, "no atom touches the slab from"),
        )
    ]  # fmt: skip


def _values(
    found: Sequence[Sequence[Adsorbed]], settings: AdsorptionSettings
) -> dict[str, Quantity]:
    values = {}
    thicker = {one.site.name: one for one in found[1]} if len(found) > 1 else {}
    for one in found[0]:
        other = thicker.get(one.site.name)
        name = f"{settings.adsorbate}_{one.site.name}"
        for key, unit, value, again in (
            ("energy", "eV", one.energy, other.energy if other else None),
            ("height", "Å", one.height, other.height if other else None),
        ):
            values[f"adsorption_{key}_{name}"] = Quantity(
                value=value,
                unit=unit,
                error=None if again is None else abs(value - again),
            )
    best = min(found[0], key=lambda one: one.energy)
    energy = values[f"adsorption_energy_{settings.adsorbate}_{best.site.name}"]
    return {f"adsorption_energy_{settings.adsorbate}": energy, **values}
