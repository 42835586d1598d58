"""From a model file to engines: ASE in this process, LAMMPS through its ML-IAP file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lamplighter.errors import ArtifactError, ConfigError, explain
from lamplighter.files import sha256_file
from lamplighter.validation.engines.ase import AseEngine
from lamplighter.validation.engines.base import Engine, EngineInfo
from lamplighter.validation.engines.lammps import LammpsEngine
from lamplighter.validation.suite import EngineSpec, ModelSpec, SuiteConfig

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
    config: SuiteConfig, card: ModelCard, elements: Sequence[str], folder: Path
) -> Iterator[list[Engine]]:
    """Open the engines of a suite, and end their processes when the block ends.

    Args:
        config: the suite.
        card: of its potential.
        elements: that the engines must know.
        folder: where a converted model goes.
    """
    with contextlib.ExitStack() as stack:
        opened: list[Engine] = []
        for spec in config.engines:
            if spec.kind == "ase":
                opened.append(_ase(spec, card, elements))
            else:
                artifact = spec.artifact or converted(card, elements, folder)
                _check_artifact(artifact, card)
                opened.append(
                    stack.enter_context(
                        LammpsEngine(artifact, ranks=spec.ranks, name=spec.name)
                    )
                )
        yield opened


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
    info = EngineInfo(
        kind="ase",
        name=spec.name,
        model=card.file.name,
        model_sha256=card.sha256,
        head=card.head,
        dtype=card.dtype,
        cutoff=card.cutoff,
        extra={"level_of_theory": card.level_of_theory},
    )
    return AseEngine(Calculator(potential, head=card.head, dtype=card.dtype), info)


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
