"""Any ASE calculator as an engine, and any engine as an ASE calculator."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from lamplighter.errors import EngineError, explain
from lamplighter.validation.engines.base import (
    WANT_DEFAULT,
    Engine,
    EngineInfo,
    Result,
    check_finite,
    labels_of,
)
from lamplighter.validation.engines.family import Family


class AseEngine:
    """Single points by an ASE calculator.

    Args:
        calculator: An ASE calculator in ASE's units.
        info: What goes into the records; by default the name of the calculator's class.
        content: Hash of files that the numbers may depend on beside those of ``info``.
    """

    def __init__(
        self,
        calculator: BaseCalculator,
        info: EngineInfo | None = None,
        *,
        content: str = "",
    ) -> None:
        self.family: Family | None = None
        self.content = content
        self._calculator = calculator
        self._labels: str | None = None
        self._info = info or EngineInfo(
            kind="ase", name="ase", model=type(calculator).__name__
        )

    @property
    def info(self) -> EngineInfo:
        """Return the description that goes into every record."""
        return self._info

    def compute(self, atoms: Atoms, want: Sequence[str] = WANT_DEFAULT) -> Result:
        """Return the result for one structure; see ``Engine.compute``.

        Raises:
            EngineError: If the calculator fails, lacks a stress that is wanted, or
                returns a number that is not finite.
        """
        started = time.perf_counter()
        work = atoms.copy()
        work.constraints = []
        self._forget_others(work)
        work.calc = self._calculator
        has = set(self._calculator.implemented_properties)
        if "stress" in want and "stress" not in has:
            raise EngineError(
                explain(
                    f"the calculator of engine '{self.info.name}' has no stress",
                    got=f"properties {sorted(has)}",
                    wanted="stress",
                    fix="use a calculator that computes stresses",
                )
            )
        needs_stress = "stress" in want and work.cell.rank == 3
        try:
            energy = float(work.get_potential_energy())
            forces = np.array(work.get_forces(), dtype=float)
            stress = work.get_stress(voigt=False) if needs_stress else None
            # ASE's default fills "energies" in by asking for the total: look first.
            energies = (
                self._calculator.get_property("energies", work)
                if "energies" in want and "energies" in has
                else None
            )
        except Exception as error:  # calculators of others raise what they like
            self._reset()
            raise EngineError(
                explain(
                    f"engine '{self.info.name}' failed",
                    got=f"{type(error).__name__}: {error}",
                    wanted=f"{', '.join(want)} of {work.get_chemical_formula()}",
                    fix="check elements, cell and model of this structure",
                )
            ) from error
        result = Result(
            energy=energy,
            forces=forces,
            stress=None if stress is None else np.array(stress, dtype=float),
            energies=None if energies is None else np.array(energies, dtype=float),
            info=self.info,
            wall_s=time.perf_counter() - started,
        )
        return check_finite(result, atoms)

    def _forget_others(self, atoms: Atoms) -> None:
        """Let the calculator forget results for the same atoms with other labels.

        ASE's calculators return what they have when positions, cell, elements, charges
        and magnetic moments are the same: a total charge or a spin in ``info``, and
        arrays of the user's, they do not look at.
        """
        labels = labels_of(atoms)
        if labels != self._labels:
            self._reset()
        self._labels = labels

    def _reset(self) -> None:
        """Let a calculator forget a structure that it failed on, half-way.

        It would take the same structure for known the next time.
        """
        if isinstance(self._calculator, Calculator):
            self._calculator.reset()

    def compute_many(
        self, structures: Sequence[Atoms], want: Sequence[str] = WANT_DEFAULT
    ) -> list[Result]:
        """Return one result per structure, in order."""
        return [self.compute(atoms, want) for atoms in structures]


class EngineCalculator(Calculator):
    """An ASE calculator that asks an engine; what ASE's optimisers drive.

    Args:
        engine: The engine that evaluates.

    Attributes:
        evaluations: Number of calls that the engine has answered.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, engine: Engine) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.engine = engine
        self.evaluations = 0

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill ``results`` with energy, forces and, with a volume, stress."""
        super().calculate(  # type: ignore[no-untyped-call]
            atoms, properties, system_changes
        )
        if self.atoms is None:
            raise EngineError(
                explain(
                    "no structure to evaluate",
                    got="None",
                    wanted="an Atoms object",
                    fix="set atoms.calc and ask the atoms",
                )
            )
        result = self.engine.compute(self.atoms, WANT_DEFAULT)
        self.evaluations += 1
        results: dict[str, Any] = {
            "energy": result.energy,
            "free_energy": result.energy,
            "forces": result.forces,
        }
        if result.stress is not None:
            results["stress"] = full_3x3_to_voigt_6_stress(result.stress)
        self.results = results
