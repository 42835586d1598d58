"""How elastic constants at a temperature are computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.dynamics import Plan
from lamplighter.validation.properties.base import require_positive

METHODS: Final = ("paired", "fluctuation")
_POSITIVE: Final = (
    "temperature_K",
    "strain",
    "born_strain",
    "min_length",
    "timestep_fs",
    "friction_per_ps",
    "duration_ps",
    "every",
    "seed",
)


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
        require_positive(self, _POSITIVE, "md_elastic must be positive")
        few = min(self.equilibration_ps, self.cell_steps) < 0 or self.n_runs < 1
        if few or self.n_blocks < 2 or self.born_snapshots < 2:
            raise ConfigError(
                explain(
                    "runs of md_elastic",
                    got=f"{self.n_runs} runs of {self.n_blocks} blocks, "
                    f"{self.born_snapshots} snapshots, {self.equilibration_ps} ps "
                    f"before, {self.cell_steps} cell steps",
                    wanted="1 run or more of at least 2 blocks and 2 snapshots",
                )
            )

    def plan(self, run: int, *, virial: bool = True) -> Plan:
        """Return the run of a number; equal numbers have equal noise."""
        length = self.equilibration_ps + self.duration_ps
        return Plan(
            timestep_fs=self.timestep_fs,
            n_steps=round(1000 * length / self.timestep_fs),
            every=self.every,
            initial_K=2 * self.temperature_K,  # half of it goes into the positions
            temperature_K=self.temperature_K,
            friction_per_ps=self.friction_per_ps,
            seed=self.seed + run,
            positions=True,
            virial=virial,
        )
