"""Weighted Huber losses of energy, forces and stress; weights outside the Huber."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lamplighter.model import Potential, Prediction, predict
from lamplighter.train.config import LossSettings
from lamplighter.train.data.dataset import Batch

FORCE_STEPS = ((100.0, 1.0), (200.0, 0.7), (300.0, 0.4), (float("inf"), 0.1))
"""Upper bound of the reference force (eV/Å) and the factor on the Huber delta below it.

Source: the "universal" loss of mace-torch, used for arXiv 2510.25380.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossCounts:
    """What the terms are divided by; sums over all parts of a batch when it is divided.

    Attributes:
        n_frames: structures.
        n_own: atoms.
    """

    n_frames: float
    n_own: float

    @classmethod
    def of(cls, batch: Batch) -> LossCounts:
        """Return the counts of one batch."""
        return cls(n_frames=len(batch.energy), n_own=batch.graph.n_own)

    def plus(self, other: LossCounts) -> LossCounts:
        """Return the counts of two parts of a batch together."""
        return LossCounts(
            n_frames=self.n_frames + other.n_frames, n_own=self.n_own + other.n_own
        )


@dataclass(frozen=True, slots=True)
class LossTerms:
    """The three terms, weighted, and their sum.

    Attributes:
        energy: term of the energy per atom.
        forces: term of the forces.
        stress: term of the stress.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor

    @property
    def total(self) -> Tensor:
        """Sum of the terms."""
        return self.energy + self.forces + self.stress


def huber(difference: Tensor, delta: Tensor | float) -> Tensor:
    """Return x^2/2 where abs(x) < delta and delta (abs(x) - delta/2) beyond.

    Args:
        difference: any shape.
        delta: where the parabola turns into a line; broadcast over `difference`.
    """
    size = difference.abs()
    inside = torch.clamp(size, max=delta)
    return inside * (size - 0.5 * inside)


def force_delta(forces: Tensor, delta: float) -> Tensor:
    """Return the Huber delta of each atom, [n_own, 1], by its reference force."""
    norms = torch.linalg.vector_norm(forces, dim=1, keepdim=True)
    result = torch.full_like(norms, delta * FORCE_STEPS[-1][1])
    for bound, factor in reversed(FORCE_STEPS[:-1]):
        result = torch.where(norms < bound, delta * factor, result)
    return result


def batch_loss(
    batch: Batch,
    prediction: Prediction,
    settings: LossSettings,
    counts: LossCounts | None = None,
) -> LossTerms:
    """Return the loss of a batch.

    With weights ``w`` (head x config_type x property) and ``h`` the Huber function:

    * energy: ``W_E / n_frames * sum_f w_f h((E_f - E_ref) / n_atoms_f)``;
    * forces: ``W_F / (3 n_own) * sum_f w_f sum_{i in f, c} h(F_ic - F_ref)``;
    * stress: ``W_S / (9 n_frames) * sum_f w_f sum_{ab} h(s_ab - s_ref)``.

    The denominators count structures and atoms, never weights, so a doubled weight
    doubles a gradient. An absent label has weight 0 and appears nowhere.

    Args:
        batch: labels and weights.
        prediction: of the graph of `batch`.
        settings: weights and deltas.
        counts: structures and atoms of the whole batch, when `batch` is a part of one
            (one process of several, one of several accumulated parts): the sum of the
            losses of the parts is then the loss of the whole. None: `batch` is whole.
    """
    total = counts or LossCounts.of(batch)
    by_energy, by_forces, by_stress = batch.weights.unbind(dim=1)
    labelled = (batch.energy - batch.free_atoms).to(by_energy.dtype)
    per_atom = (prediction.interaction_energy - labelled) / batch.n_atoms
    energy = (by_energy * huber(per_atom, settings.energy_delta)).sum() / total.n_frames
    forces = energy.new_zeros(())
    if settings.forces_weight > 0:
        delta: Tensor | float = settings.forces_delta
        if settings.conditional_forces:
            delta = force_delta(batch.forces, settings.forces_delta)
        per_component = huber(prediction.forces - batch.forces, delta)
        weights = by_forces[batch.graph.frames]
        forces = (weights * per_component.mean(dim=1)).sum() / total.n_own
    stress = energy.new_zeros(())
    if settings.stress_weight > 0:
        predicted = -prediction.virial / batch.volume[:, None, None]
        per_frame = huber(predicted - batch.stress, settings.stress_delta)
        stress = (by_stress * per_frame.mean(dim=(1, 2))).sum() / total.n_frames
    return LossTerms(
        settings.energy_weight * energy,
        settings.forces_weight * forces,
        settings.stress_weight * stress,
    )


def compute_loss(
    potential: Potential,
    batch: Batch,
    settings: LossSettings,
    counts: LossCounts | None = None,
) -> LossTerms:
    """Return the loss of `potential` on a batch, ready for ``backward``.

    Arguments as in [`batch_loss`][].
    """
    prediction = predict(potential, batch.graph, training=True)
    return batch_loss(batch, prediction, settings, counts)
