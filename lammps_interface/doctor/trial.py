"""A job of two atoms, really run, on one rank and on two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ase.data import atomic_masses, atomic_numbers, covalent_radii

from lamplighter.errors import EngineError
from lamplighter.lammps_interface.bundle import BundleHeader
from lamplighter.lammps_interface.doctor.findings import Finding, ok, problem
from lamplighter.lammps_interface.doctor.known_errors import explain_text
from lamplighter.lammps_interface.doctor.processes import ask
from lamplighter.lammps_interface.doctor.routes import Route, pair_lines

_STEPS: Final = 3
_MARK: Final = "doctor:"
_TOLERANCE: Final = {"float64": (1e-9, 1e-8), "float32": (1e-5, 1e-4)}
"""Energy in eV/atom and force in eV/Å that ranks may differ by."""

_SHOW: Final = " ".join(
    ["$(pe:%.15g)", *(f"$(f{x}[{n}]:%.15g)" for n in (1, 2) for x in "xyz")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What a trial printed: energies in eV and forces in eV/Å, before and after steps.

    Attributes:
        energies: two potential energies.
        forces: six components of two atoms, twice.
    """

    energies: tuple[float, ...]
    forces: tuple[float, ...]


def trial_script(model: str, header: BundleHeader, route: Route) -> str:
    """Return a script with two atoms of the model's elements in a small crystal.

    The arrangement is that of CsCl with bonds 15 % longer than the covalent radii, one
    atom off its place, so that no force vanishes by symmetry.
    """
    names = (header.elements[0], header.elements[-1])
    bond = 1.15 * sum(covalent_radii[atomic_numbers[name]] for name in names)
    length = 2.0 * bond / math.sqrt(3.0)
    masses = [atomic_masses[atomic_numbers[name]] for name in names]
    x, y, z = 0.53 * length, 0.49 * length, 0.51 * length
    lines = [
        "units metal",
        "atom_style atomic",
        "atom_modify map array",
        "newton on",
        f"region box block 0 {length:.6f} 0 {length:.6f} 0 {length:.6f}",
        "create_box 2 box",
        "create_atoms 1 single 0 0 0",
        f"create_atoms 2 single {x:.6f} {y:.6f} {z:.6f}",
        *(f"mass {n} {mass:.6f}" for n, mass in enumerate(masses, 1)),
        *pair_lines(route, model, names),
        "fix move all nve",
        "timestep 0.0005",
        "run 0 post no",
        f'print "{_MARK} {_SHOW}"',
        f"run {_STEPS} post no",
        f'print "{_MARK} {_SHOW}"',
        "",
    ]
    return "\n".join(lines)


def run_trial(
    command: Sequence[str],
    folder: Path,
    *,
    environment: Mapping[str, str],
    timeout_s: float,
) -> Numbers | Finding:
    """Run ``in.doctor`` of a folder; return its numbers, or what went wrong."""
    words = [*command, "-in", "in.doctor", "-log", "none", "-echo", "none"]
    threads = {"OMP_NUM_THREADS": "1"}
    try:
        answer = ask(
            words,
            timeout_s=timeout_s,
            environment={**threads, **environment},
            cwd=folder,
        )
    except EngineError as error:
        return _failure(command, str(error), "look for other jobs on this machine")
    rows = [
        [float(word) for word in line.split()[1:]]
        for line in answer.text.splitlines()
        if line.startswith(_MARK)
    ]
    if answer.status == 0 and len(rows) == 2:
        return Numbers(
            energies=tuple(row[0] for row in rows),
            forces=tuple(value for row in rows for value in row[1:]),
        )
    if answer.status == 0 and len(rows) > 2:
        advice = "use the mpiexec of LAMMPS' own MPI library"
        return _failure(command, "each rank ran a job of its own", advice)
    known = explain_text(answer.text)
    tail = " / ".join(answer.text.strip().splitlines()[-3:])
    advice = known[0].cure if known else "lamplighter doctor --explain with the output"
    return _failure(command, f"exit status {answer.status}: {tail}", advice)


def judge_one(numbers: Numbers, seconds: float) -> Finding:
    """Return what a trial on one rank shows."""
    subject = "trial, 1 rank"
    if not all(map(math.isfinite, (*numbers.energies, *numbers.forces))):
        return problem(subject, "numbers are not finite", "check the model file")
    found = f"energy {numbers.energies[0]:.6f} eV, {_STEPS} steps, {seconds:.1f} s"
    return ok(subject, found)


def judge_two(one: Numbers, two: Numbers, dtype: str) -> Finding:
    """Return whether two ranks give the numbers of one."""
    subject = "trial, 2 ranks"
    energy = _largest(one.energies, two.energies) / 2
    force = _largest(one.forces, two.forces)
    limits = _TOLERANCE[dtype]
    found = f"differ from 1 rank by {energy:.1e} eV/atom and {force:.1e} eV/Å"
    if energy <= limits[0] and force <= limits[1]:
        return ok(subject, found)
    advice = f"do not use several ranks here (limits {limits[0]:g}, {limits[1]:g})"
    return problem(subject, found, advice)


def _largest(a: Sequence[float], b: Sequence[float]) -> float:
    gaps = [abs(x - y) for x, y in zip(a, b, strict=True)]
    return max(gap if math.isfinite(gap) else math.inf for gap in gaps)


def _failure(command: Sequence[str], found: str, advice: str) -> Finding:
    return problem("trial", f"{' '.join(command)}: {found}", advice)
