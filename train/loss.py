"""Weighted losses of energy, forces, stress, virial and Hessian; weights outside."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from lamplighter.model import Potential, Prediction, predict
from lamplighter.model.reference_bias import ReferenceBias
from lamplighter.train.config import LossSettings
from lamplighter.train.data.dataset import Batch
from lamplighter.train.hessian_loss import predicted_rows

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
    """The terms, weighted, and their sum.

    Attributes:
        energy: term of the energy per atom.
        forces: term of the forces.
        stress: term of the stress.
        virial: term of the virial per atom; None where its weight is 0.
        hessian: term of the rows of the Hessian; None where no frame has any.
        prior: what a trainable bias of E0 costs; None without one.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    virial: Tensor | None = None
    hessian: Tensor | None = None
    prior: Tensor | None = None

    @property
    def named(self) -> dict[str, Tensor]:
        """The terms that there are, by name."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: term for name, term in found.items() if term is not None}

    @property
    def total(self) -> Tensor:
        """Sum of the terms."""
        return torch.stack(list(self.named.values())).sum()


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


def cost(difference: Tensor, kind: str, delta: Tensor | float) -> Tensor:
    """Return what a difference costs, of its shape.

    Args:
        difference: any shape.
        kind: "huber", "mse" or "mae".
        delta: of the Huber function; not used by the others.
    """
    if kind == "mse":
        return difference.square()
    return difference.abs() if kind == "mae" else huber(difference, delta)


def batch_loss(
    batch: Batch,
    prediction: Prediction,
    settings: LossSettings,
    counts: LossCounts | None = None,
) -> LossTerms:
    """Return the loss of a batch, without the terms that need the potential itself.

    With weights ``w`` (head x config_type x frame x property) and ``h`` the cost of a
    difference:

    * energy: ``W_E / n_frames * sum_f w_f h((E_f - E_ref) / n_atoms_f)``;
    * forces: ``W_F / (3 n_own) * sum_f w_f sum_{i in f, c} h(F_ic - F_ref)``, for "l2"
      ``W_F / n_own * sum_f w_f sum_{i in f} |F_i - F_ref|``;
    * stress: ``W_S / (9 n_frames) * sum_f w_f sum_{ab} h(s_ab - s_ref)``;
    * virial: ``W_V / (9 n_frames) * sum_f w_f sum_{ab} h((W_ab - W_ref) / n_atoms_f)``.

    The denominators count structures and atoms, never weights, so a doubled weight
    doubles a gradient. An absent label has weight 0 and appears nowhere.

    Args:
        batch: labels and weights.
        prediction: of the graph of `batch`.
        settings: weights, kinds and deltas.
        counts: structures and atoms of the whole batch, when `batch` is a part of one
            (one process of several, one of several accumulated parts): the sum of the
            losses of the parts is then the loss of the whole. None: `batch` is whole.
    """
    total = counts or LossCounts.of(batch)
    by_energy, by_forces, by_stress = batch.weights.unbind(dim=1)
    labelled = (batch.energy - batch.free_atoms).to(by_energy.dtype)
    per_atom = (prediction.interaction_energy - labelled) / batch.n_atoms
    costs = cost(per_atom, settings.energy_kind, settings.energy_delta)
    energy = (by_energy * costs).sum() / total.n_frames
    forces = stress = energy.new_zeros(())
    if settings.forces_weight > 0:
        costs = _force_costs(batch, prediction, settings)
        forces = (by_forces[batch.graph.frames] * costs).sum() / total.n_own
    if settings.stress_weight > 0:
        costs = _tensor_costs(-prediction.virial, batch, settings, per_atom=False)
        stress = (by_stress * costs).sum() / total.n_frames
    virial = None
    if settings.virial_weight > 0:
        costs = _tensor_costs(-prediction.virial, batch, settings, per_atom=True)
        virial = settings.virial_weight * (by_stress * costs).sum() / total.n_frames
    return LossTerms(
        settings.energy_weight * energy,
        settings.forces_weight * forces,
        settings.stress_weight * stress,
        virial,
    )


def compute_loss(
    potential: Potential,
    batch: Batch,
    settings: LossSettings,
    counts: LossCounts | None = None,
    edge_chunk: int = 0,
) -> LossTerms:
    """Return the loss of `potential` on a batch, ready for ``backward``.

    To the terms of [`batch_loss`][], which names the arguments, it adds

    * hessian: ``W_H / n_frames * sum_f w_f mean_{rows, jb} h(H_jb - H_ref)``;
    * prior: that of the potential's bias of E0, once for the whole batch.

    With an `edge_chunk` the memory for energies, forces and stresses is bounded, as in
    [`predict`][lamplighter.model.derivatives].
    """
    graph = batch.graph
    prediction = predict(potential, graph, training=True, edge_chunk=edge_chunk)
    terms = batch_loss(batch, prediction, settings, counts)
    total = counts or LossCounts.of(batch)
    labels, added = batch.hessian, {}
    if labels is not None and settings.hessian_weight > 0:
        rows = predicted_rows(potential, labels) - labels.targets
        costs = cost(rows, settings.hessian_kind, settings.hessian_delta).sum(dim=2)
        share = settings.hessian_weight / total.n_frames
        added["hessian"] = share * (labels.factors * costs).sum()
    if isinstance(potential.reference_bias, ReferenceBias):
        share = len(batch.energy) / total.n_frames
        added["prior"] = share * potential.reference_bias.prior()
    return replace(terms, **added)


def _force_costs(
    batch: Batch, prediction: Prediction, settings: LossSettings
) -> Tensor:
    """Return the cost of the force on each atom, [n_own]."""
    difference = prediction.forces - batch.forces
    if settings.forces_kind == "l2":
        lengths: Tensor = torch.linalg.vector_norm(difference, dim=1)
        return lengths
    delta: Tensor | float = settings.forces_delta
    if settings.conditional_forces:
        delta = force_delta(batch.forces, settings.forces_delta)
    return cost(difference, settings.forces_kind, delta).mean(dim=1)


def _tensor_costs(
    strain_derivative: Tensor, batch: Batch, settings: LossSettings, *, per_atom: bool
) -> Tensor:
    """Return the cost of stress (eV/Å^3) or virial per atom (eV), [n_frames].

    Args:
        strain_derivative: [n_frames, 3, 3], dE/dstrain = stress x volume, eV.
        batch: labels.
        settings: kind and deltas.
        per_atom: divide by the atoms instead of the volume.
    """
    volume = batch.volume[:, None, None]
    difference = strain_derivative / volume - batch.stress
    if per_atom:
        difference = difference * volume / batch.n_atoms[:, None, None]
    delta = settings.virial_delta if per_atom else settings.stress_delta
    return cost(difference, settings.stress_kind, delta).mean(dim=(1, 2))
