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
from lamplighter.model.coupling import natural_paths, symmetric_basis
from lamplighter.model.linear import SIGMOID_SECOND_MOMENT, SILU_SECOND_MOMENT


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
    h = [potential.embedding[s][None, :] for s in graph.species.tolist()]
    for layer, readout in zip(potential.layers, potential.readouts, strict=True):
        u = [linear(layer.linear_up, x) for x in h]
        new = []
        for i in range(len(z)):
            b = interaction(potential, layer, u, i, pairs[i], graph.species.tolist())
            p = product(layer.product, b)
            out = linear(layer.linear_product, p)
            keep = min(len(h[i]), len(out))
            skip = linear(layer.linear_skip, h[i][:keep])
            new.append(torch.cat([out[:keep] + skip, out[keep:]]))
        h = new
        for i in range(len(z)):
            energy[i] = energy[i] + read(readout, h[i][0], heads[i])
    spec = c.heads
    return torch.stack(
        [spec[k].scale * e + spec[k].shift for k, e in zip(heads, energy, strict=True)]
    )


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
    l_in = layer.l_in
    paths = natural_paths(l_in, c.l_max)
    sums = {
        l: [
            torch.zeros(2 * l + 1, c.edge_channels, dtype=torch.float64)
            for q in paths
            if q[2] == l
        ]
        for l in range(c.l_max + 1)
    }
    density = torch.zeros((), dtype=torch.float64)
    for j, vector in pairs:
        r = vector.norm()
        zi, zj = c.atomic_numbers[species[i]], c.atomic_numbers[species[j]]
        if c.distance_transform == "agnesi":
            x = 2 * r / float(covalent_radii[zi] + covalent_radii[zj])
            s = 1 / (1 + 1.0805 * x**0.9183 / (1 + x ** (0.9183 - 4.5791)))
        else:
            s = r
        n = torch.arange(1, c.n_radial + 1, dtype=torch.float64)
        basis = math.sqrt(2 / c.cutoff) * torch.sin(n * math.pi * s / c.cutoff) / s
        e = torch.cat([basis, block.source[species[j]], block.target[species[i]]])
        f_c = cutoff_function(r, c.cutoff, c.cutoff_power)
        weights = (f_c * radial_network(block.radial, e)).reshape(len(paths), -1)
        density = density + f_c * torch.tanh(radial_network(block.density, e)[0] ** 2)
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
    norm = block.alpha + block.beta * density
    message = []
    for l in range(c.l_max + 1):
        a = torch.cat(sums[l], dim=1) / norm
        weight = block.linear_sum.weights[l]
        part = a @ weight / math.sqrt(len(weight))
        if l <= l_in:
            weight = block.linear_residual.weights[l]
            part = part + u[i][l * l : (l + 1) ** 2] @ weight / math.sqrt(len(weight))
        message.append(part)
    k = c.channels
    scalars, gates = message[0][:, :k], message[0][:, k:]
    gated = [SILU_SECOND_MOMENT * scalars * torch.sigmoid(scalars)]
    for l in range(1, c.l_max + 1):
        gate = torch.sigmoid(gates[:, (l - 1) * k : l * k])
        gated.append(SIGMOID_SECOND_MOMENT * gate * message[l])
    return linear(block.linear_mix, torch.cat(gated))


def product(module, b: Tensor) -> Tensor:
    """Equation (13), monomial by monomial."""
    out = []
    for l in range(module.l_out + 1):
        total = torch.zeros(2 * l + 1, b.shape[1], dtype=torch.float64)
        for power in range(1, module.correlation + 1):
            basis = symmetric_basis(module.l_max, l, power)
            weight = module.weights[f"{l}_{power}"]
            values = torch.stack([b[list(row)].prod(0) for row in basis.monomials])
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


def read(readout, scalars: Tensor, head: int) -> Tensor:
    """Equation (15)."""
    if hasattr(readout, "weight"):
        return scalars @ readout.weight[head] / math.sqrt(len(scalars))
    hidden = scalars @ readout.first[head] / math.sqrt(len(scalars))
    active = SILU_SECOND_MOMENT * hidden * torch.sigmoid(hidden)
    return active @ readout.second[head] / math.sqrt(len(hidden))
