"""How node features reach ghost atoms. The model never names an engine."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class GhostExchange(Protocol):
    """Fills the rows of ghost atoms with those of the atoms they are images of."""

    def forward(self, features: Tensor) -> Tensor:
        """Return `features` with every ghost row replaced by its owner's row.

        The operation is linear and differentiable: its adjoint adds the gradients of
        ghost rows to the rows of their owners, and gives ghost rows the gradient 0.
        It is collective: every process calls it equally often, atoms or not.

        Args:
            features: ``[n_atoms, width]``, own rows first.
        """
        ...


class NoExchange:
    """The exchange of a graph without ghosts: nothing to do."""

    def forward(self, features: Tensor) -> Tensor:
        """Return `features` unchanged."""
        return features


NO_EXCHANGE = NoExchange()
