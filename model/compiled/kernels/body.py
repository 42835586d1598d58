"""The stages of a compiled potential on tensors, forward and back, without autograd.

Each stage back is the derivative of one forward, in the opposite order; numbers in
brackets are the equations of docs/potential.md. Nothing with channels is made for more
than `CHUNK` pairs; what is kept of a pair is its gradient and, where there is room, its
geometry.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from lamplighter.model.compiled.exchange import RowExchange
from lamplighter.model.compiled.kernels.dense import (
    add_rows,
    degree,
    gate,
    gate_back,
    gathered,
    read_out,
    scatter,
)
from lamplighter.model.compiled.kernels.operators import Operators, TorchOperators
from lamplighter.model.compiled.kernels.pairs import (
    Atoms,
    Blocks,
    harmonic_gradients,
    refuse_misfits,
    repulsion,
    vector_gradients,
)
from lamplighter.model.compiled.kernels.unpacked import (
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
            DataError: two atoms closer than 0.02 Å, or a place that is no number.
            EngineError: atoms or pairs that do not fit together or the tables.
        """
        refuse_misfits(graph, self.tensors.n_species)
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
        self._blocks = Blocks(atoms, self._p)
        self._given: dict[int, tuple[Tensor, Tensor]] = {}
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
        for k, (begin, end) in enumerate(self._blocks.ranges):
            block = self._blocks[k]
            centers = block.centers.long() + begin
            sums[begin:end] = self._operators.sums(
                layer, block, block.turned(layer), state.rows
            )
            if layer.density is not None:
                self._add(rho, centers, block.density(layer)[0])
            if t == 0:
                value = repulsion(block, self._atoms, self._p)[0]
                self._add(self._energies, centers, self._p.scale * value)
        inverse = 1.0 / (layer.alpha + layer.beta * rho)
        state.inverse = inverse.to(self._dtype)[:, None, None]
        sums *= state.inverse
        message = [
            self._apply(gathered(sums, layer, l), matrices)
            for l, matrices in sorted(layer.maps["sum"].items())
        ]
        if not layer.gated:
            state.nodes = torch.cat(message, dim=1)
            return
        for l, residual in enumerate(self._residual(t)):
            message[l] = message[l] + residual
        state.message = message
        gated = gate(message)
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
        return [self._apply(degree(own, l), m) for l, m in sorted(maps.items())]

    def _update(self, t: int) -> None:
        """Equations (13), (14), (15)."""
        layer, state = self._p.layers[t], self._states[t]
        product = self._operators.product(layer.product, state.nodes, self._own)
        update = layer.maps["update"]
        parts = [
            self._apply(degree(product, l), update[l]) for l in range(layer.l_out + 1)
        ]
        if layer.start is not None:
            parts[0] = parts[0] + layer.start[self._own][:, None]
        if t > 0:
            before = self._states[t - 1].features
            for l, matrices in layer.maps.get("skip", {}).items():
                if l < len(parts):
                    parts[l] = parts[l] + self._apply(degree(before, l), matrices)
        state.features = torch.cat(parts, dim=1)
        self._energies += self._p.scale * read_out(layer, state.features[:, 0])[0]
        if t + 1 == len(self._p.layers):
            self._energies += self._p.shift

    def _project(self, t: int) -> None:
        """Equation (8): what layer `t` takes from neighbours; ghosts are fetched."""
        layer, before = self._p.layers[t], self._states[t - 1].features
        own = [
            self._apply(degree(before, l), layer.maps["up"][l])
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
        back[:, 0] += self._p.scale * read_out(layer, scalars)[1]
        before = self._skip_back(t, back)
        update = layer.maps["update"]
        dproduct = torch.cat(
            [
                self._apply(degree(back, l), update[l].mT)
                for l in range(layer.l_out + 1)
            ],
            dim=1,
        )
        dnodes = self._operators.product_back(
            layer.product, state.nodes, self._own, dproduct
        )
        dmessage = [degree(dnodes, l) for l in range(self._p.l_max + 1)]
        if layer.gated:
            mix = layer.maps["mix"]
            dgated = [self._apply(x, mix[l].mT) for l, x in enumerate(dmessage)]
            dmessage = gate_back(state.message, dgated)
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
                given = self._apply(degree(back, l), matrices.mT)
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
            scatter(dsums, layer, l, self._apply(dmessage[l], matrices.mT))
        dsums *= state.inverse
        for k, (begin, end) in enumerate(self._blocks.ranges):
            self._pairs_back(t, k, dsums[begin:end], drho)

    def _density_back(self, t: int, dmessage: list[Tensor]) -> Tensor:
        """Return dE/drho: a message without its residual is inversely as the norm."""
        layer, state = self._p.layers[t], self._states[t]
        drho = torch.zeros_like(self._energies)
        if layer.density is None or layer.beta == 0.0:
            return drho
        message = state.message or [
            degree(state.nodes, l) for l in range(self._p.l_max + 1)
        ]
        residual = self._residual(t)
        for l, back in enumerate(dmessage):
            pure = message[l] - residual[l] if l < len(residual) else message[l]
            drho += (back * pure).double().sum((1, 2))
        return -layer.beta * state.inverse[:, 0, 0].double() * drho

    def _pairs_back(self, t: int, k: int, dsums: Tensor, drho: Tensor) -> None:
        """Add what the sums of a block give back to its pairs and neighbours."""
        layer, state = self._p.layers[t], self._states[t]
        block, (begin, end) = self._blocks[k], self._blocks.ranges[k]
        dturned, dr = self._operators.sums_back(
            *(layer, block, block.turned(layer), state.rows),
            *(dsums.contiguous(), state.gradients),
        )
        if layer.density is not None:
            centers = block.centers.long() + begin
            dr = dr + drho[centers] * block.density(layer)[1]
        if t == 0:
            dr = dr + self._p.scale * repulsion(block, self._atoms, self._p)[1]
        dy = harmonic_gradients(block, layer, dturned)
        if self._blocks.kept:  # then all layers go back to the vectors together
            before = self._given.pop(k, None)
            if before is not None:
                dy, dr = before[0] + dy, before[1] + dr
            if t > 0:
                self._given[k] = dy, dr
                return
        pairs = slice(int(self._atoms.first[begin]), int(self._atoms.first[end]))
        self._gradients[pairs] += vector_gradients(block, self._p.l_max, dy, dr)

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
            back = self._apply(degree(own, l), layer.maps["up"][l].mT)
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

    def _add(self, out: Tensor, rows: Tensor, values: Tensor) -> None:
        """Add values of pairs to the rows of atoms."""
        add_rows(out, rows, values, deterministic=self._operators.deterministic)

    def _new(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=self._dtype, device=self._own.device)

    def _zeros(self, l: int) -> Tensor:
        return self._new(self._atoms.n_own, (l + 1) ** 2, self._p.channels)
