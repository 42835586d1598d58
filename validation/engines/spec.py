"""What a suite says about an engine: a YAML mapping into a frozen description.

Data only. A calculator is named by its class, a pair style by its LAMMPS input lines;
`factory` and `user_style` refuse lines of code. What a suite names is run all the
same: the program of ``command``, the programs that some calculators start, and the
pickles that some pair styles load.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from lamplighter.errors import ConfigError, explain

EngineKind = Literal["ase", "lammps", "lammps-file", "lammps-lib"]
Units = Literal["metal", "real"]
AtomStyle = Literal["atomic", "charge", "full"]

KINDS: Final = get_args(EngineKind)

# Which keys have a meaning for which kind; what is not named here has for all.
_ASE_ONLY: Final = frozenset({"calculator", "arguments", "backend"})
_LAMMPS_ONLY: Final = frozenset(
    {
        "artifact",
        "ranks",
        "pair_style",
        "pair_coeff",
        "preamble",
        "commands",
        "units",
        "atom_style",
        "command",
        "timeout_s",
    }
)
# What needs a pair style of the user's: the model under test brings its own.
_FOREIGN_ONLY: Final = frozenset(
    {
        "pair_coeff",
        "commands",
        "units",
        "atom_style",
        "elements",
        "dtype",
        "cutoff",
        "level_of_theory",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """One engine of a suite.

    Without ``calculator`` and ``pair_style`` it evaluates the model of the suite;
    with one of them, a calculator or a pair style of the user's.

    Attributes:
        kind: ``ase``: a calculator in this process. ``lammps``: one LAMMPS process for
            many structures, spoken to through its input. ``lammps-file``: a LAMMPS
            executable with any command line, many structures in one input file.
            ``lammps-lib``: LAMMPS as a library in this process.
        name: name in tables and files; by default the kind.
        artifact: ML-IAP file that LAMMPS reads; none converts the model first.
        ranks: MPI ranks of the LAMMPS of this environment.
        calculator: ``module:Class`` of an ASE calculator in an installed package, or
            ``module:Class.classmethod``.
        arguments: keyword arguments of the calculator; ``{file: PATH}`` as a value is
            a path, relative to the suite.
        command: words that start LAMMPS, for example ``mpirun -n 4 lmp``; none takes
            the LAMMPS of this environment.
        pair_style: what follows ``pair_style`` in a LAMMPS input.
        pair_coeff: what follows ``pair_coeff``, one text for each line. Names of files
            are looked up beside the suite, then among LAMMPS' own potentials.
        preamble: LAMMPS commands before the box exists: ``newton``, ``package``...
        commands: LAMMPS commands after ``pair_coeff``: ``pair_modify``,
            ``kspace_style``...
        elements: symbol of each LAMMPS type; none takes those that end a
            ``pair_coeff * * FILE Si C``, or the only element of the materials. For a
            calculator: what it knows, for the record.
        units: ``metal`` or ``real``, of the lines above.
        atom_style: ``atomic``, or ``charge`` and ``full`` for structures with initial
            charges.
        backend: of ``ase`` with the model of the suite: ``reference``, so that LAMMPS,
            which evaluates the compiled potential, is compared with something else;
            ``compiled``, which is many times as fast; or ``auto``, the faster one that
            this model has.
        dtype: precision of the evaluation, ``float64`` or ``float32``; sets what
            parity tolerates.
        cutoff: range of the interaction in Å, for properties that need it; 0 unknown.
        level_of_theory: what the numbers are to be compared with; empty: unknown.
        timeout_s: seconds that one structure may take in LAMMPS; a library call cannot
            be ended.
        folder: where relative paths count from; set when a suite is read.
    """

    kind: EngineKind
    name: str = ""
    artifact: Path | None = None
    ranks: int = 1
    calculator: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    pair_style: str = ""
    pair_coeff: tuple[str, ...] = ()
    preamble: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    units: Units = "metal"
    atom_style: AtomStyle = "atomic"
    backend: str = "reference"
    dtype: str = "float64"
    cutoff: float = 0.0
    level_of_theory: str = ""
    timeout_s: float = 600.0
    folder: Path = field(default=Path(), compare=False)

    def __post_init__(self) -> None:
        """Refuse engines that do not exist or contradict themselves; fill in the name.

        Raises:
            ConfigError: see above.
        """
        _choice("unknown engine", self.kind, KINDS)
        _choice("engines: units", self.units, get_args(Units))
        _choice("engines: atom_style", self.atom_style, get_args(AtomStyle))
        _choice("engines: dtype", self.dtype, ("float64", "float32"))
        _choice("engines: backend", self.backend, ("reference", "compiled", "auto"))
        if self.ranks < 1:
            raise ConfigError(explain("ranks", got=self.ranks, wanted="at least 1"))
        if not 0.0 < self.timeout_s < math.inf:
            raise ConfigError(
                explain("timeout_s", got=self.timeout_s, wanted="a positive number")
            )
        if not 0.0 <= self.cutoff < math.inf:
            raise ConfigError(
                explain("engines: cutoff", got=self.cutoff, wanted="Å, or 0 if unknown")
            )
        self._refuse_contradictions()
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    @property
    def foreign(self) -> bool:
        """Whether it evaluates something else than the model of the suite."""
        return bool(self.calculator or self.pair_style)

    def _refuse_contradictions(self) -> None:
        given = {f.name for f in dataclasses.fields(self) if _differs(self, f)}
        useless = given & (_LAMMPS_ONLY if self.kind == "ase" else _ASE_ONLY)
        why = f"has no meaning for kind: {self.kind}"
        if not useless and not self.foreign:
            useless = given & _FOREIGN_ONLY
            why = "describes a pair style or calculator, and none is named"
        if not useless and self.calculator:
            useless, why = given & {"backend"}, "is one of the model of the suite"
        if not useless and self.artifact is not None and self.pair_style:
            useless, why = {"artifact"}, "is another pair style than pair_style names"
        if not useless and self.command and self.kind == "lammps-lib":
            useless, why = {"command"}, "starts a program, a library is loaded"
        if not useless and self.ranks > 1 and self.command:
            useless, why = {"ranks"}, "belongs into command, as in mpirun -n 4 lmp"
        if not useless and self.ranks > 1 and self.kind == "lammps-lib":
            useless, why = {"ranks"}, "is 1 inside this process; take lammps-file"
        if useless:
            raise ConfigError(
                explain(
                    f"engine {self.name or self.kind!r}: key {min(useless)!r} {why}",
                    fix="take it out, or see the page of engines for what belongs to "
                    "each kind",
                )
            )


def engine_spec(content: object, folder: Path) -> EngineSpec:
    """Return the engine that an item of ``engines:`` describes.

    Args:
        content: a kind, or a mapping of the fields of [`EngineSpec`][].
        folder: where relative paths count from.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type.
    """
    given = {"kind": content} if isinstance(content, str) else content
    if not isinstance(given, Mapping) or "kind" not in given:
        raise ConfigError(
            explain(
                "an engine of the suite",
                got=repr(content),
                wanted=f"one of {', '.join(KINDS)}, or a mapping with the key kind",
            )
        )
    known = {f.name: f for f in dataclasses.fields(EngineSpec) if f.name != "folder"}
    values: dict[str, Any] = {"folder": folder}
    for key, value in given.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), list(known), n=1, cutoff=0.5)
            raise ConfigError(
                explain(
                    f"unknown key {key!r} in engines",
                    wanted=f"one of {', '.join(known)}",
                    fix=f"did you mean {near[0]!r}?" if near else "remove it",
                )
            )
        values[key] = _value(str(key), str(known[key].type), value, folder)
    return EngineSpec(**values)


def _value(key: str, kind: str, value: object, folder: Path) -> Any:
    """Return a value of YAML in the type of its field."""
    wanted = "text"
    if kind.startswith("tuple"):
        items = [value] if isinstance(value, str) else value
        if isinstance(items, list) and all(isinstance(item, str) for item in items):
            return tuple(items)
        wanted = "a list of texts"
    elif kind.startswith("Mapping"):
        if isinstance(value, Mapping):
            return {str(name): item for name, item in value.items()}
        wanted = "a mapping, key: value"
    elif kind in {"float", "int"}:
        if type(value) is int or (kind == "float" and type(value) is float):
            return float(value) if kind == "float" else value
        wanted = "a number" if kind == "float" else "a whole number"
    elif isinstance(value, str):
        return folder / Path(value).expanduser() if "Path" in kind else value
    raise ConfigError(
        explain(f"wrong value for engines: {key}", got=repr(value), wanted=wanted)
    )


def _choice(what: str, got: str, wanted: tuple[str, ...]) -> None:
    if got not in wanted:
        raise ConfigError(explain(what, got=got, wanted=" or ".join(wanted)))


def _differs(spec: EngineSpec, item: dataclasses.Field[Any]) -> bool:
    """Return whether a field was given another value than its default."""
    value = getattr(spec, item.name)
    if item.default is not dataclasses.MISSING:
        return bool(value != item.default)
    return bool(item.default_factory is not dataclasses.MISSING and value)
