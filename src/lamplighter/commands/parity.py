"""What `lamplighter validate parity` does: two engines, their tables, a verdict."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lamplighter.console import info
from lamplighter.errors import ConfigError, DataError, explain

if TYPE_CHECKING:
    from ase import Atoms

    from lamplighter.validation.suite import SuiteConfig

DONE = 0
CHECK_FAILED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityRequest:
    """What is compared, as the command line says it; see its ``--help``."""

    head: str | None = None
    engine: Literal["ase", "lammps", "lammps-file", "lammps-lib"] = "lammps"
    command: str = ""
    ranks: int = 1
    dtype: str = "float64"
    quick: bool = False
    full: bool = False
    failures: Path | None = None


def parity(
    source: Path, files: Sequence[Path], request: ParityRequest, *, as_json: bool
) -> int:
    """Compare two engines and show the verdict tables."""
    from lamplighter.validation.preflight import preflight, show_preflight

    if request.quick and request.full:
        raise ConfigError(explain("--quick and --full", wanted="one of them"))
    suite = source.suffix.lower() in {".yaml", ".yml"}
    config = _from_suite(source, request) if suite else _from_model(source, request)
    structures = read_structures(files) if files else None
    if not suite and structures is None:
        config = _with_known_material(config)
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as folder:
        results = preflight(
            config,
            "full" if request.full else "quick",
            Path(folder),
            structures=structures,
            failures=request.failures,
        )
    if as_json:
        records = [result.to_dict() for result in results]
        info(json.dumps(records, indent=2, ensure_ascii=False))
        good = all(result.status != "invalid" for result in results)
    else:
        good = show_preflight(results)
    return DONE if good else CHECK_FAILED


def read_structures(files: Sequence[Path]) -> dict[str, Atoms]:
    """Return the structures of files, named by file and frame.

    Raises:
        DataError: a file cannot be read.
        ConfigError: there are none.
    """
    from ase.io import read

    found: dict[str, Atoms] = {}
    for file in files:
        try:
            frames = read(file, index=":")
        except Exception as error:  # readers of ASE raise what they like
            raise DataError(
                explain(
                    f"cannot read {file}", got=error, wanted="a file that ASE reads"
                )
            ) from error
        # Files of one name in several folders are several files.
        alone = sum(one.name == file.name for one in files) == 1
        name = file.name if alone else str(file)
        found |= {f"{name}#{k}": frame for k, frame in enumerate(frames)}
    if not found:
        raise ConfigError(explain("no structures", wanted="one file or more"))
    return found


def _from_suite(source: Path, request: ParityRequest) -> SuiteConfig:
    from lamplighter.validation.suite import read_suite

    if request != ParityRequest(
        quick=request.quick, full=request.full, failures=request.failures
    ):
        raise ConfigError(
            explain(
                "a suite says itself what its engines are",
                got="--head, --engine, --command, --ranks or --dtype",
                fix=f"change {source}, or name the potential instead of the suite",
            )
        )
    return read_suite(source)


def _from_model(model: Path, request: ParityRequest) -> SuiteConfig:
    from lamplighter.model import read_header
    from lamplighter.validation.suite import EngineSpec, ModelSpec, SuiteConfig

    if not model.is_file():
        raise ConfigError(explain("no such model file", got=model))
    config = read_header(model).config
    head = config.heads[config.head_index(request.head)].name
    deployed = EngineSpec(
        kind=request.engine,
        name=request.engine if request.engine != "ase" else "ase again",
        command=request.command,
        ranks=request.ranks,
    )
    return SuiteConfig(
        model=ModelSpec(file=model, head=head, dtype=request.dtype),
        engines=(EngineSpec(kind="ase"), deployed),
    )


def _with_known_material(config: SuiteConfig) -> SuiteConfig:
    import dataclasses

    from lamplighter.validation.open_engines import read_card
    from lamplighter.validation.preflight import known_material
    from lamplighter.validation.suite import MaterialSpec

    if config.model is None:
        return config
    name = known_material(read_card(config.model))
    return dataclasses.replace(config, materials=(MaterialSpec(name=name),))
