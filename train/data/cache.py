"""Frames of a cache by their number, read when they are asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from ase.data import atomic_numbers, chemical_symbols

from lamplighter.arrays import AnyArray, Integers
from lamplighter.errors import ConfigError, explain
from lamplighter.train.data.frame import ISOLATED_ATOM, Frame
from lamplighter.train.data.records import Neighbours, unpack_record
from lamplighter.train.data.shards import COLUMNS, Shard, open_shard, read_index

OPEN_SHARDS = 16
"""Shards that are mapped at a time."""
KEPT_COLUMNS = ("n_atoms", "n_pairs", "head", "config_type")
"""Columns that stay in memory, 16 bytes a frame."""


class Cache:
    """A finished cache, open for reading.

    Attributes:
        folder: where it lies.
        index: content of its index.
        dtype: of positions, forces and stress in the records.
        cutoff: range of the neighbour lists, Å.
        heads: names that the column ``head`` counts.
        config_types: names that the column ``config_type`` counts.
    """

    def __init__(self, folder: Path) -> None:
        """Open a cache; the frames stay on the disk.

        Raises:
            DataError: the index or a shard is missing, damaged, or of another build.
        """
        self.folder = folder
        self.index = read_index(folder)
        self.dtype = np.dtype(self.index["dtype"])
        self.cutoff = float(self.index["cutoff"])
        self.heads: list[str] = self.index["words"]["head"]
        self.config_types: list[str] = self.index["words"]["config_type"]
        self._paths = [folder / shard["name"] for shard in self.index["shards"]]
        counts = [shard["n_frames"] for shard in self.index["shards"]]
        self._begins = np.concatenate([[0], np.cumsum(counts)])
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._columns: dict[str, AnyArray] = {}
        self._lock = threading.Lock()
        for number in range(len(self._paths)):
            self._shard(number)

    def __len__(self) -> int:
        """Return the number of frames."""
        return int(self._begins[-1])

    def column(self, name: str) -> AnyArray:
        """Return a column with one entry per frame, of those in `COLUMNS`.

        The columns of `KEPT_COLUMNS` stay in memory, the others are read each time.
        """
        found = self._columns.get(name)
        if found is None:
            found = np.empty(len(self), COLUMNS[name])
            for number in range(len(self._paths)):
                own = slice(self._begins[number], self._begins[number + 1])
                found[own] = self._shard(number).arrays[name]
            if name in KEPT_COLUMNS:
                self._columns[name] = found
        return found

    def _shard(self, number: int) -> Shard:
        # A batch may be read beside the frame that an error message names.
        with self._lock:
            return self._opened(number)

    def _opened(self, number: int) -> Shard:
        shard = self._open.get(number)
        if shard is None:
            path = self._paths[number]
            shard = open_shard(path)
            wanted = self.index["shards"][number]["n_frames"]
            same = shard.note.get("fingerprint") == self.index["fingerprint"]
            if shard.n_frames != wanted or not same:
                raise ConfigError(
                    explain(
                        f"{path} belongs to another cache than {self.folder}",
                        got=f"{shard.n_frames} frames",
                        wanted=f"{wanted} frames of the same build",
                        fix="remove the folder and build the cache again",
                    )
                )
            self._open[number] = shard
            if len(self._open) > OPEN_SHARDS:
                self._open.popitem(last=False)
        self._open.move_to_end(number)
        return shard

    def read(self, k: int, *, pairs: bool = True) -> tuple[Frame, Neighbours | None]:
        """Return frame `k` and its neighbours.

        Raises:
            DataError: its bytes are damaged; the message names the shard.
        """
        number = int(np.searchsorted(self._begins, k, side="right")) - 1
        record = self._shard(number).record(int(k - self._begins[number]))
        return unpack_record(record, self.dtype, pairs=pairs)

    def verify(self) -> None:
        """Compare the checksums of all frames.

        Raises:
            DataError: the first that does not fit; the message names the shard.
        """
        for number in range(len(self._paths)):
            self._shard(number).verify()

    def frames(self, indices: Integers | None = None) -> CachedFrames:
        """Return all frames, or those with some numbers."""
        chosen = np.arange(len(self)) if indices is None else indices
        return CachedFrames(self, chosen)


class CachedFrames(Sequence[Frame]):
    """Some frames of a cache as a sequence that holds none of them."""

    def __init__(self, cache: Cache, indices: Integers) -> None:
        """Stand for the frames of `cache` with these numbers."""
        self.cache = cache
        self.indices = indices

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.indices)

    @overload
    def __getitem__(self, k: int) -> Frame: ...
    @overload
    def __getitem__(self, k: slice) -> CachedFrames: ...
    def __getitem__(self, k: int | slice) -> Frame | CachedFrames:
        """Return a frame without its neighbours, or a part of the sequence."""
        if isinstance(k, slice):
            return CachedFrames(self.cache, self.indices[k])
        return self.cache.read(int(self.indices[k]), pairs=False)[0]

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in the order of the sequence."""
        for k in self.indices:
            yield self.cache.read(int(k), pairs=False)[0]

    def column(self, name: str) -> AnyArray:
        """Return a column of the cache for these frames."""
        return np.asarray(self.cache.column(name)[self.indices])

    @property
    def is_isolated_atom(self) -> npt.NDArray[np.bool_]:
        """Which frames are single atoms that define a reference energy."""
        kinds = np.array([name == ISOLATED_ATOM for name in self.cache.config_types])
        single = self.column("n_atoms") == 1
        return np.asarray(single & kinds[self.column("config_type")])

    @property
    def elements(self) -> set[str]:
        """The chemical symbols in these frames."""
        return set(
            symbols_of(self.column("elements_low"), self.column("elements_high"))
        )

    def having(self, symbols: Collection[str]) -> CachedFrames:
        """Return the frames with any of some elements, without reading them."""
        low, high = element_bits(symbols)
        found = (self.column("elements_low") & low) | (
            self.column("elements_high") & high
        )
        return self.where(found != 0)

    def within(self, symbols: Collection[str]) -> CachedFrames:
        """Return the frames with no other than some elements, without reading them."""
        low, high = element_bits(symbols)
        foreign = (self.column("elements_low") & ~low) | (
            self.column("elements_high") & ~high
        )
        return self.where(foreign == 0)

    def where(self, mask: npt.NDArray[np.bool_]) -> CachedFrames:
        """Return the frames where `mask` is true."""
        return CachedFrames(self.cache, self.indices[mask])

    def sample(self, most: int) -> CachedFrames:
        """Return at most `most` frames that stand for all of them.

        All isolated atoms, a few frames of every element, and beside these the ones
        whose geometries have the smallest hashes: no order of the sources matters.
        """
        if len(self) <= most:
            return self
        order = np.argsort(_mixed(self.column("digest")), kind="stable")
        chosen = self.is_isolated_atom.copy()
        low, high = self.column("elements_low"), self.column("elements_high")
        for z in range(1, 128):
            bits = low if z < 64 else high
            has = (bits >> np.uint64(z % 64)) & np.uint64(1)
            chosen[order[np.flatnonzero(has[order])[:PER_ELEMENT]]] = True
        rest = order[~chosen[order]]
        chosen[rest[: max(most - int(chosen.sum()), 0)]] = True
        return self.where(chosen)


PER_ELEMENT = 8
"""Frames of each element that a sample has at least, where there are so many."""


def _mixed(digests: AnyArray) -> AnyArray:
    """Another order than that of the digests, which split and sampling may use."""
    with np.errstate(over="ignore"):
        return np.asarray(digests * np.uint64(0x9E3779B97F4A7C15))


def symbols_of(low: AnyArray, high: AnyArray) -> list[str]:
    """Return the elements whose bits are set anywhere, by atomic number."""
    bits = int(np.bitwise_or.reduce(low, initial=np.uint64(0)))
    bits |= int(np.bitwise_or.reduce(high, initial=np.uint64(0))) << 64
    return [chemical_symbols[z] for z in range(1, 119) if bits >> z & 1]


def element_bits(symbols: Collection[str]) -> tuple[np.uint64, np.uint64]:
    """Return elements as the two numbers in which a column keeps them."""
    bits = sum(1 << atomic_numbers[symbol] for symbol in set(symbols))
    return np.uint64(bits & (2**64 - 1)), np.uint64(bits >> 64)


def open_cache(folder: Path, *, cutoff: float | None = None) -> Cache:
    """Return a cache whose neighbour lists reach at least as far as `cutoff` (Å).

    Raises:
        DataError: it cannot be read.
        ConfigError: its neighbour lists are too short.
    """
    cache = Cache(folder)
    check_cutoff(cache, cutoff)
    return cache


def check_cutoff(cache: Cache, cutoff: float | None) -> None:
    """Refuse neighbour lists that are shorter than those of a potential.

    Raises:
        ConfigError: as above.
    """
    if cutoff is not None and cache.cutoff < cutoff:
        raise ConfigError(
            explain(
                f"the neighbour lists of the cache {cache.folder} are too short",
                got=f"{cache.cutoff:g} Å",
                wanted=f"at least the cutoff of the potential, {cutoff:g} Å",
                fix=f"build the cache with cutoff {cutoff:g}",
            )
        )


def summary(cache: Cache) -> dict[str, Any]:
    """Return sizes of a cache for people: frames, atoms, pairs, bytes, elements."""
    return {
        "frames": len(cache),
        "atoms": int(cache.column("n_atoms").sum(dtype=np.int64)),
        "pairs": int(cache.column("n_pairs").sum(dtype=np.int64)),
        "bytes": sum(shard["bytes"] for shard in cache.index["shards"]),
        "shards": len(cache.index["shards"]),
        "elements": symbols_of(
            cache.column("elements_low"), cache.column("elements_high")
        ),
        "heads": cache.heads,
        "groups": len(np.unique(cache.column("group"))),
        "dropped": cache.index["dropped"],
    }
