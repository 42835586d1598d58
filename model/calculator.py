"""The potential as an ASE calculator."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from lamplighter.memory import reuse_freed_memory
from lamplighter.model.artifact import load_potential, torch_dtype
from lamplighter.model.derivatives import predict
from lamplighter.model.neighbors import graph_from_atoms
from lamplighter.model.potential import Potential


class Calculator(AseCalculator):
    """Energy, per-atom energies, forces and stress of one head, in ASE's units.

    ``energies`` include E0; ``stress`` (Voigt xx yy zz yz xz xy, eV/Å^3, tension
    positive) exists for structures that are periodic in three directions.
    """

    implemented_properties: list[str] = [  # noqa: RUF012  (ASE declares it so)
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
    ]

    def __init__(
        self,
        model: str | os.PathLike[str] | Potential,
        head: str | None = None,
        dtype: str = "float64",
        device: str = "cpu",
    ) -> None:
        """Create a calculator.

        Args:
            model: a model file, or a potential.
            head: name of the head; needed when the model has several.
            dtype: ``"float64"`` or ``"float32"``.
            device: as torch names it.

        Raises:
            ArtifactError: the file is not a usable model.
            ConfigError: unknown head or dtype.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        reuse_freed_memory()
        if isinstance(model, Potential):
            copy = deepcopy(model)  # the caller's own stays as it is
            self.potential = copy.to(device=device, dtype=torch_dtype(dtype))
        else:
            self.potential = load_potential(model, dtype, device)
        self.potential.config.head_index(head)
        self.head = head
        self.device = device

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute all properties at once and store them in ``results``.

        Raises:
            ConfigError: an element that the head does not know.
            DataError: a structure that has no neighbour list.
        """
        super().calculate(  # type: ignore[no-untyped-call]
            atoms, list(properties), list(system_changes)
        )
        structure = cast("Atoms", self.atoms)
        graph = graph_from_atoms(structure, self.potential.config, self.head)
        graph = graph.to(dtype=self.potential.dtype, device=self.device)
        prediction = predict(self.potential, graph)
        results: dict[str, Any] = {
            "energy": float(prediction.energy[0]),
            "free_energy": float(prediction.energy[0]),
            "energies": prediction.atomic_energies.cpu().numpy(),
            "forces": prediction.forces.cpu().numpy().astype(np.float64),
        }
        if structure.pbc.all():
            virial = prediction.virial[0].cpu().numpy().astype(np.float64)
            stress = -virial / structure.get_volume()
            results["stress"] = full_3x3_to_voigt_6_stress(stress)
        self.results = results
