"""Elastic constants at a temperature, from dynamics.

Two ways that give the same isothermal constants, the derivatives of the Cauchy stress
with respect to strain at the given cell:

* `paired`: two Langevin runs at strains of opposite sign, with the same velocities and
  the same noise. Most of the thermal stress is common to both and drops out of the
  difference, so that a few ps are enough, and internal strain relaxes by itself.
* `fluctuation`: one run at rest. With the virial stress s of a configuration and the
  probability exp(-U / kT) at fixed scaled coordinates, differentiating the average
  gives ``C_ij = <ds_i/de_j> - V/kT (<s_i s_j> - <s_i><s_j>) + n kT/V`` (the last term
  for i, j = 1 to 3, n = N - 1 moving atoms): the first term is that of clamped ions.

Source: Squire, Holt, Hoover, Physica 42, 388 (1969) for fluctuations; Parrinello,
Rahman, J. Chem. Phys. 76, 2662 (1982).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.dynamics import Plan, Trajectory, propagate
from lamplighter.validation.dynamics.base import (
    BOLTZMANN,
    FloatArray,
    block_means,
    standard_error,
)
from lamplighter.validation.dynamics.crystals import (
    displacements,
    still_a_crystal,
    supercell_of,
)
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
)
from lamplighter.validation.properties.crystal import conventional, material_name
from lamplighter.validation.properties.elastic_tensor import born_eigenvalues, project
from lamplighter.validation.properties.elastic_values import constants
from lamplighter.validation.relax import RelaxSettings, relax_crystal
from lamplighter.validation.structures import (
    is_cubic,
    point_group,
    strain_tensor,
    strained,
    to_voigt,
)

METHODS: Final = ("paired", "fluctuation")


@dataclass(frozen=True, slots=True, kw_only=True)
class MdElasticSettings:
    """How elastic constants at a temperature are computed.

    Attributes:
        temperature_K: K.
        method: ``paired`` or ``fluctuation``; see the module.
        strain: of each pair, Voigt strain (a shear counts twice its tensor).
        min_length: of the supercell, Å.
        timestep_fs: fs.
        friction_per_ps: of the thermostat, 1/ps.
        equilibration_ps: at the beginning of each run, left out, ps.
        duration_ps: of each run after that, ps.
        n_runs: runs with different noise.
        n_blocks: parts of each run, for the error bars; longer than correlations last.
        every: steps between samples.
        cell_steps: how often the cell is strained to the stress that the run showed
            and computed again; 0 stays at the cell of the relaxed crystal.
        born_snapshots: configurations for the first term of `fluctuation`.
        born_strain: its strain.
        seed: of the first run.
        fmax: largest force of the relaxed crystal, eV/Å.
        max_stress: mean stress that is still called none, GPa.
        max_error: error bar over the largest constant that is still good.
    """

    temperature_K: float = 300.0  # noqa: N815 - the unit is spelled K
    method: str = "paired"
    strain: float = 0.005
    min_length: float = 10.0
    timestep_fs: float = 1.0
    friction_per_ps: float = 5.0
    equilibration_ps: float = 1.0
    duration_ps: float = 4.0
    n_runs: int = 2
    n_blocks: int = 4
    every: int = 5
    cell_steps: int = 0
    born_snapshots: int = 20
    born_strain: float = 1e-3
    seed: int = 1
    fmax: float = 1e-4
    max_stress: float = 0.5
    max_error: float = 0.05

    def __post_init__(self) -> None:
        """Refuse runs without a result.

        Raises:
            ConfigError: an unknown method, a number that has to be positive, or too few
                parts for an error bar.
        """
        if self.method not in METHODS:
            raise ConfigError(
                explain("method of md_elastic", got=self.method, wanted=METHODS)
            )
        for name in ("temperature_K", "strain", "friction_per_ps", "duration_ps"):
            if not getattr(self, name) > 0:
                problem = f"{name} of md_elastic must be positive"
                raise ConfigError(explain(problem, got=getattr(self, name)))
        if self.n_runs < 1 or self.n_blocks < 2 or self.born_snapshots < 1:
            raise ConfigError(
                explain(
                    "runs of md_elastic",
                    got=f"{self.n_runs} runs of {self.n_blocks} blocks",
                    wanted="1 run or more of at least 2 blocks",
                )
            )

    def plan(self, run: int, *, virial: bool = True) -> Plan:
        """Return the run of a number; equal numbers have equal noise."""
        length = self.equilibration_ps + self.duration_ps
        return Plan(
            timestep_fs=self.timestep_fs,
            n_steps=round(1000 * length / self.timestep_fs),
            every=self.every,
            initial_K=self.temperature_K,
            temperature_K=self.temperature_K,
            friction_per_ps=self.friction_per_ps,
            seed=self.seed + run,
            positions=True,
            virial=virial,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What one cell gave.

    Attributes:
        tensor: [6, 6], GPa, with the symmetry of the point group.
        error: [6, 6], GPa.
        stress: [6], GPa: mean stress of the unstrained cell.
        stress_error: [6], GPa.
        checks: of the runs.
        gain: thermal spread of a difference of independent runs over that of the
            pairs: how much noise they took out; 1 for fluctuations.
    """

    tensor: FloatArray
    error: FloatArray
    stress: FloatArray
    stress_error: FloatArray
    checks: tuple[Check, ...]
    gain: float


def run(
    structure: Atoms, engine: Engine, settings: MdElasticSettings | None = None
) -> PropertyResult:
    """Return the isothermal elastic constants at a temperature.

    Values at 300 K, in the standard crystal axes: ``C11_300K`` and so on, GPa;
    ``thermal_strain_300K``, the mean linear strain from the cell of the relaxed crystal
    to zero stress, to first order; ``pressure_300K``, GPa, of the cell that was used.
    Errors are standard errors of blocks. Arrays: ``C``, ``C_error``, ``stress``,
    ``born_eigenvalues`` (GPa).

    Args:
        structure: a crystal, any cell; it is relaxed first.
        engine: what computes; LAMMPS runs the dynamics itself.
        settings: see [`MdElasticSettings`][].

    Raises:
        EngineError: the engine cannot compute the crystal at rest.
    """
    settings = settings or MdElasticSettings()
    relaxed = relax_crystal(structure, engine, RelaxSettings(fmax=settings.fmax))
    method: dict[str, Any] = asdict(settings)
    checks = list(relaxed.checks)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if relaxed.ok:
        unit = conventional(relaxed.atoms)
        try:
            found, cell = _at_zero_stress(unit, engine, settings)
        except EngineError as error:
            checks.append(Check(name="dynamics run", ok=False, text=str(error)))
        else:
            strain = float(np.cbrt(cell.get_volume() / unit.get_volume())) - 1
            checks += [*found.checks, *_checks(found, settings)]
            values = _values(found, cell, strain, settings.temperature_K)
            arrays = {
                "C": found.tensor,
                "C_error": found.error,
                "stress": found.stress,
                "born_eigenvalues": born_eigenvalues(found.tensor),
            }
            method |= {"cell": cell.cell.array, "noise_gain": found.gain}
            method["n_atoms"] = len(supercell_of(cell, settings.min_length))
    return PropertyResult.conclude(
        "md_elastic",
        material_name(structure),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def _at_zero_stress(
    unit: Atoms, engine: Engine, settings: MdElasticSettings
) -> tuple[Constants, Atoms]:
    """Return the constants at the last cell, and that cell."""
    compute = paired if settings.method == "paired" else fluctuation
    found = compute(unit, engine, settings)
    cell = unit
    for _ in range(settings.cell_steps):
        change = -np.linalg.solve(found.tensor, found.stress)
        strain = sum(strain_tensor(i, float(change[i])) for i in range(6))
        cell = strained(cell, np.asarray(strain))
        found = compute(cell, engine, settings)
    return found, cell


def paired(unit: Atoms, engine: Engine, settings: MdElasticSettings) -> Constants:
    """Return the constants from pairs of runs with opposite strains.

    Args:
        unit: conventional cell.
        engine: what computes.
        settings: see [`MdElasticSettings`][].

    Raises:
        EngineError: a run fails.
    """
    crystal = supercell_of(unit, settings.min_length)
    parts: list[FloatArray] = []
    rest: list[FloatArray] = []
    spreads: list[tuple[float, float]] = []
    checks: list[Check] = []
    for number in range(settings.n_runs):
        columns, middles = [], []
        for component in range(6):
            low, high = (
                _stresses(crystal, component, sign * settings.strain, engine,
                          settings, number, checks)
                for sign in (-1, 1)
            )  # fmt: skip
            columns.append(block_means(high - low, settings.n_blocks))
            middles.append(block_means((high + low) / 2, settings.n_blocks))
            spreads.append((_spread(high), _spread(high - low) / np.sqrt(2)))
        # [blocks, components, 6] -> C[i, j] = d stress_i / d strain_j
        slopes = np.stack(columns, axis=1) / (2 * settings.strain)
        parts += list(np.swapaxes(slopes, 1, 2))
        rest += list(np.mean(middles, axis=0))
    rotations = point_group(unit)
    kinetic = _kinetic(crystal, settings.temperature_K)
    tensors = [
        project(part + kinetic[:, None] * _NORMAL[None], rotations) for part in parts
    ]
    stresses = np.array(rest) - kinetic
    return Constants(
        tensor=np.mean(tensors, axis=0) * GPA_PER_EV_A3,
        error=standard_error(tensors) * GPA_PER_EV_A3,
        stress=stresses.mean(axis=0) * GPA_PER_EV_A3,
        stress_error=standard_error(stresses) * GPA_PER_EV_A3,
        checks=(_worst(checks),),
        gain=float(np.mean([alone / max(both, 1e-300) for alone, both in spreads])),
    )


def fluctuation(unit: Atoms, engine: Engine, settings: MdElasticSettings) -> Constants:
    """Return the constants from the fluctuations of the stress.

    Args:
        unit: conventional cell.
        engine: what computes.
        settings: see [`MdElasticSettings`][].

    Raises:
        EngineError: a run fails.
    """
    crystal = supercell_of(unit, settings.min_length)
    series: list[FloatArray] = []
    born: list[FloatArray] = []
    checks: list[Check] = []
    for number in range(settings.n_runs):
        trajectory, first = _run(crystal, engine, settings, number, checks)
        stresses = np.array(
            [to_voigt(s) for s in np.asarray(trajectory.virial)[first:]]
        )
        length = len(stresses) // settings.n_blocks
        series += [stresses[n * length : (n + 1) * length] for n in
                   range(settings.n_blocks)]  # fmt: skip
        positions = np.asarray(trajectory.positions)[first:]
        chosen = np.linspace(0, len(positions) - 1, settings.born_snapshots).astype(int)
        born += [_born(crystal, positions[k], engine, settings) for k in chosen]
    rotations = point_group(unit)
    beta_volume = crystal.get_volume() / (BOLTZMANN * settings.temperature_K)
    kinetic = _kinetic(crystal, settings.temperature_K)
    clamped = project(np.mean(born, axis=0), rotations)
    clamped_error = standard_error([project(one, rotations) for one in born])

    def tensor(parts: list[FloatArray]) -> FloatArray:
        covariance = np.cov(np.concatenate(parts).T, bias=True)
        softer = project(beta_volume * covariance, rotations)
        whole: FloatArray = clamped - softer + kinetic[:, None] * _NORMAL[None]
        return whole

    left = [tensor(series[:k] + series[k + 1 :]) for k in range(len(series))]
    spread = np.sqrt((len(left) - 1) * np.var(left, axis=0))
    means = np.array([part.mean(axis=0) for part in series]) - kinetic
    return Constants(
        tensor=tensor(series) * GPA_PER_EV_A3,
        error=np.hypot(spread, clamped_error) * GPA_PER_EV_A3,
        stress=means.mean(axis=0) * GPA_PER_EV_A3,
        stress_error=standard_error(means) * GPA_PER_EV_A3,
        checks=(_worst(checks),),
        gain=1.0,
    )


_NORMAL: Final = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def _kinetic(crystal: Atoms, temperature: float) -> FloatArray:
    """Return the kinetic pressure in Voigt order, eV/Å^3: the centre of mass rests."""
    density = (len(crystal) - 1) / crystal.get_volume()
    return np.asarray(density * BOLTZMANN * temperature * _NORMAL)


def _run(
    crystal: Atoms,
    engine: Engine,
    settings: MdElasticSettings,
    number: int,
    checks: list[Check],
) -> tuple[Trajectory, int]:
    """Return a run and the index of its first sample after equilibration."""
    trajectory = propagate(crystal, engine, settings.plan(number))
    first = int(np.searchsorted(trajectory.times, settings.equilibration_ps - 1e-9))
    moves = displacements(np.asarray(trajectory.positions)[first:], crystal)
    checks.append(still_a_crystal(moves, crystal))
    return trajectory, first


def _stresses(
    crystal: Atoms,
    component: int,
    strain: float,
    engine: Engine,
    settings: MdElasticSettings,
    number: int,
    checks: list[Check],
) -> FloatArray:
    """Return the virial stresses [n, 6] of a strained crystal, eV/Å^3."""
    other = strained(crystal, strain_tensor(component, strain))
    trajectory, first = _run(other, engine, settings, number, checks)
    return np.array([to_voigt(s) for s in np.asarray(trajectory.virial)[first:]])


def _born(
    crystal: Atoms, positions: FloatArray, engine: Engine, settings: MdElasticSettings
) -> FloatArray:
    """Return the derivatives of the virial stress of one configuration, eV/Å^3."""
    atoms = crystal.copy()
    atoms.positions = positions
    step = settings.born_strain
    many = [
        strained(atoms, strain_tensor(component, sign * step))
        for component in range(6)
        for sign in (-1, 1)
    ]
    results = engine.compute_many(many, ("energy", "forces", "stress"))
    stresses = np.array([to_voigt(np.asarray(result.stress)) for result in results])
    return np.asarray((stresses[1::2] - stresses[0::2]).T / (2 * step))


def _spread(stresses: FloatArray) -> float:
    """Return the standard deviation in time, over all components."""
    return float(np.sqrt(stresses.var(axis=0).mean()))


def _worst(checks: list[Check]) -> Check:
    return max(checks, key=lambda check: check.value or 0.0)


def _checks(found: Constants, settings: MdElasticSettings) -> list[Check]:
    largest = float(np.abs(found.tensor).max())
    return [
        at_most(
            "error bars",
            float(found.error.max()) / largest,
            settings.max_error,
            "largest standard error over the largest constant: run longer",
            hard=False,
        ),
        at_most(
            "mean stress",
            float(np.abs(found.stress).max()),
            settings.max_stress,
            "of the cell that was used, GPa: set cell_steps to go to zero stress",
            hard=False,
        ),
        at_least(
            "Born stability",
            float(born_eigenvalues(found.tensor)[0]),
            0.0,
            "lowest eigenvalue of the elastic tensor, GPa",
            hard=False,
        ),
    ]


def _values(
    found: Constants, cell: Atoms, strain: float, temperature: float
) -> dict[str, Quantity]:
    ending = f"_{temperature:g}K"
    values = constants(found.tensor, found.error, ending, cubic=is_cubic(cell))
    compliance = np.linalg.inv(found.tensor)
    to_zero = -compliance @ found.stress
    error = np.abs(compliance) @ found.stress_error
    values[f"thermal_strain{ending}"] = Quantity(
        value=strain + float(to_zero[:3].mean()), unit="", error=float(error[:3].mean())
    )
    values[f"pressure{ending}"] = Quantity(
        value=-float(found.stress[:3].mean()),
        unit="GPa",
        error=float(found.stress_error[:3].mean()),
    )
    return values
