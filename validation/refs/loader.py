"""Reference values with their level of theory, source and state of verification.

A YAML file holds the records of one material, one datum a record. Nothing is taken for
granted: an unknown key is refused by name, and a value that nobody has checked against
its source is refused unless the caller says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import yaml

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.validation.refs.levels import Level, normalised
from lamplighter.validation.refs.quantities import check_record, check_spread
from lamplighter.validation.yaml_text import read_yaml

FORMAT: Final = 1
RECORDS_FOLDER: Final = Path(__file__).parent / "records"

Obtained = Literal["computed", "quoted", "transcribed"]
Unverified = Literal["refuse", "skip", "use"]
Role = Literal["primary", "secondary"]

_OBTAINED = ("computed", "quoted", "transcribed")
T = TypeVar("T")
_FILE_KEYS = frozenset({"format", "material", "structure", "space_group", "records"})
_OPTIONAL_KEYS = frozenset({"quantities"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a reference value can be found again.

    Attributes:
        text: authors, journal or file, in one line.
        doi: digital object identifier, without ``https://doi.org/``.
        table: table, figure or key inside the source.
    """

    text: str
    doi: str = ""
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceValue:
    """One number to compare a model with.

    Attributes:
        quantity: name of the quantity, as in the values of a property result.
        material: chemical formula.
        structure: structure type, for example ``rocksalt``.
        space_group: international number of the structure's space group; 0 of a
            molecule.
        value: the number, in `unit`.
        error: one standard error or half a range, in `unit`; ``None`` if unknown.
        unit: unit of `value`.
        level: level of theory, or experiment.
        source: where it can be found again.
        licence: licence of the file it came from; ``fact`` for a number in a paper.
        obtained: ``computed`` from named data, ``quoted`` from the source itself, or
            ``transcribed`` from a public file that names the source.
        verified: whether the value was checked against its source or recomputed.
        role: ``primary`` values give the verdict; ``secondary`` ones are shown beside.
        note: what a reader must know, such as the range of a bracketed value.
    """

    quantity: str
    material: str
    structure: str
    space_group: int
    value: float
    unit: str
    level: Level
    source: Source
    licence: str
    obtained: Obtained
    verified: bool
    error: float | None = None
    role: Role = "primary"
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse values that cannot be compared with anything.

        Raises:
            DataError: a number that is not finite, a negative error, or an unknown
                word.
        """
        if not math.isfinite(self.value):
            problem = f"the reference value of {self.quantity} is not a finite number"
            raise DataError(explain(problem, got=self.value))
        if self.error is not None and not 0 <= self.error < math.inf:
            problem = f"the error of {self.quantity} is negative or endless"
            raise DataError(explain(problem, got=self.error))
        for name, value, allowed in (
            ("obtained", self.obtained, _OBTAINED),
            ("role", self.role, ("primary", "secondary")),
        ):
            if value not in allowed:
                problem = f"unknown {name} of the reference for {self.quantity}"
                raise DataError(
                    explain(problem, got=repr(value), wanted=" or ".join(allowed))
                )


def materials() -> tuple[str, ...]:
    """Return the materials that have built-in references, in alphabetical order."""
    return tuple(sorted(path.stem for path in RECORDS_FOLDER.glob("*.yaml")))


def load_references(
    material: str, *, unverified: Unverified = "skip"
) -> tuple[ReferenceValue, ...]:
    """Return the built-in references of a material.

    Args:
        material: chemical formula, for example ``MgO``.
        unverified: what happens to values that were not checked against their source:
            ``refuse`` raises, ``skip`` leaves them out, ``use`` returns them, still
            marked.

    Raises:
        ConfigError: there are no references for this material.
        DataError: see [`load_file`][].
    """
    path = RECORDS_FOLDER / f"{material}.yaml"
    if material not in materials():
        raise ConfigError(
            explain(
                "no built-in references for this material",
                got=material,
                wanted=f"one of {', '.join(materials())}",
                fix="write a YAML file of records and pass it to load_file",
            )
        )
    return load_file(path, unverified=unverified)


def load_file(
    path: str | Path, *, unverified: Unverified = "refuse"
) -> tuple[ReferenceValue, ...]:
    """Return the references of one YAML file.

    Args:
        path: the file; the header of ``records/MgO.yaml`` describes the format.
        unverified: see [`load_references`][].

    Raises:
        DataError: the file cannot be read, has a key that does not exist, lacks one
            that must, holds a value that is no finite number, an unknown quantity or
            unit, a value that is not plausible by itself or beside the others, two
            primary values of one quantity at one level, or an unverified value and
            `unverified` is ``refuse``. The message names file, record and key.
    """
    path = Path(path)
    content = _read(path)
    where = path.name
    _check_keys(content, _FILE_KEYS | _OPTIONAL_KEYS, _FILE_KEYS, where)
    if content["format"] != FORMAT:
        problem = f"{where}: unknown format of reference records"
        raise DataError(explain(problem, got=content["format"], wanted=FORMAT))
    shared = {key: content[key] for key in ("material", "structure", "space_group")}
    own = content.get("quantities", {})
    _check_head(shared, own, content["records"], where)
    records: list[ReferenceValue] = []
    for index, item in enumerate(content["records"], start=1):
        place = f"{where}, record {index}"
        records.append(_record(item, shared, place))
        check_record(records[-1], place, own)
    _check_primary(records, where)
    check_spread(records, where)
    return _filter_unverified(records, unverified, where)


def select(
    records: Iterable[ReferenceValue], quantity: str
) -> tuple[ReferenceValue, ...]:
    """Return the references of one quantity, primary ones first."""
    found = [record for record in records if record.quantity == quantity]
    return tuple(sorted(found, key=lambda record: record.role))


def _filter_unverified(
    records: Sequence[ReferenceValue], unverified: Unverified, where: str
) -> tuple[ReferenceValue, ...]:
    doubtful = [record for record in records if not record.verified]
    if unverified == "refuse" and doubtful:
        names = ", ".join(sorted({record.quantity for record in doubtful}))
        raise DataError(
            explain(
                f"{where}: values that were not checked against their source",
                got=names,
                wanted="verified: true in each record",
                fix="check them, or ask for unverified='skip' or 'use'",
            )
        )
    if unverified == "use":
        return tuple(records)
    return tuple(record for record in records if record.verified)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problem = f"cannot read the reference file {path}"
        raise DataError(explain(problem, got=error)) from error
    if not isinstance(content, Mapping):
        problem = f"{path.name} holds no mapping"
        raise DataError(explain(problem, got=type(content).__name__))
    return content


def _check_head(
    shared: Mapping[str, Any], own: object, records: object, where: str
) -> None:
    """Refuse a file whose keys hold other things than they should."""
    group = shared["space_group"]
    is_group = isinstance(group, int) and not isinstance(group, bool)
    for key, ok, wanted in (
        ("material", _is_text(shared["material"]), "text"),
        ("structure", _is_text(shared["structure"]), "text"),
        ("space_group", is_group and 0 <= group <= 230, "0 to 230"),
        ("records", isinstance(records, list), "a list"),
        ("quantities", isinstance(own, Mapping), "NAME: UNIT"),
    ):
        if not ok:
            got = repr({**shared, "records": records, "quantities": own}[key])
            raise DataError(explain(f"{where}: {key}", got=got[:80], wanted=wanted))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != "" and value.isprintable()


def _check_primary(records: Sequence[ReferenceValue], where: str) -> None:
    """Refuse two values that would both give the verdict on one quantity."""
    seen: dict[tuple[Any, ...], ReferenceValue] = {}
    for record in records:
        level = record.level
        name = (level.kind, normalised(level.functional), level.temperature_K)
        key = (record.quantity, *name, level.zpe)
        other = seen.setdefault(key, record) if record.role == "primary" else record
        if other is not record:
            raise DataError(
                explain(
                    f"{where}: two primary values of {record.quantity} at {level}",
                    got=f"{other.value:g} and {record.value:g}",
                    fix="give one of them role: secondary",
                )
            )


def _record(item: object, shared: Mapping[str, Any], where: str) -> ReferenceValue:
    if not isinstance(item, Mapping):
        raise DataError(explain(f"{where} is no mapping", got=repr(item)))
    given = dict(item)
    level = _build(Level, given.pop("level", None), f"{where}, level")
    source = _build(Source, given.pop("source", None), f"{where}, source")
    for key in ("value", "error"):
        if given.get(key) is not None:
            given[key] = _number(given[key], f"{where}, {key}")
    if not isinstance(given.get("verified", True), bool):
        problem = f"{where}: verified is no truth value"
        raise DataError(
            explain(problem, got=repr(given["verified"]), wanted="true or false")
        )
    everything = {**given, "level": level, "source": source}
    known = {field.name for field in fields(ReferenceValue)} - set(shared)
    _check_keys(everything, known, _required(ReferenceValue) - set(shared), where)
    _check_texts(given, {"value", "error", "verified"}, where)
    return ReferenceValue(**everything, **shared)


def _build(cls: type[T], mapping: object, where: str) -> T:
    if not isinstance(mapping, Mapping):
        raise DataError(explain(f"{where} is no mapping", got=repr(mapping)))
    known = {field.name for field in _fields(cls)}
    _check_keys(mapping, known, _required(cls), where)
    _check_texts(mapping, {"temperature_K"}, where)
    kelvin = mapping.get("temperature_K")
    if kelvin is not None:
        _number(kelvin, f"{where}, temperature_K")
    try:
        return cls(**mapping)
    except DataError as error:
        message = f"{where}: {error}"
        raise DataError(message) from error


def _check_texts(mapping: Mapping[str, Any], others: set[str], where: str) -> None:
    for key, value in mapping.items():
        if key not in others and not isinstance(value, str):
            problem = f"{where}: {key} is no text"
            raise DataError(explain(problem, got=repr(value)))


def _fields(cls: type) -> tuple[Field[Any], ...]:
    return fields(cls)


def _required(cls: type) -> set[str]:
    return {
        field.name
        for field in _fields(cls)
        if field.default is MISSING and field.default_factory is MISSING
    }


def _check_keys(
    mapping: Mapping[str, Any],
    known: Iterable[str],
    required: Iterable[str],
    where: str,
) -> None:
    known = sorted(known)
    for key in mapping:
        if key not in known:
            problem = f"{where}: unknown key"
            wanted = f"one of {', '.join(known)}"
            raise DataError(explain(problem, got=repr(key), wanted=wanted))
    for key in sorted(required):
        if key not in mapping:
            raise DataError(explain(f"{where}: a key is missing", wanted=repr(key)))


def _number(value: object, where: str) -> float:
    # bool is an int to Python: `value: yes` must not become 1.0.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError(explain(f"{where} is no number", got=repr(value)))
    try:
        return float(value)
    except OverflowError as error:
        problem = f"{where} is larger than any number"
        raise DataError(explain(problem)) from error
