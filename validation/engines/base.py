"""The engine contract: structures in, energies, forces and stresses out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lamplighter.errors import EngineError, explain

FloatArray = NDArray[np.float64]

WANT_DEFAULT: tuple[str, ...] = ("energy", "forces", "stress")
WANT_ALL: tuple[str, ...] = ("energy", "forces", "stress", "energies")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """Who computed: goes into every record, so that a number can be traced.

    Attributes:
        kind: ``"ase"``, ``"lammps"``, ``"lammps-file"`` or ``"lammps-lib"``.
        name: Short name for tables, unique within one report.
        model: What was evaluated: a file name, a pair style, a calculator class.
        model_sha256: Hash of the model file, empty when there is no file.
        head: Head of a multi-head model, ``None`` when the notion does not apply.
        dtype: Floating-point type of the evaluation, ``"float64"`` or ``"float32"``.
        cutoff: Range of one message in Å, 0 when unknown.
        lammps_version: LAMMPS release string, ``None`` for other engines.
        ranks: Number of MPI ranks.
        extra: Anything else worth keeping, as strings.
    """

    kind: str
    name: str
    model: str
    model_sha256: str = ""
    head: str | None = None
    dtype: str = "float64"
    cutoff: float = 0.0
    lammps_version: str | None = None
    ranks: int = 1
    extra: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a dictionary of JSON types; ``from_dict`` reverses it."""
        record = asdict(self)
        record["extra"] = dict(self.extra)
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> EngineInfo:
        """Return the info that ``to_dict`` wrote.

        Raises:
            TypeError: If the record has unknown or missing keys.
        """
        return cls(**record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Outcome of one single-point calculation.

    Attributes:
        energy: Potential energy of the whole structure, eV.
        forces: ``[n_atoms, 3]``, eV/Å, in the axes and the order of the input.
        stress: ``[3, 3]`` symmetric, eV/Å^3, tension positive (ASE's sign); ``None``
            when it was not asked for or when the structure has no volume.
        energies: ``[n_atoms]`` eV, summing to ``energy``; ``None`` when not asked for
            or when the engine has none.
        info: The engine that computed.
        wall_s: Wall-clock seconds of the calculation.
    """

    energy: float
    forces: FloatArray
    stress: FloatArray | None
    energies: FloatArray | None
    info: EngineInfo
    wall_s: float


@runtime_checkable
class Engine(Protocol):
    """Anything that evaluates a structure.

    Implementations return finite numbers or raise ``EngineError``; they never
    modify the structure that they are given.
    """

    @property
    def info(self) -> EngineInfo:
        """Return the description that goes into every record."""
        ...

    def compute(self, atoms: Atoms, want: Sequence[str] = WANT_DEFAULT) -> Result:
        """Return energy, forces and whatever else ``want`` names, for one structure.

        Args:
            atoms: The structure, any cell orientation, any periodicity.
            want: Of ``"energy"``, ``"forces"``, ``"stress"``, ``"energies"``. Energy
                and forces are always returned.

        Raises:
            EngineError: If the engine fails or gives a number that is not finite.
        """
        ...

    def compute_many(
        self, structures: Sequence[Atoms], want: Sequence[str] = WANT_DEFAULT
    ) -> list[Result]:
        """Return one result per structure, in order; an engine may batch them."""
        ...


# What a result depends on that is not a label, and what it never depends on.
_NO_LABELS = frozenset(
    {"numbers", "positions", "momenta", "masses", "initial_charges", "initial_magmoms"}
)


def labels_of(atoms: Atoms) -> str:
    """Return what a structure carries besides atoms, cell, charges and moments.

    Some calculators read a total charge, a spin or a task from ``atoms.info``, or tags
    and other arrays. The text is equal for structures with equal labels.
    """
    arrays = {
        name: np.asarray(values).tolist()
        for name, values in atoms.arrays.items()
        if name not in _NO_LABELS
    }
    info = {str(key): value for key, value in atoms.info.items()}
    return json.dumps([info, arrays], sort_keys=True, default=_text)


def _text(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def check_finite(result: Result, atoms: Atoms) -> Result:
    """Return ``result`` unchanged if it is whole and all its numbers are finite.

    Raises:
        EngineError: If any energy, force or stress is NaN or infinite, or if there is
            not one force, and one energy, for each atom.
    """
    _check_shapes(result, len(atoms))
    parts: dict[str, Any] = {
        "energy": result.energy,
        "forces": result.forces,
        "stress": result.stress,
        "energies": result.energies,
    }
    broken = [
        name
        for name, value in parts.items()
        if value is not None and not np.all(np.isfinite(value))
    ]
    if broken:
        raise EngineError(
            explain(
                f"engine '{result.info.name}' returned values that are not finite",
                got=f"{', '.join(broken)} of {atoms.get_chemical_formula()}",
                wanted="finite numbers",
                fix="look for atoms on top of each other or a cell without volume",
            )
        )
    return result


def _check_shapes(result: Result, n_atoms: int) -> None:
    wanted = {"forces": (n_atoms, 3), "stress": (3, 3), "energies": (n_atoms,)}
    for name, shape in wanted.items():
        value = getattr(result, name)
        if value is not None and np.shape(value) != shape:
            raise EngineError(
                explain(
                    f"engine '{result.info.name}' returned {name} of another shape",
                    got=np.shape(value),
                    wanted=shape,
                    fix="look for lost atoms, or for a calculator that sums over atoms",
                )
            )
