"""Lattice energy of a molecular crystal: crystal per molecule minus molecule alone.

Molecules are found by their bonds across the faces of the cell; the crystal is relaxed
with its cell, the molecule by itself. Zero-point motion is left out.

Source: G. J. O. Beran, Chem. Rev. 116, 5567 (2016).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from scipy import constants

from lamplighter.errors import DataError, explain
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
    require_positive,
)
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.relax import RelaxSettings, relax_crystal, relax_ions

_KJ_MOL: Final = constants.e * constants.N_A / 1e3
"""kJ/mol of one eV."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatticeEnergySettings:
    """How a molecular crystal and its molecule are relaxed.

    Attributes:
        fmax: largest force after each relaxation, eV/Å.
        max_stress: largest stress of the crystal, GPa.
        max_steps: optimiser steps of one relaxation.
        bond: largest length of a bond, as a fraction of the sum of covalent radii.
        max_bond_change: largest change of a bond on leaving the crystal, Å; beyond it
            the molecule alone is another one.
    """

    fmax: float = 1e-3
    max_stress: float = 1e-2
    max_steps: int = 1000
    bond: float = 1.25
    max_bond_change: float = 0.2

    def __post_init__(self) -> None:
        """Refuse thresholds that nothing can meet."""
        names = LatticeEnergySettings.__dataclass_fields__
        require_positive(self, names, "lattice_energy")


def run(
    start: Atoms, engine: Engine, settings: LatticeEnergySettings | None = None
) -> PropertyResult:
    """Return the lattice energy of a crystal of one kind of molecule.

    Values: ``lattice_energy`` kJ/mol of molecules, negative when bound;
    ``molecule_strain_energy`` kJ/mol, what the molecule in the crystal lies above the
    one alone. ``method`` says formula and number of the molecules in the cell. Arrays:
    ``symbols`` and ``positions`` of the molecule alone.

    Args:
        start: any cell of the crystal.
        engine: what computes.
        settings: see [`LatticeEnergySettings`][].

    Raises:
        DataError: there are no molecules, or those of several kinds.
        EngineError: an evaluation fails.
    """
    settings = settings or LatticeEnergySettings()
    before = same_molecules(start, settings.bond)
    relaxed = relax_crystal(
        start,
        engine,
        RelaxSettings(
            fmax=settings.fmax,
            max_stress=settings.max_stress,
            max_steps=settings.max_steps,
        ),
    )
    checks = list(relaxed.checks)
    method: dict[str, Any] = {
        **dataclasses.asdict(settings),
        "molecule": before[0].get_chemical_formula(),
        "molecules_per_cell": len(before),
    }
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if relaxed.ok:
        inside = same_molecules(relaxed.atoms, settings.bond)[0]
        alone = relax_ions(
            inside, engine, fmax=settings.fmax, max_steps=settings.max_steps
        )
        checks += alone.checks
        checks.append(_same_molecule(inside, alone.atoms, settings))
        whole = relaxed.energy / len(before)
        strain = engine.compute(inside, ("energy", "forces")).energy - alone.energy
        values = {
            "lattice_energy": Quantity(
                value=(whole - alone.energy) * _KJ_MOL, unit="kJ/mol"
            ),
            "molecule_strain_energy": Quantity(value=strain * _KJ_MOL, unit="kJ/mol"),
        }
        arrays = {
            "symbols": alone.atoms.get_chemical_symbols(),
            "positions": alone.atoms.positions,
        }
    return PropertyResult.conclude(
        "lattice_energy",
        material_name(start),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def molecules(atoms: Atoms, fraction: float = 1.25) -> list[Atoms]:
    """Return the molecules of a crystal, each whole and without periodicity.

    Args:
        atoms: a crystal; bonds go across the faces of its cell.
        fraction: largest length of a bond over the sum of covalent radii.

    Raises:
        DataError: bonds go on without end, as in a salt, a metal or a layer.
    """
    radii = (fraction * covalent_radii[atoms.numbers]).tolist()
    first, second, shifts = neighbor_list("ijS", atoms, radii)
    links: list[list[tuple[int, Any]]] = [[] for _ in atoms]
    for i, j, shift in zip(first, second, shifts, strict=True):
        links[i].append((int(j), shift))
    places: dict[int, Any] = {}
    found = []
    for seed in range(len(atoms)):
        if seed in places:
            continue
        places[seed] = np.zeros(3, dtype=int)
        members = [seed]
        for here in members:  # grows while it is walked
            for there, shift in links[here]:
                where = places[here] + shift
                if there not in places:
                    places[there] = where
                    members.append(there)
                elif (places[there] != where).any():
                    raise _endless(atoms, there)
        offsets = np.array([places[index] for index in members]) @ atoms.cell.array
        found.append(
            Atoms(
                numbers=atoms.numbers[members],
                positions=atoms.positions[members] + offsets,
            )
        )
    return found


def same_molecules(atoms: Atoms, fraction: float) -> list[Atoms]:
    """Return the molecules of a crystal that has one kind of them.

    Raises:
        DataError: there are several kinds, or none.
    """
    found = molecules(atoms, fraction)
    kinds = sorted({one.get_chemical_formula() for one in found})
    if len(kinds) != 1:
        raise DataError(
            explain(
                "a lattice energy is that of one kind of molecule",
                got=", ".join(kinds),
                wanted="one formula",
                fix="take another value of bond if these are pieces of one molecule",
            )
        )
    return found


def _same_molecule(
    inside: Atoms, alone: Atoms, settings: LatticeEnergySettings
) -> Check:
    def lengths(atoms: Atoms) -> FloatArray:
        return np.asarray(atoms.get_all_distances())

    radii = covalent_radii[inside.numbers]
    bonded = lengths(inside) < settings.bond * (radii[:, None] + radii[None])
    change = np.abs(lengths(alone) - lengths(inside))[bonded]
    return at_most(
        "bonds of the molecule",
        float(change.max(initial=0.0)),
        settings.max_bond_change,
        "largest change of a bond on leaving the crystal, Å",
    )


def _endless(atoms: Atoms, index: int) -> DataError:
    return DataError(
        explain(
            f"{atoms.get_chemical_formula()} is no crystal of molecules",
            got=f"bonds without end through {atoms.symbols[index]}, atom {index}",
            wanted="molecules that are bonded to no other",
            fix="take a smaller value of bond if these bonds are none",
        )
    )
