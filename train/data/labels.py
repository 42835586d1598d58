"""What the labels of a file are called, and their units: declared, not guessed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from lamplighter.arrays import AnyArray
from lamplighter.errors import DataError, explain
from lamplighter.train.setting_check import check
from lamplighter.units import (
    BOHR_IN_ANGSTROM,
    EV_IN_JOULE,
    GPA_PER_EV_A3,
    HARTREE_IN_EV,
)

EnergyUnit = Literal["eV", "hartree", "rydberg", "kcal/mol", "kJ/mol"]
LengthUnit = Literal["angstrom", "bohr"]
StressUnit = Literal["eV/angstrom^3", "GPa", "kbar", "hartree/bohr^3"]

_JOULE_PER_MOL = 1.0 / (6.02214076e23 * EV_IN_JOULE)
ENERGY_IN_EV: Final[dict[str, float]] = {
    "eV": 1.0,
    "hartree": HARTREE_IN_EV,
    "rydberg": HARTREE_IN_EV / 2,
    "kcal/mol": 4184.0 * _JOULE_PER_MOL,
    "kJ/mol": 1000.0 * _JOULE_PER_MOL,
}
"""Factors to eV; a calorie is 4.184 J. Source: CODATA 2018."""
LENGTH_IN_ANGSTROM: Final[dict[str, float]] = {
    "angstrom": 1.0,
    "bohr": BOHR_IN_ANGSTROM,
}
STRESS_IN_EV_A3: Final[dict[str, float]] = {
    "eV/angstrom^3": 1.0,
    "GPa": 1.0 / GPA_PER_EV_A3,
    "kbar": 0.1 / GPA_PER_EV_A3,
    "hartree/bohr^3": HARTREE_IN_EV / BOHR_IN_ANGSTROM**3,
}

PROPERTIES = ("energy", "forces", "stress")
SPECIAL = ("REF_virial", "REF_hessian", "REF_hessian_index")
"""Labels of extended XYZ that always have these names and are in eV and Å."""
TEXTS = ("head", "level", "config_type", "uid", "domain", "group")
"""Labels that are words. Their keys in `LabelSettings` are these names by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """Names and units of the labels in some files.

    The key of a property that is None has the usual name of the kind of file:
    ``REF_energy``, ``REF_forces`` and ``REF_stress`` in extended XYZ; ``energy``,
    ``forces`` and ``stress``, where ASE keeps the results of a calculator, in databases
    and HDF5. Words that a file lacks are empty.

    Attributes:
        energy_key: name of the total energy.
        forces_key: name of the forces.
        stress_key: name of the stress, 3 x 3 or in ASE's order xx yy zz yz xz xy.
        head_key: name of the head.
        level_key: name of the level of theory.
        config_type_key: name of the kind of structure.
        uid_key: name of the geometry.
        domain_key: name of the part of chemistry.
        group_key: name of the trajectory or system that the structure belongs to.
        default_head: head of frames that name none; "" leaves that to the reader.
        energy_unit: of the energy, and of the energy in the unit of the forces.
        length_unit: of the positions and the cell, and of the length in the unit of
            the forces.
        stress_unit: of the stress.
        stress_sign: "tension" where tension is positive, as in ASE, or "pressure".
        where: only frames whose keys have these values are read, the others are
            skipped: ``{"charge": "0", "spin": "1"}``. A number is compared as a number.
    """

    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    head_key: str = "head"
    level_key: str = "level"
    config_type_key: str = "config_type"
    uid_key: str = "uid"
    domain_key: str = "domain"
    group_key: str = "group"
    default_head: str = ""
    energy_unit: EnergyUnit = "eV"
    length_unit: LengthUnit = "angstrom"
    stress_unit: StressUnit = "eV/angstrom^3"
    stress_sign: Literal["tension", "pressure"] = "tension"
    where: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in (
            ("energy_unit", get_args(EnergyUnit)),
            ("length_unit", get_args(LengthUnit)),
            ("stress_unit", get_args(StressUnit)),
            ("stress_sign", ("tension", "pressure")),
        ):
            value = getattr(self, name)
            check(
                value in known, f"labels: {name}", value, f"one of {', '.join(known)}"
            )
        keys = [getattr(self, f"{name}_key") for name in (*PROPERTIES, *TEXTS)]
        check("" not in keys, "labels: a key", "''", "a name")

    @property
    def is_plain(self) -> bool:
        """Whether the labels have the names and units of this project."""
        return self == LabelSettings()


@dataclass(frozen=True, slots=True)
class Found:
    """A structure as a file has it, before anything has been checked.

    Attributes:
        number: number of the frame in its file, from 0.
        atoms: the geometry, in the units of the file.
        values: everything else that the file says, by its name.
    """

    number: int
    atoms: Atoms
    values: Mapping[str, Any]


def is_wanted(found: Found, where: Mapping[str, str]) -> bool:
    """Whether a structure has the values that `where` asks for."""
    return all(
        key in found.values and _same(found.values[key], wanted)
        for key, wanted in where.items()
    )


def _same(value: Any, wanted: str) -> bool:
    try:
        return float(value) == float(wanted)
    except (TypeError, ValueError):
        return str(value).strip() == wanted


def translate(
    found: Found, settings: LabelSettings, *, xyz: bool, path: object
) -> Atoms:
    """Return the structure with the names and units of this project.

    Args:
        found: what the file has.
        settings: what the file calls its labels.
        xyz: whether properties without a declared key have the names of extended XYZ.
        path: of the file, for messages.

    Raises:
        DataError: a property has no number of entries that makes sense.
    """
    atoms = found.atoms
    keys = {
        name: getattr(settings, f"{name}_key") or (f"REF_{name}" if xyz else name)
        for name in PROPERTIES
    }
    mapped = {*keys.values(), *(getattr(settings, f"{name}_key") for name in TEXTS)}
    atoms.info = {
        key: value
        for key, value in found.values.items()
        if key not in mapped and key not in TEXTS and np.ndim(value) == 0
    }
    factors = _factors(settings)
    for name, key in keys.items():
        value = found.values.get(key)
        if value is not None:
            where = f"{path}: frame {found.number}"
            array = _scaled(value, factors[name], f"{where}: {key}")
            _put(atoms, name, array, where)
    for name in TEXTS:
        value = found.values.get(getattr(settings, f"{name}_key"))
        if value is not None:
            atoms.info[name] = str(value)
    if settings.default_head:
        atoms.info.setdefault("head", settings.default_head)
    _keep_special(found, settings, f"{path}: frame {found.number}")
    length = LENGTH_IN_ANGSTROM[settings.length_unit]
    if length != 1.0:
        atoms.set_cell(atoms.cell.array * length)
        atoms.positions *= length
    return atoms


def _factors(settings: LabelSettings) -> dict[str, float]:
    energy = ENERGY_IN_EV[settings.energy_unit]
    sign = 1.0 if settings.stress_sign == "tension" else -1.0
    return {
        "energy": energy,
        "forces": energy / LENGTH_IN_ANGSTROM[settings.length_unit],
        "stress": sign * STRESS_IN_EV_A3[settings.stress_unit],
    }


def _scaled(value: Any, factor: float, what: str) -> AnyArray:
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(
            explain(f"{what} is not numbers", got=repr(value)[:80], wanted="numbers")
        ) from error
    return array if factor == 1.0 else array * factor


def _put(atoms: Atoms, name: str, array: AnyArray, where: str) -> None:
    """Store a property where the reader looks for it."""
    if name == "forces":
        if array.ndim == 0 or len(array) != len(atoms):
            raise DataError(
                explain(
                    f"{where}: the forces do not belong to the atoms",
                    got=f"shape {array.shape}",
                    wanted=f"{len(atoms)} x 3",
                )
            )
        atoms.arrays["REF_forces"] = array
    elif name == "stress" and array.shape == (6,):
        atoms.info["REF_stress"] = voigt_6_to_full_3x3_stress(array)
    else:
        atoms.info[f"REF_{name}"] = array


def _keep_special(found: Found, settings: LabelSettings, where: str) -> None:
    """Pass on the labels that have one name and one unit only."""
    special = [key for key in SPECIAL if key in found.values]
    if special and set(_factors(settings).values()) != {1.0}:
        raise DataError(
            explain(
                f"{where}: {special[0]} is in eV and Å, but other units are declared",
                wanted="one system of units in a file",
                fix="convert the file to eV and Å",
            )
        )
    for key in special:
        value = found.values[key]
        if key == "REF_hessian":
            found.atoms.arrays[key] = np.asarray(value)
        else:
            found.atoms.info[key] = value


def describe(settings: LabelSettings) -> dict[str, Any]:
    """Return the settings that are not the default, for indices and logs."""
    usual = LabelSettings()
    return {
        f.name: getattr(settings, f.name)
        for f in dataclasses.fields(settings)
        if getattr(settings, f.name) != getattr(usual, f.name)
    }
