"""The model under test: a calculator, and what is known about it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.data import atomic_numbers

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.files import sha256_file
from lamplighter.model import Calculator, Potential, load_potential
from lamplighter.validation.model_checks.batched import (
    Evaluation,
    evaluate_stream,
    undefined,
)
from lamplighter.validation.model_checks.tolerances import TOLERANCES, Tolerances

SAMPLE_SIZE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A calculator and the facts that the checks need.

    Attributes:
        calculator: any ASE calculator.
        name: file name, or class of the calculator.
        elements: every element that it knows.
        sample: the elements that the structures are made of.
        dtype: precision of the evaluation, ``"float64"`` or ``"float32"``.
        cutoff: largest distance of two atoms that see each other directly, Å; None
            when unknown.
        receptive_field: largest distance at which an atom can change the energy of
            another, Å; for message passing ``n_layers * cutoff``.
        potential: the Lamplighter potential, None for other calculators.
        batches: whether the calculator adds nothing to the potential, so that curves
            of many structures may be evaluated in batches.
        head: head of the potential.
        reference_energies: E0 per element, eV; empty when unknown.
        sha256: of the model file; empty when there is none.
    """

    calculator: AseCalculator
    name: str
    elements: tuple[str, ...]
    sample: tuple[str, ...]
    dtype: str = "float64"
    cutoff: float | None = None
    receptive_field: float | None = None
    potential: Potential | None = None
    batches: bool = False
    head: str | None = None
    reference_energies: Mapping[str, float] = field(default_factory=dict)
    sha256: str = ""

    @property
    def tolerances(self) -> Tolerances:
        """Return the tolerances of the precision in use."""
        return TOLERANCES[self.dtype]

    @property
    def epsilon(self) -> float:
        """Return the relative rounding of a total energy.

        Potentials add E0 in float64; other calculators keep their own precision.
        """
        dtype = "float64" if self.potential is not None else self.dtype
        return float(np.finfo(dtype).eps)

    def has(self, name: str) -> bool:
        """Return whether the calculator says that it computes a property."""
        return name in self.calculator.implemented_properties

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Return energy, forces and, where there is one, stress; nothing is cached.

        All are NaN where a calculator refuses to return what is not finite.
        """
        one = atoms.copy()
        calculator = self.calculator
        calculator.reset()
        try:
            energy = float(calculator.get_potential_energy(one))
        except DataError:
            return undefined(len(one))
        forces = np.array(calculator.get_forces(one), dtype=np.float64)
        stress = energies = None
        if one.pbc.all() and self.has("stress"):
            xx, yy, zz, yz, xz, xy = calculator.get_stress(one)
            stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]], np.float64)
        if self.has("energies"):
            found = calculator.get_property("energies", one)
            energies = np.array(found, dtype=np.float64)
        interaction = 0.0
        if self.reference_energies:
            symbols = one.get_chemical_symbols()
            interaction = energy - sum(self.reference_energies[s] for s in symbols)
        return Evaluation(energy, forces, stress, energies, interaction)

    def evaluate_many(self, structures: Sequence[Atoms]) -> list[Evaluation]:
        """Return the evaluation of each structure, in batches where that is possible.

        A potential gives the same numbers in a batch (the check ``batch`` is about
        that), many times faster.
        """
        if self.potential is None or self.head is None or not self.batches:
            return [self.evaluate(atoms) for atoms in structures]
        return list(evaluate_stream(self.potential, self.head, structures))


def subject_of_potential(
    model: str | os.PathLike[str] | Potential,
    head: str | None = None,
    dtype: str = "float64",
    device: str = "cpu",
    elements: Sequence[str] | None = None,
) -> Subject:
    """Return the subject for a model file or a potential.

    Args:
        model: a model file, or a potential.
        head: needed when the model has several.
        dtype: ``"float64"`` or ``"float32"``.
        device: as torch names it.
        elements: what the structures are made of; at most four of the head's elements,
            spread over the periodic table, when left out.

    Raises:
        ArtifactError: the file is not a usable model.
        ConfigError: unknown head, dtype or element.
    """
    loaded = isinstance(model, Potential)
    potential = model if isinstance(model, Potential) else load_potential(model, dtype)
    spec = potential.config.head(head)
    known = tuple(e for e in potential.config.elements if e in spec.reference_energies)
    config = potential.config
    calculator = Calculator(potential, spec.name, dtype, device, backend="reference")
    return Subject(
        calculator=calculator,
        name="Potential" if loaded else Path(str(model)).name,
        elements=known,
        sample=_sample(known, elements),
        dtype=dtype,
        cutoff=config.cutoff,
        receptive_field=config.n_layers * config.cutoff,
        potential=calculator.potential,
        batches=True,
        head=spec.name,
        reference_energies=spec.reference_energies,
        sha256="" if isinstance(model, Potential) else sha256_file(Path(model)),
    )


def subject_of_calculator(
    calculator: AseCalculator,
    elements: Sequence[str] | None,
    *,
    cutoff: float | None = None,
    receptive_field: float | None = None,
    dtype: str = "float64",
) -> Subject:
    """Return the subject for any ASE calculator.

    Args:
        calculator: computes energy and forces, and stress if it can.
        elements: that it knows.
        cutoff: Å; without it the checks at the cutoff are skipped.
        receptive_field: range of an atom's energy, Å; the cutoff when left out.
        dtype: precision in which the calculator works.

    Raises:
        ConfigError: no elements, or an unknown dtype.
    """
    if isinstance(calculator, Calculator):
        subject = subject_of_potential(
            calculator.potential, calculator.head, dtype, calculator.device, elements
        )
        return replace(subject, calculator=calculator, batches=False)
    if dtype not in TOLERANCES:
        wanted = " or ".join(TOLERANCES)
        raise ConfigError(explain("unknown dtype", got=repr(dtype), wanted=wanted))
    if not elements:
        raise ConfigError(
            explain(
                "the elements of a calculator must be named",
                got=type(calculator).__name__,
                wanted="elements that it can compute",
                fix="pass elements=('Cu', 'Au')",
            )
        )
    return Subject(
        calculator=calculator,
        name=type(calculator).__name__,
        elements=tuple(elements),
        sample=_sample(elements, elements),
        dtype=dtype,
        cutoff=cutoff,
        receptive_field=cutoff if receptive_field is None else receptive_field,
    )


def _sample(known: Sequence[str], chosen: Sequence[str] | None) -> tuple[str, ...]:
    """Return the elements of the structures, each once, by atomic number."""
    unknown = sorted(set(chosen or ()) - set(known) | set(known) - set(atomic_numbers))
    if unknown:
        raise ConfigError(
            explain(
                "cannot test an element that the model does not know",
                got=", ".join(unknown),
                wanted="some of " + ", ".join(known),
                fix="choose with elements (--elements)",
            )
        )
    ordered = sorted(set(chosen or known), key=lambda e: atomic_numbers[e])
    if chosen or len(ordered) <= SAMPLE_SIZE:
        return tuple(ordered)
    places = np.linspace(0, len(ordered) - 1, SAMPLE_SIZE).round().astype(int)
    return tuple(ordered[k] for k in places)
