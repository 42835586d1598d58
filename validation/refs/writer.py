"""Reference records of one's own: what an import gives, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.files import atomic_path, sha256_file
from lamplighter.validation.refs.levels import (
    Level,
    ZeroPoint,
    kind_of_method,
    normalised,
)
from lamplighter.validation.refs.loader import FORMAT, ReferenceValue, Source, load_file

_HEADER: Final = (
    "# Reference records; name this file under `references` of a validation suite.\n"
    "# The format is described in docs/validation_references.md.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the person who imports says about the numbers; nothing of it is guessed.

    Attributes:
        functional: exchange-correlation functional with its dispersion correction;
            empty if the file says it itself, or for an experiment.
        experiment: the numbers were measured.
        code: program that computed; empty takes what the file says.
        temperature_K: temperature in K; ``None`` is the static lattice.
        zpe: whether zero-point motion is in the values.
        material: chemical formula; empty takes the file's.
        structure: structure type; empty takes ``space group N``.
        space_group: international number; ``None`` takes the file's.
        source: where the numbers can be found again; empty names file and hash.
        doi: of the source.
        licence: under which the numbers may be passed on.
        role: ``primary`` values give verdicts, ``secondary`` ones stand beside.
        verified: whether the numbers were checked against their source.
    """

    functional: str = ""
    experiment: bool = False
    code: str = ""
    temperature_K: float | None = None  # noqa: N815 - the unit is spelled K
    zpe: ZeroPoint | None = None
    material: str = ""
    structure: str = ""
    space_group: int | None = None
    source: str = ""
    doi: str = ""
    licence: str = "own data"
    role: Literal["primary", "secondary"] = "primary"
    verified: bool = True

    def __post_init__(self) -> None:
        """Refuse a functional of an experiment.

        Raises:
            ConfigError: both were given.
        """
        if self.experiment and self.functional:
            problem = "an experiment has no functional"
            fix = "give --experiment or --functional, not both"
            raise ConfigError(explain(problem, got=self.functional, fix=fix))

    def level(self, *, functional: str = "", code: str = "") -> Level:
        """Return the level of theory of the records.

        Args:
            functional: what the file says of itself; empty if it does not.
            code: what the file says; empty if it does not.

        Raises:
            ConfigError: nobody says the functional, or the file says another one.
        """
        if self.experiment:
            zpe = self.zpe or "included"
            return Level(kind="experiment", temperature_K=self.temperature_K, zpe=zpe)
        given = self.functional
        if functional and given and normalised(functional) != normalised(given):
            raise ConfigError(
                explain(
                    "the file was computed with another functional",
                    got=f"--functional {given}",
                    wanted=functional,
                    fix="leave --functional out",
                )
            )
        if not (given or functional):
            raise ConfigError(
                explain(
                    "the level of theory is not known, and it is never guessed",
                    wanted="--functional PBE (or PBEsol, r2SCAN, PBE-D3(BJ), ...) or "
                    "--experiment",
                    fix="say which functional gave these numbers",
                )
            )
        return Level(
            kind=kind_of_method(given or functional),
            functional=given or functional,
            code=self.code or code,
            temperature_K=self.temperature_K,
            zpe=self.zpe or "none",
        )

    def source_of(self, paths: Sequence[Path], table: str = "") -> Source:
        """Return the source: what was said, or the file's name and hash."""
        first = paths[0]
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        text = self.source or f"{first.name}, sha256 {sha256_file(first)[:16]}{more}"
        return Source(text=text, doi=self.doi, table=table)


def write_records(path: str | Path, records: Sequence[ReferenceValue]) -> Path:
    """Write records of one material as YAML and return the path.

    The file is read back and held against the catalogue of quantities before it gets
    its name; it is whole or absent.

    Raises:
        ConfigError: the file exists already.
        DataError: no record, records of several crystals, or a record that the loader
            refuses.
    """
    path = Path(path)
    if path.exists():
        problem = f"{path} exists already"
        raise ConfigError(explain(problem, fix="name another file with --output"))
    heads = {(r.material, r.structure, r.space_group) for r in records}
    if len(heads) != 1:
        got = "; ".join(f"{m} {s}" for m, s, _ in sorted(heads)) or "none"
        problem = "a file of references holds records of one crystal"
        raise DataError(explain(problem, got=got, wanted="one material and structure"))
    material, structure, space_group = heads.pop()
    content = {
        "format": FORMAT,
        "material": material,
        "structure": structure,
        "space_group": space_group,
        "records": [_plain(record) for record in records],
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=88)
    with atomic_path(path) as temporary:
        temporary.write_text(_HEADER + text, encoding="utf-8")
        load_file(temporary, unverified="use")
    return path


def _plain(record: ReferenceValue) -> dict[str, Any]:
    """Return a record in the order in which people read it, without empty fields."""
    level, source = record.level, record.source
    told: Mapping[str, Any] = {
        "quantity": record.quantity,
        "value": record.value,
        "error": record.error,
        "unit": record.unit,
        "level": {
            "kind": level.kind,
            "functional": level.functional or None,
            "code": level.code or None,
            "temperature_K": level.temperature_K,
            "zpe": level.zpe,
        },
        "source": {
            "text": source.text,
            "doi": source.doi or None,
            "table": source.table or None,
        },
        "licence": record.licence,
        "obtained": record.obtained,
        "verified": record.verified,
        "role": record.role,
        "note": record.note or None,
    }
    return _without_none(told)


def _without_none(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in mapping.items()
        if value is not None
    }
