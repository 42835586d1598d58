"""How a compiled potential fetches the features of ghosts: two explicit stages."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from lamplighter.arrays import AnyArray


class RowExchange(Protocol):
    """The two adjoint communications of a rank, without gradient.

    [`LammpsExchange`][lamplighter.lammps_interface.exchange.LammpsExchange] is one.
    Collective: every process calls them equally often, atoms or not.
    """

    def send(self, rows: Tensor) -> Tensor:
        """Return `rows` ``[n_atoms, width]`` with ghosts as their owners have them."""
        ...

    def send_back(self, rows: Tensor, number: int) -> Tensor:
        """Return `rows` with those of ghosts added to their owners' and zeroed.

        Args:
            rows: gradients of all rows after exchange `number`.
            number: which call of `send` this belongs to, from 0.
        """
        ...


class StagedExchange(Protocol):
    """What the native evaluation calls between its stages."""

    def forward(self, rows: AnyArray) -> None:
        """Fill the rows of ghosts in place."""
        ...

    def backward(self, rows: AnyArray, number: int) -> None:
        """Add the rows of ghosts to their owners' in place; see [`RowExchange`][]."""
        ...


class NothingToExchange:
    """All atoms are own atoms."""

    def forward(self, rows: AnyArray) -> None:
        """Do nothing."""

    def backward(self, rows: AnyArray, number: int) -> None:
        """Do nothing."""


class ThroughRows:
    """Hands the arrays of the library to a [`RowExchange`][]."""

    def __init__(self, exchange: RowExchange) -> None:
        """Use `exchange`."""
        self._exchange = exchange

    def forward(self, rows: AnyArray) -> None:
        """Fill the rows of ghosts in place."""
        rows[:] = self._exchange.send(torch.from_numpy(rows)).numpy()

    def backward(self, rows: AnyArray, number: int) -> None:
        """Add the rows of ghosts to their owners' in place."""
        rows[:] = self._exchange.send_back(torch.from_numpy(rows), number).numpy()
