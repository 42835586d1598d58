"""The equations of the potential once more, atom by atom and pair by pair.

Loops, e3nn's spherical harmonics, dense coupling tensors and the unsplit radial layer:
slow, and as close to the paper's notation as code can be.
"""

from __future__ import annotations

import math

import torch
from ase.data import covalent_radii
from e3nn import o3
from torch import Tensor

from lamplighter.model import Graph, Potential
from lamplighter.model.activation import (
    ACTIVATIONS,
    SIGMOID_SECOND_MOMENT,
    SILU_SECOND_MOMENT,
)
from lamplighter.model.coupling import natural_paths, symmetric_basis


def cutoff_function(r: Tensor, radius: float, p: int) -> Tensor:
    """Equation (6)."""
    u = r / radius
    value = (
        1
        - (p + 1) * (p + 2) / 2 * u**p
        + p * (p + 2) * u ** (p + 1)
        - p * (p + 1) / 2 * u ** (p + 2)
    )
    return value if r < radius else 0.0 * r


def basis_of(c, r: Tensor, contact: float) -> Tensor:
    """Equations (2) and (3), and their alternatives."""
    s = r
    if c.distance_transform == "agnesi":
        x = 2 * r / contact
        s = 1 / (1 + 1.0805 * x**0.9183 / (1 + x ** (0.9183 - 4.5791)))
    elif c.distance_transform == "soft":
        p, q = 3 / 4 * contact, 4 / 3 * contact
        s = p + (r - p) / 2 * (1 + torch.tanh(4 / (q - p) * (r - (p + q) / 2)))
    n = torch.arange(1, c.n_radial + 1, dtype=torch.float64)
    if c.radial_basis == "gaussian":
        width = c.cutoff / (c.n_radial - 1)
        return torch.exp(-((s - (n - 1) * width) ** 2) / (2 * width**2))
    if c.radial_basis == "chebyshev":
        return torch.where(
            s.abs() <= 1,
            torch.cos(n * torch.acos(s.clamp(-1, 1))),
            torch.cosh(n * torch.acosh(s.clamp(1))),
        )
    return math.sqrt(2 / c.cutoff) * torch.sin(n * math.pi * s / c.cutoff) / s


def pair_network(network, block, basis: Tensor, source: int, target: int) -> Tensor:
    """The network of a pair, of the distance alone or of the species too."""
    if hasattr(network, "linears"):
        tables = block.tables
        e = torch.cat([basis, tables.source[source], tables.target[target]])
        return radial_network(network, e)
    x = basis
    for k, weight in enumerate(network.weights):
        if k > 0:
            x = SILU_SECOND_MOMENT * x / (1 + torch.exp(-x))
        x = x @ weight / math.sqrt(len(weight))
    return x


def radial_network(network, e: Tensor) -> Tensor:
    """Equation (5) on the concatenated descriptor, first layer unsplit."""
    weight = torch.cat([network.radial, network.source, network.target])
    x = e @ weight + network.bias
    for norm, linear in zip(network.norms, network.linears, strict=True):
        mean, var = x.mean(), x.var(unbiased=False)
        x = (x - mean) / torch.sqrt(var + norm.eps) * norm.weight + norm.bias
        x = linear.weight @ (x / (1 + torch.exp(-x))) + linear.bias
    return x


def atomic_energies(potential: Potential, graph: Graph) -> Tensor:
    """Return the learned energy of each atom of a graph without ghosts."""
    c = potential.config
    z = [c.atomic_numbers[s] for s in graph.species.tolist()]
    pairs: list[list[tuple[int, Tensor]]] = [[] for _ in z]
    for i, j, vector in zip(
        graph.centers.tolist(),
        graph.neighbors.tolist(),
        graph.pair_vectors,
        strict=True,
    ):
        pairs[i].append((j, vector))
    heads = graph.heads[graph.frames].tolist()
    energy = [
        zbl(z, i, pairs[i], c.cutoff_power) if c.zbl else torch.zeros(())
        for i in range(len(z))
    ]
    species, frames = graph.species.tolist(), graph.frames.tolist()
    h = [
        potential.embedding[s][None, :] + condition(potential, graph.conditions[f])
        for s, f in zip(species, frames, strict=True)
    ]
    start = [x[0] for x in h]
    for layer, readout in zip(potential.layers, potential.readouts, strict=True):
        u = [linear(layer.linear_up, x) for x in h]
        new = []
        for i in range(len(z)):
            b = interaction(potential, layer, u, i, pairs[i], species)
            p = product(layer.product, b, species[i])
            out = linear(layer.linear_product, p)
            new.append(out + skipped(layer.skip, h[i], len(out), species[i]))
        h = new
        for i in range(len(z)):
            energy[i] = energy[i] + read(readout, h[i][0], heads[i], c)
    spec = c.heads
    total = [
        spec[k].scale * e + spec[k].shift for k, e in zip(heads, energy, strict=True)
    ]
    if c.condition_readout:
        total = [
            e + read(potential.condition_readout, x, k, c)
            for e, x, k in zip(total, start, heads, strict=True)
        ]
    return torch.stack(total)


def condition(potential: Potential, values: Tensor) -> Tensor:
    """What charge and spin add to the features of every atom of a structure."""
    parts = []
    for k, spec in enumerate(potential.config.conditions):
        part = potential.conditions.parts[k]
        if spec.kind == "categorical":
            parts.append(part.weight[int(values[k]) + spec.offset])
        else:
            x = part.first.weight[:, 0] * values[k]
            x = x + part.first.bias if spec.bias else x
            x = part.second.weight @ (x / (1 + torch.exp(-x)))
            parts.append(x + part.second.bias if spec.bias else x)
    if not parts:
        return torch.zeros(())
    x = potential.conditions.project.weight @ torch.cat(parts)
    return x / (1 + torch.exp(-x))


def skipped(skip, h: Tensor, size: int, species: int) -> Tensor:
    """Equation (14): what the old features add to the new ones."""
    out = torch.zeros(size, h.shape[1], dtype=torch.float64)
    if hasattr(skip, "linear"):
        maps = list(skip.linear.weights)
    elif hasattr(skip, "by_element"):
        maps = [w[species] for w in skip.by_element.weights]
    else:
        maps = []
    for l, w in enumerate(maps):
        rows = slice(l * l, (l + 1) ** 2)
        out[rows] = h[rows] @ w / math.sqrt(len(w))
    return out


def zbl(z: list[int], i: int, pairs, p: int) -> Tensor:
    """Equation (16)."""
    total = torch.zeros((), dtype=torch.float64)
    for j, vector in pairs:
        r = vector.norm()
        a = 0.4543 * 0.529 / (z[i] ** 0.3 + z[j] ** 0.3)
        phi = sum(
            amplitude * torch.exp(-k * r / a)
            for amplitude, k in (
                (0.1818, 3.2),
                (0.5099, 0.9423),
                (0.2802, 0.4028),
                (0.02817, 0.2016),
            )
        )
        radius = float(covalent_radii[z[i]] + covalent_radii[z[j]])
        total = total + 0.5 * 14.3996 * z[i] * z[j] / r * phi * cutoff_function(
            r, radius, p
        )
    return total


def interaction(potential, layer, u, i: int, pairs, species: list[int]) -> Tensor:
    """Equations (2) to (12)."""
    c, block = potential.config, layer.interaction
    n_edge = block.edge_channels
    l_edge = layer.l_edge
    paths = natural_paths(l_edge, c.l_max)
    sums = {
        l: [
            torch.zeros(2 * l + 1, n_edge, dtype=torch.float64)
            for q in paths
            if q[2] == l
        ]
        for l in range(c.l_max + 1)
    }
    density = torch.zeros((), dtype=torch.float64)
    norm = block.normalization
    for j, vector in pairs:
        r = vector.norm()
        zi, zj = c.atomic_numbers[species[i]], c.atomic_numbers[species[j]]
        contact = float(covalent_radii[zi] + covalent_radii[zj])
        basis, f_c = (
            basis_of(c, r, contact),
            cutoff_function(r, c.cutoff, c.cutoff_power),
        )
        if c.cutoff_inside:
            basis, f_c = basis * f_c, 1.0
        ends = (basis, species[j], species[i])
        weights = (f_c * pair_network(block.radial, block, *ends)).reshape(
            len(paths), -1
        )
        if getattr(norm, "density", None) is not None:
            g = pair_network(norm.density, block, *ends)[0]
            density = density + f_c * torch.tanh(g**2)
        position = dict.fromkeys(range(c.l_max + 1), 0)
        for (l1, l2, l3), weight in zip(paths, weights, strict=True):
            y = o3.spherical_harmonics(
                l2, vector, normalize=True, normalization="component"
            )
            table = math.sqrt(2 * l3 + 1) * o3.wigner_3j(
                l1, l2, l3, dtype=torch.float64
            )
            source = u[j][l1 * l1 : (l1 + 1) ** 2]
            term = torch.einsum("ac,b,abm->mc", source, y, table) * weight
            sums[l3][position[l3]] = sums[l3][position[l3]] + term
            position[l3] += 1
    if hasattr(norm, "alpha"):
        divisor = norm.alpha + norm.beta * density
    else:
        has_density = getattr(norm, "density", None) is not None
        divisor = 1 + density if has_density else c.mean_neighbors
    a = [torch.cat(sums[l], dim=1) / divisor for l in range(c.l_max + 1)]
    return message(c, block.message, a, u[i], species[i])


def message(c, block, sums: list[Tensor], own: Tensor, species: int) -> Tensor:
    """Equations (10) to (12), and their alternatives."""
    mapped = [
        a @ w / math.sqrt(len(w))
        for a, w in zip(sums, block.linear_sum.weights, strict=True)
    ]
    if hasattr(block, "by_element"):
        maps = [w[species] for w in block.by_element.weights]
        return torch.cat(
            [x @ w / math.sqrt(len(w)) for x, w in zip(mapped, maps, strict=True)]
        )
    if not hasattr(block, "linear_mix"):
        return torch.cat(mapped)
    for l, weight in enumerate(block.linear_residual.weights):
        part = own[l * l : (l + 1) ** 2] @ weight / math.sqrt(len(weight))
        mapped[l] = mapped[l] + part
    k = c.channels
    scalars, gates = mapped[0][:, :k], mapped[0][:, k:]
    gated = [SILU_SECOND_MOMENT * scalars * torch.sigmoid(scalars)]
    for l in range(1, c.l_max + 1):
        gate = torch.sigmoid(gates[:, (l - 1) * k : l * k])
        gated.append(SIGMOID_SECOND_MOMENT * gate * mapped[l])
    return linear(block.linear_mix, torch.cat(gated))


def product(module, b: Tensor, species: int) -> Tensor:
    """Equation (13), monomial by monomial."""
    out = []
    for l in range(module.l_out + 1):
        total = torch.zeros(2 * l + 1, b.shape[1], dtype=torch.float64)
        for power in range(1, module.correlation + 1):
            basis = symmetric_basis(module.l_max, l, power)
            weight = module.weights[f"{l}_{power}"]
            weight = weight[species if len(weight) > 1 else 0]
            values = b[torch.from_numpy(basis.monomials)].prod(1)
            for path, w in zip(torch.from_numpy(basis.matrix), weight, strict=True):
                total = total + path @ values * w
        out.append(total)
    return torch.cat(out)


def linear(module, x: Tensor) -> Tensor:
    """One matrix per degree."""
    return torch.cat(
        [
            x[l * l : (l + 1) ** 2] @ w / math.sqrt(len(w))
            for l, w in enumerate(module.weights)
        ]
    )


def read(readout, scalars: Tensor, head: int, c) -> Tensor:
    """Equation (15)."""
    if hasattr(readout, "weight"):
        return scalars @ readout.weight[head] / math.sqrt(len(scalars))
    if not hasattr(readout, "first"):
        return torch.zeros(())
    function, factor = ACTIVATIONS[c.readout_activation]
    x = scalars @ readout.first[head] / math.sqrt(len(scalars))
    x = factor * function(x)
    if hasattr(readout, "middle"):
        x = x @ readout.middle[head] / math.sqrt(len(x)) + readout.middle_bias[head]
        x = factor * function(x)
    energy = x @ readout.second[head] / math.sqrt(len(x))
    return energy + readout.bias[head] if hasattr(readout, "bias") else energy
