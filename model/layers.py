"""What a layer is made of: five interactions as explicit combinations of parts."""

from __future__ import annotations

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """The parts of one kind of interaction.

    Attributes:
        radial: what the radial weights depend on: the distance alone, or also the
            species of both atoms.
        normalization: the neighbour sum is divided by a constant number of
            neighbours, by ``1 + rho`` (density), or by ``alpha + beta rho`` (learned).
        message: how the sum becomes the message: a linear map, one more for each
            element, or residual, gate and mixing.
        skip: the map of the old features that is added after the product: none, one
            for each element, or one for all.
    """

    radial: Literal["distance", "species"]
    normalization: Literal["constant", "density", "learned"]
    message: Literal["linear", "by_element", "gated"]
    skip: Literal["none", "by_element", "shared"]


INTERACTIONS: dict[str, Interaction] = {
    "nonlinear_residual": Interaction(
        radial="species", normalization="learned", message="gated", skip="shared"
    ),
    "residual": Interaction(
        radial="distance",
        normalization="constant",
        message="linear",
        skip="by_element",
    ),
    "plain": Interaction(
        radial="distance",
        normalization="constant",
        message="by_element",
        skip="none",
    ),
    "density_residual": Interaction(
        radial="distance",
        normalization="density",
        message="linear",
        skip="by_element",
    ),
    "density": Interaction(
        radial="distance",
        normalization="density",
        message="by_element",
        skip="none",
    ),
}
"""Names for the setting ``interaction``.

`nonlinear_residual` is MACE-MH-1's; the others are those of the earlier MACE models
(RealAgnosticResidual, RealAgnostic, RealAgnosticDensityResidual, RealAgnosticDensity).
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LayerShape:
    """The sizes of one layer.

    Attributes:
        interaction: its parts.
        l_in: highest degree of the features that come in.
        l_edge: highest degree that takes part in the neighbour sums.
        l_out: highest degree of the features that go out.
        edge_channels: channels that take part in the neighbour sums.
        correlation: highest power in the product.
        readout: kind of the readout of its scalars.
    """

    interaction: Interaction
    l_in: int
    l_edge: int
    l_out: int
    edge_channels: int
    correlation: int
    readout: Literal["none", "linear", "mlp", "biased_mlp"]
