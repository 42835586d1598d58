"""Vacancies in cells of at least three sizes, extrapolated to one in infinite crystal.

The energy of a vacancy in a periodic cell differs from that of a single one by the
elastic and electronic interaction of its images, which to first order goes with one
over the number of atoms.

Source: Leslie, Gillan, J. Phys. C 18, 973 (1985) for elastic interactions; the volume
from the stress at a fixed cell as in Varvenne et al., Phys. Rev. B 88, 134102 (2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)
from lamplighter.validation.properties.crystal import conventional, material_name
from lamplighter.validation.properties.vacancy_settings import VacancySettings
from lamplighter.validation.relax import (
    RelaxSettings,
    largest_force,
    relax_crystal,
    relax_ions,
)
from lamplighter.validation.structures import symmetry

__all__ = ["VacancySettings", "run"]

_VOLUME_STEP = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Vacancies on one kind of site, from small to large cells.

    Attributes:
        label: element, with a number where several kinds of its sites exist.
        to_free_atom: whether the removed atom becomes a free one.
        n_atoms: of the cells without vacancy.
        unrelaxed: formation energies, eV.
        relaxed: formation energies, eV.
        volumes: relaxation volumes, Å^3.
        displacement: largest move of an atom in any cell, Å.
        force: largest residual force, eV/Å.
        converged: whether all relaxations did.
    """

    label: str
    to_free_atom: bool
    n_atoms: tuple[int, ...]
    unrelaxed: FloatArray
    relaxed: FloatArray
    volumes: FloatArray
    displacement: float
    force: float
    converged: bool


def run(
    structure: Atoms, engine: Engine, settings: VacancySettings | None = None
) -> PropertyResult:
    """Return formation energies of vacancies on every kind of site.

    Values, extrapolated in 1/N: ``vacancy_formation_energy`` and ``..._unrelaxed``, eV,
    and ``vacancy_relaxation_volume``, Å^3, negative where the crystal shrinks. In a
    compound the site follows, as in ``vacancy_formation_energy_Mg``, and without a
    chemical potential the value is called ``vacancy_removal_energy_Mg``: the atom has
    become a free one. Arrays, one list a site: ``sites``, ``n_atoms``, ``energies``,
    ``unrelaxed_energies``, ``volumes``.

    Args:
        structure: a crystal, any cell; it is relaxed first.
        engine: what computes.
        settings: see [`VacancySettings`][].

    Raises:
        ConfigError: two sizes give the same cell.
        EngineError: the engine fails.
    """
    settings = settings or VacancySettings()
    crystal = relax_crystal(
        structure, engine, RelaxSettings(fmax=settings.crystal_fmax)
    )
    method: dict[str, Any] = asdict(settings)
    checks, sites = list(crystal.checks), list[Site]()
    if crystal.ok:
        cell = conventional(crystal.atoms)
        repeats = _repeats(cell, settings.sizes)
        method |= {
            "repeats": repeats,
            "cell": cell.cell.array,
            "symmetry": "not broken before the relaxation",
        }
        per_atom = crystal.energy / len(crystal.atoms)
        modulus = bulk_modulus(cell, engine, settings.fmax)
        sites = [
            _site((label, index), cell, repeats, modulus, per_atom, engine, settings)
            for label, index in _kinds(cell).items()
        ]
        checks += _checks(sites, settings)
    return PropertyResult.conclude(
        "vacancy",
        material_name(structure),
        engine.info,
        method=method,
        checks=checks,
        values=_values(sites),
        arrays={
            "sites": [site.label for site in sites],
            "n_atoms": [site.n_atoms for site in sites],
            "energies": [site.relaxed for site in sites],
            "unrelaxed_energies": [site.unrelaxed for site in sites],
            "volumes": [site.volumes for site in sites],
        },
    )


def extrapolate(n_atoms: Sequence[int], values: FloatArray) -> tuple[float, float]:
    """Return the value at 1/N = 0 and its error.

    The error is the larger of the fit's standard error and the distance between the
    extrapolated value and that of the largest cell.
    """
    inverse = 1.0 / np.asarray(n_atoms, dtype=float)
    terms = np.stack([np.ones_like(inverse), inverse], axis=1)
    found = np.linalg.lstsq(terms, values, rcond=None)[0]
    residuals = values - terms @ found
    variance = residuals @ residuals / max(len(values) - 2, 1)
    covariance = variance * np.linalg.inv(terms.T @ terms)
    error = max(float(np.sqrt(covariance[0, 0])), abs(float(found[0] - values[-1])))
    return float(found[0]), error


def bulk_modulus(cell: Atoms, engine: Engine, fmax: float) -> float:
    """Return the bulk modulus in eV/Å^3 from the stress at two volumes.

    Raises:
        EngineError: the engine fails or has no stress.
    """
    traces = []
    for sign in (-1, 1):
        other = cell.copy()
        factor = (1 + sign * _VOLUME_STEP) ** (1 / 3)
        other.set_cell(cell.cell.array * factor, scale_atoms=True)
        relaxed = relax_ions(other, engine, fmax=fmax)
        traces.append(float(np.trace(np.asarray(relaxed.stress))) / 3)
    return (traces[1] - traces[0]) / (2 * _VOLUME_STEP)


def _repeats(cell: Atoms, sizes: Sequence[int]) -> list[tuple[int, int, int]]:
    edge = cell.get_volume() ** (1 / 3)
    found = []
    for size in sorted(sizes):
        a, b, c = (max(1, round(size * edge / x)) for x in cell.cell.lengths())
        found.append((a, b, c))
    if len(set(found)) < len(found):
        raise ConfigError(
            explain(
                "two sizes of a vacancy's cell are the same",
                got=found,
                fix="choose sizes that are farther apart",
            )
        )
    return found


def _kinds(cell: Atoms) -> dict[str, int]:
    """Return one atom of each kind of site, by element and number."""
    first = sorted(set(symmetry(cell).equivalent_atoms.tolist()))
    symbols = [cell.symbols[index] for index in first]
    labels: dict[str, int] = {}
    for symbol, index in zip(symbols, first, strict=True):
        same = [s for s in labels if s.split("_")[0] == symbol]
        several = symbols.count(symbol) > 1
        labels[f"{symbol}_{len(same) + 1}" if several else symbol] = index
    return labels


def _site(
    kind: tuple[str, int],
    cell: Atoms,
    repeats: Sequence[tuple[int, int, int]],
    modulus: float,
    per_atom: float,
    engine: Engine,
    settings: VacancySettings,
) -> Site:
    label, index = kind
    per_cell = per_atom * len(cell)
    potential, free = _potential(cell, index, per_cell, engine, settings)
    left = np.asarray(engine.compute(cell, ("energy", "forces", "stress")).stress)
    counts, bare, relaxed, volumes, ends = [], [], [], [], []
    for repeat in repeats:
        whole = cell.repeat(repeat)
        perfect = per_cell * len(whole) / len(cell)
        with_hole = whole.copy()
        del with_hole[index]
        start = engine.compute(with_hole, ("energy", "forces")).energy
        end = relax_ions(
            with_hole, engine, fmax=settings.fmax, max_steps=settings.max_steps
        )
        # Of the vacancy alone: what the relaxation of the crystal left would grow with
        # the cell.
        pull = float(np.trace(np.asarray(end.stress) - left)) / 3
        counts.append(len(whole))
        bare.append(start - perfect + potential)
        relaxed.append(end.energy - perfect + potential)
        volumes.append(-pull * whole.get_volume() / modulus)
        moves = end.atoms.positions - with_hole.positions
        ends.append((end, np.linalg.norm(moves, axis=1).max()))
    return Site(
        label=label,
        to_free_atom=free,
        n_atoms=tuple(counts),
        unrelaxed=np.array(bare),
        relaxed=np.array(relaxed),
        volumes=np.array(volumes),
        displacement=float(max(move for _, move in ends)),
        force=max(largest_force(end.forces) for end, _ in ends),
        converged=all(end.ok for end, _ in ends),
    )


def _potential(
    cell: Atoms, index: int, per_cell: float, engine: Engine, settings: VacancySettings
) -> tuple[float, bool]:
    """Return the energy of the removed atom, eV, and whether it became a free one."""
    symbol = cell.symbols[index]
    given = settings.potentials.get(symbol)
    if given is not None:
        return given, False
    if len(set(cell.numbers)) == 1:
        return per_cell / len(cell), False
    alone = Atoms([symbol], positions=[[15.0] * 3], cell=[30.0] * 3)
    return engine.compute(alone, ("energy", "forces")).energy, True


def _checks(sites: Sequence[Site], settings: VacancySettings) -> list[Check]:
    checks = []
    for site in sites:
        energy, _ = extrapolate(site.n_atoms, site.relaxed)
        checks += [
            Check(
                name=f"relaxation of the vacancy ({site.label})",
                ok=site.converged,
                value=site.force,
                limit=settings.fmax,
                text="largest force on a relaxed cell, eV/Å",
            ),
            at_most(
                f"displacement ({site.label})",
                site.displacement,
                settings.max_displacement,
                "largest move of an atom, Å; beyond the limit this is another defect",
                hard=False,
            ),
            at_most(
                f"extrapolation ({site.label})",
                abs(energy - float(site.relaxed[-1])),
                settings.max_extrapolation,
                "from the largest cell to infinite size, eV; take larger cells",
                hard=False,
            ),
        ]
    return checks


def _values(sites: Sequence[Site]) -> dict[str, Quantity]:
    values = {}
    for site in sites:
        ending = f"_{site.label}" if len(sites) > 1 else ""
        kind = "removal" if site.to_free_atom else "formation"
        for name, unit, numbers in (
            (f"vacancy_{kind}_energy{ending}", "eV", site.relaxed),
            (f"vacancy_{kind}_energy_unrelaxed{ending}", "eV", site.unrelaxed),
            (f"vacancy_relaxation_volume{ending}", "Å^3", site.volumes),
        ):
            value, error = extrapolate(site.n_atoms, numbers)
            values[name] = Quantity(value=value, unit=unit, error=error)
    return values
