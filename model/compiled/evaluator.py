"""Structures of any head and elements, compiled when they come."""

from __future__ import annotations

from typing import Final

import torch
from ase import Atoms

from lamplighter.model.compiled.potential import CompiledPotential, compile_potential
from lamplighter.model.derivatives import atomic_virials
from lamplighter.model.evaluate import (
    refuse_not_finite,
    refuse_same_place,
    volume_of,
)
from lamplighter.model.evaluation import Evaluation
from lamplighter.model.neighbors import graph_from_atoms, structure_conditions
from lamplighter.model.potential import Potential

_MOST_KEPT: Final = 8

_Key = tuple[str, tuple[float, ...]]


class CompiledEvaluator:
    """Evaluates structures with potentials compiled on demand.

    One is kept for each head and values of the conditions, up to eight. It is compiled
    again, for all elements seen so far, when a structure brings a new one.
    """

    def __init__(self, potential: Potential, dtype: str) -> None:
        """Compile parts of `potential`, in `dtype`."""
        self._potential, self._dtype = potential, dtype
        self._kept: dict[_Key, CompiledPotential] = {}

    def evaluate(self, atoms: Atoms, head: str | None) -> Evaluation:
        """Return energy, forces and stresses of a structure.

        Raises:
            ConfigError: an unknown head, element or condition.
            DataError: no neighbour list, two atoms at one place, or an energy or a
                force that is not finite.
        """
        compiled = self.compiled_for(atoms, head)
        graph = graph_from_atoms(atoms, compiled.config, None)
        refuse_same_place(atoms, graph)
        energies, gradients = compiled.evaluate(graph)
        forces = torch.zeros(graph.n_atoms, 3, dtype=torch.float64)
        forces.index_add_(0, graph.centers, gradients)
        forces.index_add_(0, graph.neighbors, -gradients)
        virial = -(graph.pair_vectors.T @ gradients)
        found = Evaluation.of(
            energies.numpy(),
            forces.numpy(),
            virial.numpy(),
            atomic_virials(graph, gradients).numpy(),
            volume_of(atoms),
        )
        refuse_not_finite(atoms, found)
        return found

    def compiled_for(self, atoms: Atoms, head: str | None) -> CompiledPotential:
        """Return a compiled potential for a structure, made now or before."""
        config = self._potential.config
        spec = config.head(head)
        conditions = structure_conditions(atoms, config)[0].tolist()
        key = (spec.name, tuple(conditions))
        needed = set(atoms.get_chemical_symbols())
        kept = self._kept.pop(key, None)
        if kept is not None and needed <= set(kept.config.elements):
            self._kept[key] = kept  # the last in line to be dropped
            return kept
        if kept is not None:
            needed |= set(kept.config.elements)
        made = compile_potential(
            self._potential,
            spec.name,
            sorted(needed) or list(spec.reference_energies)[:1],
            conditions={
                one.name: value
                for one, value in zip(config.conditions, conditions, strict=True)
            },
            dtype=self._dtype,
        )
        self._kept[key] = made
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return made
