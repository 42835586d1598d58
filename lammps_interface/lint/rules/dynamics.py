"""Rules about fixes, computes and dumps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lamplighter.lammps_interface.lint.finding import Finding
from lamplighter.lammps_interface.lint.rules.base import View, error, note, warning
from lamplighter.lammps_interface.lint.state import Action

_INTEGRATORS: Final = [
    "nve",
    "nvt",
    "npt",
    "nph",
    "nvk",
    "rigid",
    "msst",
    "nphug",
    "move",
    "tfmc",
    "qbmsst",
    "brownian",
    "pimd",
    "ffl",
    "nve/limit",
]
_MOVERS: Final = (
    "gcmc",
    "widom",
    "atom/swap",
    "sgcmc",
    "external",
    "hmc",
    "mdi",
    "ipi",
)
_BAROSTATS: Final = ("npt", "nph", "press/berendsen", "box/relax", "press/langevin")
_AXES: Final = {"x": (0,), "y": (1,), "z": (2,)} | dict.fromkeys(
    ("iso", "aniso", "tri"), (0, 1, 2)
)
_WIDE_GAP: Final = 10.0


def _base(fix: Action) -> str:
    return fix.style if fix.style in _BAROSTATS else fix.style.split("/")[0]


def integrators(view: View) -> Iterator[Finding]:
    """No time integrator, or two for the same atoms."""
    step = view.state.step
    if not view.state.dynamics or step is None or "$" in "".join(step.args[:1]):
        return
    fixes = list(view.state.fixes.values())
    moving = [one for one in fixes if _base(one) in _INTEGRATORS]
    if not moving and not any(
        fix.style in _MOVERS or "$" in fix.style for fix in fixes
    ):
        what = "a run without a fix that integrates in time"
        yield warning("no-integrator", step.where, what, "fix 1 all nve, or nvt or npt")
    groups: dict[str, Action] = {}
    for fix in moving:
        first = groups.setdefault(fix.group, fix)
        if first is fix or not (fix.sure and first.sure) or _base(fix) == "rigid":
            continue
        what = f"fix {first.name} ({first.style}) and fix {fix.name} ({fix.style}) "
        what += f"both integrate the group {fix.group}"
        yield error("double-integration", fix.where, what, f"unfix {first.name} before")


def _axes(fix: Action) -> set[int]:
    return {axis for word in fix.args for axis in _AXES.get(word, ())}


def barostat(view: View) -> Iterator[Finding]:
    """Tilt factors in a box that has none, and pressure across vacuum."""
    state = view.state
    moving = state.step is not None and (state.dynamics or state.step.name != "run")
    gaps = None
    if state.data is not None and not state.replicated:
        gaps = state.data.gaps(view.style)
    for fix in state.fixes.values():
        if _base(fix) not in _BAROSTATS:
            continue
        tilts = [word for word in fix.args if word in {"tri", "xy", "xz", "yz"}]
        if tilts and state.triclinic is False:
            what = f"fix {fix.style} {tilts[0]} in a box without tilt factors"
            found = error(
                "barostat-triclinic", fix.where, what, "change_box all triclinic before"
            )
            yield view.sure(found, sure=fix.sure)
        if gaps is None or not moving:
            continue
        for axis in sorted(_axes(fix)):
            if gaps[axis] >= _WIDE_GAP:
                what = f"fix {fix.style} acts along {'xyz'[axis]}, across "
                what += f"{gaps[axis]:.1f} Å of vacuum"
                fix_to = "name the axes without vacuum: x 0 0 1 y 0 0 1 couple xy"
                yield warning("vacuum", fix.where, what, fix_to)
                break


def stress(view: View) -> Iterator[Finding]:
    """Atomic virials that are not those of a many-body potential."""
    virials = {c.name: c for c in view.state.computes.values()}
    for compute in virials.values():
        if compute.style == "centroid/stress/atom" and view.state.kokkos:
            what = "compute centroid/stress/atom is not available with Kokkos"
            fix = "run without Kokkos, in the lmp where lamplighter is installed"
            found = error("stress-many-body", compute.where, what, fix)
            yield view.sure(found, sure=compute.sure)
        if compute.style != "heat/flux" or len(compute.args) < 3:
            continue
        source = virials.get(compute.args[2])
        if source is not None and source.style == "stress/atom":
            what = "compute heat/flux with compute stress/atom"
            fix = f"compute {source.name} ... centroid/stress/atom NULL virial"
            found = error("stress-many-body", compute.where, what, fix)
            yield view.sure(found, sure=compute.sure and source.sure)


def minimize(view: View) -> Iterator[Finding]:
    """Tolerances below the noise of float32."""
    step = view.state.step
    if step is None or step.name != "minimize" or view.header is None:
        return
    if view.header.dtype != "float32":
        return
    try:
        energy, force = (float(word) for word in step.args[:2])
    except ValueError:
        return
    if 0 < energy < 1e-7 or 0 < force < 1e-4 or energy == force == 0:
        what = f"minimize {' '.join(step.args[:2])} with a file in float32"
        fix = "lamplighter convert --dtype float64, or minimize 0 1.0e-3 ..."
        yield note("minimize-float32", step.where, what, fix)


def dump_elements(view: View) -> Iterator[Finding]:
    """Names in a trajectory that differ from those of the potential."""
    names = view.state.names
    for command in view.state.dump_elements:
        words = command.args
        at = words.index("element") + 1
        shown = words[at : at + len(names or ())]
        unknown = names is None or "NULL" in names or "$" in "".join(shown)
        if unknown or shown == names:
            continue
        what = f"dump_modify element {' '.join(shown)}, but the potential has "
        what += " ".join(names or ())
        fix = f"dump_modify {words[0]} element {' '.join(names or ())}"
        yield warning("dump-elements", command.where, what, fix)


RULES = (integrators, barostat, stress, minimize, dump_elements)
