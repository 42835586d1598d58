"""Barrier heights of the DBH24 reactions, forward and backward.

Source: Zheng, Zhao, Truhlar, J. Chem. Theory Comput. 3, 569 (2007) for the structures
and 5, 808 (2009) for the barriers; both come with ASE.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from ase import Atoms

from lamplighter.errors import DataError, explain
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

_SOURCE: Final = {
    "level": "best estimates (W4 and experiment), without zero-point motion",
    "structures": "Zheng, Zhao, Truhlar, J. Chem. Theory Comput. 3, 569 (2007), "
    "QCISD/MG3; ase.data.dbh24",
    "energies": "Zheng, Zhao, Truhlar, J. Chem. Theory Comput. 5, 808 (2009); "
    "ase.data.dbh24",
    "licence": "LGPL-2.1-or-later (ASE), read from the installed package",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dbh24Settings:
    """Which barriers are computed.

    Attributes:
        systems: reactions as in ASE, ``dbh24_r1`` to ``dbh24_r12``; none takes all.
        ions: whether reactions with ions are computed.
        allow_missing: whether reactions that the engine cannot compute only warn.
        max_error: difference from the reference that is worth a warning, kcal/mol.
    """

    systems: tuple[str, ...] = ()
    ions: bool = True
    allow_missing: bool = False
    max_error: float = 5.0


def run(
    structure: Atoms, engine: Engine, settings: Dbh24Settings | None = None
) -> PropertyResult:
    """Return barriers: transition state minus reactants, and minus products.

    Values in kcal/mol: ``barrier_r1_forward``, ``barrier_r1_backward`` and so on,
    ``dbh24_mae``, ``dbh24_mean_error``. Each structure has its charge and its
    multiplicity in ``atoms.info``.

    Args:
        structure: not used; the set brings its own.
        engine: what computes.
        settings: see [`Dbh24Settings`][].

    Raises:
        ConfigError: an unknown reaction.
        DataError: a reaction of the installed ASE that does not keep its atoms.
    """
    del structure
    settings = settings or Dbh24Settings()
    from ase.data import dbh24  # noqa: PLC0415 - a large table

    reactions: dict[str, dict[str, Any]] = dbh24.dbh24_reaction_list
    names = chosen(list(reactions), settings.systems, "DBH24")
    vacuum = vacuum_for(engine)
    entries = [
        entry
        for name in names
        for entry in _barriers(name, reactions[name], dbh24.data, vacuum)
        if settings.ions or not entry.charged
    ]
    group = MolecularSet(
        name="dbh24",
        title="DBH24",
        value="barrier",
        unit="kcal/mol",
        per_ev=KCAL_MOL_PER_EV,
        entries=tuple(entries),
        source=_SOURCE,
        expected=24,
        max_error=settings.max_error,
        method=asdict(settings) | {"vacuum": vacuum},
    )
    return evaluate_set(group, engine, allow_missing=settings.allow_missing)


def _barriers(
    name: str, reaction: dict[str, Any], data: dict[str, Any], vacuum: float
) -> list[Entry]:
    """Return the forward and the backward barrier of one reaction."""
    state = data[reaction["tst"]]
    top = _molecule(state, vacuum)
    found = []
    for side, way, key in (
        ("initial", "forward", "Vf"),
        ("final", "backward", "Vb"),
    ):
        ends = [_molecule(data[item], vacuum) for item in reaction[side]]
        _same_atoms(name, top, ends)
        charges = [atoms.info["charge"] for atoms in (top, *ends)]
        found.append(
            Entry(
                name=f"{name.removeprefix('dbh24_')}_{way}",
                terms=((1.0, top), *((-1.0, end) for end in ends)),
                reference=float(state[key]),
                charged=any(charges),
            )
        )
    return found


def _molecule(record: dict[str, Any], vacuum: float) -> Atoms:
    atoms = boxed(Atoms(record["symbols"], record["positions"]), vacuum)
    unpaired = round(sum(record["magmoms"] or [0.0]))
    return with_state(atoms, float(record["charge"]), unpaired + 1)


def _same_atoms(name: str, top: Atoms, ends: Sequence[Atoms]) -> None:
    """Refuse a reaction whose two ends differ in atoms or charge."""
    atoms = Counter(symbol for end in ends for symbol in end.get_chemical_symbols())
    charge = sum(end.info["charge"] for end in ends)
    if atoms != Counter(top.get_chemical_symbols()) or charge != top.info["charge"]:
        raise DataError(
            explain(
                f"{name} of the installed ASE is no reaction",
                got=f"{dict(atoms)} with charge {charge:+g}",
                wanted=f"{top.get_chemical_formula()}, {top.info['charge']:+g}",
                fix="leave it out: name the others in the settings",
            )
        )
