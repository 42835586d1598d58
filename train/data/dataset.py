"""Frames as graphs, made once, and batches of them with masks and weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import torch
from ase.data import chemical_symbols
from torch import Tensor

from lamplighter.model import Graph, PotentialConfig, collate, graph_from_atoms
from lamplighter.train.config import HeadData, LossSettings
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.hessian import HessianLabels, collate_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameWeights:
    """Factors of one frame on its loss terms; the virial has that of the stress."""

    energy: float = 1.0
    forces: float = 1.0
    stress: float = 1.0
    hessian: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A frame ready for batching.

    Attributes:
        graph: neighbours within the cutoff, one structure.
        frame: where it comes from.
        weights: factors on its loss terms; 0 where the label is absent.
        energy: [1], eV, float64, total.
        free_atoms: [1], eV, float64, sum of E0 in the head.
        forces: [n_atoms, 3], eV/Å; zeros where absent (weight 0 then).
        stress: [1, 3, 3], eV/Å^3; zeros where absent (weight 0 then).
    """

    graph: Graph
    frame: Frame
    weights: FrameWeights
    energy: Tensor
    free_atoms: Tensor
    forces: Tensor
    stress: Tensor

    @property
    def n_pairs(self) -> int:
        """Directed pairs within the cutoff: what a frame costs."""
        return self.graph.n_pairs


@dataclass(frozen=True, slots=True)
class Batch:
    """Several labelled structures.

    Attributes:
        graph: all structures as one graph.
        energy: [n_frames], eV, float64, total.
        free_atoms: [n_frames], eV, float64, sum of E0.
        forces: [n_own, 3], eV/Å; rows of frames without forces are zero and masked.
        stress: [n_frames, 3, 3], eV/Å^3; zero and masked where absent.
        has_forces: [n_frames], whether the frame has forces.
        has_stress: [n_frames], whether the frame has a stress.
        weights: [n_frames, 3], factors on energy, forces, stress; 0 where absent.
        n_atoms: [n_frames], atoms of each frame.
        volume: [n_frames], Å^3; 1 where the frame has none, so that it can divide.
        hessian: rows of Hessians with their weights; None where no frame has any.
    """

    graph: Graph
    energy: Tensor
    free_atoms: Tensor
    forces: Tensor
    stress: Tensor
    has_forces: Tensor
    has_stress: Tensor
    weights: Tensor
    n_atoms: Tensor
    volume: Tensor
    hessian: HessianLabels | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemMaker:
    """Makes items of frames.

    Attributes:
        config: elements, heads and cutoff.
        heads: settings with the weights of the heads, by name; missing ones weigh 1.
        loss: settings with the weights of config types.
        dtype: of the pair vectors, forces and stress; the energy is always float64.
        device: where the tensors lie.
        as_head: use this head for all frames; None uses the head of each.
    """

    config: PotentialConfig
    heads: Mapping[str, HeadData] = field(default_factory=dict)
    loss: LossSettings = field(default_factory=LossSettings)
    dtype: torch.dtype = torch.float64
    device: str = "cpu"
    as_head: str | None = None

    def head_of(self, frame: Frame) -> str:
        """Return the head that a frame is used with."""
        return self.as_head or frame.head

    def make(self, frame: Frame, graph: Graph | None = None) -> Item:
        """Return a frame as an item.

        Args:
            frame: the frame.
            graph: its neighbours where they are known already.

        Raises:
            ConfigError: a head or an element that the configuration lacks.
        """
        head = self.head_of(frame)
        if graph is None:
            graph = graph_from_atoms(frame.atoms(), self.config, head)
        dtype, device = self.dtype, self.device
        forces = torch.zeros(frame.n_atoms, 3, dtype=dtype, device=device)
        stress = torch.zeros(1, 3, 3, dtype=dtype, device=device)
        if frame.forces is not None:
            forces = torch.tensor(frame.forces, dtype=dtype, device=device)
        if frame.stress is not None:
            stress = torch.tensor(frame.stress, dtype=dtype, device=device)[None]
        atoms = self.config.head(head).reference_energies
        free_atoms = sum(atoms[chemical_symbols[int(z)]] for z in frame.numbers)
        return Item(
            graph=graph.to(dtype=dtype, device=device),
            frame=frame,
            weights=frame_weights(frame, self.heads.get(frame.head), self.loss),
            energy=torch.tensor([frame.energy], dtype=torch.float64, device=device),
            free_atoms=torch.tensor([free_atoms], dtype=torch.float64, device=device),
            forces=forces,
            stress=stress,
        )


def make_items(
    frames: Iterable[Frame],
    config: PotentialConfig,
    *,
    heads: Iterable[HeadData] = (),
    loss: LossSettings | None = None,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    as_head: str | None = None,
) -> list[Item]:
    """Return the frames with their neighbour lists and weights.

    Args:
        frames: labelled structures whose heads `config` has.
        config: elements, heads and cutoff.
        heads: settings with the weights of the heads; missing ones weigh 1.
        loss: settings with the weights of config types; None weighs all 1.
        dtype: of the pair vectors, forces and stress; the energy is always float64.
        device: where the tensors lie.
        as_head: use this head for all frames; None uses the head of each.

    Raises:
        ConfigError: a head or an element that `config` lacks.
    """
    maker = ItemMaker(
        config=config,
        heads={head.name: head for head in heads},
        loss=loss or LossSettings(),
        dtype=dtype,
        device=device,
        as_head=as_head,
    )
    return [maker.make(frame) for frame in frames]


def frame_weights(
    frame: Frame, head: HeadData | None, loss: LossSettings
) -> FrameWeights:
    """Return the factors of a frame of a head; None for `head` weighs 1."""
    matching = (
        weight
        for pattern, weight in loss.config_type_weights.items()
        if fnmatchcase(frame.config_type, pattern)
    )
    base = frame.weight * next(matching, 1.0) * (head.weight if head else 1.0)
    there = {
        "energy": True,
        "forces": frame.forces is not None,
        "stress": frame.stress is not None,
        "hessian": frame.hessian is not None,
    }
    if head is None:
        return FrameWeights(**{name: base * known for name, known in there.items()})
    return FrameWeights(
        **{
            name: base * getattr(head, f"{name}_weight")
            if known and name in head.properties
            else 0.0
            for name, known in there.items()
        }
    )


def make_batch(items: Sequence[Item]) -> Batch:
    """Return several items as one batch."""
    device = items[0].forces.device
    dtype = items[0].forces.dtype
    rows = [(i.weights.energy, i.weights.forces, i.weights.stress) for i in items]
    frames = [i.frame for i in items]
    curved = [
        (i.graph, i.frame.hessian, i.weights.hessian)
        for i in items
        if i.frame.hessian is not None and i.weights.hessian > 0
    ]
    return Batch(
        graph=collate([i.graph for i in items]),
        energy=torch.cat([i.energy for i in items]),
        free_atoms=torch.cat([i.free_atoms for i in items]),
        forces=torch.cat([i.forces for i in items]),
        stress=torch.cat([i.stress for i in items]),
        has_forces=torch.tensor([f.forces is not None for f in frames], device=device),
        has_stress=torch.tensor([f.stress is not None for f in frames], device=device),
        weights=torch.tensor(rows, dtype=dtype, device=device),
        n_atoms=torch.tensor([f.n_atoms for f in frames], device=device),
        volume=torch.tensor(
            [f.volume or 1.0 for f in frames], dtype=dtype, device=device
        ),
        hessian=collate_rows(curved, dtype),
    )
