"""Whether energies add up: replicas of a cell, and molecules that are far apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)
from lamplighter.validation.properties.crystal import material_name

_WANT = ("energy", "forces")
_DIRECTION = np.array([2.0, -3.0, 6.0]) / 7.0
_REPEATS: Final = ((2, 1, 1), (1, 2, 1), (1, 1, 2), (2, 2, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensivitySettings:
    """How far apart is far, and what counts as equal.

    Attributes:
        gap: empty space between two molecules, Å; ``None`` is 20 Å or four times the
            engine's cutoff, whichever is more.
        n_atoms: of the molecule that is cut out of a crystal.
        rattle: standard deviation of the displacements of the replicated cell, Å.
        max_energy: largest error of the energy, eV/atom; ``None`` is 1e-8 in float64
            and 1e-5 in float32.
        max_force: largest error of a force, eV/Å; ``None`` is 1e-7 in float64 and 1e-3
            in float32.
        seed: of the displacements.
    """

    gap: float | None = None
    n_atoms: int = 8
    rattle: float = 0.05
    max_energy: float | None = None
    max_force: float | None = None
    seed: int = 5

    def __post_init__(self) -> None:
        """Refuse molecules without atoms.

        Raises:
            ConfigError: fewer than two atoms, or no gap.
        """
        if self.n_atoms < 2 or (self.gap is not None and not self.gap > 0):
            raise ConfigError(
                explain(
                    "molecules for extensivity",
                    got=f"{self.n_atoms} atoms, gap {self.gap}",
                    wanted="2 atoms or more and a positive gap",
                )
            )


def run(
    structure: Atoms, engine: Engine, settings: ExtensivitySettings | None = None
) -> PropertyResult:
    """Return by how much energies fail to add up.

    Values: ``replica_energy_error`` (eV/atom) and ``replica_force_error`` (eV/Å): a
    rattled cell against its replicas; ``additivity_energy_error`` (eV/atom) and
    ``additivity_force_error`` (eV/Å): two molecules far apart against each alone.

    Args:
        structure: a crystal, or a molecule without periodicity: then there are no
            replicas.
        engine: what computes.
        settings: see [`ExtensivitySettings`][].

    Raises:
        EngineError: the engine fails.
    """
    settings = settings or ExtensivitySettings()
    double = engine.info.dtype == "float64"
    energy_limit, force_limit = (1e-8, 1e-7) if double else (1e-5, 1e-3)
    # Nothing but rounding may be left: zero is a limit, and not a missing one.
    if settings.max_energy is not None:
        energy_limit = settings.max_energy
    if settings.max_force is not None:
        force_limit = settings.max_force
    gap = settings.gap or max(20.0, 4 * engine.info.cutoff)
    found = {"additivity": _far_apart(structure, engine, gap, settings)}
    if structure.pbc.all():
        found["replica"] = _replicas(structure, engine, settings)
    checks: list[Check] = []
    values: dict[str, Quantity] = {}
    for name, (energy, force) in found.items():
        checks += [
            at_most(f"{name} energy", energy, energy_limit, "error, eV/atom"),
            at_most(f"{name} forces", force, force_limit, "largest error, eV/Å"),
        ]
        values[f"{name}_energy_error"] = Quantity(value=energy, unit="eV/atom")
        values[f"{name}_force_error"] = Quantity(value=force, unit="eV/Å")
    method: dict[str, Any] = asdict(settings) | {
        "gap": gap,
        "max_energy": energy_limit,
        "max_force": force_limit,
    }
    return PropertyResult.conclude(
        "extensivity",
        material_name(structure),
        engine.info,
        method=method,
        checks=checks,
        values=values,
    )


def molecule_of(structure: Atoms, n_atoms: int) -> Atoms:
    """Return a compact piece of a crystal as a molecule; a molecule stays as it is.

    Args:
        structure: with or without periodicity.
        n_atoms: of the piece.
    """
    if not structure.pbc.any():
        whole: Atoms = structure.copy()
        return whole
    edge = 2.0 * (n_atoms * structure.get_volume() / len(structure)) ** (1 / 3)
    repeats = [int(np.ceil(edge / length)) + 1 for length in structure.cell.lengths()]
    many = structure.repeat(repeats)
    away = np.linalg.norm(many.positions - many.cell.array.sum(axis=0) / 2, axis=1)
    # Rounded, so that atoms at one distance come in their own order everywhere.
    nearest = np.argsort(np.round(away, 6), kind="stable")[:n_atoms]
    return Atoms(numbers=many.numbers[nearest], positions=many.positions[nearest])


def _replicas(
    structure: Atoms, engine: Engine, settings: ExtensivitySettings
) -> tuple[float, float]:
    """Return the largest errors of energy (per atom) and force of replicas."""
    cell = structure.copy()
    draw = np.random.default_rng(settings.seed)
    cell.positions += draw.normal(0.0, settings.rattle, cell.positions.shape)
    one = engine.compute(cell, _WANT)
    energy = force = 0.0
    for repeat in _REPEATS:
        many = engine.compute(cell.repeat(repeat), _WANT)
        times = int(np.prod(repeat))
        energy = max(energy, abs(many.energy / times - one.energy) / len(cell))
        expected = np.tile(one.forces, (times, 1))
        force = max(force, float(np.abs(many.forces - expected).max()))
    return energy, force


def _far_apart(
    structure: Atoms, engine: Engine, gap: float, settings: ExtensivitySettings
) -> tuple[float, float]:
    """Return the errors of energy (per atom) and force of two molecules."""
    first = molecule_of(structure, settings.n_atoms)
    draw = np.random.default_rng(settings.seed)
    first.positions += draw.normal(0.0, settings.rattle, first.positions.shape)
    second = first[::-1]
    second.positions += draw.normal(0.0, settings.rattle, second.positions.shape)
    second.rotate(40, (1, 2, 3))
    sizes = [np.linalg.norm(m.positions - m.positions.mean(0), axis=1).max()
             for m in (first, second)]  # fmt: skip
    first.positions -= first.positions.mean(axis=0)
    second.positions += (sum(sizes) + gap) * _DIRECTION - second.positions.mean(axis=0)
    both = first + second
    for atoms in (both, first, second):
        atoms.center(vacuum=10.0 + gap)
    alone = [engine.compute(atoms, _WANT) for atoms in (first, second)]
    together = engine.compute(both, _WANT)
    energy = abs(together.energy - alone[0].energy - alone[1].energy) / len(both)
    expected = np.vstack([one.forces for one in alone])
    return energy, float(np.abs(together.forces - expected).max())


def nearest_distance(atoms: Atoms) -> float:
    """Return the shortest distance between two atoms, Å; infinite above 8 Å."""
    found = neighbor_list("d", atoms, 8.0)
    return float(found.min()) if len(found) else float("inf")
