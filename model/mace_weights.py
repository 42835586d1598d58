"""From the weights of a mace-torch checkpoint to those of a potential: exact algebra.

e3nn divides by the root of the fan-in where it multiplies, as the parts of the
potential do; where the two count the fan-in differently, and where e3nn normalises an
activation with a sampled number, the factor goes into the weights.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lamplighter.model.activation import (
    ACTIVATIONS,
    SIGMOID_SECOND_MOMENT,
    SILU_SECOND_MOMENT,
)
from lamplighter.model.config import PotentialConfig
from lamplighter.model.coupling import natural_paths
from lamplighter.model.layers import LayerShape
from lamplighter.model.mace_layers import edge_irreps, readout_activation
from lamplighter.model.mace_product import product_weights
from lamplighter.model.mace_source import Source

Tensors = dict[str, Tensor]


def read_weights(source: Source, config: PotentialConfig) -> Tensors:
    """Return the state of the potential, float64, elements in the order of the file."""
    n_elements, c = len(config.elements), config.channels
    root = math.sqrt(n_elements)
    state = {
        "embedding": source.take("node_embedding.linear.weight", n_elements, c) / root
    }
    state.update(_conditions(source, config))
    for t, shape in enumerate(config.layers):
        layer = _layer(source, config, t, shape)
        state.update({f"layers.{t}.{name}": value for name, value in layer.items()})
    state.update(_readouts(source, config))
    return state


def _layer(
    source: Source, config: PotentialConfig, t: int, shape: LayerShape
) -> Tensors:
    """Return the weights of one layer."""
    c, n_elements = config.channels, len(config.elements)
    in_file, product = f"interactions.{t}", f"products.{t}"
    state = _numbered(
        "linear_up.weights",
        source.blocks(
            f"{in_file}.linear_up.weight",
            [(c, shape.edge_channels)] * (shape.l_edge + 1),
        ),
    )
    state.update(_radial(source, config, t, shape))
    state.update(_normalization(source, config, t, shape))
    state.update(_message(source, config, t, shape))
    l_out = _degree_out(source, t)
    weights = product_weights(source, t, config.l_max, l_out, c)
    kept = [f"{l}_{k}" for l in range(shape.l_out + 1) for k in _powers(shape)]
    state.update({f"product.weights.{name}": weights[name] for name in kept})
    linear = source.blocks(f"{product}.linear.weight", [(c, c)] * (l_out + 1))
    state.update(_numbered("linear_product.weights", linear[: shape.l_out + 1]))
    degrees = min(shape.l_in, shape.l_out) + 1
    common = min(shape.l_in, l_out) + 1
    if shape.interaction.skip == "shared":
        skip = source.blocks(f"{in_file}.skip_tp.weight", [(c, c)] * common)
        state.update(_numbered("skip.linear.weights", skip[:degrees]))
    elif shape.interaction.skip == "by_element":
        skip = _by_element(source, f"{in_file}.skip_tp.weight", c, n_elements, common)
        state.update(_numbered("skip.by_element.weights", skip[:degrees]))
    return state


def _degree_out(source: Source, t: int) -> int:
    """Return the highest degree that the file's product computes.

    The last layer may keep degrees that no readout sees.
    """
    path = f"products.{t}.symmetric_contractions.contractions"
    return len(source.children(path)) - 1


def _powers(shape: LayerShape) -> range:
    return range(1, shape.correlation + 1)


def _by_element(
    source: Source, name: str, channels: int, n_elements: int, n_degrees: int
) -> list[Tensor]:
    """Return the matrices ``[n_elements, c, c]`` of products with the element."""
    shape = (channels, n_elements, channels)
    blocks = source.blocks(name, [shape] * n_degrees)
    return [block.transpose(0, 1) / math.sqrt(n_elements) for block in blocks]


def _radial(
    source: Source, config: PotentialConfig, t: int, shape: LayerShape
) -> Tensors:
    """Return the radial network, its outputs in the order of the paths."""
    in_file, n_elements, c = f"interactions.{t}", len(config.elements), config.channels
    keep = _path_columns(source, config, t, shape)
    if shape.interaction.radial == "distance":
        network = _distance_network(source, f"{in_file}.conv_tp_weights")
        last = f"weights.{len(network) - 1}"
        network[last] = network[last][:, keep]
        return {f"interaction.radial.{k}": v for k, v in network.items()}
    state = {}
    for name in ("source", "target"):
        table = source.take(f"{in_file}.{name}_embedding.weight", n_elements, c)
        state[f"interaction.tables.{name}"] = table / math.sqrt(n_elements)
    hidden = config.radial_hidden
    network = _species_network(source, f"{in_file}.conv_tp_weights", config, hidden)
    for name in ("weight", "bias"):
        last = f"linears.{len(hidden) - 1}.{name}"
        network[last] = network[last][keep]
    state.update({f"interaction.radial.{k}": v for k, v in network.items()})
    return state


def _path_columns(
    source: Source, config: PotentialConfig, t: int, shape: LayerShape
) -> Tensor:
    """Return which outputs of the file's radial network are which of ours.

    The file sorts the paths by the degree of their result, and has paths for edge
    degrees that the features do not have.
    """
    _, l_edge = edge_irreps(source, t)
    in_file = sorted(natural_paths(l_edge, config.l_max), key=lambda path: path[2])
    place = {path: k for k, path in enumerate(in_file)}
    first = torch.tensor(
        [place[path] for path in natural_paths(shape.l_edge, config.l_max)]
    )
    channels = torch.arange(shape.edge_channels)
    return (first[:, None] * shape.edge_channels + channels).flatten()


def _distance_network(source: Source, path: str) -> Tensors:
    """Return the weights of e3nn's bias-free network."""
    state = {}
    for k, layer in enumerate(source.children(path)):
        name = f"{path}.{layer}.weight"
        rows, columns = source.tensors[name].shape
        weight = source.take(name, rows, columns)
        if k > 0:  # the SiLU before this weight is normalised by a sampled number
            before = f"{path}.layer{k - 1}.act"
            weight = weight * (float(source.get(before, "cst")) / SILU_SECOND_MOMENT)
        state[f"weights.{k}"] = weight
    return state


def _species_network(
    source: Source, path: str, config: PotentialConfig, hidden: tuple[int, ...]
) -> Tensors:
    """Return the weights of a RadialMLP, its first layer split into three."""
    n, c = config.n_radial, config.channels
    first = source.take(f"{path}.net.0.weight", hidden[0], n + 2 * c).T
    state = {
        "radial": first[:n],
        "source": first[n : n + c],
        "target": first[n + c :],
        "bias": source.take(f"{path}.net.0.bias", hidden[0]),
    }
    for k, width in enumerate(hidden):
        norm, linear = f"{path}.net.{3 * k + 1}", f"{path}.net.{3 * k + 3}"
        rows = source.tensors[f"{linear}.bias"].numel()
        state[f"norms.{k}.weight"] = source.take(f"{norm}.weight", width)
        state[f"norms.{k}.bias"] = source.take(f"{norm}.bias", width)
        state[f"linears.{k}.weight"] = source.take(f"{linear}.weight", rows, width)
        state[f"linears.{k}.bias"] = source.take(f"{linear}.bias", rows)
    return state


def _normalization(
    source: Source, config: PotentialConfig, t: int, shape: LayerShape
) -> Tensors:
    """Return the network of the density, alpha and beta."""
    parts, path = shape.interaction, f"interactions.{t}.density_fn"
    if parts.normalization == "constant":
        return {}
    if parts.radial == "species":
        network = _species_network(source, path, config, config.density_hidden)
    else:
        network = _distance_network(source, path)
    state = {f"interaction.normalization.density.{k}": v for k, v in network.items()}
    if parts.normalization == "learned":
        for name in ("alpha", "beta"):
            value = source.take(f"interactions.{t}.{name}")
            state[f"interaction.normalization.{name}"] = value
    return state


def _message(
    source: Source, config: PotentialConfig, t: int, shape: LayerShape
) -> Tensors:
    """Return the linear maps between the neighbour sum and the product."""
    in_file, c, n_degrees = f"interactions.{t}", config.channels, config.l_max + 1
    gated = shape.interaction.message == "gated"
    widths = [c * n_degrees if gated else c, *[c] * config.l_max]
    name = "linear_1" if gated else "linear"
    sums = _sums(source, f"{in_file}.{name}.weight", t, shape, widths)
    state = _numbered("linear_sum.weights", sums)
    if gated:
        _, l_edge = edge_irreps(source, t)
        blocks = [(shape.edge_channels, width) for width in widths[: l_edge + 1]]
        residual = source.blocks(f"{in_file}.linear_res.weight", blocks)
        residual = residual[: shape.l_edge + 1]
        mix = source.blocks(f"{in_file}.linear_2.weight", [(c, c)] * n_degrees)
        scalars, gates = _gate_factors(source, f"{in_file}.equivariant_nonlin")
        mix = [mix[0] * scalars, *(block * gates for block in mix[1:])]
        state.update(_numbered("linear_residual.weights", residual))
        state.update(_numbered("linear_mix.weights", mix))
    elif shape.interaction.message == "by_element":
        maps = _by_element(
            source, f"{in_file}.skip_tp.weight", c, len(config.elements), n_degrees
        )
        state.update(_numbered("by_element.weights", maps))
    return {f"interaction.message.{k}": v for k, v in state.items()}


def _sums(
    source: Source, name: str, t: int, shape: LayerShape, widths: list[int]
) -> list[Tensor]:
    """Return the maps of the neighbour sums, without rows of dead paths."""
    n, l_max = shape.edge_channels, len(widths) - 1
    _, l_edge = edge_irreps(source, t)
    paths = natural_paths(l_edge, l_max)
    of_degree = [[p for p in paths if p[2] == l] for l in range(l_max + 1)]
    blocks = source.blocks(
        name,
        [(len(p) * n, w) for p, w in zip(of_degree, widths, strict=True)],
    )
    kept = []
    for block, own in zip(blocks, of_degree, strict=True):
        rows = [path[0] <= shape.l_edge for path in own]
        alive = torch.tensor(rows).repeat_interleave(n)
        # the fan-in counted the rows that are left out
        share = math.sqrt(sum(rows) / len(rows)) if any(rows) else 1.0
        kept.append(block[alive] * share)
    return kept


def _gate_factors(source: Source, path: str) -> tuple[float, float]:
    """Return the file's factors of SiLU and sigmoid, relative to the exact ones."""
    scalars = source.get(path, "_scalar_cst", default=None)
    gates = source.get(path, "_gate_cst", default=None)
    if scalars is None or gates is None:  # until mace-torch 0.3.15: a gate of e3nn
        scalars = source.get(f"{path}.act_scalars.acts.0", "cst")
        acts = source.children(f"{path}.act_gates.acts")
        gates = source.get(f"{path}.act_gates.acts.0", "cst") if acts else 1.0
    return float(scalars) / SILU_SECOND_MOMENT, float(gates) / SIGMOID_SECOND_MOMENT


def _conditions(source: Source, config: PotentialConfig) -> Tensors:
    """Return the embedding of charge and spin and its readout."""
    state = {}
    for k, spec in enumerate(config.conditions):
        path = f"joint_embedding.embedders.{spec.name}"
        if spec.kind == "categorical":
            weight = source.take(f"{path}.weight", spec.n_classes, spec.width)
            state[f"conditions.parts.{k}.weight"] = weight
            continue
        for name, index, width in (("first", 0, 1), ("second", 2, spec.width)):
            weight = source.take(f"{path}.{index}.weight", spec.width, width)
            state[f"conditions.parts.{k}.{name}.weight"] = weight
            if spec.bias:
                bias = source.take(f"{path}.{index}.bias", spec.width)
                state[f"conditions.parts.{k}.{name}.bias"] = bias
    if config.conditions:
        total = sum(spec.width for spec in config.conditions)
        weight = source.take("joint_embedding.project.0.weight", config.channels, total)
        state["conditions.project.weight"] = weight
    if config.condition_readout:
        shape = (config.channels, len(config.heads))
        weight = source.take("embedding_readout.linear.weight", *shape)
        state["condition_readout.weight"] = weight.T
    return state


def _readouts(source: Source, config: PotentialConfig) -> Tensors:
    """Return the readouts; heads become the leading axis."""
    c, n_heads, hidden = config.channels, len(config.heads), config.readout_hidden
    state, k = {}, 0
    for t, shape in enumerate(config.layers):
        if shape.readout == "none":
            continue
        path, k = f"readouts.{k}", k + 1
        if shape.readout == "linear":
            weight = source.take(f"{path}.linear.weight", c, n_heads)
            state[f"readouts.{t}.weight"] = weight.T
        else:
            part = _hidden_readout(source, path, (n_heads, c, hidden), config)
            state.update({f"readouts.{t}.{name}": v for name, v in part.items()})
    return state


def _hidden_readout(
    source: Source, path: str, sizes: tuple[int, int, int], config: PotentialConfig
) -> Tensors:
    """Return a readout with hidden units; the mask of the file keeps heads apart."""
    n_heads, c, hidden = sizes
    name, factor = readout_activation(source, path)
    factor = factor / ACTIVATIONS[name][1]
    biased = config.last_readout == "biased_mlp"
    first = source.take(f"{path}.linear_1.weight", c, n_heads, hidden)
    # [hidden of head h, head k]: only h = k is seen; the fan-in counts all heads
    second = source.take(f"{path}.linear_2.weight", n_heads, hidden, n_heads)
    scaled = factor / math.sqrt(n_heads)
    state = {
        "first": first.transpose(0, 1),
        "second": torch.stack([second[h, :, h] for h in range(n_heads)]) * scaled,
    }
    if biased:
        shape = (n_heads, hidden, n_heads, hidden)
        middle = source.take(f"{path}.linear_mid.weight", *shape)
        own = torch.stack([middle[h, :, h] for h in range(n_heads)])
        state["middle"] = own * scaled
        state["middle_bias"] = source.take(f"{path}.linear_mid.bias", n_heads, hidden)
        state["bias"] = source.take(f"{path}.linear_2.bias", n_heads)
    return state


def _numbered(name: str, tensors: list[Tensor]) -> Tensors:
    return {f"{name}.{k}": tensor for k, tensor in enumerate(tensors)}
