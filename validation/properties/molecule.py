"""A molecule, or several that hold each other, at the engine's minimum."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    require_positive,
)
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.relax import Relaxed, relax_ions


@dataclass(frozen=True, slots=True, kw_only=True)
class MoleculeSettings:
    """How a molecule is relaxed and what counts as a bond.

    Attributes:
        fmax: largest force after the relaxation, eV/Å.
        max_steps: of each relaxation.
        bond: largest length of a bond, as a fraction of the sum of covalent radii.
    """

    fmax: float = 1e-4
    max_steps: int = 1000
    bond: float = 1.25

    def __post_init__(self) -> None:
        """Refuse thresholds that nothing can meet.

        Raises:
            ConfigError: one is not positive.
        """
        require_positive(self, ("fmax", "max_steps", "bond"), "molecule")


def run(
    structure: Atoms, engine: Engine, settings: MoleculeSettings | None = None
) -> PropertyResult:
    """Return bond lengths and, of several molecules, what holds them together.

    Values: ``bond_length_H_O`` (Å, mean over the bonds of two elements);
    ``atomization_energy`` is not given, free atoms being what models know least. Of
    several molecules also ``binding_energy`` (eV, positive when bound, against each
    molecule relaxed alone) and ``contact_O_O`` (Å, the shortest distance between heavy
    atoms of two molecules). Arrays: ``positions``, ``numbers``, ``parts``.

    Args:
        structure: one molecule or several, without periodicity.
        engine: what computes.
        settings: see [`MoleculeSettings`][].

    Raises:
        ConfigError: the structure is periodic: bonds across its faces would be missed.
        EngineError: the engine fails.
    """
    settings = settings or MoleculeSettings()
    if structure.pbc.any():
        raise ConfigError(
            explain(
                "the property 'molecule' takes no periodic structure",
                got=f"pbc {structure.pbc.tolist()}",
                wanted="a molecule alone",
                fix="set pbc to False, or take a property of crystals",
            )
        )
    whole = _relax(structure, engine, settings)
    bonds, parts = _bonds(structure, settings.bond)
    after, _ = _bonds(whole.atoms, settings.bond)
    checks = [*whole.checks, _same_bonds(bonds, after)]
    values = _bond_lengths(whole.atoms, after)
    n_parts = int(parts.max()) + 1
    if n_parts > 1:
        alone = [
            _relax(whole.atoms[parts == part], engine, settings)
            for part in range(n_parts)
        ]
        checks += [check for one in alone for check in one.checks]
        energy = sum(one.energy for one in alone) - whole.energy
        values["binding_energy"] = Quantity(value=energy, unit="eV")
        values |= _contact(whole.atoms, parts)
    return PropertyResult.conclude(
        "molecule",
        material_name(structure),
        engine.info,
        method=asdict(settings),
        checks=checks,
        values=values,
        arrays={
            "positions": whole.atoms.positions,
            "numbers": whole.atoms.numbers,
            "parts": parts,
        },
    )


def _relax(atoms: Atoms, engine: Engine, settings: MoleculeSettings) -> Relaxed:
    return relax_ions(atoms, engine, fmax=settings.fmax, max_steps=settings.max_steps)


def _bonds(atoms: Atoms, fraction: float) -> tuple[FloatArray, FloatArray]:
    """Return the matrix of bonds and the number of each atom's molecule."""
    radii = covalent_radii[atoms.numbers]
    distances = atoms.get_all_distances()
    bonded = distances < fraction * (radii[:, None] + radii[None, :])
    np.fill_diagonal(bonded, val=False)
    _, parts = connected_components(csr_array(bonded), directed=False)
    return bonded, parts


def _same_bonds(before: FloatArray, after: FloatArray) -> Check:
    changed = int(np.sum(before != after)) // 2
    return Check(
        name="bonds",
        ok=changed == 0,
        value=float(changed),
        limit=0.0,
        text="bonds that broke or formed in the relaxation",
    )


def _bond_lengths(atoms: Atoms, bonded: FloatArray) -> dict[str, Quantity]:
    """Return the mean length of the bonds of each pair of elements."""
    distances = atoms.get_all_distances()
    symbols = np.array(atoms.get_chemical_symbols())
    values = {}
    for a, b in combinations_with_replacement(sorted(set(symbols)), 2):
        pair = np.outer(symbols == a, symbols == b) & bonded
        found = distances[np.triu(pair | pair.T)]
        if len(found):
            values[f"bond_length_{a}_{b}"] = Quantity(value=found.mean(), unit="Å")
    return values


def _contact(atoms: Atoms, parts: FloatArray) -> dict[str, Quantity]:
    """Return the shortest distance of heavy atoms of different molecules."""
    heavy = atoms.numbers > atomic_numbers["H"]
    apart = parts[:, None] != parts[None, :]
    pairs = apart & heavy[:, None] & heavy[None, :]
    if not pairs.any():
        return {}
    distances = np.where(pairs, atoms.get_all_distances(), np.inf)
    first, second = np.unravel_index(distances.argmin(), distances.shape)
    a, b = sorted((atoms[int(first)].symbol, atoms[int(second)].symbol))
    return {f"contact_{a}_{b}": Quantity(value=distances.min(), unit="Å")}
