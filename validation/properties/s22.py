"""Interaction energies of the S22 dimers, at and around their equilibrium distance.

Source: Jurečka, Šponer, Černý, Hobza, Phys. Chem. Chem. Phys. 8, 1985 (2006) for the
structures; Takatani et al., J. Chem. Phys. 132, 144104 (2010) for the energies;
Gráfová, Pitoňák, Řezáč, Hobza, J. Chem. Theory Comput. 6, 2365 (2010) for S22x5. All
come with ASE.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from ase import Atoms

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.properties.molecules import (
    KCAL_MOL_PER_EV,
    Entry,
    MolecularSet,
    boxed,
    chosen,
    evaluate_set,
    vacuum_for,
    with_state,
)

DISTANCES: Final = (0.9, 1.0, 1.2, 1.5, 2.0)
"""Distances of S22x5 in units of that at equilibrium."""

_SOURCE: Final = {
    "level": "CCSD(T) at the basis-set limit, counterpoise-corrected",
    "structures": "Jurecka et al., Phys. Chem. Chem. Phys. 8, 1985 (2006); ASE",
    "energies": "Takatani et al., J. Chem. Phys. 132, 144104 (2010); ase.data.s22",
    "energies_s22x5": "Grafova et al., J. Chem. Theory Comput. 6, 2365 (2010)",
    "licence": "LGPL-2.1-or-later (ASE), read from the installed package",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class S22Settings:
    """Which dimers are computed.

    Attributes:
        systems: names as in ASE, for example ``Water_dimer``; none takes all 22.
        distances: none takes the 22 dimers at equilibrium; else some of 0.9, 1.0, 1.2,
            1.5 and 2.0 of that distance, the set S22x5.
        allow_missing: whether systems that the engine cannot compute only warn.
        max_error: difference from the reference that is worth a warning, kcal/mol.
    """

    systems: tuple[str, ...] = ()
    distances: tuple[float, ...] = ()
    allow_missing: bool = False
    max_error: float = 1.0

    def __post_init__(self) -> None:
        """Refuse distances that the set does not have.

        Raises:
            ConfigError: another distance.
        """
        if not set(self.distances) <= set(DISTANCES):
            raise ConfigError(
                explain("distances of S22x5", got=self.distances, wanted=DISTANCES)
            )


def run(
    structure: Atoms, engine: Engine, settings: S22Settings | None = None
) -> PropertyResult:
    """Return the interaction energies of dimers, negative when bound.

    Values in kcal/mol: ``interaction_energy_Water_dimer`` (with ``_1.5`` and so on at
    other distances), ``s22_mae``, ``s22_mean_error``. Charge 0 and multiplicity 1 stand
    in ``atoms.info``.

    Args:
        structure: not used; the set brings its own.
        engine: what computes.
        settings: see [`S22Settings`][].

    Raises:
        ConfigError: an unknown system.
    """
    del structure
    settings = settings or S22Settings()
    from ase.data import s22  # noqa: PLC0415 - a large table

    names = chosen(s22.s22, settings.systems, "S22")
    vacuum = vacuum_for(engine)
    entries = [
        _entry(s22.data[name], name, distance, vacuum)
        for name in names
        for distance in settings.distances or (None,)
    ]
    group = MolecularSet(
        name="s22",
        title="S22x5" if settings.distances else "S22",
        value="interaction_energy",
        unit="kcal/mol",
        per_ev=KCAL_MOL_PER_EV,
        entries=tuple(entries),
        source=_SOURCE,
        expected=22 * len(DISTANCES) if settings.distances else 22,
        max_error=settings.max_error,
        method=asdict(settings) | {"vacuum": vacuum},
    )
    return evaluate_set(group, engine, allow_missing=settings.allow_missing)


def _entry(
    record: dict[str, Any], name: str, distance: float | None, vacuum: float
) -> Entry:
    """Return dimer minus monomers, each in the geometry of the dimer."""
    if distance is None:
        positions, energy = record["positions"], record["interaction energy CC"]
        label = name
    else:
        positions = record[f"positions {distance:.1f}"]
        index = DISTANCES.index(distance)
        energy = record["interaction energies s22x5"][index]
        label = f"{name}_{distance:.1f}"
    dimer = with_state(boxed(Atoms(record["symbols"], positions), vacuum))
    n_first = int(record["dimer atoms"][0])
    return Entry(
        name=label,
        terms=((1.0, dimer), (-1.0, dimer[:n_first]), (-1.0, dimer[n_first:])),
        reference=float(energy) * KCAL_MOL_PER_EV,
    )
