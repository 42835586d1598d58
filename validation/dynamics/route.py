"""Which way a run goes."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from ase import Atoms

from lamplighter.validation.dynamics.base import OwnDynamics, Plan, Trajectory
from lamplighter.validation.dynamics.integrate import integrate
from lamplighter.validation.dynamics.native import RunsLammps, run_native
from lamplighter.validation.engines.base import Engine


@runtime_checkable
class Wraps(Protocol):
    """An engine around another one, such as a cache."""

    @property
    def inner(self) -> Engine:
        """Return the engine that computes."""
        ...


def propagate(atoms: Atoms, engine: Engine, plan: Plan) -> Trajectory:
    """Return the samples of a run from the positions of `atoms`.

    An engine with dynamics of its own is asked for them; LAMMPS runs the whole plan in
    one go; every other engine is asked at each step. A cache is passed by: no step
    comes twice.

    Args:
        atoms: the start; it is not changed.
        engine: what computes.
        plan: see [`Plan`][].

    Raises:
        EngineError: the engine fails, as it does where the dynamics blow up.
    """
    # Something else of that name is no engine.
    while isinstance(engine, Wraps) and isinstance(engine.inner, Engine):
        engine = engine.inner
    if isinstance(engine, OwnDynamics):
        return engine.propagate(atoms, plan)
    if isinstance(engine, RunsLammps):
        return run_native(atoms, engine, plan)
    return integrate(atoms, engine, plan)
