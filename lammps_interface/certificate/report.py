"""What a certificate says, as JSON and as a table."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch

import lamplighter
from lamplighter.files import atomic_path, sha256_file
from lamplighter.lammps_interface.bundle import BundleHeader
from lamplighter.lammps_interface.certificate.compare import (
    TOLERANCES,
    UNITS,
    Differences,
    largest,
)

FORMAT_VERSION: Final = 1
"""Version of the JSON document."""

Status = Literal["agrees", "differs", "failed", "not run", "not applicable"]
Verdict = Literal["holds", "fails", "incomplete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One case on some number of ranks in one layout.

    Attributes:
        case: its name.
        ranks: number of MPI ranks.
        comm: layout, brick or tiled.
        status: agrees; differs (above a tolerance); failed (LAMMPS stopped or hung);
            not run (too many processes had ended before); not applicable (LAMMPS does
            not allow it).
        reference: differences from the independent evaluation.
        one_rank: differences from the run on one rank.
        atoms_per_rank: atoms that each rank owned at first.
        migrated: atoms that changed their owner.
        message: what is wrong, in words.
        seconds: that it took.
    """

    case: str
    ranks: int
    comm: str
    status: Status
    reference: Differences | None = None
    one_rank: Differences | None = None
    atoms_per_rank: tuple[int, ...] = ()
    migrated: int = 0
    message: str = ""
    seconds: float = 0.0

    @property
    def compared(self) -> list[Differences]:
        """Return the comparisons that were made."""
        return [one for one in (self.reference, self.one_rank) if one is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; an infinite difference becomes None."""
        return {
            "case": self.case,
            "ranks": self.ranks,
            "comm": self.comm,
            "status": self.status,
            "from_reference": _plain(self.reference),
            "from_one_rank": _plain(self.one_rank),
            "atoms_per_rank": list(self.atoms_per_rank),
            "migrated": self.migrated,
            "message": self.message,
            "seconds": round(self.seconds, 3),
        }


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """All outcomes for one file, and where they were obtained.

    Attributes:
        model: what the file is.
        lammps: command and version.
        settings: what was run.
        machine: where.
        versions: of the programs.
        tolerances: largest differences allowed, by quantity: from the independent
            evaluation, times the size of a quantity above 1 where the compiled
            potential ran; see `compare`.
        outcomes: one per case, number of ranks and layout.
        wall_s: seconds in all.
        date: UTC, ISO 8601.
    """

    model: dict[str, Any]
    lammps: dict[str, str]
    settings: dict[str, Any]
    machine: dict[str, Any]
    versions: dict[str, str]
    tolerances: dict[str, float]
    outcomes: tuple[Outcome, ...]
    wall_s: float
    date: str = field(default_factory=_now)

    @classmethod
    def of(
        cls,
        header: BundleHeader,
        path: Path,
        outcomes: Sequence[Outcome],
        *,
        lammps: Mapping[str, str],
        settings: Mapping[str, Any],
        wall_s: float,
        tolerances: Mapping[str, float] | None = None,
    ) -> Certificate:
        """Return the certificate of a file, obtained on this machine now.

        Args:
            header: of the file.
            path: where it is.
            outcomes: what was found.
            lammps: command and version.
            settings: what was run.
            wall_s: seconds in all.
            tolerances: those of the dtype if not given.
        """
        return cls(
            model=_model(header, path),
            lammps=dict(lammps),
            settings=dict(settings),
            machine={
                "system": platform.platform(),
                "processor": platform.machine(),
                "cores": os.cpu_count(),
            },
            versions={
                "lamplighter": lamplighter.__version__,
                "python": platform.python_version(),
                "torch": str(torch.__version__),
                "numpy": np.__version__,
            },
            tolerances=dict(tolerances or TOLERANCES[header.dtype]),
            outcomes=tuple(outcomes),
            wall_s=wall_s,
        )

    @property
    def verdict(self) -> Verdict:
        """Return whether all cases agree; incomplete if some could not be run."""
        statuses = {one.status for one in self.outcomes}
        if statuses & {"differs", "failed"}:
            return "fails"
        if "not run" in statuses or "agrees" not in statuses:
            return "incomplete"
        return "holds"

    @property
    def bad(self) -> list[Outcome]:
        """Return the outcomes that keep the certificate from holding."""
        fine = ("agrees", "not applicable")
        return [one for one in self.outcomes if one.status not in fine]

    @property
    def largest(self) -> dict[str, float]:
        """Return the largest difference of each quantity over everything compared."""
        return largest([one for outcome in self.outcomes for one in outcome.compared])

    @property
    def coverage(self) -> dict[str, int]:
        """Return how many evaluations were what they are meant to be."""
        many = [one for one in self.outcomes if one.ranks > 1 and one.compared]
        return {
            "cases": len({one.case for one in self.outcomes}),
            "compared": len([one for one in self.outcomes if one.compared]),
            "not_applicable": self._count("not applicable"),
            "with_an_empty_rank": len([o for o in many if 0 in o.atoms_per_rank]),
            "with_one_atom_on_each_rank": len(
                [o for o in many if set(o.atoms_per_rank) == {1}]
            ),
            "with_migration": len([o for o in many if o.migrated]),
        }

    def _count(self, status: Status) -> int:
        return len([one for one in self.outcomes if one.status == status])

    def to_dict(self) -> dict[str, Any]:
        """Return the document that `write` writes."""
        plain = {
            one.name: getattr(self, one.name)
            for one in dataclasses.fields(self)
            if one.name != "outcomes"
        }
        return {
            "format_version": FORMAT_VERSION,
            "kind": "rank certificate",
            "verdict": self.verdict,
            **plain,
            "units": dict(UNITS),
            "largest": {key: _finite(x) for key, x in self.largest.items()},
            "coverage": self.coverage,
            "cases": [one.to_dict() for one in self.outcomes],
        }

    def rows(self) -> list[list[str]]:
        """Return one row per case; see `COLUMNS`."""
        names = dict.fromkeys(one.case for one in self.outcomes)
        return [self._row(name) for name in names]

    def _row(self, name: str) -> list[str]:
        mine = [one for one in self.outcomes if one.case == name]
        worst = largest([one for outcome in mine for one in outcome.compared])
        cells = ["-"] * 3
        if worst:
            per_atom = max(worst["energy"], worst["energies"])
            cells = [f"{x:.0e}" for x in (per_atom, worst["forces"], worst["stress"])]
        bad = [one for one in mine if one.status not in ("agrees", "not applicable")]
        made = len([one for one in mine if one.compared])
        verdict = f"{bad[0].status} ({len(bad)})" if bad else "agrees"
        return [name, str(made), *cells, verdict]


COLUMNS: Final = ("case", "runs", "eV/atom", "eV/Å", "GPa", "")
"""Titles of `Certificate.rows`: largest differences in energy, forces and stress."""


def write(certificate: Certificate, path: str | os.PathLike[str]) -> None:
    """Write a certificate as JSON; the file is whole or absent.

    Raises:
        ConfigError: the folder does not exist.
        LamplighterError: the disk is full or the folder cannot be written.
    """
    text = json.dumps(certificate.to_dict(), indent=2, ensure_ascii=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _model(header: BundleHeader, path: Path) -> dict[str, Any]:
    return {
        "file": path.name,
        "sha256": sha256_file(path),
        "model_sha256": header.model_sha256,
        "model_name": header.model_name,
        "head": header.head,
        "elements": list(header.elements),
        "cutoff": header.cutoff,
        "n_layers": header.n_layers,
        "dtype": header.dtype,
    }


def _plain(many: Differences | None) -> dict[str, Any] | None:
    if many is None:
        return None
    return {
        name: {"value": _finite(one.value), "where": one.where}
        for name, one in many.items()
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
