"""A property of one's own: the energy that a small compression costs.

It asks the engine for energies and never knows which code answers, says what it did
(``method``), and makes the result invalid when a check fails.
"""

from dataclasses import asdict, dataclass

from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import (
    PropertyResult,
    Quantity,
    at_least,
)
from lamplighter.validation.registry import Property


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdCurveSettings:
    """How the crystal is compressed; every field has a default.

    Attributes:
        strain: by which each length shrinks, as a fraction.
    """

    strain: float = 0.02

    def __post_init__(self) -> None:
        """Refuse what is no compression."""
        if not 0.0 < self.strain < 0.5:
            raise ConfigError(
                explain("cold_curve: strain", got=self.strain, wanted="0 to 0.5")
            )


def run(start: Atoms, engine: Engine, settings: ColdCurveSettings) -> PropertyResult:
    """Return the energy of a uniform compression, eV/atom.

    Args:
        start: the crystal at the engine's minimum.
        engine: what computes.
        settings: how far.
    """
    pressed = start.copy()
    pressed.set_cell(start.cell * (1.0 - settings.strain), scale_atoms=True)
    rest, squeezed = engine.compute_many([start, pressed], ("energy", "forces"))
    cost = (squeezed.energy - rest.energy) / len(start)
    return PropertyResult.conclude(
        "cold_curve",
        start.get_chemical_formula(empirical=True),
        engine.info,
        method=asdict(settings),
        checks=[
            at_least("minimum", cost, 0.0, "compression must cost energy, eV/atom")
        ],
        values={"compression_energy": Quantity(value=cost, unit="eV/atom")},
    )


COLD_CURVE = Property(
    name="cold_curve",
    description="energy of a small uniform compression",
    applies_to=("crystal",),
    settings=ColdCurveSettings,
    run=run,
)
