"""The options of every model of the oracle: what is not said is as in `DEFAULTS`."""

ATTENTION = "RealAgnosticAttResidualInteractionBlock"
PLAIN = "RealAgnosticInteractionBlock"
RESIDUAL = "RealAgnosticResidualInteractionBlock"
DENSITY = "RealAgnosticDensityInteractionBlock"
DENSITY_RESIDUAL = "RealAgnosticDensityResidualInteractionBlock"
NONLINEAR = "RealAgnosticResidualNonLinearInteractionBlock"
BIAS_READOUT = "NonLinearBiasReadoutBlock"

DEFAULTS = {
    "model": "ScaleShiftMACE",
    "r_max": 4.5,
    "num_bessel": 6,
    "num_polynomial_cutoff": 5,
    "max_ell": 2,
    "interaction_cls_first": RESIDUAL,
    "interaction_cls": RESIDUAL,
    "num_interactions": 2,
    "hidden_irreps": "6x0e+6x1o",
    "MLP_irreps": "4x0e",
    "avg_num_neighbors": 4.3,
    "atomic_numbers": [1, 8, 12],
    "correlation": 2,
    "gate": "silu",
    "pair_repulsion": False,
    "apply_cutoff": True,
    "use_reduced_cg": False,
    "use_so3": False,
    "use_agnostic_product": False,
    "use_last_readout_only": False,
    "use_embedding_readout": False,
    "distance_transform": "None",
    "edge_irreps": None,
    "use_edge_irreps_first": False,
    "radial_MLP": [16, 16],
    "radial_type": "bessel",
    "heads": None,
    "embedding_specs": None,
    "readout_cls": "NonLinearReadoutBlock",
    "keep_last_layer_irreps": False,
}
# No constructor argument of mace-torch: how the oracle treats the model.
EXTRAS = {
    "dtype": "float64",
    # The elements of the three slots of the structures.
    "slots": [12, 8, 1],
    # False where torch has no derivative of the radial basis: energies only.
    "derivatives": True,
    # Attributes that are deleted before the model is saved.
    "delete": [],
    # True: keep use_reduced_cg in the record, but build as without cuequivariance.
    "without_cuequivariance": False,
    # True: the numbers of the radial functions differ from their defaults.
    "shift_radial_buffers": False,
    # Kept in the pickle as numpy.float64 and not as float.
    "numpy_scalars": False,
    # Of every model, and the combinations that embedding models are asked for.
    "inputs": [{}],
    # What the message says of a model that is refused; its numbers are not computed.
    "refused": "",
    # Only with --full.
    "full": False,
}

LANTHANIDES_AND_ALL = [*range(1, 84), *range(89, 95)]
# In the order of the published file.
MH1_HEADS = [
    "matpes_r2scan",
    "mp_pbe_refit_add",
    "spice_wB97M",
    "oc20_usemppbe",
    "omol",
    "omat_pbe",
]
MH1 = {
    "r_max": 6.0,
    "num_bessel": 10,
    "num_polynomial_cutoff": 5,
    "max_ell": 3,
    "interaction_cls_first": NONLINEAR,
    "interaction_cls": NONLINEAR,
    "hidden_irreps": "16x0e+16x1o",
    "edge_irreps": "8x0e+8x1o",
    "use_edge_irreps_first": True,
    "MLP_irreps": "16x0e",
    "avg_num_neighbors": 9.7,
    "correlation": 3,
    "pair_repulsion": True,
    "apply_cutoff": False,
    "use_agnostic_product": True,
    "distance_transform": "Agnesi",
    "radial_MLP": [64, 64, 64],
    "heads": MH1_HEADS,
}
CHARGE = {
    "type": "categorical",
    "per": "graph",
    "num_classes": 5,
    "offset": 2,
    "emb_dim": 6,
}
SPIN = {"type": "categorical", "per": "graph", "num_classes": 4, "emb_dim": 4}
CHARGES_AND_SPINS = [
    {"total_charge": 0.0, "total_spin": 1.0},
    {"total_charge": -2.0, "total_spin": 1.0},
    {"total_charge": 1.0, "total_spin": 2.0},
]
AGNESI_ZBL = {"distance_transform": "Agnesi", "pair_repulsion": True}

# The first eight cover the kinds of published checkpoints.
RECIPES = {
    "plain-then-residual": {
        "model": "MACE",
        "interaction_cls_first": PLAIN,
        "correlation": 3,
        "gate": "tanh",
        "hidden_irreps": "8x0e+8x1o",
    },
    "residual-l1": {
        "r_max": 6.0,
        "num_bessel": 10,
        "max_ell": 3,
        "correlation": 3,
        "MLP_irreps": "16x0e",
        "radial_MLP": [64, 64, 64],
        "avg_num_neighbors": 2.5,
    },
    "density-residual": {
        "interaction_cls_first": DENSITY,
        "interaction_cls": DENSITY_RESIDUAL,
        "num_bessel": 10,
        "correlation": 3,
        **AGNESI_ZBL,
    },
    "nonlinear": {
        "interaction_cls_first": NONLINEAR,
        "interaction_cls": NONLINEAR,
        "apply_cutoff": False,
        "use_agnostic_product": True,
    },
    "mh1-narrow": MH1,
    "mh1-narrow-old": {**MH1, "delete": ["use_edge_irreps_first"]},
    "heads3-zbl": {
        "heads": ["pbe", "r2scan", "wb97m"],
        "MLP_irreps": "8x0e",
        **AGNESI_ZBL,
    },
    "embedding-readout": {
        "embedding_specs": {"total_charge": CHARGE, "total_spin": SPIN},
        "use_embedding_readout": True,
        "heads": ["first", "second"],
        "inputs": CHARGES_AND_SPINS,
    },
    # Interaction blocks.
    "plain": {
        "interaction_cls_first": PLAIN,
        "interaction_cls": PLAIN,
        "gate": "abs",
    },
    "density": {
        "model": "MACE",
        "interaction_cls_first": DENSITY,
        "interaction_cls": DENSITY,
        **AGNESI_ZBL,
    },
    "density-residual-both": {
        "interaction_cls_first": DENSITY_RESIDUAL,
        "interaction_cls": DENSITY_RESIDUAL,
    },
    "nonlinear-inside": {
        "interaction_cls_first": NONLINEAR,
        "interaction_cls": NONLINEAR,
        "radial_MLP": [8],
    },
    "plain-then-nonlinear": {
        "interaction_cls_first": PLAIN,
        "interaction_cls": NONLINEAR,
        "apply_cutoff": False,
    },
    # The cutoff outside the radial network of linear blocks.
    "plain-outside": {
        "interaction_cls_first": PLAIN,
        "interaction_cls": PLAIN,
        "apply_cutoff": False,
    },
    "residual-outside": {"apply_cutoff": False, "distance_transform": "Agnesi"},
    "density-outside": {
        "interaction_cls_first": DENSITY,
        "interaction_cls": DENSITY,
        "apply_cutoff": False,
    },
    "density-residual-outside": {
        "interaction_cls_first": DENSITY_RESIDUAL,
        "interaction_cls": DENSITY_RESIDUAL,
        "apply_cutoff": False,
    },
    # Edge irreps.
    "edge-narrow": {
        "hidden_irreps": "8x0e+8x1o",
        "edge_irreps": "4x0e+4x1o",
    },
    "edge-narrow-first": {
        "hidden_irreps": "8x0e+8x1o",
        "edge_irreps": "4x0e+4x1o",
        "use_edge_irreps_first": True,
        "interaction_cls_first": DENSITY_RESIDUAL,
        "interaction_cls": DENSITY_RESIDUAL,
    },
    "nonlinear-edge": {
        "interaction_cls_first": NONLINEAR,
        "interaction_cls": NONLINEAR,
        "hidden_irreps": "8x0e+8x1o",
        "edge_irreps": "4x0e+4x1o",
        "apply_cutoff": False,
    },
    "nonlinear-edge-first": {
        "interaction_cls_first": NONLINEAR,
        "interaction_cls": NONLINEAR,
        "hidden_irreps": "8x0e+8x1o",
        "edge_irreps": "4x0e+4x1o",
        "use_edge_irreps_first": True,
        "apply_cutoff": False,
    },
    "nonlinear-edge-more": {
        "interaction_cls_first": NONLINEAR,
        "interaction_cls": NONLINEAR,
        "edge_irreps": "4x0e+4x1o+4x2e",
        "use_edge_irreps_first": True,
        "apply_cutoff": False,
    },
    "residual-edge-more": {"edge_irreps": "4x0e+4x1o+4x2e"},
    "scalars-edge-more": {"hidden_irreps": "8x0e", "edge_irreps": "8x0e+8x1o"},
    # Layers, degrees, correlation.
    "one-layer": {
        "num_interactions": 1,
        "hidden_irreps": "8x0e+8x1o",
        "max_ell": 3,
        "correlation": 3,
    },
    "one-layer-mace": {
        "model": "MACE",
        "num_interactions": 1,
        "hidden_irreps": "8x0e",
        "interaction_cls_first": PLAIN,
        "interaction_cls": PLAIN,
        "max_ell": 1,
        "correlation": 1,
    },
    "three-layers": {
        "num_interactions": 3,
        "correlation": [3, 2, 1],
        "hidden_irreps": "4x0e+4x1o+4x2e",
        "interaction_cls_first": PLAIN,
    },
    "degree-3": {
        "hidden_irreps": "4x0e+4x1o+4x2e+4x3o",
        "max_ell": 3,
        "radial_MLP": [16, 8],
    },
    "correlation-4": {
        "hidden_irreps": "6x0e",
        "max_ell": 2,
        "correlation": [4, 1],
    },
    "correlation-4-vectors": {
        "hidden_irreps": "6x0e+6x1o",
        "max_ell": 1,
        "correlation": 4,
        "avg_num_neighbors": 1.7,
    },
    # The basis of the product.
    "agnostic-product": {"use_agnostic_product": True, "correlation": 3},
    "reduced": {"use_reduced_cg": True, "correlation": 3, "max_ell": 3},
    "reduced-agnostic": {
        "use_reduced_cg": True,
        "use_agnostic_product": True,
        "hidden_irreps": "4x0e+4x1o+4x2e",
        "correlation": 3,
        "interaction_cls_first": NONLINEAR,
        "interaction_cls": NONLINEAR,
        "apply_cutoff": False,
    },
    "reduced-correlation-4": {
        "use_reduced_cg": True,
        "correlation": [4, 2],
        "hidden_irreps": "6x0e+6x1o",
    },
    "reduced-degree-3": {
        "use_reduced_cg": True,
        "hidden_irreps": "4x0e+4x1o+4x2e+4x3o",
        "max_ell": 3,
        "correlation": 2,
    },
    "reduced-in-name-only": {
        "use_reduced_cg": True,
        "without_cuequivariance": True,
        "correlation": 3,
    },
    # Radial functions.
    "gaussian": {"radial_type": "gaussian", "num_bessel": 8},
    "gaussian-agnesi": {
        "radial_type": "gaussian",
        "num_bessel": 8,
        **AGNESI_ZBL,
        "apply_cutoff": False,
    },
    "chebyshev": {
        "radial_type": "chebyshev",
        "num_bessel": 8,
        "distance_transform": "Agnesi",
        "derivatives": False,
    },
    "chebyshev-plain": {
        "radial_type": "chebyshev",
        "num_bessel": 3,
        "derivatives": False,
        "apply_cutoff": False,
    },
    "soft": {"distance_transform": "Soft", "radial_MLP": [8]},
    "soft-nonlinear": {
        "distance_transform": "Soft",
        "interaction_cls_first": NONLINEAR,
        "interaction_cls": NONLINEAR,
        "num_polynomial_cutoff": 6,
    },
    "zbl": {"model": "MACE", "pair_repulsion": True, "num_polynomial_cutoff": 8},
    # Readouts.
    "gate-none": {"gate": "None", "MLP_irreps": "8x0e"},
    "bias-readout": {"readout_cls": BIAS_READOUT, "hidden_irreps": "8x0e"},
    "bias-readout-heads": {
        "readout_cls": BIAS_READOUT,
        "gate": "tanh",
        "heads": ["one", "two"],
    },
    "last-readout-only": {
        "use_last_readout_only": True,
        "num_interactions": 3,
        "hidden_irreps": "4x0e+4x1o",
    },
    "keep-last-irreps": {"keep_last_layer_irreps": True, "correlation": 3},
    "keep-last-irreps-heads": {
        "keep_last_layer_irreps": True,
        "use_last_readout_only": True,
        "readout_cls": BIAS_READOUT,
        "heads": ["one", "two"],
        "interaction_cls_first": NONLINEAR,
        "interaction_cls": NONLINEAR,
    },
    # Heads and elements.
    "heads3-mace": {
        "model": "MACE",
        "heads": ["pbe", "r2scan", "wb97m"],
        **AGNESI_ZBL,
    },
    "elements89": {
        "atomic_numbers": LANTHANIDES_AND_ALL,
        "slots": [57, 8, 92],
        "hidden_irreps": "4x0e+4x1o",
        "num_bessel": 8,
    },
    "elements89-heads": {
        "atomic_numbers": LANTHANIDES_AND_ALL,
        "slots": [94, 9, 1],
        "hidden_irreps": "4x0e+4x1o",
        "interaction_cls_first": NONLINEAR,
        "interaction_cls": NONLINEAR,
        "heads": ["pbe", "r2scan", "wb97m"],
        "use_agnostic_product": True,
        "apply_cutoff": False,
        **AGNESI_ZBL,
    },
    # Inputs of the whole structure.
    "embedding": {
        "embedding_specs": {"total_charge": CHARGE, "total_spin": SPIN},
        "inputs": CHARGES_AND_SPINS,
    },
    "embedding-continuous": {
        "model": "MACE",
        "embedding_specs": {
            "total_charge": {
                "type": "continuous",
                "per": "graph",
                "in_dim": 1,
                "emb_dim": 5,
            },
            "total_spin": {
                "type": "continuous",
                "per": "graph",
                "in_dim": 1,
                "emb_dim": 3,
                "use_bias": False,
            },
        },
        "use_embedding_readout": True,
        "inputs": CHARGES_AND_SPINS,
    },
    # The file itself.
    "float32": {
        "dtype": "float32",
        "r_max": 4.3,
        "correlation": 3,
        **AGNESI_ZBL,
    },
    "numpy-scalars": {"numpy_scalars": True, "hidden_irreps": "4x0e"},
    # What no published checkpoint has.
    "shifted-radial-buffers": {
        **AGNESI_ZBL,
        "shift_radial_buffers": True,
        "refused": "bessel_weights",
    },
    # An output degree that the first power cannot reach: a part of the weights is zero.
    "zeroed-weights": {
        "hidden_irreps": "4x0e+4x1o+4x2e",
        "max_ell": 1,
        "correlation": 3,
        "avg_num_neighbors": 1.7,
    },
    "attention": {
        "interaction_cls_first": ATTENTION,
        "interaction_cls": ATTENTION,
        "num_interactions": 1,
        "refused": ATTENTION,
    },
    "pseudovectors": {
        "use_so3": True,
        "num_interactions": 1,
        "hidden_irreps": "4x0e",
        "refused": "use_so3",
    },
    "both-parities": {
        "hidden_irreps": "4x0e+4x0o+4x1o+4x1e",
        "max_ell": 1,
        "correlation": 1,
        "refused": "0o",
    },
    "mh1-full": {
        **MH1,
        "atomic_numbers": LANTHANIDES_AND_ALL,
        "hidden_irreps": "512x0e+512x1o",
        "edge_irreps": "128x0e+128x1o",
        "full": True,
    },
}
