"""Structures of any head and elements, compiled when they come."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Final

import torch
from ase import Atoms

from lamplighter.errors import (
    CheckFailedError,
    ConfigError,
    DataError,
    EngineError,
    UnsupportedModelError,
)
from lamplighter.model.compiled.check import Reference
from lamplighter.model.compiled.device import DevicePotential
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
from lamplighter.model.select import select

_MOST_KEPT: Final = 8

MOST_ELEMENTS: Final = 6
"""In one compiled potential where nobody asked for it: tables grow with the square."""

MOST_COMPILED: Final = 16
"""How many compiled potentials are made where nobody asked for them."""

_Key = tuple[str, tuple[float, ...]]


class CompiledEvaluator:
    """Evaluates structures with potentials compiled on demand.

    One is kept for each head and values of the conditions, up to eight. It is compiled
    again, for all elements seen so far, when a structure brings a new one.
    """

    def __init__(self, potential: Potential, dtype: str, device: str = "cpu") -> None:
        """Compile parts of `potential`, in `dtype`, for a processor or a GPU."""
        self._potential, self._dtype, self._device = potential, dtype, device
        self._kept: dict[_Key, CompiledPotential | DevicePotential] = {}

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

    def compiled_for(
        self, atoms: Atoms, head: str | None
    ) -> CompiledPotential | DevicePotential:
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
        self._kept[key] = self._made(
            spec.name,
            sorted(needed) or list(spec.reference_energies)[:1],
            {
                one.name: value
                for one, value in zip(config.conditions, conditions, strict=True)
            },
        )
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return self._kept[key]

    def _made(
        self, head: str, elements: Sequence[str], conditions: Mapping[str, float]
    ) -> CompiledPotential | DevicePotential:
        """Return a compiled potential where it will be evaluated."""
        made = compile_potential(
            self._potential, head, elements, conditions=conditions, dtype=self._dtype
        )
        if torch.device(self._device).type == "cpu":
            return made
        there = DevicePotential(made, self._device)
        part = select(self._potential, head, elements, conditions)
        there.check(Reference(part.double().cpu()))
        return there


class WhereSupported:
    """Evaluates what can be compiled with little trouble, and leaves the rest.

    The rest is a part that the compiled potential does not have, a tolerance that is
    not reached, a missing library, more than `MOST_ELEMENTS` elements in a structure,
    and structures of ever new elements; each is said once.
    """

    def __init__(self, potential: Potential, dtype: str) -> None:
        """Compile parts of `potential`, in `dtype`."""
        self._potential, self._dtype = potential, dtype
        self._evaluators: list[tuple[set[str], CompiledEvaluator]] = []
        self._refused: set[_Key] = set()

    def evaluate(self, atoms: Atoms, head: str | None) -> Evaluation | None:
        """Return energy, forces and stresses; None: the reference has to do it.

        What is wrong with a structure, too: the reference says it.
        """
        elements = set(atoms.get_chemical_symbols())
        key = (str(head), tuple(sorted(elements)))
        if key in self._refused:
            return None
        try:
            known, evaluator = self._evaluator_of(elements)
            found = None if evaluator is None else evaluator.evaluate(atoms, head)
        except (UnsupportedModelError, CheckFailedError, EngineError) as error:
            self._refused.add(key)
            _say(str(error))
            return None
        except (DataError, ConfigError):
            return None
        known |= elements
        return found

    def _evaluator_of(
        self, elements: set[str]
    ) -> tuple[set[str], CompiledEvaluator | None]:
        """Return the evaluator that keeps these elements, or may come to keep them.

        And the elements that it has evaluated so far.
        """
        for known, evaluator in self._evaluators:
            if len(known | elements) <= MOST_ELEMENTS:
                return known, evaluator
        if len(elements) > MOST_ELEMENTS or len(self._evaluators) >= MOST_COMPILED:
            _say(f"tables of {len(elements)} elements more would be too many")
            return set(), None
        made = CompiledEvaluator(self._potential, self._dtype)
        self._evaluators.append((set(), made))
        return self._evaluators[-1]


def _say(why: str) -> None:
    """Print one line; Python says the same only once."""
    message = f"Lamplighter: the reference evaluates, not the compiled potential: {why}"
    warnings.warn(message, RuntimeWarning, stacklevel=4)
