"""From the data of a head to its specification: E0, scale, level of theory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.model import HeadSpec
from lamplighter.train.config import HeadData
from lamplighter.train.data.frame import Frame
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
    heads: Sequence[HeadData], frames: Mapping[str, Sequence[Frame]]
) -> list[FittedHead]:
    """Return the specification of every head, in the order given.

    The shift of every head is 0, which keeps dissociation limits; the scale is the RMS
    force component of its frames (eV/Å), without isolated atoms.

    Args:
        heads: settings.
        frames: training frames by head name.

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
            fitted[head.name] = _fit_head(head, frames, fitted)
            waiting.remove(head)
    return [fitted[head.name] for head in heads]


def make_spec(
    head: HeadData, references: Sequence[Reference], frames: Sequence[Frame]
) -> HeadSpec:
    """Return the specification of a head from its settings, atoms and frames."""
    return HeadSpec(
        name=head.name,
        level_of_theory=head.level,
        reference_energies={r.element: r.energy for r in references},
        scale=force_scale(frames),
        shift=0.0,
        dispersion=head.dispersion,
        licence=head.licence,
        source=head.source,
    )


def force_scale(frames: Sequence[Frame]) -> float:
    """Return the RMS force component, eV/Å; 1 when there is no force to measure."""
    parts = [f.forces.ravel() for f in frames if f.forces is not None and f.n_atoms > 1]
    rms = float(np.sqrt(np.mean(np.concatenate(parts) ** 2))) if parts else 0.0
    return rms if rms > 1e-3 else 1.0


def _fit_head(
    head: HeadData,
    frames: Mapping[str, Sequence[Frame]],
    fitted: Mapping[str, FittedHead],
) -> FittedHead:
    own = list(frames[head.name])
    if head.reference_like is None:
        references = reference_energies(
            own,
            head=head.name,
            given=head.reference_energies,
            prior={} if head.reference_fit == "minimum-norm" else None,
        )
    else:
        references = _fit_like(head, own, frames, fitted)
    return FittedHead(
        spec=make_spec(head, references, own), references=tuple(references)
    )


def _fit_like(
    head: HeadData,
    own: Sequence[Frame],
    frames: Mapping[str, Sequence[Frame]],
    fitted: Mapping[str, FittedHead],
) -> list[Reference]:
    """Fit against the interaction energies of another head on the same geometries."""
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
    return reference_energies(
        shared,
        head=head.name,
        given=head.reference_energies,
        interaction=interaction,
        prior=atoms if head.reference_fit == "minimum-norm" else None,
    )
