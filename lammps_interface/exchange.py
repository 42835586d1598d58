"""Features of ghost atoms through LAMMPS' communication, and their gradients back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class ExchangeData(Protocol):
    """The part of LAMMPS' ML-IAP data that an exchange needs."""

    ntotal: int

    def forward_exchange(self, src: Any, dst: Any, n: int) -> None:
        """Copy `src` to `dst`, ghost rows replaced by their owners' rows."""

    def reverse_exchange(self, src: Any, dst: Any, n: int) -> None:
        """Copy `src` to `dst`, ghost rows added to their owners', then zeroed."""


KOKKOS_COLUMNS: Final = 3
"""Columns that fit into the buffers of an upstream LAMMPS with Kokkos.

Its ``forward_exchange`` announces the width of a row only when it is called. Where the
host packs, the buffers were made before, for the three coordinates of an atom, and more
columns write past their end (LAMMPS issue 4814).
"""


def safe_columns(data: object) -> int:
    """Return how many columns LAMMPS may be given at once; 0: all of them."""
    return KOKKOS_COLUMNS if "kokkos" in type(data).__module__ else 0


@dataclass(slots=True)
class _Returned:
    """What the plain backward pass sent home in one exchange.

    Attributes:
        sent: gradient of every row, ghosts included.
        added: what arrived from ghosts in each row.
    """

    sent: Tensor
    added: Tensor


class LammpsExchange:
    """Ghost exchange through LAMMPS' communication; see `GhostExchange`.

    A backward pass may be repeated. With `weigh` the repeated pass carries gradients of
    ``sum_i x_i E_i``, where x is a Cartesian component of the positions. A ghost and
    its owner are at different places, so that what a ghost sends is taken relative to
    its own position and taken up relative to its owner's.

    Attributes:
        widths: numbers per atom of each forward exchange so far.
        n_reverse: reverse exchanges of the current pass.
    """

    def __init__(self, data: ExchangeData, kept: Tensor | None = None) -> None:
        """Exchange rows of `data`; `kept` lists the rows in the graph (None: all)."""
        self.widths: list[int] = []
        self.n_reverse = 0
        self._dtype = torch.float64
        self._device = torch.device("cpu")
        self._data = data
        self._columns = safe_columns(data)
        self._kept = kept
        self._positions: Tensor | None = None
        self._remember = False
        self._plain: dict[int, _Returned] = {}

    def forward(self, features: Tensor) -> Tensor:
        """Return `features` [n_atoms, width], ghost rows as their owners have them."""
        number = len(self.widths)
        received: Tensor = _Exchange.apply(features, self, number)  # type: ignore[no-untyped-call]
        return received

    def send(self, rows: Tensor) -> Tensor:
        """Forward communication: owners to ghosts, without gradient."""
        self.widths.append(rows.shape[1])
        self._dtype, self._device = rows.dtype, rows.device
        return self._communicate(self._data.forward_exchange, rows)

    def send_back(self, rows: Tensor, number: int) -> Tensor:
        """Reverse communication: ghosts add to their owners, without gradient.

        Args:
            rows: gradients of all rows after exchange `number`.
            number: which forward exchange this belongs to, from 0.
        """
        self.n_reverse += 1
        if self._positions is not None:
            return self._send_moments(rows, self._positions, self._plain[number])
        returned = self._communicate(self._data.reverse_exchange, rows)
        if self._remember:
            self._plain[number] = _Returned(rows.detach(), returned - rows.detach())
        return returned

    def remember(self) -> None:
        """Keep what the next, plain pass sends, for passes with `weigh`."""
        self._remember = True

    def weigh(self, positions: Tensor) -> None:
        """Begin a pass for gradients of ``sum_i x_i E_i``.

        Args:
            positions: x of every row, ghosts included, ``[n_rows]``.
        """
        self._positions = positions[:, None].to(self._dtype)
        self.n_reverse = 0

    def finish(self) -> None:
        """Make the reverse exchanges that differentiation had no reason to make.

        Autograd leaves out what depends on no pair. On a rank without atoms or pairs
        that is everything, but the other ranks wait for its gradients, which are zero.
        """
        while self.n_reverse < len(self.widths):
            number = len(self.widths) - 1 - self.n_reverse
            n_rows = self._data.ntotal if self._kept is None else len(self._kept)
            shape = (n_rows, self.widths[number])
            zeros = torch.zeros(shape, dtype=self._dtype, device=self._device)
            self.send_back(zeros, number)

    def _send_moments(self, rows: Tensor, x: Tensor, plain: _Returned) -> Tensor:
        """Return the moments at each row's own place, those of its ghosts included.

        With c = sum_i x_i dE_i/dh and a = sum_i dE_i/dh of a row at x, the difference
        c - x a does not depend on the origin: that is what travels.
        """
        relative = rows.detach() - x * plain.sent
        returned = self._communicate(self._data.reverse_exchange, relative)
        return returned + x * (plain.sent + plain.added)

    def _communicate(self, exchange: Any, rows: Tensor) -> Tensor:
        source = rows.detach()
        width = source.shape[1]
        if self._kept is not None:
            source = source.new_zeros((self._data.ntotal, width))
            source[self._kept] = rows.detach()
        parts = []
        for one in source.split(self._columns or max(width, 1), dim=1):
            part = one.contiguous()
            parts.append(torch.empty_like(part))
            exchange(part, parts[-1], part.shape[1])
        received = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        return received if self._kept is None else received[self._kept]


class _Exchange(torch.autograd.Function):
    """The pair of adjoint communications as one differentiable function."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, link: LammpsExchange, number: int
    ) -> Tensor:
        ctx.link, ctx.number = link, number
        return link.send(features)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        link: LammpsExchange = ctx.link
        return link.send_back(gradient, ctx.number), None, None
