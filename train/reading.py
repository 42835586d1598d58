"""The next batch is read while the present one is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from lamplighter.train.sampler import HeadSampler

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A batch, and where a run is once it has taken it.

    Attributes:
        batch: numbers of the frames.
        place: epoch, window, and number of the batch after it in that window.
    """

    batch: list[int]
    place: tuple[int, int, int]


def draw(
    sampler: HeadSampler, epoch: int, window: int, position: int
) -> Iterator[Drawn]:
    """Yield batches without end, from a place on; nothing depends on what came before.

    Args:
        sampler: draws the windows.
        epoch: where to begin.
        window: where to begin in that epoch.
        position: number of the first batch in that window.
    """
    while True:
        batches = sampler.window(epoch, window)
        for k in range(position, len(batches)):
            yield Drawn(batch=batches[k], place=(epoch, window, k + 1))
        window, position = window + 1, 0
        if window >= sampler.windows_per_epoch:
            epoch, window = epoch + 1, 0


class ReadAhead(Generic[Read]):
    """Gives batches one after the other, each read while the one before is in use.

    A run that ends, or is killed, has at most read a batch that it does not use: what
    it computes does not depend on how far ahead was read.
    """

    def __init__(
        self, batches: Iterator[Drawn], read: Callable[[list[int]], Read]
    ) -> None:
        """Begin to read.

        Args:
            batches: what to read, without end.
            read: called in a thread of its own, for one batch at a time.
        """
        self._batches = batches
        self._read = read
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="reading")
        self._next = self._begin()

    def __enter__(self) -> ReadAhead[Read]:
        """Return itself; the thread ends with the block."""
        return self

    def __exit__(self, *error: object) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self) -> tuple[Drawn, Future[Read]]:
        drawn = next(self._batches)
        return drawn, self._pool.submit(self._read, drawn.batch)

    def take(self) -> tuple[Drawn, Callable[[], Read]]:
        """Return the next batch and what waits for its content; read the one after.

        What reading has raised is raised by the second.
        """
        drawn, future = self._next
        self._next = self._begin()
        return drawn, future.result
