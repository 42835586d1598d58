"""The stages of a compiled potential on tensors, forward and back, without autograd.

Each stage back is the derivative of one forward, in the opposite order; numbers in
brackets are the equations of docs/potential.md. Nothing is kept of a pair but its
gradient, and nothing with channels is made for more than `CHUNK` pairs.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from lamplighter.model.activation import (
    SIGMOID_SECOND_MOMENT,
    SILU_SECOND_MOMENT,
    TANH_SECOND_MOMENT,
)
from lamplighter.model.compiled.exchange import RowExchange
from lamplighter.model.compiled.kernels.operators import Operators, TorchOperators
from lamplighter.model.compiled.kernels.pairs import (
    Atoms,
    block_of,
    repulsion,
    vector_gradients,
)
from lamplighter.model.compiled.kernels.unpacked import (
    LayerTensors,
    PotentialTensors,
    unpack,
)
from lamplighter.model.compiled.tables import Tables
from lamplighter.model.graph import Graph


@dataclasses.dataclass(slots=True)
class _State:
    """What is kept of a layer from the forward pass to the backward pass.

    Attributes:
        message: ``[n_own, ...]`` by degree, behind a gate only.
        nodes: input of the product, ``[n_own, (l_max + 1)^2, channels]``.
        features: ``[n_own, (l_out + 1)^2, channels]``.
        inverse: ``[n_own, 1, 1]``: one over the norm, equation (7).
        rows: what the neighbours take, ``[n_all, (l_edge + 1)^2, edge]``.
        gradients: dE/d rows.
    """

    message: list[Tensor] = dataclasses.field(default_factory=list)
    nodes: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(0))
    features: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(0))
    inverse: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(0))
    rows: Tensor | None = None
    gradients: Tensor | None = None


class TensorPotential:
    """Energies and pair gradients from tables, on any device.

    Attributes:
        tensors: the tables.
        operators: what computes sums and products.
    """

    def __init__(
        self,
        tables: Tables,
        dtype: torch.dtype,
        device: str = "cpu",
        operators: Operators | None = None,
    ) -> None:
        """Put the tables on a device.

        Args:
            tables: what [`lower`][lamplighter.model.compiled.lower.lower] returns.
            dtype: ``torch.float32`` or ``torch.float64``; distances, angles and sums
                of energies are float64 in any case.
            device: as torch names it.
            operators: those of torch when left out.
        """
        self.tensors = unpack(tables, dtype, torch.device(device))
        self.operators: Operators = operators or TorchOperators()
        self._dtype, self._device = dtype, torch.device(device)

    @torch.no_grad()
    def evaluate(
        self, graph: Graph, exchange: RowExchange | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return energies without E0 ``[n_own]`` and dE/dr_ij ``[n_pairs, 3]``.

        Args:
            graph: in the elements of the tables; pairs grouped by their centres.
            exchange: fetches the features of ghosts; None: there are none that count.

        Raises:
            DataError: two atoms closer than 0.02 Å.
        """
        device = self._device
        centers = graph.centers.to(device)
        own = torch.arange(graph.n_own + 1, device=device)
        atoms = Atoms(
            species=graph.species.to(device),
            first=torch.searchsorted(centers, own),
            centers=centers,
            neighbors=graph.neighbors.to(device),
            vectors=graph.pair_vectors.detach().to(device, torch.float64),
        )
        return _Evaluation(self, atoms, exchange, self._dtype).run()


class _Evaluation:
    """One evaluation."""

    def __init__(
        self,
        potential: TensorPotential,
        atoms: Atoms,
        exchange: RowExchange | None,
        dtype: torch.dtype,
    ) -> None:
        self._p: PotentialTensors = potential.tensors
        self._operators = potential.operators
        self._atoms, self._exchange, self._dtype = atoms, exchange, dtype
        self._blocks = atoms.blocks()
        self._own = atoms.species[: atoms.n_own]
        vectors = atoms.vectors
        self._states = [_State() for _ in self._p.layers]
        self._energies = vectors.new_zeros(atoms.n_own)
        self._gradients = torch.zeros_like(vectors)
        # rows of each species, for matrices that differ by it
        self._of_species = [
            torch.nonzero(self._own == k)[:, 0] for k in range(self._p.n_species)
        ]

    def run(self) -> tuple[Tensor, Tensor]:
        """Return energies and pair gradients."""
        n_layers = len(self._p.layers)
        for t in range(n_layers):
            self._message(t)
            self._update(t)
            if t + 1 < n_layers:
                self._project(t + 1)
        back = self._zeros(self._p.layers[-1].l_out)
        for t in reversed(range(n_layers)):
            back = self._layer_back(t, back)
        return self._energies, self._gradients

    # Forward

    def _message(self, t: int) -> None:
        """Equations (6), (7), (9), (10): neighbour sums, their map, the residual."""
        layer, state = self._p.layers[t], self._states[t]
        sums = self._new(self._atoms.n_own, layer.n_rows, layer.edge)
        rho = torch.zeros_like(self._energies)
        for begin, end in self._blocks:
            block = block_of(self._atoms, self._p, begin, end)
            centers = block.centers.long() + begin
            sums[begin:end] = self._operators.sums(
                layer, block, block.turned(layer), state.rows
            )
            if layer.density is not None:
                rho.index_add_(0, centers, block.density(layer)[0])
            if t == 0:
                value = repulsion(block, self._atoms, self._p)[0]
                self._energies.index_add_(0, centers, self._p.scale * value)
        inverse = 1.0 / (layer.alpha + layer.beta * rho)
        state.inverse = inverse.to(self._dtype)[:, None, None]
        sums *= state.inverse
        message = [
            self._apply(_gathered(sums, layer, l), matrices)
            for l, matrices in sorted(layer.maps["sum"].items())
        ]
        if not layer.gated:
            state.nodes = torch.cat(message, dim=1)
            return
        for l, residual in enumerate(self._residual(t)):
            message[l] = message[l] + residual
        state.message = message
        gated = _gate(message)
        mixed = [
            self._apply(x, m)
            for x, m in zip(gated, layer.maps["mix"].values(), strict=True)
        ]
        state.nodes = torch.cat(mixed, dim=1)

    def _residual(self, t: int) -> list[Tensor]:
        """Return what an atom itself adds to its message, by degree."""
        layer, state = self._p.layers[t], self._states[t]
        if layer.offset is not None:
            return [layer.offset[self._own][:, None]]
        if not layer.gated or state.rows is None:
            return []
        own = state.rows[: self._atoms.n_own]
        maps = layer.maps["residual"]
        return [self._apply(_degree(own, l), m) for l, m in sorted(maps.items())]

    def _update(self, t: int) -> None:
        """Equations (13), (14), (15)."""
        layer, state = self._p.layers[t], self._states[t]
        product = self._operators.product(layer.product, state.nodes, self._own)
        update = layer.maps["update"]
        parts = [
            self._apply(_degree(product, l), update[l]) for l in range(layer.l_out + 1)
        ]
        if layer.start is not None:
            parts[0] = parts[0] + layer.start[self._own][:, None]
        if t > 0:
            before = self._states[t - 1].features
            for l, matrices in layer.maps.get("skip", {}).items():
                if l < len(parts):
                    parts[l] = parts[l] + self._apply(_degree(before, l), matrices)
        state.features = torch.cat(parts, dim=1)
        self._energies += self._p.scale * _read_out(layer, state.features[:, 0])[0]
        if t + 1 == len(self._p.layers):
            self._energies += self._p.shift

    def _project(self, t: int) -> None:
        """Equation (8): what layer `t` takes from neighbours; ghosts are fetched."""
        layer, before = self._p.layers[t], self._states[t - 1].features
        own = [
            self._apply(_degree(before, l), layer.maps["up"][l])
            for l in range(layer.l_edge + 1)
        ]
        rows = self._new(len(self._atoms.species), (layer.l_edge + 1) ** 2, layer.edge)
        rows[: self._atoms.n_own] = torch.cat(own, dim=1)
        if self._exchange is not None:
            rows = self._exchange.send(rows.flatten(1)).view_as(rows)
        self._states[t].rows = rows
        self._states[t].gradients = torch.zeros_like(rows)

    # Back

    def _layer_back(self, t: int, back: Tensor) -> Tensor:
        """Return dE/dh of the layer before, from `back`, that of this one."""
        layer, state = self._p.layers[t], self._states[t]
        back = back.clone()
        scalars = state.features[:, 0]
        back[:, 0] += self._p.scale * _read_out(layer, scalars)[1]
        before = self._skip_back(t, back)
        update = layer.maps["update"]
        dproduct = torch.cat(
            [
                self._apply(_degree(back, l), update[l].mT)
                for l in range(layer.l_out + 1)
            ],
            dim=1,
        )
        dnodes = self._operators.product_back(
            layer.product, state.nodes, self._own, dproduct
        )
        dmessage = [_degree(dnodes, l) for l in range(self._p.l_max + 1)]
        if layer.gated:
            mix = layer.maps["mix"]
            dgated = [self._apply(x, mix[l].mT) for l, x in enumerate(dmessage)]
            dmessage = _gate_back(state.message, dgated)
        self._message_back(t, dmessage)
        if t > 0:
            before = before + self._rows_back(t)
        return before

    def _skip_back(self, t: int, back: Tensor) -> Tensor:
        """Equation (14)."""
        if t == 0:
            return back[:, :0]
        before = self._zeros(self._p.layers[t - 1].l_out)
        for l, matrices in self._p.layers[t].maps.get("skip", {}).items():
            if l <= self._p.layers[t].l_out:
                given = self._apply(_degree(back, l), matrices.mT)
                before[:, l * l : (l + 1) ** 2] += given
        return before

    def _message_back(self, t: int, dmessage: list[Tensor]) -> None:
        """Equations (10), (9), (7), (6)."""
        layer, state = self._p.layers[t], self._states[t]
        drho = self._density_back(t, dmessage)
        if layer.gated and state.gradients is not None:
            own = state.gradients[: self._atoms.n_own]
            for l, matrices in layer.maps["residual"].items():
                own[:, l * l : (l + 1) ** 2] += self._apply(dmessage[l], matrices.mT)
        dsums = self._new(self._atoms.n_own, layer.n_rows, layer.edge)
        for l, matrices in layer.maps["sum"].items():
            _scatter(dsums, layer, l, self._apply(dmessage[l], matrices.mT))
        dsums *= state.inverse
        for begin, end in self._blocks:
            self._pairs_back(t, begin, end, dsums[begin:end], drho)

    def _density_back(self, t: int, dmessage: list[Tensor]) -> Tensor:
        """Return dE/drho: a message without its residual is inversely as the norm."""
        layer, state = self._p.layers[t], self._states[t]
        drho = torch.zeros_like(self._energies)
        if layer.density is None or layer.beta == 0.0:
            return drho
        message = state.message or [
            _degree(state.nodes, l) for l in range(self._p.l_max + 1)
        ]
        residual = self._residual(t)
        for l, back in enumerate(dmessage):
            pure = message[l] - residual[l] if l < len(residual) else message[l]
            drho += (back * pure).double().sum((1, 2))
        return -layer.beta * state.inverse[:, 0, 0].double() * drho

    def _pairs_back(
        self, t: int, begin: int, end: int, dsums: Tensor, drho: Tensor
    ) -> None:
        """Add what the sums of some atoms give back to their pairs and neighbours."""
        layer, state = self._p.layers[t], self._states[t]
        block = block_of(self._atoms, self._p, begin, end)
        turned = block.turned(layer)
        dturned, dr = self._operators.sums_back(
            layer, block, turned, state.rows, dsums.contiguous(), state.gradients
        )
        if layer.density is not None:
            centers = block.centers.long() + begin
            dr = dr + drho[centers] * block.density(layer)[1]
        if t == 0:
            dr = dr + self._p.scale * repulsion(block, self._atoms, self._p)[1]
        pairs = slice(int(self._atoms.first[begin]), int(self._atoms.first[end]))
        self._gradients[pairs] += vector_gradients(
            block, layer, self._p.l_max, dturned, dr
        )

    def _rows_back(self, t: int) -> Tensor:
        """Equation (8): to the features of the layer before; ghosts give back first."""
        layer, state = self._p.layers[t], self._states[t]
        assert state.gradients is not None
        given = state.gradients
        if self._exchange is not None:
            given = self._exchange.send_back(given.flatten(1), t - 1).view_as(given)
        own, before = (
            given[: self._atoms.n_own],
            self._zeros(self._p.layers[t - 1].l_out),
        )
        for l in range(layer.l_edge + 1):
            back = self._apply(_degree(own, l), layer.maps["up"][l].mT)
            before[:, l * l : (l + 1) ** 2] += back
        return before

    def _apply(self, x: Tensor, matrices: Tensor) -> Tensor:
        """Return x W, with the matrix of each atom's species where they differ."""
        if len(matrices) == 1:
            return x @ matrices[0]
        out = x.new_zeros(*x.shape[:-1], matrices.shape[-1])
        for rows, matrix in zip(self._of_species, matrices, strict=True):
            out[rows] = x[rows] @ matrix
        return out

    def _new(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self._dtype, device=self._own.device)

    def _zeros(self, l: int) -> Tensor:
        return self._new(self._atoms.n_own, (l + 1) ** 2, self._p.channels)


def _degree(rows: Tensor, l: int) -> Tensor:
    """Return the components of a degree, ``[n, 2 l + 1, channels]``."""
    return rows[:, l * l : (l + 1) ** 2]


def _gathered(sums: Tensor, layer: LayerTensors, l: int) -> Tensor:
    """Return the sums of degree `l`, ``[n, 2 l + 1, n_paths * edge]``."""
    row, n_paths = layer.rows_of(l)
    own = sums[:, row : row + n_paths * (2 * l + 1)]
    found: Tensor = own.unflatten(1, (n_paths, 2 * l + 1)).transpose(1, 2).flatten(2)
    return found


def _scatter(dsums: Tensor, layer: LayerTensors, l: int, given: Tensor) -> None:
    """Put what `_gathered` would take."""
    row, n_paths = layer.rows_of(l)
    rows = given.unflatten(2, (n_paths, layer.edge)).transpose(1, 2).flatten(1, 2)
    dsums[:, row : row + n_paths * (2 * l + 1)] = rows


def _gate(message: list[Tensor]) -> list[Tensor]:
    """Equation (11)."""
    scalars, *gates = _chunks(message)
    out = [SILU_SECOND_MOMENT * torch.nn.functional.silu(scalars)]
    for gate, higher in zip(gates, message[1:], strict=True):
        out.append(SIGMOID_SECOND_MOMENT * gate.sigmoid() * higher)
    return out


def _gate_back(message: list[Tensor], dgated: list[Tensor]) -> list[Tensor]:
    """Return dE/d message."""
    scalars, *gates = _chunks(message)
    s = scalars.sigmoid()
    first = [SILU_SECOND_MOMENT * s * (1.0 + scalars * (1.0 - s)) * dgated[0]]
    others = []
    for gate, higher, back in zip(gates, message[1:], dgated[1:], strict=True):
        s = SIGMOID_SECOND_MOMENT * gate.sigmoid()
        slope = s * (1.0 - gate.sigmoid())
        first.append(slope * (back * higher).sum(1, keepdim=True))
        others.append(s * back)
    return [torch.cat(first, dim=2), *others]


def _chunks(message: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the scalars and the gates of each higher degree."""
    return message[0].chunk(len(message), dim=2)


def _read_out(layer: LayerTensors, scalars: Tensor) -> tuple[Tensor, Tensor]:
    """Return equation (15), ``[n]`` in float64, and its derivative."""
    if layer.readout == 0:
        return scalars.new_zeros(len(scalars)).double(), torch.zeros_like(scalars)
    head = layer.head
    x = scalars @ head["first"]
    if layer.readout == 1:
        return x[:, 0].double(), head["first"][:, 0].expand_as(scalars)
    value, slope = _active(layer.activation, x)
    if layer.readout == 2:
        energy = (value * head["second"]).double().sum(1)
        return energy, (head["second"] * slope) @ head["first"].T
    deep, deep_slope = _active(
        layer.activation, value @ head["middle"] + head["middle_bias"]
    )
    energy = (deep * head["second"]).double().sum(1) + float(head["bias"][0])
    inner = (head["second"] * deep_slope) @ head["middle"].T
    return energy, (inner * slope) @ head["first"].T


def _active(kind: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return an activation of unit second moment and its derivative."""
    if kind == 0:
        s = x.sigmoid()
        return SILU_SECOND_MOMENT * x * s, SILU_SECOND_MOMENT * s * (1 + x * (1 - s))
    if kind == 1:
        y = x.tanh()
        return TANH_SECOND_MOMENT * y, TANH_SECOND_MOMENT * (1.0 - y * y)
    return (x.abs(), x.sign()) if kind == 2 else (x, torch.ones_like(x))
