"""Dynamics over an engine: inside LAMMPS where it is one, else step by step."""

from lamplighter.validation.dynamics.base import (
    OwnDynamics,
    Plan,
    Trajectory,
    initial_velocities,
)
from lamplighter.validation.dynamics.route import propagate

__all__ = ["OwnDynamics", "Plan", "Trajectory", "initial_velocities", "propagate"]
