"""From the data of a head to its specification: E0, scale, level of theory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.model import HeadSpec, Potential, read_header
from lamplighter.model.reference_bias import ReferenceBias
from lamplighter.train.config import HeadData, LossSettings
from lamplighter.train.data.frame import Frame
from lamplighter.train.learning import learnt_labels
from lamplighter.train.prepare import resolve
from lamplighter.train.references import Reference, reference_energies


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHead:
    """A head with the numbers that its data give.

    Attributes:
        spec: what the potential stores.
        references: E0 with origin and uncertainty.
    """

    spec: HeadSpec
    references: tuple[Reference, ...]


def fit_heads(
    heads: Sequence[HeadData],
    frames: Mapping[str, Sequence[Frame]],
    loss: LossSettings | None = None,
) -> list[FittedHead]:
    """Return the specification of every head, in the order given.

    The shift of every head is 0, which keeps dissociation limits; the scale is the RMS
    force component of its frames (eV/Å), without isolated atoms.

    Args:
        heads: settings.
        frames: training frames by head name.
        loss: what is minimised, for the record of what is learnt.

    Raises:
        ConfigError: `reference_like` names no head, or the heads refer to each other in
            a circle.
        DataError: the reference energies cannot be determined.
    """
    known = {head.name for head in heads}
    fitted: dict[str, FittedHead] = {}
    waiting = list(heads)
    while waiting:
        ready = [
            h for h in waiting if h.reference_like is None or h.reference_like in fitted
        ]
        if not ready:
            head = waiting[0]
            raise ConfigError(
                explain(
                    f"head {head.name!r} takes its atoms from a head that has none",
                    got=f"reference_like: {head.reference_like}",
                    wanted=f"one of {', '.join(sorted(known - {head.name}))}, without "
                    "a circle",
                )
            )
        for head in ready:
            fitted[head.name] = _fit_head(head, frames, fitted, loss)
            waiting.remove(head)
    return [fitted[head.name] for head in heads]


def make_spec(
    head: HeadData,
    references: Sequence[Reference],
    frames: Sequence[Frame],
    loss: LossSettings | None = None,
) -> HeadSpec:
    """Return the specification of a head from its settings, atoms, frames and loss."""
    return HeadSpec(
        name=head.name,
        level_of_theory=head.level,
        reference_energies={r.element: r.energy for r in references},
        scale=force_scale(frames),
        shift=0.0,
        dispersion=head.dispersion,
        licence=head.licence,
        source=head.source,
        learnt=learnt_labels(head, loss),
    )


def foundation_energies(
    head: HeadData, default: Mapping[str, float] | None = None
) -> Mapping[str, float] | None:
    """Return E0 of the foundation of a head, eV, where its settings use one.

    Args:
        head: settings.
        default: E0 of the foundation when the settings name no potential.

    Raises:
        ConfigError: the foundation is a source, but there is none; or it has no such
            head.
        ArtifactError: an unusable potential.
    """
    if "foundation" not in head.reference_sources:
        return None
    if head.reference_model is None:
        if default is None:
            raise ConfigError(
                explain(
                    f"head {head.name!r} takes E0 from a foundation that it does not "
                    "name",
                    got="reference_sources with foundation, no reference_model",
                    wanted="reference_model: a potential, or model:base",
                )
            )
        return default
    config = read_header(resolve(head.reference_model)).config
    return config.head(head.reference_head).reference_energies


def train_reference_bias(potential: Potential, heads: Iterable[HeadData]) -> None:
    """Give a potential the trainable corrections of E0 of its heads, in place.

    They start at zero, so that nothing changes before training. A head without a
    correction, and an element without E0, get none.

    Raises:
        ConfigError: a head that the potential lacks.
    """
    config = potential.config
    width = torch.zeros(len(config.heads), len(config.elements), dtype=torch.float64)
    strength = torch.zeros(len(config.heads), dtype=torch.float64)
    for head in heads:
        row, settings = config.head_index(head.name), head.reference_bias
        if settings.trainable:
            known = config.heads[row].reference_energies
            columns = [k for k, e in enumerate(config.elements) if e in known]
            width[row, columns] = settings.prior
            strength[row] = settings.strength
    if width.any():
        bias = ReferenceBias(width, strength)
        potential.reference_bias = bias.to(potential.embedding)


def force_scale(frames: Sequence[Frame]) -> float:
    """Return the RMS force component, eV/Å; 1 when there is no force to measure."""
    parts = [f.forces.ravel() for f in frames if f.forces is not None and f.n_atoms > 1]
    rms = float(np.sqrt(np.mean(np.concatenate(parts) ** 2))) if parts else 0.0
    return rms if rms > 1e-3 else 1.0


def _fit_head(
    head: HeadData,
    frames: Mapping[str, Sequence[Frame]],
    fitted: Mapping[str, FittedHead],
    loss: LossSettings | None,
) -> FittedHead:
    own = list(frames[head.name])
    if head.reference_like is None:
        references = reference_energies(
            own,
            head=head.name,
            given=head.reference_energies,
            prior={} if head.reference_fit == "minimum-norm" else None,
            sources=head.reference_sources,
            foundation=foundation_energies(head),
        )
    else:
        references = _fit_like(head, own, frames, fitted)
    return FittedHead(
        spec=make_spec(head, references, own, loss), references=tuple(references)
    )


def _fit_like(
    head: HeadData,
    own: Sequence[Frame],
    frames: Mapping[str, Sequence[Frame]],
    fitted: Mapping[str, FittedHead],
) -> list[Reference]:
    """Fit against the interaction energies of another head on the same geometries.

    Free atoms of the head count whether the other one has them or not.
    """
    other = str(head.reference_like)
    atoms = fitted[other].spec.reference_energies
    twins = {f.uid: f for f in frames[other]}
    shared = [f for f in own if f.uid in twins]
    if not shared:
        raise DataError(
            explain(
                f"heads {head.name!r} and {other!r} share no geometry",
                got="no uid in common among the training frames",
                wanted="the same uid for the same geometry",
                fix=f"remove reference_like from head {head.name!r}",
            )
        )
    interaction = [
        twins[f.uid].energy - sum(atoms[s] for s in f.atoms().get_chemical_symbols())
        for f in shared
    ]
    lone = [f for f in own if f.is_isolated_atom and f.uid not in twins]
    return reference_energies(
        [*shared, *lone],
        head=head.name,
        given=head.reference_energies,
        interaction=[*interaction, *(0.0 for _ in lone)],
        prior=atoms if head.reference_fit == "minimum-norm" else None,
        sources=head.reference_sources,
        foundation=foundation_energies(head),
    )
