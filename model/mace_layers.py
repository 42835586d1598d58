"""What the layers of a mace-torch checkpoint say about widths, degrees and kinds."""

from __future__ import annotations

from typing import Any

from lamplighter.errors import UnsupportedModelError
from lamplighter.model.heads import ConditionSpec
from lamplighter.model.layers import INTERACTIONS
from lamplighter.model.mace_source import Source, known, uniform, unsupported
from lamplighter.model.pickle_records import Record, Reference

INTERACTION_OF = {
    "RealAgnosticInteractionBlock": "plain",
    "RealAgnosticResidualInteractionBlock": "residual",
    "RealAgnosticDensityInteractionBlock": "density",
    "RealAgnosticDensityResidualInteractionBlock": "density_residual",
    "RealAgnosticResidualNonLinearInteractionBlock": "nonlinear_residual",
}
DEFAULT_OF = {"total_charge": 0.0, "total_spin": 1.0}
"""Neutral singlets; every other condition has to be given."""
READOUT_OF = {
    "LinearReadoutBlock": "linear",
    "NonLinearReadoutBlock": "mlp",
    "NonLinearBiasReadoutBlock": "biased_mlp",
}


def read_interactions(source: Source, n_layers: int) -> dict[str, Any]:
    """Return what the interactions say about widths, degrees and kinds."""
    kinds, edges, neighbors = [], [], set()
    for t in range(n_layers):
        path = f"interactions.{t}"
        kinds.append(known(source.module(path), INTERACTION_OF, "the interaction"))
        edges.append(edge_irreps(source, t))
        neighbors.add(float(source.get(path, "avg_num_neighbors")))
    if len(neighbors) > 1:
        raise UnsupportedModelError(
            unsupported(f"mean neighbours {neighbors}", "differs between layers")
        )
    channels, _ = uniform(source.irreps("interactions.0", "node_feats_irreps"), "nodes")
    _, l_max = uniform(source.irreps("interactions.0", "edge_attrs_irreps"), "edges")
    hidden_l_max = 0
    for t in range(1, n_layers):
        nodes = source.irreps(f"interactions.{t}", "node_feats_irreps")
        width, hidden_l_max = uniform(nodes, "hidden features")
        if width != channels:
            raise UnsupportedModelError(
                unsupported(f"{width} and {channels} channels", "is not uniform")
            )
    settings: dict[str, Any] = {
        "channels": channels,
        "l_max": l_max,
        "hidden_l_max": hidden_l_max,
        "interaction": _joined(kinds),
        "edge_channels": _joined([n for n, _ in edges]),
        "mean_neighbors": neighbors.pop(),
        "radial_hidden": _radial_hidden(source, 0),
    }
    if any(
        _radial_hidden(source, t) != settings["radial_hidden"]
        for t in range(1, n_layers)
    ):
        raise UnsupportedModelError(
            unsupported("radial networks of several widths", "is not uniform")
        )
    lower = {l for _, l in edges[1:] if l < hidden_l_max}
    if len(lower) > 1 or (lower and any(l >= hidden_l_max for _, l in edges[1:])):
        raise UnsupportedModelError(
            unsupported("edge irreps of several degrees", "is not uniform")
        )
    if lower:
        settings["edge_l_max"] = lower.pop()
    if "nonlinear_residual" in kinds:
        settings["density_hidden"] = (64,)
    return settings


def edge_irreps(source: Source, t: int) -> tuple[int, int]:
    """Return (channels, highest degree) of what layer `t` sums over neighbours.

    A file without the attribute, or whose first layer has narrow edges without saying
    so, is read by the shape of the projection.
    """
    path = f"interactions.{t}"
    nodes = source.irreps(path, "node_feats_irreps")
    if source.get(path, "edge_irreps", default=None) is None:
        return uniform(nodes, "nodes")
    channels, l_edge = uniform(source.irreps(path, "edge_irreps"), "edge irreps")
    n_in, l_in = uniform(nodes, "nodes")
    in_common = min(l_in, l_edge) + 1
    weights = source.tensors[f"{path}.linear_up.weight"].numel()
    if weights != in_common * n_in * channels:
        raise UnsupportedModelError(
            unsupported(
                f"{path}.linear_up with {weights} weights",
                f"does not fit {channels} edge channels up to degree {l_edge}",
            )
        )
    return channels, l_edge


def _radial_hidden(source: Source, t: int) -> tuple[int, ...]:
    widths = source.get(f"interactions.{t}.conv_tp_weights", "hs", default=None)
    if widths is None:  # early files: the widths of the weights themselves
        layers = source.children(f"interactions.{t}.conv_tp_weights")
        prefix = f"interactions.{t}.conv_tp_weights"
        shapes = [source.tensors[f"{prefix}.{name}.weight"].shape for name in layers]
        return tuple(int(shape[1]) for shape in shapes[:-1])
    return tuple(int(n) for n in list(widths)[1:-1])


def read_products(source: Source, n_layers: int, n_elements: int) -> dict[str, Any]:
    """Return the powers of the products and whether their weights know the element."""
    correlation, sets = [], set()
    for t in range(n_layers):
        path = f"products.{t}.symmetric_contractions"
        if "contractions" not in source.children(path):
            raise UnsupportedModelError(
                unsupported(
                    f"{path} without contractions",
                    "was saved with cuEquivariance; convert with mace_cueq_to_e3nn",
                )
            )
        first = f"{path}.contractions.0"
        names = [n for n in source.tensors if n.startswith(f"{first}.U_matrix_")]
        correlation.append(len(names))
        sets.add(len(source.tensors[f"{first}.weights_max"]))
        _check_product(source, t, len(names))
    if sets - {1, n_elements} or len(sets) > 1:
        raise UnsupportedModelError(
            unsupported(f"product weights for {sets} elements", "is not known")
        )
    agnostic = bool(source.get("products.0", "use_agnostic_product", default=False))
    if agnostic != (sets == {1}) and n_elements > 1:
        raise UnsupportedModelError(
            unsupported(f"product weights for {sets} elements", "contradicts itself")
        )
    return {
        "correlation": _joined(correlation),
        "product_weights": "shared" if sets == {1} else "by_element",
    }


def _check_product(source: Source, t: int, correlation: int) -> None:
    """Refuse a product whose degrees or skip connection are others than its layer's."""
    path = f"products.{t}.symmetric_contractions.contractions"
    for name in source.children(path):
        powers = [n for n in source.tensors if n.startswith(f"{path}.{name}.U_matrix_")]
        if len(powers) != correlation:
            raise UnsupportedModelError(
                unsupported(
                    f"{path}.{name} with correlation {len(powers)}",
                    f"differs from the {correlation} of degree 0",
                )
            )
    kind = INTERACTIONS[INTERACTION_OF[source.module(f"interactions.{t}").name]]
    if kind.skip != "none" and not source.get(f"products.{t}", "use_sc", default=True):
        raise UnsupportedModelError(
            unsupported(f"products.{t} with use_sc off", "leaves weights without use")
        )


def read_readouts(source: Source, n_layers: int) -> dict[str, Any]:
    """Return kind, width and activation of the readouts."""
    records = list(source.children("readouts").values())
    kinds = [known(record, READOUT_OF, "the readout") for record in records]
    if len(kinds) not in (1, n_layers) or any(k != "linear" for k in kinds[:-1]):
        raise UnsupportedModelError(
            unsupported(f"readouts {kinds} of {n_layers} layers", "is not known")
        )
    settings: dict[str, Any] = {
        "readouts": "all" if len(kinds) == n_layers else "last",
        "last_readout": kinds[-1],
    }
    if kinds[-1] != "linear":
        path = f"readouts.{len(kinds) - 1}"
        hidden = source.irreps(path, "hidden_irreps")
        units, degree = uniform(hidden, "hidden units of the readout")
        n_heads = len(source.head_names)
        masked = source.get(path, "num_heads", default=1)
        if masked != n_heads:
            raise UnsupportedModelError(
                unsupported(f"{path} for {masked} heads", f"is not for {n_heads} heads")
            )
        if degree > 0 or units % n_heads:
            raise UnsupportedModelError(
                unsupported(f"{hidden} hidden units", "is not one set for each head")
            )
        settings["readout_hidden"] = units // n_heads
        settings["readout_activation"] = readout_activation(source, path)[0]
    return settings


def readout_activation(source: Source, path: str) -> tuple[str, float]:
    """Return name and factor of the activation of the readout at `path`."""
    acts = source.children(f"{path}.non_linearity.acts")
    if not acts:
        return "none", 1.0
    function = source.get(f"{path}.non_linearity.acts.0", "f")
    names = {"silu": "silu", "tanh": "tanh", "abs": "abs"}
    name = function.name if isinstance(function, Reference | Record) else str(function)
    if name not in names:
        raise UnsupportedModelError(
            unsupported(f"activation {name}", "is not silu, tanh, abs or none")
        )
    identity = bool(source.get(f"{path}.non_linearity.acts.0", "_is_id", default=False))
    factor = source.get(f"{path}.non_linearity.acts.0", "cst", default=1.0)
    return names[name], 1.0 if identity else float(factor)


def read_conditions(source: Source) -> dict[str, Any]:
    """Return the embedding inputs, such as total charge and spin."""
    if "joint_embedding" not in source.children(""):
        return {}
    specs = source.get("joint_embedding", "specs")
    conditions = []
    for name, spec in specs.items():
        if spec.get("per") != "graph" or int(spec.get("in_dim", 1)) != 1:
            raise UnsupportedModelError(
                unsupported(
                    f"embedding input {name!r}", "is not one number per structure"
                )
            )
        conditions.append(
            ConditionSpec(
                name=str(name),
                kind=spec["type"],
                width=int(spec["emb_dim"]),
                n_classes=int(spec.get("num_classes", 0)),
                offset=int(spec.get("offset", 0)),
                bias=bool(spec.get("use_bias", True)),
                default=DEFAULT_OF.get(str(name)),
            )
        )
    return {
        "conditions": tuple(conditions),
        "condition_readout": "embedding_readout" in source.children(""),
    }


def _joined(values: list[Any]) -> Any:
    """Return one value for all layers, or one for each."""
    return values[0] if len(set(values)) == 1 else tuple(values)
