"""Charge, spin and the like: numbers per structure that change the node features.

Source: the embedding inputs of mace-torch 0.3 (``GenericJointEmbedding``).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lamplighter.model.heads import ConditionSpec


class ClassTable(nn.Module):
    """One row for each value of a categorical condition."""

    def __init__(self, spec: ConditionSpec) -> None:
        """Create the table."""
        super().__init__()
        self.offset = spec.offset
        self.weight = nn.Parameter(torch.randn(spec.n_classes, spec.width))

    def forward(self, value: Tensor) -> Tensor:
        """Return ``[n_frames, width]`` of ``value [n_frames]``."""
        return self.weight.index_select(0, (value + self.offset).round().long())


class ValueNetwork(nn.Module):
    """Two layers with a SiLU between, for a continuous condition."""

    def __init__(self, spec: ConditionSpec) -> None:
        """Create the network."""
        super().__init__()
        self.first = nn.Linear(1, spec.width, bias=spec.bias)
        self.second = nn.Linear(spec.width, spec.width, bias=spec.bias)

    def forward(self, value: Tensor) -> Tensor:
        """Return ``[n_frames, width]`` of ``value [n_frames]``."""
        hidden = nn.functional.silu(self.first(value[:, None]))
        return cast("Tensor", self.second(hidden))


class NoConditions(nn.Module):
    """The potential depends on nothing but the structure."""

    def __init__(self, channels: int) -> None:
        """Remember the width of the node features."""
        super().__init__()
        self.channels = channels

    def forward(self, values: Tensor) -> Tensor:
        """Return zeros; see [`ConditionEmbedding.forward`][]."""
        return values.new_zeros(len(values), self.channels)


class ConditionEmbedding(nn.Module):
    """``SiLU(W [e_1; e_2; ...])`` of the embeddings of all conditions."""

    def __init__(self, specs: tuple[ConditionSpec, ...], channels: int) -> None:
        """Create one embedding for each condition, in the order of `specs`."""
        super().__init__()
        self.parts = nn.ModuleList(
            [
                ClassTable(spec) if spec.kind == "categorical" else ValueNetwork(spec)
                for spec in specs
            ]
        )
        self.project = nn.Linear(sum(s.width for s in specs), channels, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """Return what is added to the features of every atom: ``[n_frames, channels]``.

        Args:
            values: ``[n_frames, n_conditions]``.
        """
        embedded = [
            part(column)
            for part, column in zip(self.parts, values.unbind(1), strict=True)
        ]
        return nn.functional.silu(self.project(torch.cat(embedded, dim=1)))


def make_conditions(specs: tuple[ConditionSpec, ...], channels: int) -> nn.Module:
    """Return the embedding of the conditions of a potential."""
    return ConditionEmbedding(specs, channels) if specs else NoConditions(channels)
