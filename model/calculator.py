"""The potential as an ASE calculator."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from lamplighter.arrays import Floats
from lamplighter.errors import ConfigError, explain
from lamplighter.memory import reuse_freed_memory
from lamplighter.model.artifact import load_potential, torch_dtype
from lamplighter.model.compiled import CompiledEvaluator, WhereSupported
from lamplighter.model.descriptors import descriptors
from lamplighter.model.dispersion import DispersionTable
from lamplighter.model.evaluate import evaluate_graphs, structure_graph
from lamplighter.model.evaluation import Evaluation
from lamplighter.model.hessian import hessian
from lamplighter.model.neighbors import structure_conditions
from lamplighter.model.potential import Potential

BACKENDS = ("auto", "reference", "compiled")
_COMPILED = ("cpu", "cuda")
"""What evaluates a potential: PyTorch's operators, or tables and a native library.

``"auto"`` is what `BACKEND_VARIABLE` names; without it, tables where the potential and
the structure allow, and the reference elsewhere.
"""

BACKEND_VARIABLE = "LAMPLIGHTER_BACKEND"
"""Environment variable: what ``"auto"`` stands for."""


class Calculator(AseCalculator):
    """Energy, forces, stress and their shares per atom, of one head, in ASE's units.

    ``energy`` (eV) includes E0 and is the sum of ``energies``; ``free_energy`` is the
    same number. ``forces`` are in eV/Å. ``stress`` (Voigt xx yy zz yz xz xy, eV/Å^3,
    tension positive) exists for structures that are periodic in three directions;
    asking for it elsewhere raises ASE's ``PropertyNotImplementedError``. ``stresses``
    ``[n_atoms, 6]`` are what half of each pair gives to either atom, divided by the
    volume of the cell: their sum is ``stress``.

    Charge and spin come from ``atoms.info`` (``total_charge`` or ``charge``,
    ``total_spin`` or ``spin``) where the potential depends on them. A change of these
    is a change of the structure: results are never stale.

    Attributes:
        potential: in the dtype and on the device of the calculator.
        device: as torch names it.
        backend: what evaluates: ``"reference"``, ``"compiled"``, or ``"auto"``.
    """

    implemented_properties: list[str] = [  # noqa: RUF012  (ASE declares it so)
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
    ]

    def __init__(
        self,
        model: str | os.PathLike[str] | Potential,
        head: str | None = None,
        dtype: str = "float64",
        device: str = "cpu",
        *,
        backend: str = "auto",
        dispersion: str | None = None,
        head_from_info: bool = False,
    ) -> None:
        """Create a calculator.

        Args:
            model: a model file, or a potential, which stays as it is.
            head: name of the head; needed when the model has several.
            dtype: ``"float64"`` or ``"float32"``.
            device: as torch names it.
            backend: ``"reference"``; ``"compiled"``, many times as fast on a processor
                and equal within the tolerances of docs/compiled.md, which compiles the
                head for the elements of the first structure when that comes; or
                ``"auto"``, compiled on processors where that is supported, with a line
                of warning where it is not.
            dispersion: None (or ``"none"``) adds nothing; ``"auto"`` adds what the
                head asks for in its `dispersion_rule`, nothing where its labels
                contain dispersion; a rule, such as ``"d3bj:pbe"``, has to be the
                head's own.
            head_from_info: take the head of each structure from
                ``atoms.info["head"]``; `head` is for structures that do not say.

        Raises:
            ArtifactError: the file is not a usable model.
            ConfigError: unknown head, dtype, device or backend, or dispersion that the
                head does not ask for.
            OptionalDependencyError: dispersion without torch-dftd.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        reuse_freed_memory()
        self.backend = _known_backend(backend)
        _require_device(device)
        if isinstance(model, Potential):
            own = copy.deepcopy(model)  # the caller's own stays as it is
            self.potential = own.to(device=device, dtype=torch_dtype(dtype))
        else:
            self.potential = load_potential(model, dtype, device)
        self.device = device
        if self.backend == "compiled" and torch.device(device).type not in _COMPILED:
            raise ConfigError(
                explain(
                    "the compiled backend does not run on this device",
                    got=f"device {device!r}",
                    wanted=" or ".join(_COMPILED),
                    fix="use the reference backend",
                )
            )
        self._from_info = head_from_info
        self._dispersion = DispersionTable(
            self.potential.config, dispersion, self.potential.embedding
        )
        self._compiled: CompiledEvaluator | WhereSupported | None = None
        if self.backend == "compiled":
            self._compiled = CompiledEvaluator(self.potential, dtype, device)
        elif self.backend == "auto" and torch.device(device).type == "cpu":
            self._compiled = WhereSupported(self.potential, dtype)
        self._head = self._chosen(head)

    def _chosen(self, head: str | None) -> str | None:
        """Return the name of the head, checked; None: every structure must say."""
        if head is None and self._from_info and len(self.heads) > 1:
            return None
        name = self.potential.config.head(head).name
        self._dispersion.of(name)
        return name

    @property
    def heads(self) -> tuple[str, ...]:
        """Return the names of the heads of the model."""
        return tuple(head.name for head in self.potential.config.heads)

    @property
    def head(self) -> str | None:
        """Return the head in use; None when every structure has to name its own."""
        return self._head

    @property
    def dispersion_rule(self) -> str:
        """Return what the head says about dispersion: none, included, or a rule."""
        return self.potential.config.head(self._head).dispersion

    def with_head(self, head: str) -> Calculator:
        """Return a calculator for another head that shares the weights.

        Raises:
            ConfigError: unknown head.
        """
        other = copy.copy(self)
        other.reset()  # type: ignore[no-untyped-call]
        other.parameters = copy.copy(self.parameters)
        other._from_info = False  # noqa: SLF001  (of this class)
        other._head = other._chosen(head)  # noqa: SLF001
        return other

    def head_of(self, atoms: Atoms) -> str | None:
        """Return the head for a structure; see `head_from_info`."""
        if self._from_info and "head" in atoms.info:
            return str(atoms.info["head"])
        return self._head

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Return what has changed since the last calculation.

        ASE's own list, and ``"info"`` for the head and the conditions.
        """
        changes: list[str] = super().check_state(atoms, tol)  # type: ignore[no-untyped-call]
        if self.atoms is not None and self.asked(atoms) != self.asked(self.atoms):
            changes.append("info")
        return changes

    def asked(self, atoms: Atoms) -> tuple[object, ...]:
        """Return what is asked beside the structure: head and conditions."""
        conditions = structure_conditions(atoms, self.potential.config)
        return self.head_of(atoms), *conditions[0].tolist()

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Return energy, forces and stresses of a structure; nothing is cached.

        Raises:
            ConfigError: an unknown head, or an element or a condition that it lacks.
            DataError: a structure that has no neighbour list, with two atoms at one
                place, or whose energy or forces are not finite.
        """
        found, added = self.evaluate_bare(atoms), self.dispersion_of(atoms)
        return found if added is None else found.plus(added)

    def evaluate_bare(self, atoms: Atoms) -> Evaluation:
        """Return the same without dispersion, whatever was asked for."""
        if self._compiled is not None:
            found = self._compiled.evaluate(atoms, self.head_of(atoms))
            if found is not None:
                return found
        graph = structure_graph(self.potential, atoms, self.head_of(atoms))
        return evaluate_graphs(self.potential, [atoms], [graph])[0]

    def dispersion_of(self, atoms: Atoms) -> Evaluation | None:
        """Return the dispersion that is added for a structure; None: nothing."""
        d3 = self._dispersion.of(self.head_of(atoms))
        return None if d3 is None else d3.evaluate(atoms)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute all properties at once and store them in ``results``.

        Raises:
            ConfigError: as in [`evaluate`][Calculator.evaluate].
            DataError: likewise.
            PropertyNotImplementedError: a stress of a structure that is not periodic
                in three directions.
        """
        super().calculate(  # type: ignore[no-untyped-call]
            atoms, list(properties), list(system_changes)
        )
        self.results = {}  # those of another structure must not survive an error
        structure = cast("Atoms", self.atoms)
        refuse_stress_without_volume(structure, properties)
        self.results = ase_results(self.evaluate(structure))

    def get_descriptors(
        self,
        atoms: Atoms | None = None,
        *,
        invariants_only: bool = True,
        layers: Sequence[int] | None = None,
    ) -> Floats:
        """Return the features of each atom; see [`descriptors`][].

        Args:
            atoms: a structure; the last one when left out.
            invariants_only: leave out the components of degree l > 0.
            layers: numbers of layers, from 0; all when left out.
        """
        self._require_reference("descriptors")
        structure = self._given(atoms)
        graph = structure_graph(self.potential, structure, self.head_of(structure))
        return descriptors(
            self.potential, graph, invariants_only=invariants_only, layers=layers
        )

    def get_hessian(self, atoms: Atoms | None = None) -> Floats:
        """Return d²E/dx_ia dx_jb, ``[n_atoms, 3, n_atoms, 3]``, eV/Å^2, analytic.

        With the dispersion that the calculator adds. What
        ``ase.vibrations.VibrationsData(atoms, hessian)`` takes.
        """
        self._require_reference("a Hessian")
        structure = self._given(atoms)
        head = self.head_of(structure)
        return hessian(self.potential, structure, head, d3=self._dispersion.of(head))

    def _require_reference(self, what: str) -> None:
        """Refuse what the compiled potential does not give."""
        if self.backend == "compiled":
            raise ConfigError(
                explain(
                    f"{what} needs the reference backend",
                    got=f"backend {self.backend!r}",
                    fix='make another calculator with backend="reference"',
                )
            )

    def _given(self, atoms: Atoms | None) -> Atoms:
        structure = self.atoms if atoms is None else atoms
        if structure is None:
            raise ConfigError(
                explain("no structure", fix="pass atoms, or compute an energy first")
            )
        return cast("Atoms", structure)


def ase_results(found: Evaluation) -> dict[str, Any]:
    """Return an evaluation under the names and in the orders of ASE."""
    results: dict[str, Any] = {
        "energy": found.energy,
        "free_energy": found.energy,
        "energies": found.energies,
        "forces": found.forces,
    }
    if found.stress is not None and found.stresses is not None:
        results["stress"] = full_3x3_to_voigt_6_stress(found.stress)
        stresses = full_3x3_to_voigt_6_stress(found.stresses)
        results["stresses"] = np.reshape(stresses, (-1, 6))
    return results


def refuse_stress_without_volume(atoms: Atoms, properties: Sequence[str]) -> None:
    """Refuse a stress of a structure that is not periodic in three directions.

    Raises:
        PropertyNotImplementedError: a stress is asked for.
    """
    if not {"stress", "stresses"}.isdisjoint(properties) and not atoms.pbc.all():
        raise PropertyNotImplementedError(
            explain(
                "a stress needs a structure that is periodic in three directions",
                got=f"pbc {atoms.pbc.tolist()}",
                fix="set pbc=True and a cell",
            )
        )


def _known_backend(name: str) -> str:
    """Return what `name` stands for."""
    meant = (os.environ.get(BACKEND_VARIABLE) or name) if name == "auto" else name
    if meant not in BACKENDS:
        wanted = "one of " + ", ".join(map(repr, BACKENDS))
        fix = f"see the environment variable {BACKEND_VARIABLE}"
        message = explain("unknown backend", got=repr(meant), wanted=wanted, fix=fix)
        raise ConfigError(message)
    return meant


def _require_device(name: str) -> None:
    """Refuse a device that torch does not know or this machine does not have."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            explain(
                "this device cannot be used",
                got=repr(name),
                wanted="cpu, or cuda with a GPU and a build of torch for it",
                fix=str(error).split("\n", maxsplit=1)[0],
            )
        ) from error
