"""Frames and items that are made when they are asked for, of caches and lists alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import torch
from ase.data import chemical_symbols

from lamplighter.arrays import Integers
from lamplighter.errors import ConfigError, explain
from lamplighter.model import Graph, PotentialConfig
from lamplighter.model.neighbors import structure_conditions
from lamplighter.train.data.cache import CachedFrames, check_cutoff
from lamplighter.train.data.dataset import Item, ItemMaker
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.records import Neighbours
from lamplighter.train.sampler import FrameCosts


class JoinedFrames(Sequence[Frame]):
    """Several sequences of frames as one."""

    def __init__(self, parts: Sequence[Sequence[Frame]]) -> None:
        """Join `parts` in their order; those of a joined part are taken apart."""
        flat = [one for part in parts for one in parts_of(part)]
        self.parts = [part for part in flat if len(part)]
        self._ends = np.cumsum([len(part) for part in self.parts])

    def __len__(self) -> int:
        """Return the number of frames."""
        return int(self._ends[-1]) if self.parts else 0

    @overload
    def __getitem__(self, k: int) -> Frame: ...
    @overload
    def __getitem__(self, k: slice) -> list[Frame]: ...
    def __getitem__(self, k: int | slice) -> Frame | list[Frame]:
        """Return a frame, or some as a list."""
        if isinstance(k, slice):
            return [self[n] for n in range(*k.indices(len(self)))]
        part, place = _place(self._ends, k)
        return self.parts[part][place]

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in their order."""
        for part in self.parts:
            yield from part


def _place(ends: Integers, k: int) -> tuple[int, int]:
    """Return the number of the part and the place in it of entry `k`."""
    size = int(ends[-1]) if len(ends) else 0
    number = k + size if k < 0 else k
    if not 0 <= number < size:
        raise IndexError(k)
    part = int(np.searchsorted(ends, number, side="right"))
    return part, number - (int(ends[part - 1]) if part else 0)


def parts_of(frames: Sequence[Frame]) -> list[Sequence[Frame]]:
    """Return the sequences that `frames` was joined from."""
    return list(frames.parts) if isinstance(frames, JoinedFrames) else [frames]


def elements_of(frames: Sequence[Frame]) -> set[str]:
    """Return the chemical symbols in some frames, without reading those of caches."""
    found: set[str] = set()
    for part in parts_of(frames):
        if isinstance(part, CachedFrames):
            found |= part.elements
        else:
            found |= {chemical_symbols[int(z)] for f in part for z in f.numbers}
    return found


def without_isolated_atoms(frames: Sequence[Frame]) -> Sequence[Frame]:
    """Return the frames that are no free atoms; those of caches are not read."""
    kept: list[Sequence[Frame]] = [
        part.where(~part.is_isolated_atom)
        if isinstance(part, CachedFrames)
        else [f for f in part if not f.is_isolated_atom]
        for part in parts_of(frames)
    ]
    return JoinedFrames(kept)


def sampled(frames: Sequence[Frame], most: int) -> list[Frame]:
    """Return the frames of lists, and at most `most` of each cache.

    See [`lamplighter.train.data.cache.CachedFrames.sample`][] for the choice.
    """
    return [
        frame
        for part in parts_of(frames)
        for frame in (part.sample(most) if isinstance(part, CachedFrames) else part)
    ]


class StreamedItems(Sequence[Item]):
    """Items by their number; those of caches are read, made and forgotten again."""

    def __init__(self, frames: Sequence[Frame], maker: ItemMaker) -> None:
        """Stand for `frames`; items of lists are made at once.

        Raises:
            ConfigError: a cache whose neighbour lists are too short, or a head or an
                element that the potential lacks.
        """
        self._maker = maker
        self._parts: list[CachedFrames | list[Item]] = []
        for part in parts_of(frames):
            if isinstance(part, CachedFrames):
                check_cutoff(part.cache, maker.config.cutoff)
                self._parts.append(part)
            else:
                self._parts.append([maker.make(frame) for frame in part])
        self._ends = np.cumsum([len(part) for part in self._parts])

    def __len__(self) -> int:
        """Return the number of items."""
        return int(self._ends[-1]) if self._parts else 0

    @overload
    def __getitem__(self, k: int) -> Item: ...
    @overload
    def __getitem__(self, k: slice) -> list[Item]: ...
    def __getitem__(self, k: int | slice) -> Item | list[Item]:
        """Return an item, or some as a list.

        Raises:
            DataError: the record of a cache is damaged; the message names the shard.
        """
        if isinstance(k, slice):
            return [self[n] for n in range(*k.indices(len(self)))]
        number, place = _place(self._ends, k)
        part = self._parts[number]
        if isinstance(part, list):
            return part[place]
        frame, pairs = part.cache.read(int(part.indices[place]))
        assert pairs is not None
        graph = graph_of(
            frame,
            pairs,
            self._maker.config,
            self._maker.head_of(frame),
            trim=part.cache.cutoff > self._maker.config.cutoff,
        )
        return self._maker.make(frame, graph)

    def costs(self) -> FrameCosts:
        """Return what the sampler has to know, without reading a frame of a cache.

        Pairs are those of the cache, also where the potential reaches less far.
        """
        heads: dict[str, int] = {}
        none = np.empty(0, dtype=np.int64)
        head, atoms, pairs = [none], [none], [none]
        for part in self._parts:
            if isinstance(part, CachedFrames):
                names, own = part.cache.heads, part.column("head")
                sizes = part.column("n_atoms"), part.column("n_pairs")
            else:
                names = list(dict.fromkeys(item.frame.head for item in part))
                own = np.array([names.index(item.frame.head) for item in part])
                sizes = (
                    np.array([item.frame.n_atoms for item in part]),
                    np.array([item.n_pairs for item in part]),
                )
            used = {k: heads.setdefault(names[k], len(heads)) for k in np.unique(own)}
            table = np.array(
                [used.get(k, 0) for k in range(len(names))], dtype=np.int64
            )
            head.append(table[own])
            atoms.append(sizes[0])
            pairs.append(sizes[1])
        return FrameCosts(
            heads=tuple(heads),
            head=np.concatenate(head).astype(np.int64),
            n_atoms=np.concatenate(atoms).astype(np.int64),
            n_pairs=np.concatenate(pairs).astype(np.int64),
            label=lambda k: self[k].frame.source,
        )


def graph_of(
    frame: Frame,
    pairs: Neighbours,
    config: PotentialConfig,
    head: str,
    *,
    trim: bool,
) -> Graph:
    """Return the graph of a frame whose neighbours are known.

    Args:
        frame: the frame.
        pairs: its neighbours, at least those within the cutoff.
        config: elements, heads and cutoff.
        head: the head to use.
        trim: whether `pairs` reach beyond the cutoff.

    Returns:
        What [`lamplighter.model.graph_from_atoms`][] gives, in float64.

    Raises:
        ConfigError: a head, or an element, that `config` lacks.
    """
    index = config.head_index(head)
    known = config.heads[index].reference_energies
    missing = {chemical_symbols[int(z)] for z in frame.numbers} - set(known)
    if missing:
        raise ConfigError(
            explain(
                f"{frame.source}: head {head!r} does not know an element",
                got=", ".join(sorted(missing)),
                wanted="only " + ", ".join(known),
            )
        )
    vectors, centers, neighbors = pairs.vectors(frame), pairs.centers, pairs.neighbors
    if trim:
        near = (vectors**2).sum(axis=1) < config.cutoff**2
        vectors, centers, neighbors = vectors[near], centers[near], neighbors[near]
    species_of = {z: k for k, z in enumerate(config.atomic_numbers)}
    species = [species_of[int(z)] for z in frame.numbers]
    return Graph.build(
        pair_vectors=torch.from_numpy(vectors),
        centers=torch.from_numpy(centers),
        neighbors=torch.from_numpy(neighbors),
        species=torch.tensor(species, dtype=torch.int64),
        frames=torch.zeros(frame.n_atoms, dtype=torch.int64),
        heads=torch.tensor([index]),
        # Without conditions ASE atoms would be made for nothing.
        conditions=structure_conditions(frame.atoms(), config)
        if config.conditions
        else None,
    )
