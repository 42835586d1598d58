"""Heads that are added to a potential: their references, and where they start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from ase.data import chemical_symbols

from lamplighter.model import (
    Graph,
    HeadSpec,
    Potential,
    collate,
    graph_from_atoms,
)
from lamplighter.model.evaluate import MOST_PAIRS
from lamplighter.model.head_rows import add_heads
from lamplighter.train.data.frame import Frame
from lamplighter.train.finetune_config import NewHead
from lamplighter.train.heads import FittedHead, foundation_energies
from lamplighter.train.learning import learnt_labels
from lamplighter.train.loss_config import LossSettings
from lamplighter.train.references import reference_energies

__all__ = ["add_heads", "fit_new_head", "interaction_energies"]


def fit_new_head(
    head: NewHead,
    frames: Sequence[Frame],
    base: Potential,
    loss: LossSettings | None = None,
) -> FittedHead:
    """Return a head with E0 from its data and the scale of the head it starts from.

    A fit takes off the interaction energies of the head it starts from, so that both
    count energies from alike atoms. That head is also the foundation, unless the
    settings name another potential.

    Args:
        head: settings.
        frames: training frames of the head.
        base: the potential that gets the head.
        loss: what is minimised, for the record of what is learnt.

    Raises:
        ConfigError: the base has no head `head.start_from`.
        DataError: an E0 that no source determines.
    """
    start = base.config.head(head.start_from)
    references = reference_energies(
        frames,
        head=head.name,
        given=head.reference_energies,
        interaction=(
            interaction_energies(base, frames, head.start_from)
            if _needs_fit(head, frames, start.reference_energies)
            else None
        ),
        prior=(
            start.reference_energies if head.reference_fit == "minimum-norm" else None
        ),
        sources=head.reference_sources,
        foundation=foundation_energies(head, start.reference_energies),
    )
    spec = HeadSpec(
        name=head.name,
        level_of_theory=head.level,
        reference_energies={r.element: r.energy for r in references},
        scale=start.scale,
        shift=start.shift,
        dispersion=head.dispersion,
        licence=head.licence,
        source=head.source,
        learnt=learnt_labels(head, loss),
    )
    return FittedHead(spec=spec, references=tuple(references))


def _needs_fit(
    head: NewHead, frames: Sequence[Frame], foundation: Mapping[str, float]
) -> bool:
    """Return whether an element has no source before the fit."""
    known = {*head.reference_energies}
    sources = list(head.reference_sources)
    if "fit" not in sources:
        return False
    before = sources[: sources.index("fit")]
    if "isolated" in before:
        known |= {
            chemical_symbols[int(f.numbers[0])] for f in frames if f.is_isolated_atom
        }
    if "foundation" in before:
        known |= {*(foundation_energies(head, foundation) or {})}
    return not {chemical_symbols[int(z)] for f in frames for z in f.numbers} <= known


def interaction_energies(
    potential: Potential, frames: Sequence[Frame], head: str
) -> list[float]:
    """Return the energy of each frame without E0, eV; several in one evaluation.

    Args:
        potential: any dtype and device.
        frames: structures; their own heads do not matter.
        head: head of the potential.

    Raises:
        ConfigError: no such head, or an element that it lacks.
    """
    found: list[float] = []
    for graph in _graphs(potential, frames, head):
        with torch.no_grad():
            atomic = potential(graph).double()
        sums = atomic.new_zeros(graph.n_frames).index_add(0, graph.frames, atomic)
        found += sums.tolist()
    return found


def _graphs(
    potential: Potential, frames: Sequence[Frame], head: str
) -> Iterator[Graph]:
    """Yield graphs of several frames with at most `MOST_PAIRS` pairs, or of one."""
    waiting: list[Graph] = []
    for frame in frames:
        graph = graph_from_atoms(frame.atoms(), potential.config, head)
        graph = graph.to(dtype=potential.dtype, device=potential.embedding.device)
        if waiting and sum(g.n_pairs for g in waiting) + graph.n_pairs > MOST_PAIRS:
            yield collate(waiting)
            waiting = []
        waiting.append(graph)
    if waiting:
        yield collate(waiting)
