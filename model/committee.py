"""Several potentials as one calculator: their mean, and how far they disagree."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import all_changes

from lamplighter.arrays import Floats
from lamplighter.errors import ConfigError, explain
from lamplighter.model.calculator import (
    Calculator,
    ase_results,
    refuse_stress_without_volume,
)
from lamplighter.model.evaluation import Evaluation
from lamplighter.model.heads import HeadSpec
from lamplighter.model.potential import Potential


class CommitteeCalculator(AseCalculator):
    """The mean of several potentials of one head, with standard deviations.

    Properties are those of [`Calculator`][lamplighter.model.Calculator], averaged.
    ``results`` has more, each a standard deviation over the members (divisor n - 1) in
    the unit of its property: ``energy_std``, ``energies_std [n_atoms]``,
    ``forces_std [n_atoms, 3]``, ``forces_norm_std [n_atoms]`` (the root of the sum of
    the variances of the three components, which does not change under rotation), and
    where there is a stress, ``stress_std [6]``. They are read with
    ``calculator.get_property("energy_std", atoms)``.

    Attributes:
        members: one calculator for each potential.
    """

    implemented_properties: list[str] = [  # noqa: RUF012  (ASE declares it so)
        *Calculator.implemented_properties,
        "energy_std",
        "energies_std",
        "forces_std",
        "forces_norm_std",
        "stress_std",
    ]

    def __init__(
        self,
        models: Sequence[str | os.PathLike[str] | Potential],
        head: str | None = None,
        dtype: str = "float64",
        device: str = "cpu",
        *,
        backend: str = "auto",
        dispersion: str | None = None,
    ) -> None:
        """Create the calculator.

        Args:
            models: two or more model files or potentials that were trained on the same
                head.
            head: name of the head; needed when the models have several.
            dtype: ``"float64"`` or ``"float32"``.
            device: as torch names it.
            backend: as in [`Calculator`][lamplighter.model.Calculator].
            dispersion: likewise; it is added to the mean and to every member alike, so
                that it does not change the deviations.

        Raises:
            ArtifactError: a file is not a usable model.
            ConfigError: fewer than two models, or models that differ in the head's
                name, elements, level of theory, dispersion, or in their conditions.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        if len(models) < 2:
            raise ConfigError(
                explain(
                    "a committee of fewer than two",
                    got=f"{len(models)} models",
                    wanted="two or more",
                )
            )
        self.members = tuple(
            Calculator(
                model,
                head,
                dtype,
                device,
                backend=backend,
                # of the same rule everywhere, so it is computed only once
                dispersion=dispersion if k == 0 else None,
            )
            for k, model in enumerate(models)
        )
        _require_agreement(self.members)

    @property
    def head(self) -> str | None:
        """Return the head in use."""
        return self.members[0].head

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what has changed; see [`Calculator`][lamplighter.model.Calculator]."""
        changes: list[str] = super().check_state(atoms, tol)  # type: ignore[no-untyped-call]
        first = self.members[0]
        if self.atoms is not None and first.asked(atoms) != first.asked(self.atoms):
            changes.append("info")
        return changes

    def evaluate_members(self, atoms: Atoms) -> list[Evaluation]:
        """Return what each member says about a structure; nothing is cached."""
        added = self.members[0].dispersion_of(atoms)
        found = [member.evaluate_bare(atoms) for member in self.members]
        return found if added is None else [one.plus(added) for one in found]

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute means and deviations and store them in ``results``.

        Raises:
            ConfigError: an element or a condition that a member lacks.
            DataError: as in [`Calculator.evaluate`][lamplighter.model.Calculator].
            PropertyNotImplementedError: a stress of a structure that is not periodic
                in three directions.
        """
        super().calculate(  # type: ignore[no-untyped-call]
            atoms, list(properties), list(system_changes)
        )
        self.results = {}  # those of another structure must not survive an error
        structure = cast("Atoms", self.atoms)
        refuse_stress_without_volume(structure, properties)
        found = [ase_results(one) for one in self.evaluate_members(structure)]
        self.results = _statistics(found)


def _statistics(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return means and deviations of the results of the members."""
    results: dict[str, Any] = {}
    for name in found[0]:
        stacked = np.stack([np.asarray(one[name]) for one in found])
        mean: Floats = stacked.mean(axis=0)
        deviation: Floats = stacked.std(axis=0, ddof=1)
        scalar = mean.ndim == 0
        results[name] = float(mean) if scalar else mean
        if name not in ("free_energy", "stresses"):
            results[f"{name}_std"] = float(deviation) if scalar else deviation
    results["forces_norm_std"] = np.linalg.norm(results["forces_std"], axis=1)
    return results


def _require_agreement(members: Sequence[Calculator]) -> None:
    """Refuse members whose numbers do not mean the same."""
    facts: dict[str, Callable[[Calculator], object]] = {
        "name of the head": lambda m: _spec(m).name,
        "elements of the head": lambda m: sorted(_spec(m).reference_energies),
        "level of theory": lambda m: _spec(m).level_of_theory,
        "dispersion": lambda m: _spec(m).dispersion,
        "conditions": lambda m: [
            (c.name, c.default) for c in m.potential.config.conditions
        ],
    }
    for what, fact in facts.items():
        first = fact(members[0])
        for k, member in enumerate(members[1:], start=1):
            if fact(member) != first:
                raise ConfigError(
                    explain(
                        f"models of a committee differ in the {what}",
                        got=f"{fact(member)} in model {k}",
                        wanted=f"{first}, as in model 0",
                        fix="train the members on the same head and elements",
                    )
                )


def _spec(member: Calculator) -> HeadSpec:
    return member.potential.config.head(member.head)
