"""Tables with the same bits for any number of threads, where that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["repeatable"]


@contextmanager
def repeatable() -> Iterator[None]:
    """Use one thread where ``torch.use_deterministic_algorithms`` is in force.

    Matrix products of torch round differently with another number of threads.
    """
    before = torch.get_num_threads()
    if torch.are_deterministic_algorithms_enabled():
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
