"""A potential compiled for one head, the elements in use and one dtype."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from lamplighter.errors import CheckFailedError, ConfigError, explain
from lamplighter.model.artifact import torch_dtype
from lamplighter.model.compiled.check import Deviation, Reference
from lamplighter.model.compiled.exchange import (
    NothingToExchange,
    RowExchange,
    ThroughRows,
)
from lamplighter.model.compiled.library import load_library
from lamplighter.model.compiled.lower import lower_maps, lower_radial
from lamplighter.model.compiled.native import NativePotential
from lamplighter.model.compiled.radial_tables import Knots
from lamplighter.model.compiled.tables import Tables
from lamplighter.model.config import PotentialConfig
from lamplighter.model.graph import Graph
from lamplighter.model.potential import Potential
from lamplighter.model.select import select

TOLERANCES: Final = {
    torch.float64: Deviation(energy=1e-8, forces=1e-6),
    torch.float32: Deviation(energy=1e-4, forces=1e-4),
}
"""What is reached, or nothing is returned."""

_FEWEST, _MOST = 65, 8193  # knots
_REAL_BYTES: Final = {torch.float32: 4, torch.float64: 8}
# Numbers at a knot: a cubic is faster, a quintic needs fewer knots for many digits.
_ORDER: Final = {torch.float32: 2, torch.float64: 3}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a compiled potential was made.

    Attributes:
        knots: of the functions of the distance.
        order: numbers per knot, 2 (cubic) or 3 (quintic).
        interpolation: deviation from the reference due to the knots alone.
        deviation: from the reference in float64, with the dtype's own rounding.
    """

    knots: int
    order: int
    interpolation: Deviation
    deviation: Deviation


class CompiledPotential:
    """Energies and pair gradients without automatic differentiation.

    Attributes:
        config: of the potential that was compiled: one head, some elements.
        dtype: that it computes with; energies and pair gradients are float64.
        threads: of the machine that share the atoms.
        deterministic: whether the number of threads changes no bit.
        settings: knots, and how far it is from the reference.
    """

    def __init__(
        self,
        config: PotentialConfig,
        tables: Tables,
        dtype: torch.dtype,
        settings: Settings | None = None,
        *,
        threads: int | None = None,
        deterministic: bool | None = None,
        isa: str | None = None,
    ) -> None:
        """Build it from tables.

        Args:
            config: one head.
            tables: what [`lower`][lamplighter.model.compiled.lower.lower] returns.
            dtype: ``torch.float32`` or ``torch.float64``.
            settings: how the tables were made.
            threads: those of torch when left out. Results are the same to rounding
                for any number, and to the last bit for the same one.
            deterministic: whether they are the same to the last bit for any number, at
                some cost in time; what ``torch.use_deterministic_algorithms`` asks for
                when left out.
            isa: see [`load_library`][lamplighter.model.compiled.library.load_library].

        Raises:
            ConfigError: see `load_library`; or no positive number of threads.
            EngineError: there is no native library, or the tables do not fit.
        """
        self.threads = torch.get_num_threads() if threads is None else threads
        if self.threads < 1:
            raise ConfigError(explain("bad threads", got=threads, wanted="1 or more"))
        if deterministic is None:
            deterministic = torch.are_deterministic_algorithms_enabled()
        self.deterministic = deterministic
        self.config, self.dtype, self.settings = config, dtype, settings
        self._tables, self._isa = tables, isa
        self._native = NativePotential(
            load_library(isa),
            tables,
            _REAL_BYTES[dtype],
            self.threads,
            deterministic=deterministic,
        )
        known = config.heads[0].reference_energies
        self._baseline = torch.tensor(
            [known.get(e, math.nan) for e in config.elements], dtype=torch.float64
        )

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = (self.config, self._tables, self.dtype, self.settings)
        kept = {
            "threads": self.threads,
            "deterministic": self.deterministic,
            "isa": self._isa,
        }
        return _rebuilt, (arguments, kept)

    def evaluate(
        self, graph: Graph, exchange: RowExchange | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return energies and pair gradients, as `pair_gradients` does.

        Args:
            graph: in the elements of `config`; every structure in its only head.
            exchange: fetches the features of ghosts; None: there are no ghosts whose
                features count.

        Returns:
            energies ``[n_own]`` with E0 (eV), and dE/d r_ij ``[n_pairs, 3]`` (eV/Å);
            float64.

        Raises:
            DataError: two atoms closer than 0.02 Å.
        """
        centers = graph.centers.cpu().numpy()
        first = np.searchsorted(centers, np.arange(graph.n_own + 1))
        stages = NothingToExchange() if exchange is None else ThroughRows(exchange)
        energies, gradients = self._native.evaluate(
            graph.species.cpu().numpy(),
            first,
            graph.neighbors.cpu().numpy(),
            graph.pair_vectors.detach().cpu().double().numpy(),
            stages,
        )
        return (
            torch.from_numpy(energies) + self.baseline(graph),
            torch.from_numpy(gradients),
        )

    def baseline(self, graph: Graph) -> Tensor:
        """Return E0 of the own atoms, ``[n_own]``, eV, float64."""
        return self._baseline[graph.species[: graph.n_own].cpu()]

    @property
    def baselines(self) -> Tensor:
        """Return E0 of each element, eV, float64; not a number where it is unknown."""
        return self._baseline

    @property
    def native(self) -> NativePotential:
        """Return the evaluation in the native library."""
        return self._native

    @property
    def tables(self) -> Tables:
        """Return what it was built from."""
        return self._tables

    @property
    def n_bytes(self) -> int:
        """Return how much memory the last evaluation holds beside the tables."""
        return self._native.n_bytes


def compile_potential(
    potential: Potential,
    head: str | None = None,
    elements: Sequence[str] | None = None,
    *,
    conditions: Mapping[str, float] | None = None,
    dtype: str = "float64",
    threads: int | None = None,
    isa: str | None = None,
) -> CompiledPotential:
    """Return a compiled potential that agrees with the reference.

    Functions of the distance are tabulated at so many knots that energies and forces
    of random geometries are within [`TOLERANCES`][].

    Args:
        potential: stays as it is.
        head: its name; needed where there are several.
        elements: those in use; all that the head knows when left out.
        conditions: see [`select`][lamplighter.model.select].
        dtype: ``"float64"`` or ``"float32"``.
        threads: see [`CompiledPotential`][].
        isa: likewise.

    Raises:
        ConfigError: an unknown head, element, condition or dtype; too many elements.
        UnsupportedModelError: a part that the compiled potential does not have.
        EngineError: there is no native library.
        CheckFailedError: the tolerance is not reached with any number of knots.
    """
    kind = torch_dtype(dtype)
    chosen = potential.config.head(head)
    elements = tuple(chosen.reference_energies) if elements is None else elements
    part = select(potential, chosen.name, elements, conditions).double().cpu()
    with torch.no_grad():
        maps = lower_maps(part)
    reference = Reference(part)
    tables, settings = _with_enough_knots(part, maps, reference, kind, isa)
    made = CompiledPotential(
        part.config, tables, kind, settings, threads=threads, isa=isa
    )
    found = reference.deviation(made)
    _require_within(found, TOLERANCES[kind], settings.knots)
    made.settings = dataclasses.replace(settings, deviation=found)
    return made


def _with_enough_knots(
    part: Potential,
    maps: Tables,
    reference: Reference,
    kind: torch.dtype,
    isa: str | None,
) -> tuple[Tables, Settings]:
    """Return tables whose interpolation takes at most half of the tolerance."""
    limit, order = TOLERANCES[kind], _ORDER[kind]
    wanted = Deviation(energy=0.5 * limit.energy, forces=0.5 * limit.forces)
    count = _FEWEST
    while True:
        knots = Knots(count=count, order=order, cutoff=part.config.cutoff)
        tables = maps.joined(lower_radial(part, knots))
        trial = CompiledPotential(part.config, tables, torch.float64, isa=isa)
        found = reference.deviation(trial)
        if found.within(wanted):
            settings = Settings(
                knots=count, order=order, interpolation=found, deviation=found
            )
            return tables, settings
        if count >= _MOST:
            _require_within(found, wanted, count)
        # slopes converge with the power 2 order - 1 of the spacing
        needed = found.ratio(wanted) ** (1.0 / (2 * order - 1))
        doublings = max(1, math.ceil(math.log2(needed))) if math.isfinite(needed) else 1
        count = min((count - 1) * 2**doublings + 1, _MOST)


def _require_within(found: Deviation, wanted: Deviation, knots: int) -> None:
    if not found.within(wanted):
        raise CheckFailedError(
            explain(
                "the compiled potential does not agree with the reference",
                got=f"energy {found.energy:.1e}, forces {found.forces:.1e} eV/Å"
                f" with {knots} knots",
                wanted=f"energy {wanted.energy:.1e}, forces {wanted.forces:.1e} eV/Å",
                fix="use the reference backend",
            )
        )


def _rebuilt(arguments: tuple[Any, ...], kept: dict[str, Any]) -> CompiledPotential:
    return CompiledPotential(*arguments, **kept)
