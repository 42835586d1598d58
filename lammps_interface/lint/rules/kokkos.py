"""Rules about LAMMPS with KOKKOS, whose own mliap style then runs the potential."""

from __future__ import annotations

from collections.abc import Iterator

from lamplighter.lammps_interface.lint.finding import Finding
from lamplighter.lammps_interface.lint.rules.base import View, error, warning


def suffix(view: View) -> Iterator[Finding]:
    """Kokkos without its styles."""
    state = view.state
    if state.kokkos is not None and (state.suffix is None or state.suffix.value == ""):
        what = "Kokkos is on, but the styles have no suffix kk"
        yield error("kokkos-suffix", state.kokkos.where, what, "-k on g 1 -sf kk")
    elif (
        state.kokkos is None and state.suffix is not None and state.suffix.value == "kk"
    ):
        what = "the suffix kk without Kokkos switched on"
        yield warning("kokkos-suffix", state.suffix.where, what, "-k on g 1 -sf kk")


def communication(view: View) -> Iterator[Finding]:
    """Exchanges that crash."""
    state = view.state
    for package in state.packages:
        words = package.args
        aware = words[words.index("gpu/aware") + 1 :] if "gpu/aware" in words else ()
        if words[:1] == ("kokkos",) and aware[:1] == ("off",):
            fix = "gpu/aware on, with an MPI that is, or one rank"
            yield warning(
                "kokkos-comm", package.where, "package kokkos gpu/aware off", fix
            )
    kokkos = state.kokkos
    if kokkos is None or kokkos.value is None or state.suffix is None:
        return
    if not {"g", "gpus"} & set(kokkos.value):
        what = "mliap/kk on the host"
        fix = "LAMMPS without -k on -sf kk, and the pair style of Lamplighter"
        yield warning("kokkos-host", kokkos.where, what, fix)


def computes(view: View) -> Iterator[Finding]:
    """Fixes and computes of mliap/kk that were or are wrong."""
    state = view.state
    if state.kokkos is None:
        return
    for fix in state.fixes.values():
        if fix.style == "langevin":
            later = "a LAMMPS of November 2025 or later, other than 11 Feb 2026"
            yield warning("kokkos-langevin", fix.where, "fix langevin/kk", later)
    styles = {one.style: one for one in state.computes.values()}
    if "stress/atom" in styles and "pe/atom" not in styles:
        where = styles["stress/atom"].where
        what = "compute stress/atom without compute pe/atom"
        energies = "compute pe all pe/atom, evaluated on the same steps"
        yield warning("kokkos-stress", where, what, energies)


RULES = (suffix, communication, computes)
