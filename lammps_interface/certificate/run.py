"""Run a file on all numbers of ranks and in both layouts, and compare everything."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ase import Atoms

from lamplighter.errors import ConfigError, LamplighterError, explain
from lamplighter.lammps_interface.bundle import Bundle, BundleHeader, read
from lamplighter.lammps_interface.certificate.cases import (
    SKIN,
    Case,
    Comm,
    structure_cases,
)
from lamplighter.lammps_interface.certificate.compare import (
    COMPILED_TOLERANCES,
    TOLERANCES,
    Numbers,
    differences,
    excess,
    sizes,
)
from lamplighter.lammps_interface.certificate.generate import generated_cases
from lamplighter.lammps_interface.certificate.job import Evaluated, Job, NotRunError
from lamplighter.lammps_interface.certificate.reference import Reference
from lamplighter.lammps_interface.certificate.report import Certificate, Outcome, Status
from lamplighter.lammps_interface.certificate.script import Interaction, data_text
from lamplighter.lammps_interface.doctor.target import find_target
from lamplighter.lammps_interface.keywords import BACKENDS
from lamplighter.lammps_interface.upstream import SURE

Advance = Callable[[int, str], None]
"""Called with 1 and a note after each case that was run."""

_REFERENCE: Final = "the independent evaluation"
_ONE_RANK: Final = "one rank"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertifyOptions:
    """What to run.

    Attributes:
        ranks: numbers of MPI ranks.
        lmp: another executable of LAMMPS, or the word module for LAMMPS inside Python;
            the lmp of this environment when left out.
        head: which head of a file that holds several.
        flag: FLAG of the pair_style command; 1 is for a LAMMPS whose ML-IAP has no
            exchange, and widens the communication cutoff as it needs.
        comm_cutoff: how far ghosts are collected, in Å; when left out, what LAMMPS
            takes, and with flag 1 the reach of all layers and the skin.
        cases: names of the cases to run, all when left out.
        timeout_s: seconds that LAMMPS may take to start, and for each case.
        seed: of the displacements of atoms.
        backend: ``reference`` or ``compiled``; None: what the file gives, compiled
            where it has tables.
    """

    ranks: tuple[int, ...] = (1, 2, 3, 4)
    lmp: str | None = None
    head: str | None = None
    flag: int = 0
    comm_cutoff: float | None = None
    cases: tuple[str, ...] = ()
    timeout_s: float = 300.0
    seed: int = 0
    backend: str | None = None

    def __post_init__(self) -> None:
        """Refuse what LAMMPS would not run."""
        if (
            not self.ranks
            or min(self.ranks) < 1
            or len(set(self.ranks)) < len(self.ranks)
        ):
            raise ConfigError(
                explain("ranks", got=self.ranks, wanted="different numbers above 0")
            )
        if self.flag not in (0, 1):
            raise ConfigError(explain("flag", got=self.flag, wanted="0 or 1"))
        if self.backend not in (None, *BACKENDS):
            wanted = " or ".join(BACKENDS)
            raise ConfigError(explain("backend", got=self.backend, wanted=wanted))
        for name, value in (
            ("timeout_s", self.timeout_s),
            ("comm_cutoff", self.comm_cutoff),
        ):
            if value is not None and not value > 0.0:
                raise ConfigError(explain(name, got=value, wanted="above 0"))

    def is_compiled(self, header: BundleHeader) -> bool:
        """Return whether tables take part; with flag 1 the reference evaluates."""
        if self.backend is None:
            return bool(header.compiled) and self.flag == 0
        return self.backend == "compiled"

    def reach(self, header: BundleHeader) -> float | None:
        """Return the communication cutoff to ask for in Å, None for LAMMPS' own."""
        if self.comm_cutoff is not None or self.flag == 0:
            return self.comm_cutoff
        return header.n_layers * header.cutoff + SKIN


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Everything that will be run.

    Attributes:
        model: the ML-IAP file.
        bundle: its content.
        head: which of its heads.
        cases: the structures.
        options: what was asked for.
    """

    model: Path
    bundle: Bundle
    head: str
    cases: tuple[Case, ...]
    options: CertifyOptions

    @property
    def total(self) -> int:
        """Return how many evaluations there are."""
        return len(self.cases) * len(self.options.ranks) * len(LAYOUTS)


LAYOUTS: Final[tuple[Comm, ...]] = ("brick", "tiled")
"""How a box is divided among ranks: a grid, or recursive bisection."""


def plan(
    model: str | os.PathLike[str],
    structure: Atoms | None = None,
    options: CertifyOptions | None = None,
) -> Plan:
    """Return what a certificate will run.

    Args:
        model: an ML-IAP file.
        structure: one more case, beside the generated ones.
        options: ranks and the like.

    Raises:
        ArtifactError: `model` is not an ML-IAP file.
        ConfigError: a case or a head that does not exist, or no head of several.
        DataError: a structure that the file does not know.
    """
    options = options or CertifyOptions()
    path = Path(model).absolute()
    bundle = read(path)
    header = bundle.header
    cases = [] if structure is None else structure_cases(structure, header.elements)
    cases += generated_cases(header.elements, header.cutoff, seed=options.seed)
    chosen = tuple(_chosen(cases, options.cases))
    head = _head(header, options.head)
    return Plan(model=path, bundle=bundle, head=head, cases=chosen, options=options)


def certify(what: Plan, advance: Advance | None = None) -> Certificate:
    """Run a plan.

    A case that stops LAMMPS, or that does not end in time, is reported as failed; what
    follows runs in a new process.

    Args:
        what: see `plan`.
        advance: told after each evaluation.

    Returns:
        The certificate, whatever it says.

    Raises:
        EngineError: there is no such LAMMPS at all.
    """
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="lamplighter-certify-") as name:
        work = _Work(what, Path(name), advance or _silent)
        outcomes = [
            outcome
            for ranks in sorted(what.options.ranks)
            for outcome in work.at(ranks)
        ]
    return Certificate.of(
        dataclasses.replace(what.bundle.header, head=what.head),
        what.model,
        outcomes,
        tolerances=work.tolerances,
        lammps=work.lammps,
        settings=work.settings,
        wall_s=time.perf_counter() - begin,
    )


class _Work:
    """The state of a running certificate: references, and the numbers of one rank."""

    def __init__(self, what: Plan, folder: Path, advance: Advance) -> None:
        header, options = what.bundle.header, what.options
        self._what, self._folder, self._advance = what, folder, advance
        self._target = find_target(options.lmp)
        self._reference = Reference(what.bundle, what.head)
        self._wanted: dict[str, Numbers] = {}
        self._serial: dict[str, Numbers] = {}
        self._potential = Interaction(
            file=what.model,
            flag=options.flag,
            head=what.head if len(header.heads) > 1 else "",
            comm_cutoff=options.reach(header),
            backend=options.backend or "",
        )
        self._compiled = options.is_compiled(header)
        limits = COMPILED_TOLERANCES if self._compiled else TOLERANCES
        self.tolerances = limits[header.dtype]
        # A molecule's ghosts end before this shell does, which is wide all the same.
        chosen_here = options.flag == 1 and options.comm_cutoff is None
        self._variables = {SURE: "1"} if chosen_here else {}
        self._reach = self._potential.comm_cutoff or header.cutoff + SKIN
        self.lammps = {"command": " ".join(self._target.command), "version": ""}
        self.settings = {
            "ranks": list(options.ranks),
            "flag": options.flag,
            "comm_cutoff": self._potential.comm_cutoff,
            "skin": SKIN,
            "seed": options.seed,
            "timeout_s": options.timeout_s,
            "backend": "compiled" if self._compiled else "reference",
        }
        for k, case in enumerate(what.cases):
            (folder / f"{k}.data").write_text(data_text(case), encoding="ascii")

    def at(self, ranks: int) -> Iterator[Outcome]:
        """Yield the outcomes of all cases on some number of ranks."""
        job = Job(
            self._target,
            ranks,
            folder=self._folder,
            timeout_s=self._what.options.timeout_s,
            variables=self._variables,
        )
        try:
            for comm in LAYOUTS:
                for k, case in enumerate(self._what.cases):
                    outcome = self._one(job, ranks, comm, case, f"{k}.data")
                    self._advance(1, f"{ranks} ranks, {comm}, {case.name}")
                    yield outcome
        finally:
            self.lammps["version"] = job.version or self.lammps["version"]
            job.close()

    def _one(self, job: Job, ranks: int, comm: Comm, case: Case, data: str) -> Outcome:
        begin = time.perf_counter()
        obstacle = case.obstacle(comm, self._reach)
        if obstacle:
            return Outcome(
                case=case.name,
                ranks=ranks,
                comm=comm,
                status="not applicable",
                message=obstacle,
            )
        status: Status = "failed"
        try:
            found = job.run(case, comm, data, self._potential)
            return self._judge(found, ranks, comm, case, time.perf_counter() - begin)
        except NotRunError as error:
            status, message = "not run", str(error)
        except LamplighterError as error:
            message = str(error)
        return Outcome(
            case=case.name,
            ranks=ranks,
            comm=comm,
            status=status,
            message=message,
            seconds=time.perf_counter() - begin,
        )

    def _judge(
        self, found: Evaluated, ranks: int, comm: Comm, case: Case, seconds: float
    ) -> Outcome:
        tolerances = TOLERANCES[self._what.bundle.header.dtype]
        symbols = case.atoms.get_chemical_symbols()
        wanted = self._wanted_of(case, found)
        off = differences(found.numbers, wanted, symbols)
        complaints = excess(off, self._limits(wanted), _REFERENCE)
        from_one = None
        if ranks == 1 and comm == "brick":
            self._serial[case.name] = found.numbers
        elif case.name in self._serial:
            serial = self._serial[case.name]
            from_one = differences(found.numbers, serial, symbols)
            complaints += excess(from_one, tolerances, _ONE_RANK)
        return Outcome(
            case=case.name,
            ranks=ranks,
            comm=comm,
            status="differs" if complaints else "agrees",
            reference=off,
            one_rank=from_one,
            atoms_per_rank=found.atoms_per_rank,
            migrated=found.migrated,
            message="; ".join(complaints),
            seconds=seconds,
        )

    def _limits(self, wanted: Numbers) -> dict[str, float]:
        """Return how far from the independent evaluation a case may be."""
        if not self._compiled:
            return self.tolerances
        size = sizes(wanted)
        return {name: one * size[name] for name, one in self.tolerances.items()}

    def _wanted_of(self, case: Case, found: Evaluated) -> Numbers:
        """Return the independent evaluation, of the last step where atoms moved."""
        if case.steps:
            return self._reference.evaluate(_moved(case, found))
        if case.name not in self._wanted:
            self._wanted[case.name] = self._reference.evaluate(case.atoms)
        return self._wanted[case.name]


def _moved(case: Case, found: Evaluated) -> Atoms:
    """Return the structure that LAMMPS arrived at."""
    shot = found.snapshot
    symbols = [case.types[kind - 1] for kind in shot.kinds]
    return Atoms(symbols, shot.positions, cell=shot.cell, pbc=case.atoms.pbc)


def _head(header: BundleHeader, name: str | None) -> str:
    """Return the head to run."""
    known = header.heads or (header.head,)
    if name in known:
        return str(name)
    if name is None and len(known) == 1:
        return known[0]
    raise ConfigError(
        explain(
            "the file holds several heads" if name is None else "there is no such head",
            got=name,
            wanted=f"one of {', '.join(known)}",
            fix=f"--head {known[0]}",
        )
    )


def _chosen(cases: Sequence[Case], names: Sequence[str]) -> list[Case]:
    """Return the cases with these names, all without names."""
    known = [case.name for case in cases]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            explain(
                "there is no such case",
                got=", ".join(unknown),
                wanted=f"some of: {', '.join(known)}",
            )
        )
    return [case for case in cases if not names or case.name in names]


def _silent(_n: int, _note: str) -> None:
    """Show no progress."""
