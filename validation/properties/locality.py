"""How far a move of one atom is felt: the reach of forces, measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_most,
)
from lamplighter.validation.properties.crystal import material_name

_WANT = ("energy", "forces")
_DIRECTION = np.array([3.0, 5.0, 7.0]) / np.sqrt(83.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalitySettings:
    """How the reach of forces is measured.

    Attributes:
        displacement: of one atom, Å.
        radius: how far from it forces are watched, Å; the cell is made twice as wide.
        noticeable: change of a force that counts as felt, eV/Å.
        noise: change of a force that counts as none, eV/Å; ``None`` is 1e-8 in float64
            and 1e-4 in float32.
        max_atoms: of the cell; beyond it the radius has to be smaller.
    """

    displacement: float = 0.1
    radius: float = 12.0
    noticeable: float = 1e-3
    noise: float | None = None
    max_atoms: int = 5000

    def __post_init__(self) -> None:
        """Refuse measurements of nothing.

        Raises:
            ConfigError: a length or limit that is not positive.
        """
        for name in ("displacement", "radius", "noticeable", "noise"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(
                    explain(f"{name} of locality", got=value, wanted="> 0")
                )


def run(
    structure: Atoms, engine: Engine, settings: LocalitySettings | None = None
) -> PropertyResult:
    """Return how far the forces on other atoms change when one atom moves.

    Values, the largest over the elements of the crystal, Å: ``force_reach`` (changes
    above `noticeable`) and ``locality_radius`` (changes above the noise: for a model
    of message passing up to twice the number of layers times the cutoff). The error is
    the distance to the next shell of atoms. Arrays: ``elements``, ``distances`` and
    ``changes`` (eV/Å), one list an element.

    Args:
        structure: a crystal, any cell.
        engine: what computes.
        settings: see [`LocalitySettings`][].

    Raises:
        ConfigError: the structure is no crystal, or the cell would be too large.
        EngineError: the engine fails.
    """
    settings = settings or LocalitySettings()
    double = engine.info.dtype == "float64"
    noise = 1e-8 if double else 1e-4
    if settings.noise is not None:
        noise = settings.noise
    cell = _wide_cell(structure, settings)
    still = engine.compute(cell, _WANT).forces
    elements = list(dict.fromkeys(cell.get_chemical_symbols()))
    distances, changes, sums = [], [], []
    for element in elements:
        index = cell.get_chemical_symbols().index(element)
        moved = cell.copy()
        moved.positions[index] += settings.displacement * _DIRECTION
        change = engine.compute(moved, _WANT).forces - still
        away = cell.get_distances(index, range(len(cell)), mic=True)
        order = np.argsort(away)[1:]
        within = order[away[order] <= settings.radius]
        distances.append(away[within])
        changes.append(np.linalg.norm(change[within], axis=1))
        sums.append(float(np.abs(change.sum(axis=0)).max()))
    return PropertyResult.conclude(
        "locality",
        material_name(structure),
        engine.info,
        method=asdict(settings) | {"noise": noise, "n_atoms": len(cell)},
        checks=_checks(distances, changes, max(sums), noise, settings),
        values={
            "force_reach": _reach(distances, changes, settings.noticeable),
            "locality_radius": _reach(distances, changes, noise),
        },
        arrays={"elements": elements, "distances": distances, "changes": changes},
    )


def _wide_cell(structure: Atoms, settings: LocalitySettings) -> Atoms:
    """Return a supercell in which a sphere of the radius meets no image of itself."""
    if not structure.pbc.all():
        problem = "locality is measured in a crystal"
        raise ConfigError(explain(problem, got=structure.pbc.tolist(), wanted="pbc"))
    heights = 1.0 / np.linalg.norm(np.linalg.inv(structure.cell.array), axis=0)
    repeats = [int(np.ceil(2 * settings.radius / height)) for height in heights]
    n_atoms = int(np.prod(repeats)) * len(structure)
    if n_atoms > settings.max_atoms:
        raise ConfigError(
            explain(
                "the cell for locality is too large",
                got=f"{n_atoms} atoms",
                wanted=f"at most {settings.max_atoms}",
                fix="lower radius, or raise max_atoms",
            )
        )
    whole: Atoms = structure.repeat(repeats)
    return whole


def _reach(
    distances: list[FloatArray], changes: list[FloatArray], limit: float
) -> Quantity:
    """Return the farthest distance with a change above a limit, and its resolution."""
    best = error = 0.0
    for away, change in zip(distances, changes, strict=True):
        felt = away[change > limit]
        farthest = float(felt.max()) if len(felt) else 0.0
        if farthest >= best:
            beyond = away[away > farthest + 0.01]
            best = farthest
            error = float(beyond.min()) - farthest if len(beyond) else 0.0
    return Quantity(value=best, unit="Å", error=error)


def _checks(
    distances: list[FloatArray],
    changes: list[FloatArray],
    net: float,
    noise: float,
    settings: LocalitySettings,
) -> list[Check]:
    outer: Any = [c[d > 0.9 * settings.radius] for d, c in zip(
        distances, changes, strict=True)]  # fmt: skip
    edge = max((float(c.max()) for c in outer if len(c)), default=0.0)
    return [
        at_most(
            "no net force",
            net,
            max(1e-6, 1e3 * noise),
            "sum of all changes of forces, eV/Å: action is not reaction beyond it",
        ),
        at_most(
            "range within the cell",
            edge,
            settings.noticeable,
            "largest change at the edge of the sphere, eV/Å; the reach is a lower "
            "bound beyond it: raise radius",
            hard=False,
        ),
        at_most(
            "locality within the cell",
            edge,
            noise,
            "the same against the noise: beyond it locality_radius is a lower bound",
            hard=False,
        ),
    ]
