"""Rules about settings of the whole simulation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lamplighter.lammps_interface.lint.finding import Finding
from lamplighter.lammps_interface.lint.rules.base import (
    View,
    error,
    standard_mass,
    warning,
)

# Unit of time in ps, of the unit styles in which the pair style runs.
_PS: Final = {"metal": 1.0, "real": 1e-3}

_THERMOSTATS: Final = ("nvt", "npt", "nph", "langevin", "temp/berendsen")
# 1 fs for hydrogen; other masses by the period of a bond of the same stiffness.
_LONGEST_STEP_OF_H: Final = 0.001
_ABSURD_STEP: Final = 0.02
_TINY_STEP: Final = 1e-5


def units(view: View) -> Iterator[Finding]:
    """Units that the potential does not work in."""
    setting = view.state.units
    value = "lj" if setting is None else setting.value
    if value is None or value in _PS:
        return
    what = f"units {value}" if setting else "no units command: LAMMPS takes units lj"
    yield view.sure(error("units", view.place(setting), what, "units metal"))


def newton(view: View) -> Iterator[Finding]:
    """Pair forces that stay on ghost atoms."""
    setting = view.state.newton
    if setting is not None and setting.value is False:
        yield view.sure(
            error("newton", setting.where, "newton off for pairs", "newton on")
        )
        return
    if setting is not None:
        return
    for package in view.state.packages:
        words = package.args
        if "newton" in words and words[words.index("newton") + 1 :][:1] == ("off",):
            found = error(
                "newton",
                package.where,
                f"package {words[0]} newton off",
                f"package {words[0]} ... newton on",
            )
            yield view.sure(found, sure=package.sure)
    kokkos = view.state.kokkos
    if kokkos is None or not kokkos.value or kokkos.value[0] not in {"g", "gpus"}:
        return
    if not any("newton" in package.args for package in view.state.packages):
        fix = "-pk kokkos newton on neigh half"
        yield error("newton", kokkos.where, "Kokkos on GPUs has newton off", fix)


def order(view: View) -> Iterator[Finding]:
    """Commands on the wrong side of the box."""
    for command in view.state.early:
        if command.name in {"units", "atom_style", "boundary"}:
            what = f"{command.name} after the box is made"
            fix = f"move {command.name} before read_data, create_box or read_restart"
        else:
            what = f"{command.name} before there is a box"
            fix = f"move {command.name} behind read_data, create_box or read_restart"
        yield error("order", command.where, what, fix)


def time_step(view: View) -> Iterator[Finding]:
    """A time step that does not suit the lightest atom, or other units."""
    state = view.state
    unit = _unit_of_time(view)
    if not state.dynamics or view.time_step is None or unit is None:
        return
    step = view.time_step * unit
    where = view.place(state.timestep, state.units)
    if step >= _ABSURD_STEP:
        yield view.sure(
            error(
                "timestep",
                where,
                f"a time step of {step:g} ps = {1000 * step:g} fs",
                f"timestep {min(step / 1000, 0.001) / unit:g}   # {_name(unit)}",
            )
        )
        return
    if step < _TINY_STEP:
        what = f"a time step of {step:g} ps = {1000 * step:g} fs"
        fix = f"timestep {0.001 / unit:g}   # {_name(unit)}"
        yield warning("timestep", where, what, fix)
        return
    lightest = _lightest(view)
    styles = [fix.style for fix in view.state.fixes.values()]
    rigid = any(style.startswith(("shake", "rattle", "rigid")) for style in styles)
    if lightest is None or rigid:
        return
    mass, name = lightest
    longest = _LONGEST_STEP_OF_H * (mass / standard_mass("H")) ** 0.5
    if step > 1.001 * longest:
        what = f"a time step of {1000 * step:g} fs for {name} of {mass:g} amu"
        shorter = _round_down(longest / 2) / unit
        fix = f"timestep {shorter:g}   # {_name(unit)}, at most {longest / unit:.2g}"
        yield warning("timestep", where, what, fix)


def _unit_of_time(view: View) -> float | None:
    """Return the unit of time in ps; None where the units are not known or wrong."""
    units = view.state.units
    return _PS.get(units.value or "") if units is not None else None


def _name(unit: float) -> str:
    return "ps" if unit == 1.0 else "fs"


def _lightest(view: View) -> tuple[float, str] | None:
    """Return mass and name of the lightest atom that the potential moves."""
    found: list[tuple[float, str]] = []
    for one, name in view.elements.items():
        mass = view.state.masses.get(one)
        if mass is None or mass.value is None:
            found.append((standard_mass(name), name))
        else:
            found.append((mass.value, name))
    return min((one for one in found if one[0] > 0.1), default=None)


def _round_down(step: float) -> float:
    return max(int(step / 0.00025), 1) * 0.00025


def damping(view: View) -> Iterator[Finding]:
    """Damping times of a thermostat that were meant in fs."""
    unit = _unit_of_time(view)
    if not view.state.dynamics or unit is None:
        return
    for fix in view.state.fixes.values():
        words = fix.args
        base = fix.style.split("/")[0] if fix.style != "temp/berendsen" else fix.style
        if base not in _THERMOSTATS:
            continue
        if base in {"langevin", "temp/berendsen"}:
            time = words[2:3]
        else:
            at = words.index("temp") if "temp" in words else len(words)
            time = words[at + 3 : at + 4]
        try:
            value = unit * float(time[0]) if time else 0.0
        except ValueError:
            continue
        step = None if view.time_step is None else unit * view.time_step
        if value >= 20:
            what = f"a damping time of {value:g} ps in fix {fix.name}"
            better = f"{value / 1000 / unit:g}, in {_name(unit)}"
            yield warning("damping", fix.where, what, better)
        elif step is not None and 0 < value < 3 * step:
            what = f"a damping time of {value:g} ps, below three time steps"
            better = f"100 time steps, such as {0.1 / unit:g}"
            yield warning("damping", fix.where, what, better)


def lost_atoms(view: View) -> Iterator[Finding]:
    """Lost atoms that nobody hears of."""
    lost = view.state.lost
    if lost is not None and lost.value == "ignore" and view.state.dynamics:
        what = "thermo_modify lost ignore"
        yield warning("lost-atoms", lost.where, what, "leave it at lost error")


def respa(view: View) -> Iterator[Finding]:
    """Several time steps, which the potential does not have."""
    setting = view.state.run_style
    if setting is None or not setting.value or not setting.value[0].startswith("respa"):
        return
    what = f"run_style {' '.join(setting.value)}"
    yield view.sure(error("respa", setting.where, what, "run_style verlet"))


RULES = (units, newton, order, time_step, damping, lost_atoms, respa)
