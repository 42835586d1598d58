"""What can be a reference: the names of quantities, their units, what is plausible.

A slip of the pen in a table (GPa for kbar, a = 42.5 Å, a bulk modulus in the row of
C44) would hold a model against nonsense. Every record is therefore held against the
unit and the range of its quantity, and against the other records of the same quantity.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from lamplighter.errors import DataError, explain

if TYPE_CHECKING:
    from lamplighter.validation.refs.loader import ReferenceValue

UNITS: Final = (
    *("Å", "Å^2", "Å^3", "eV", "eV/atom", "meV/atom", "eV/Å", "GPa", "THz", "J/m^2"),
    *("kJ/mol", "J/mol/K", "K", "1/K", "W/m/K", "km/s", "m/s", "g/cm^3", "°", ""),
)
"""Units in which a reference may stand; the empty one is a ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantityKind:
    """One quantity, or a family of them, that a reference may give.

    Attributes:
        pattern: regular expression of the whole name.
        unit: the unit in which it stands.
        low: nothing real lies below, in `unit`.
        high: nothing real lies above, in `unit`.
        spread: how far a value may be from the median of all values of the same
            quantity and material, as a fraction of it; ``None`` asks nothing.
        text: what it is, in a few words.
    """

    pattern: str
    unit: str
    low: float
    high: float
    spread: float | None
    text: str


def _kind(
    pattern: str,
    unit: str,
    low: float,
    high: float,
    spread: float | None,
    text: str,
) -> QuantityKind:
    return QuantityKind(
        pattern=pattern, unit=unit, low=low, high=high, spread=spread, text=text
    )


_T: Final = r"_\d+(\.\d+)?K"
_HKL: Final = r"(-?\d){3,4}(_\w+)?"

# Spreads: functionals and temperatures differ by up to this much (elastic constants
# of Fe by 30 %, surface energies by 45 %, clamped against relaxed shears by more).
CATALOGUE: Final[tuple[QuantityKind, ...]] = (
    _kind(rf"lattice_constant(_[bc])?({_T})?", "Å", 1.5, 40, 0.05, "lattice constant"),
    _kind(rf"(lattice_)?angle_\w+({_T})?", "°", 30, 150, 0.05, "angle of the cell"),
    _kind(rf"volume_per_atom({_T})?", "Å^3", 2, 250, 0.15, "volume of one atom"),
    _kind(r"energy_per_atom", "eV/atom", -1e6, 100, None, "energy, own zero"),
    _kind(r"cohesive_energy", "eV/atom", 0, 12, 0.4, "energy of free atoms - crystal"),
    _kind(r"lattice_energy", "kJ/mol", -2000, 0, 0.4, "crystal - molecules, one of"),
    _kind(rf"bulk_modulus({_T})?", "GPa", 0.1, 600, 0.4, "bulk modulus"),
    _kind(r"bulk_modulus_(VRH|voigt|reuss)", "GPa", 0.1, 600, 0.4, "bulk modulus"),
    _kind(rf"bulk_modulus_derivative({_T})?", "", 0.2, 15, 1.0, "B' = dB/dP"),
    _kind(r"(shear|young)_modulus(_\w+)?", "GPa", 0.1, 1400, 0.4, "elastic modulus"),
    _kind(rf"C[1-6][1-6]({_T})?", "GPa", -400, 1500, 0.5, "stiffness, relaxed ions"),
    _kind(r"C[1-6][1-6]_clamped", "GPa", -400, 1500, 0.5, "stiffness, clamped ions"),
    _kind(r"poisson_ratio|anisotropy_\w+", "", -5, 50, None, "elastic ratio"),
    _kind(r"sound_velocity_\w+", "m/s", 100, 3e4, 0.3, "velocity of sound"),
    _kind(r"debye_temperature(_\w+)?", "K", 10, 3000, 0.3, "Debye temperature"),
    _kind(r"frequency_lowest", "THz", -50, 50, None, "lowest phonon frequency"),
    _kind(r"frequency_\w+", "THz", -50, 140, 0.3, "phonon frequency"),
    _kind(rf"free_energy{_T}", "kJ/mol", -200, 100, None, "vibrational, one atom"),
    _kind(rf"entropy{_T}", "J/mol/K", 0, 150, 0.25, "vibrational entropy, one atom"),
    _kind(rf"heat_capacity(_p)?{_T}", "J/mol/K", 0, 60, 0.25, "Cv or Cp"),
    _kind(rf"thermal_expansion(_linear)?{_T}", "1/K", -1e-4, 1e-3, None, "expansion"),
    _kind(rf"grueneisen(_\w+)?({_T})?", "", -10, 10, None, "Grueneisen parameter"),
    _kind(rf"thermal_conductivity{_T}", "W/m/K", 0.01, 5000, 1.0, "lattice part"),
    _kind(r"surface_energy_mean", "J/m^2", 0.01, 8, 0.5, "mean of several facets"),
    _kind(rf"surface_energy_{_HKL}", "J/m^2", 0.01, 8, 0.5, "relaxed surface"),
    _kind(rf"cleavage_energy_{_HKL}", "J/m^2", 0.01, 8, 0.5, "unrelaxed surface"),
    _kind(r"work_of_adhesion(_\w+)?", "J/m^2", -1, 16, 0.5, "work of adhesion"),
    _kind(r"adsorption_energy_\w+", "eV", -15, 5, None, "adsorbed - apart"),
    _kind(r"vacancy_formation_energy(_\w+)?", "eV", 0.1, 15, 0.4, "vacancy"),
    _kind(r"interstitial_formation_energy_\w+", "eV", 0.1, 15, 0.4, "interstitial"),
    _kind(r"vacancy_removal_energy(_\w+)?", "eV", -15, 30, 0.4, "of an atom"),
    _kind(r"vacancy_relaxation_volume(_\w+)?", "Å^3", -200, 200, None, "vacancy"),
    _kind(r"(dimer_distance|bond_length)_\w+", "Å", 0.5, 5, 0.1, "two atoms bound"),
    _kind(r"dimer_energy_\w+", "eV", 0, 15, 0.5, "to part two atoms"),
    _kind(r"wulff_surface_energy", "J/m^2", 0.01, 8, 0.5, "mean over the shape"),
    _kind(r"wulff_fraction_(-?\d){3,4}", "", 0, 1, None, "share of a facet"),
    _kind(r"binding_energy(_\w+)?|barrier(_\w+)?", "eV", -50, 50, None, "of molecules"),
)
"""Every quantity that a built-in reference may give; the first that matches counts."""


def kind_of(quantity: str) -> QuantityKind | None:
    """Return what the catalogue knows about a quantity, or None."""
    return next((k for k in CATALOGUE if re.fullmatch(k.pattern, quantity)), None)


def check_record(
    record: ReferenceValue, where: str, own: Mapping[str, str] | None = None
) -> None:
    """Refuse a record whose quantity, unit or value cannot be meant.

    Args:
        record: one datum.
        where: file and number of the record, for the message.
        own: quantities of a plug-in that the file declares: name -> unit. Their values
            are not held against any range.

    Raises:
        DataError: an unknown quantity or unit, a value outside of what is real, or a
            negative error.
    """
    if record.unit not in UNITS:
        problem = f"{where}: unknown unit of {record.quantity}"
        wanted = ", ".join(unit or "'' (a ratio)" for unit in UNITS)
        raise DataError(explain(problem, got=repr(record.unit), wanted=wanted))
    declared = (own or {}).get(record.quantity)
    found = kind_of(record.quantity)
    if declared is None and found is None:
        raise _unknown(record.quantity, where)
    unit = declared if found is None else found.unit
    if record.unit != unit:
        problem = f"{where}: {record.quantity} stands in another unit"
        raise DataError(explain(problem, got=repr(record.unit), wanted=repr(unit)))
    if found is not None and not found.low <= record.value <= found.high:
        problem = f"{where}: {record.quantity} of {record.material} is not plausible"
        raise DataError(
            explain(
                problem,
                got=f"{record.value:g} {record.unit}",
                wanted=f"{found.low:g} to {found.high:g} {found.unit}".rstrip(),
                fix="check number and unit against the source",
            )
        )


def outliers(records: Sequence[ReferenceValue]) -> list[str]:
    """Return what lies far from the other values of its quantity, one line each.

    Records of one material and structure are held against their median, verified ones
    giving it where there are any; two values alone are held against each other.
    """
    groups: dict[tuple[str, str, str], list[ReferenceValue]] = {}
    for record in records:
        key = (record.material, record.structure, record.quantity)
        groups.setdefault(key, []).append(record)
    return [
        line
        for (material, _, quantity), group in groups.items()
        for line in _outliers_of(material, quantity, group)
    ]


def check_spread(records: Sequence[ReferenceValue], where: str) -> None:
    """Refuse records that contradict each other beyond what functionals do.

    Raises:
        DataError: a value is too far from the others of its quantity and material.
    """
    found = outliers(records)
    if found:
        raise DataError(
            explain(
                f"{where}: values far from the others of the same quantity",
                got="; ".join(found),
                fix="check numbers, units and structures against their sources",
            )
        )


def _outliers_of(
    material: str, quantity: str, group: Sequence[ReferenceValue]
) -> list[str]:
    found = kind_of(quantity)
    if found is None or found.spread is None or len(group) < 2:
        return []
    trusted = [r.value for r in group if r.verified] or [r.value for r in group]
    middle = median(trusted)
    return [
        f"{quantity} of {material} {record.value:g} {record.unit} ({record.level}) "
        f"against {middle:g}"
        for record in group
        if abs(record.value - middle) > found.spread * abs(middle)
    ]


def _unknown(quantity: str, where: str) -> DataError:
    examples = (
        *("lattice_constant", "bulk_modulus", "C11", "frequency_X_1"),
        *("surface_energy_100", "vacancy_formation_energy", "entropy_300K"),
    )
    near = difflib.get_close_matches(quantity, examples, n=1, cutoff=0.6)
    fix = f"did you mean {near[0]!r}? " if near else ""
    return DataError(
        explain(
            f"{where}: unknown quantity",
            got=repr(quantity),
            wanted=f"a name as in the results, such as {', '.join(examples)}",
            fix=f"{fix}Declare a plug-in's own under quantities: {{NAME: UNIT}}",
        )
    )
