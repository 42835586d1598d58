"""From a model file to engines: ASE in this process, LAMMPS through its ML-IAP file."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lamplighter.errors import ArtifactError, ConfigError, explain
from lamplighter.files import sha256_file
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.engines.base import Engine, EngineInfo
from lamplighter.validation.engines.cache import cached
from lamplighter.validation.engines.factory import ase_engine
from lamplighter.validation.engines.family import Family
from lamplighter.validation.engines.lammps import LammpsEngine
from lamplighter.validation.engines.lammps_file import LammpsFileEngine
from lamplighter.validation.engines.lammps_lib import LammpsLibEngine
from lamplighter.validation.engines.pair_style import (
    PairStyle,
    mliap_style,
    with_preamble,
)
from lamplighter.validation.engines.spec import EngineSpec
from lamplighter.validation.engines.user_style import check_preamble, style_of
from lamplighter.validation.suite import ModelSpec, SuiteConfig

if TYPE_CHECKING:
    from lamplighter.model import HeadSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What a potential says about itself, for records and reports.

    Attributes:
        file: the model file.
        sha256: of the file.
        head: the head in use.
        level_of_theory: of the head.
        dispersion: correction that has to be added, or ``none``.
        licence: of the head.
        source: where the head's data come from.
        heads: names of all heads.
        elements: that the head knows.
        cutoff: range of one layer, Å.
        n_layers: message-passing layers.
        dtype: precision of the evaluation.
        lamplighter_version: writer of the file.
    """

    file: Path
    sha256: str
    head: str
    level_of_theory: str
    dispersion: str
    licence: str
    source: str
    heads: tuple[str, ...]
    elements: tuple[str, ...]
    cutoff: float
    n_layers: int
    dtype: str
    lamplighter_version: str


def read_card(model: ModelSpec) -> ModelCard:
    """Return what a model file says about itself, without its weights.

    Raises:
        ConfigError: the file does not exist, or has no such head.
        ArtifactError: the file is not a potential.
    """
    from lamplighter.model import read_header  # noqa: PLC0415 - torch, only to run

    if not model.file.is_file():
        raise ConfigError(explain("no such model file", got=model.file))
    header = read_header(model.file)
    config = header.config
    head = _head(config.heads, model.head)
    return ModelCard(
        file=model.file,
        sha256=sha256_file(model.file),
        head=head.name,
        level_of_theory=head.level_of_theory,
        dispersion=head.dispersion,
        licence=head.licence,
        source=head.source,
        heads=tuple(item.name for item in config.heads),
        elements=tuple(e for e in config.elements if e in head.reference_energies),
        cutoff=float(config.cutoff),
        n_layers=config.n_layers,
        dtype=model.dtype,
        lamplighter_version=header.lamplighter_version,
    )


def _head(heads: Sequence[HeadSpec], name: str) -> HeadSpec:
    for head in heads:
        if head.name == name:
            return head
    raise ConfigError(
        explain(
            "unknown head",
            got=repr(name),
            wanted=f"one of {', '.join(head.name for head in heads)}",
            fix="name one of these under model: head",
        )
    )


@contextlib.contextmanager
def engines(
    config: SuiteConfig,
    card: ModelCard | None,
    elements: Sequence[str],
    folder: Path,
    cache: Path | None = None,
) -> Iterator[list[Engine]]:
    """Open the engines of a suite, and end their processes when the block ends.

    Args:
        config: the suite.
        card: of its potential; ``None`` when every engine brings its own.
        elements: that the engines must know.
        folder: where a converted model goes.
        cache: folder of single points that engines remember; ``None``: they forget.

    Raises:
        ConfigError: an engine needs the potential of the suite, and there is none; or
            what `open_engine` refuses.
    """
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(open_engine(spec, card, elements, folder, cache))
            for spec in config.engines
        ]


@contextlib.contextmanager
def open_engine(
    spec: EngineSpec,
    card: ModelCard | None,
    elements: Sequence[str],
    folder: Path,
    cache: Path | None = None,
) -> Iterator[Engine]:
    """Open one engine, and end its processes when the block ends.

    Args:
        spec: the engine: of the suite's potential, or foreign (a calculator or a pair
            style of the user's).
        card: of the potential; ``None`` for foreign engines.
        elements: that the engine must know.
        folder: where a converted model goes, and the input of what LAMMPS could not
            evaluate (``lammps-failures``).
        cache: folder of single points that the engine remembers.

    Raises:
        ConfigError: no potential, an unknown calculator, a pair style without elements,
            or an artifact of another potential.
        OptionalDependencyError: a package that the engine needs is not installed.
    """
    engine = _open(spec, card, elements, folder)
    if card is not None and not spec.foreign:
        engine.family = _family(spec, card, elements, folder)
    try:
        yield cached(engine, cache)
    finally:
        if isinstance(engine, LammpsEngine):
            engine.close()


def _family(
    spec: EngineSpec, card: ModelCard, elements: Sequence[str], folder: Path
) -> Family:
    """Return what the potential of the suite knows of its heads."""
    from lamplighter.model import read_header  # noqa: PLC0415 - torch, only to run

    heads = read_header(card.file).config.heads
    wanted = set(elements)
    return Family(
        head=card.head,
        heads=tuple(h.name for h in heads if wanted <= set(h.reference_energies)),
        reference_energies=dict(_head(heads, card.head).reference_energies),
        open=functools.partial(_open_head, spec, card, tuple(elements), folder),
    )


def _open_head(
    spec: EngineSpec,
    card: ModelCard,
    elements: Sequence[str],
    folder: Path,
    head: str,
) -> AbstractContextManager[Engine]:
    """Open an engine again with a head of the same potential."""
    model = ModelSpec(file=card.file, head=head, dtype=card.dtype)
    if head != card.head:  # a file that was converted holds one head
        spec = dataclasses.replace(spec, artifact=None)
    return open_engine(spec, read_card(model), elements, folder)


def _open(
    spec: EngineSpec, card: ModelCard | None, elements: Sequence[str], folder: Path
) -> AseEngine | LammpsEngine | LammpsFileEngine:
    if spec.calculator:
        return ase_engine(
            spec.calculator,
            spec.arguments,
            name=spec.name,
            folder=spec.folder,
            dtype=spec.dtype,
            cutoff=spec.cutoff,
            level_of_theory=spec.level_of_theory,
        )
    if spec.pair_style:
        return _lammps(spec, style_of(spec, elements), folder)
    if card is None:
        raise ConfigError(
            explain(
                f"engine {spec.name!r} evaluates the model of the suite: there is none",
                wanted="model: {file: ..., head: ...}, or calculator, or pair_style",
            )
        )
    if spec.kind == "ase":
        return _ase(spec, card, elements)
    check_preamble(spec.preamble)
    artifact = spec.artifact or converted(card, elements, folder)
    _check_artifact(artifact, card)
    style = mliap_style(artifact, name=spec.name, ranks=spec.ranks)
    return _lammps(spec, with_preamble(style, spec.preamble), folder)


def _lammps(
    spec: EngineSpec, style: PairStyle, folder: Path
) -> LammpsEngine | LammpsFileEngine:
    """Return LAMMPS as a process, as files or as a library."""
    failures = folder / "lammps-failures"
    command = spec.command or None
    if spec.kind == "lammps-lib":
        return LammpsLibEngine(style, failures=failures)
    if spec.kind == "lammps-file":
        return LammpsFileEngine(
            style,
            command=command,
            ranks=spec.ranks,
            timeout_s=spec.timeout_s,
            failures=failures,
        )
    return LammpsEngine(
        style,
        command=command,
        ranks=spec.ranks,
        timeout_s=spec.timeout_s,
        failures=failures,
    )


def converted(card: ModelCard, elements: Sequence[str], folder: Path) -> Path:
    """Return the ML-IAP file of a potential, converting it unless that is done."""
    # Imported when needed: these load torch.
    from lamplighter.lammps_interface import bundle  # noqa: PLC0415
    from lamplighter.lammps_interface.convert import convert  # noqa: PLC0415

    name = f"{card.file.stem}-{card.head}-{''.join(elements)}-{card.dtype}.pt"
    path = folder / name
    with contextlib.suppress(ArtifactError, OSError):
        header = bundle.read(path).header
        if header.model_sha256 == card.sha256:
            return path
    return convert(card.file, card.head, elements, path, dtype=card.dtype)


def _ase(spec: EngineSpec, card: ModelCard, elements: Sequence[str]) -> AseEngine:
    from lamplighter.model import Calculator, load_potential, select  # noqa: PLC0415

    potential = select(load_potential(card.file, card.dtype), card.head, elements)
    calculator = Calculator(
        potential, head=card.head, dtype=card.dtype, backend=spec.backend
    )
    reference = calculator.backend == "reference"
    info = EngineInfo(
        kind="ase",
        name=spec.name,
        model=card.file.name,
        model_sha256=card.sha256,
        head=card.head,
        dtype=card.dtype,
        cutoff=card.cutoff,
        extra={
            "level_of_theory": card.level_of_theory,
            "backend": "reference" if reference else "compiled",
        },
    )
    return AseEngine(calculator, info)


def _check_artifact(artifact: Path, card: ModelCard) -> None:
    """Refuse an ML-IAP file that was made of another model or head."""
    from lamplighter.lammps_interface import bundle  # noqa: PLC0415 - torch

    header = bundle.read(artifact).header
    wanted = (card.sha256, card.head, card.dtype)
    if (header.model_sha256, header.head, header.dtype) != wanted:
        raise ConfigError(
            explain(
                f"{artifact.name} was not converted from this potential",
                got=f"head {header.head}, {header.dtype}, {header.model_sha256[:12]}",
                wanted=f"head {card.head}, {card.dtype}, {card.sha256[:12]}",
                fix="convert it again, or take artifact out of the suite",
            )
        )


@contextlib.contextmanager
def one_thread_each() -> Iterator[None]:
    """Compute on one thread in this process and in those that it starts.

    torch would start a thread per core, here and in LAMMPS: on small structures these
    wait for each other more than they compute, and engines that run beside each other
    would share the cores twice. What the user has set in ``OMP_NUM_THREADS`` stays.
    """
    import torch  # noqa: PLC0415 - seconds that reading a suite need not pay

    if "OMP_NUM_THREADS" in os.environ:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OMP_NUM_THREADS"]
        torch.set_num_threads(before)
