"""The three benchmarks without data: diatomics, extensivity, locality."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.build import fcc111, molecule
from ase.data import atomic_numbers, covalent_radii, reference_states
from scipy.stats import spearmanr

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.benchmarks.protocol import Outcome
from lamplighter.validation.engines.base import Engine, FloatArray

_WANT: Final = ("energy", "forces")
_STEP: Final = 0.01
_FARTHEST: Final = 6.0
_FORCE_ZERO: Final = 1e-2
"""eV/Å: smaller forces have no sign that counts."""

TRIALS: Final = 30
NEON: Final = 20


def diatomics(engine: Engine, elements: Sequence[str], _: Path) -> Outcome:
    """Return the shape of the curves of all pairs, averaged over pairs.

    Distances go from 0.9 of the mean covalent radius to 6 Å in steps of 0.01 Å.
    """
    pairs = list(combinations_with_replacement(sorted(elements), 2))
    rows = [_curve(engine, pair) for pair in pairs]
    names = ("force_flips", "minima", "inflections", "repulsion", "attraction")
    return Outcome(
        values={name: float(np.mean([row[name] for row in rows])) for name in names},
        rows=rows,
    )


def _curve(engine: Engine, pair: tuple[str, str]) -> dict[str, Any]:
    radius = np.mean([covalent_radii[atomic_numbers[symbol]] for symbol in pair])
    distances = np.arange(0.9 * radius, _FARTHEST, _STEP)
    cells = [Atoms(list(pair), positions=[[0, 0, 0], [0, 0, r]]) for r in distances]
    results = engine.compute_many(cells, _WANT)
    energies = np.array([result.energy for result in results])
    pull = np.array([result.forces[1, 2] for result in results])
    lowest = int(energies.argmin())
    return {
        "pair": "-".join(pair),
        "force_flips": _changes_of_sign(pull, _FORCE_ZERO),
        "minima": _minima(energies),
        "inflections": _changes_of_sign(np.diff(pull), _FORCE_ZERO * _STEP),
        "repulsion": _rank(distances[: lowest + 1], energies[: lowest + 1], -1.0),
        "attraction": _rank(distances[lowest:], energies[lowest:], 1.0),
    }


def _changes_of_sign(values: FloatArray, zero: float) -> int:
    signs = np.sign(values[np.abs(values) > zero])
    return int(np.sum(signs[1:] != signs[:-1]))


def _minima(energies: FloatArray) -> int:
    """Return the number of minima inside the curve that are deeper than 1 meV."""
    count, top, low = 0, energies[0], energies[0]
    falling = False
    for energy in energies[1:]:
        if energy < top - 1e-3:
            falling = True
        low = min(low, energy) if falling else energy
        if falling and energy > low + 1e-3:
            count, falling, top = count + 1, False, energy
        top = top if falling else max(top, energy)
    return count


def _rank(distances: FloatArray, energies: FloatArray, empty: float) -> float:
    """Return the rank correlation; a branch that is not there is as it should be."""
    if len(energies) < 3 or np.ptp(energies) == 0.0:
        return empty
    return float(spearmanr(distances, energies).statistic)


def extensivity(engine: Engine, elements: Sequence[str], _: Path) -> Outcome:
    """Return by how much two slabs 100 Å apart differ from each alone, meV."""
    pair, deviations = _two_metals(elements)
    slabs = [_slab(symbol) for symbol in pair]
    both = slabs[0].copy()
    above = slabs[1].copy()
    above.positions += (0, 0, np.ptp(both.positions[:, 2]) + 100.0)
    both += above
    together, *alone = engine.compute_many([both, *slabs], _WANT)
    error = abs(together.energy - sum(result.energy for result in alone))
    row = {"slabs": " and ".join(pair), "error_meV": 1000 * error}
    return Outcome(values={"energy": 1000 * error}, rows=[row], deviations=deviations)


def _two_metals(elements: Sequence[str]) -> tuple[list[str], list[str]]:
    if {"Al", "Ni"} <= set(elements):
        return ["Al", "Ni"], []
    pair = (sorted(elements) * 2)[:2]
    return pair, [f"slabs of {' and '.join(pair)} instead of Al and Ni"]


def _slab(symbol: str) -> Atoms:
    """Return eight layers of 4 x 4 atoms; what is no fcc metal gets a lattice."""
    number = atomic_numbers[symbol]
    state: Any = reference_states[number]
    fcc = state is not None and state["symmetry"] == "fcc"
    a = state["a"] if fcc else 2 * 2**0.5 * covalent_radii[number]
    slab: Atoms = fcc111(symbol, (4, 4, 8), a=a)
    slab.set_cell(np.zeros((3, 3)))
    slab.pbc = False
    slab.positions -= slab.positions.min(axis=0)
    return slab


def locality(engine: Engine, elements: Sequence[str], _: Path) -> Outcome:
    """Return how forces in a molecule change by what is far away, meV/Å.

    Two metrics: 20 neon atoms at least 40 Å away, and one hydrogen atom 20 to 50 Å
    away in 30 places.
    """
    centre, deviations = _molecule(elements)
    rng = np.random.default_rng(15)
    noble = "Ne" if "Ne" in elements else min(elements)
    if noble != "Ne":
        deviations.append(f"20 atoms of {noble} instead of neon")
    light = "H" if "H" in elements else min(elements)
    if light != "H":
        deviations.append(f"one atom of {light} instead of hydrogen")
    shell = 45.0 * _directions(rng, NEON)
    # The cloud is of free atoms: they must not be neighbours of each other.
    shell *= (1.0 + 0.2 * np.arange(NEON) / NEON)[:, None]
    crowded = centre + Atoms([noble] * NEON, positions=shell)
    distances = rng.uniform(20.0, 50.0, TRIALS)
    places = distances[:, None] * _directions(rng, TRIALS)
    visited = [centre + Atoms(light, positions=[place]) for place in places]
    alone, cloud, *single = engine.compute_many([centre, crowded, *visited], _WANT)
    by_cloud = _change(cloud.forces, alone.forces)
    by_one = [_change(result.forces, alone.forces) for result in single]
    rows = [{"what": "20 atoms", "change_meV_per_A": by_cloud}]
    rows += [
        {"what": f"one atom at {r:.1f} Å", "change_meV_per_A": change}
        for r, change in zip(distances, by_one, strict=True)
    ]
    return Outcome(
        values={"cloud": by_cloud, "single": float(np.mean(by_one))},
        rows=rows,
        deviations=deviations,
    )


def _molecule(elements: Sequence[str]) -> tuple[Atoms, list[str]]:
    if {"C", "H", "O"} <= set(elements):
        acetone: Atoms = molecule("CH3COCH3")
        acetone.positions -= acetone.positions.mean(axis=0)
        return acetone, []
    if not elements:
        raise ConfigError(explain("no elements", wanted="--elements, one or more"))
    symbol = min(elements)
    edge = 2 * covalent_radii[atomic_numbers[symbol]]
    grid = np.indices((2, 2, 2)).reshape(3, -1).T - 0.5
    rng = np.random.default_rng(16)
    places = edge * grid + rng.normal(0, 0.05, (8, 3))
    return Atoms([symbol] * 8, positions=places), [f"{symbol}8 instead of acetone"]


def _directions(rng: np.random.Generator, count: int) -> FloatArray:
    vectors = rng.normal(size=(count, 3))
    found: FloatArray = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return found


def _change(forces: FloatArray, alone: FloatArray) -> float:
    """Return the largest change of a force on the molecule, meV/Å."""
    return float(1000 * np.linalg.norm(forces[: len(alone)] - alone, axis=1).max())
