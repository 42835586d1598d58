"""Potentials of every kind that can be compiled, and their lowering."""

from __future__ import annotations

import torch

from lamplighter.model import Potential
from lamplighter.model.compiled import CompiledPotential
from lamplighter.model.compiled.lower import lower
from lamplighter.model.compiled.radial_tables import Knots

# Small, so that all kinds together take seconds; channels that are and are not whole
# units, one to three layers, every part of every table of docs/potential.md.
KINDS: dict[str, dict[str, object]] = {
    "mh1": {"l_max": 3, "correlation": 3},
    "mh1_wide_edges": {"channels": 16, "edge_channels": (8, 17), "edge_l_max": 0},
    "mp0": {
        "interaction": ("plain", "residual"),
        "product_weights": "by_element",
        "cutoff_inside": True,
        "distance_transform": "none",
        "zbl": False,
        "mean_neighbors": 9.0,
    },
    "density": {
        "interaction": ("density", "density_residual"),
        "radial_basis": "gaussian",
        "last_readout": "linear",
        "hidden_l_max": 2,
        "l_max": 2,
    },
    "three_layers": {
        "n_layers": 3,
        "correlation": (1, 2, 2),
        "interaction": ("density_residual", "nonlinear_residual", "plain"),
        "readouts": "last",
        "last_readout": "biased_mlp",
        "distance_transform": "soft",
        "hidden_l_max": 1,
        "l_max": 1,
    },
    "one_layer": {"n_layers": 1, "last_readout": "biased_mlp", "correlation": 2},
    "chebyshev": {
        "radial_basis": "chebyshev",
        "distance_transform": "agnesi",
        "readout_activation": "tanh",
        "l_max": 1,
    },
    "inside_with_species": {"cutoff_inside": True, "readout_activation": "none"},
    "scalars": {"l_max": 0, "hidden_l_max": 0, "readout_activation": "abs"},
    "more_out_than_in": {"l_max": 1, "hidden_l_max": 2, "correlation": 2},
}


def lowered(
    potential: Potential, count: int = 257, order: int = 3
) -> CompiledPotential:
    """Return a compiled potential without choosing knots."""
    tables = lower(
        potential, Knots(count=count, order=order, cutoff=potential.config.cutoff)
    )
    return CompiledPotential(potential.config, tables, torch.float64, threads=1)
