"""What a run of dynamics is asked for, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lamplighter.errors import ConfigError, explain

FloatArray = NDArray[np.float64]

BOLTZMANN: Final = 8.617333262e-5
"""Boltzmann's constant, eV/K."""

EV_PER_AMU: Final = 9648.53321233
"""One eV/amu in (Å/ps)^2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run at constant cell: free, or with a Langevin thermostat.

    Attributes:
        timestep_fs: fs.
        n_steps: steps.
        every: steps between samples; the state at the start is the first sample.
        initial_K: temperature of the initial velocities, K.
        temperature_K: of the thermostat, K.
        friction_per_ps: of the thermostat, 1/ps; 0 is none.
        seed: of velocities and noise: the same numbers push the same atoms.
        positions: whether samples hold positions.
        virial: whether samples hold the virial stress.
    """

    timestep_fs: float
    n_steps: int
    every: int = 1
    initial_K: float = 0.0  # noqa: N815 - the unit is spelled K
    temperature_K: float = 0.0  # noqa: N815 - same
    friction_per_ps: float = 0.0
    seed: int = 1
    positions: bool = False
    virial: bool = False

    def __post_init__(self) -> None:
        """Refuse runs that go nowhere.

        Raises:
            ConfigError: a step, number or seed that is not positive, a negative
                temperature.
        """
        if not 0 < self.seed < 9 * 10**8:
            wanted = "a whole number from 1 to 899999999, as LAMMPS takes it"
            raise ConfigError(explain("seed of dynamics", got=self.seed, wanted=wanted))
        if not self.timestep_fs > 0 or self.n_steps < 1 or self.every < 1:
            raise ConfigError(
                explain(
                    "dynamics without steps",
                    got=f"{self.n_steps} of {self.timestep_fs} fs, "
                    f"a sample every {self.every}",
                    wanted="positive numbers",
                )
            )
        if min(self.initial_K, self.temperature_K, self.friction_per_ps) < 0:
            raise ConfigError(
                explain(
                    "dynamics with a negative temperature or friction",
                    got=f"{self.initial_K} K, {self.temperature_K} K, "
                    f"{self.friction_per_ps} 1/ps",
                )
            )

    @property
    def n_samples(self) -> int:
        """Samples, with that at the start."""
        return self.n_steps // self.every + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trajectory:
    """Samples of a run.

    Attributes:
        times: [n], ps.
        potential: [n], eV.
        kinetic: [n], eV.
        positions: [n, n_atoms, 3], Å, never wrapped; ``None`` if not asked for.
        virial: [n, 3, 3], eV/Å^3, tension positive, without the kinetic part; ``None``
            if not asked for.
        native: whether LAMMPS moved the atoms.
    """

    times: FloatArray
    potential: FloatArray
    kinetic: FloatArray
    positions: FloatArray | None
    virial: FloatArray | None
    native: bool

    def temperature(self, n_atoms: int) -> FloatArray:
        """Return the temperature of each sample, K; the centre of mass rests."""
        return np.asarray(2 * self.kinetic / (3 * max(n_atoms - 1, 1)) / BOLTZMANN)


@runtime_checkable
class OwnDynamics(Protocol):
    """An engine that moves atoms itself."""

    def propagate(self, atoms: Atoms, plan: Plan) -> Trajectory:
        """Return the samples of a run from the positions of `atoms`."""
        ...


def initial_velocities(atoms: Atoms, temperature: float, seed: int) -> FloatArray:
    """Return velocities [n_atoms, 3], Å/ps, of exactly this temperature.

    Normal numbers by atom and axis; the centre of mass rests.

    Args:
        atoms: for their masses.
        temperature: K.
        seed: the same seed gives the same velocities.
    """
    masses = atoms.get_masses()[:, None]
    draw = np.random.default_rng(seed)
    velocities = draw.normal(size=(len(atoms), 3)) / np.sqrt(masses)
    velocities -= (masses * velocities).sum(axis=0) / masses.sum()
    now = kinetic_energy(masses, velocities)
    wanted = 1.5 * (len(atoms) - 1) * BOLTZMANN * temperature
    scale = np.sqrt(wanted / now) if now > 0 else 0.0
    return np.asarray(velocities * scale)


def kinetic_energy(masses: FloatArray, velocities: FloatArray) -> float:
    """Return the kinetic energy in eV of velocities in Å/ps; masses [n_atoms, 1]."""
    return float((masses * velocities**2).sum() / 2 / EV_PER_AMU)


def block_means(samples: Any, n_blocks: int) -> FloatArray:
    """Return the means [n_blocks, ...] of equal parts of a series, in order.

    Samples that do not fill a block are dropped at the beginning.

    Raises:
        ConfigError: fewer samples than blocks.
    """
    values = np.asarray(samples, dtype=float)
    length = len(values) // n_blocks
    if length == 0:
        raise ConfigError(
            explain(
                "too few samples for the blocks of an error bar",
                got=len(values),
                wanted=f"at least {n_blocks}",
                fix="run longer",
            )
        )
    used = values[len(values) - length * n_blocks :]
    return np.asarray(used.reshape(n_blocks, length, *values.shape[1:]).mean(axis=1))


def standard_error(parts: Any) -> FloatArray:
    """Return the error of the mean of independent parts, along the first axis."""
    values = np.asarray(parts, dtype=float)
    return np.asarray(values.std(axis=0, ddof=1) / np.sqrt(len(values)))
