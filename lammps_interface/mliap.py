"""The object that LAMMPS holds and calls once per step.

LAMMPS hands over its atoms as rows: the owned atoms of this rank first, then the
ghosts, copies of atoms that other ranks, or periodic images, own. Pairs run from an
owned centre i to any row j. A message-passing potential needs the features of the
ghosts after every layer; their owners send them (`LammpsExchange`), and the gradient
travels back the same way, so that energies and forces do not depend on the number of
ranks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lamplighter.errors import EngineError, explain
from lamplighter.lammps_interface.bundle import Bundle, BundleHeader
from lamplighter.memory import reuse_freed_memory
from lamplighter.model import (
    Graph,
    Potential,
    pair_gradients,
    potential_from_bytes,
)


class PairData(Protocol):
    """What LAMMPS hands to `MliapModel.compute_forces`; lengths as in lammps docs.

    The names are those of LAMMPS' own ML-IAP interface, so that the same object serves
    a LAMMPS that was built with Python.
    """

    nlocal: int
    ntotal: int
    nlistatoms: int
    natomneigh: int
    npairs: int
    iatoms: Any
    pair_i: Any
    pair_j: Any
    rij: Any
    elems: Any
    energy: float
    eatoms: Any

    def update_pair_forces(self, fij: Any) -> None:
        """Add `fij` (dE/d rij, float64) to i, subtract it from j, tally the virial."""

    def forward_exchange(self, src: Any, dst: Any, n: int) -> None:
        """Copy `src` to `dst`, ghost rows replaced by their owners' rows."""

    def reverse_exchange(self, src: Any, dst: Any, n: int) -> None:
        """Copy `src` to `dst`, ghost rows added to their owners', then zeroed."""


class MliapModel:
    """A potential for one head and a set of elements, as LAMMPS' ML-IAP wants it.

    Attributes:
        header: what the ML-IAP file says about itself.
        element_types: chemical symbols that ``pair_coeff`` may name.
        rcutfac: half the cutoff in Å; LAMMPS multiplies it by two.
        ndescriptors: always 1; the descriptor stage is not used.
        nparams: always 1; the parameters stay on this side.
        interface: a back pointer that LAMMPS sets.
    """

    def __init__(self, bundle: Bundle) -> None:
        """Load the potential of `bundle`.

        Raises:
            ArtifactError: the potential inside is damaged.
        """
        self.header: BundleHeader = bundle.header
        self.element_types: list[str] = list(bundle.header.elements)
        self.rcutfac: float = 0.5 * bundle.header.cutoff
        self.ndescriptors: int = 1
        self.nparams: int = 1
        self.interface: object = None
        self._potential: Potential = potential_from_bytes(
            bundle.potential, dtype=bundle.header.dtype
        )
        self._potential.requires_grad_(requires_grad=False)
        _threads_of_lammps()
        reuse_freed_memory()

    def compute_descriptors(self, data: PairData) -> None:
        """Do nothing: all work is done in `compute_forces`."""

    def compute_gradients(self, data: PairData) -> None:
        """Do nothing: all work is done in `compute_forces`."""

    def compute_forces(self, data: PairData) -> None:
        """Evaluate this rank's atoms and hand the results to LAMMPS.

        Sets ``data.energy`` (eV, this rank's sum) and ``data.eatoms`` (eV per listed
        atom) and passes dE/d rij (eV/Å) of every directed pair to
        ``data.update_pair_forces``.
        A rank without atoms or pairs takes part in every exchange.

        Raises:
            EngineError: this LAMMPS cannot exchange ghost features.
        """
        self.evaluate(data)

    def evaluate(self, data: PairData) -> list[int]:
        """Do `compute_forces` and return the width of each forward exchange made."""
        wide = self._is_wide(data)
        rows = _Rows.of(data, wide=wide)
        graph = _graph(data, rows, self._potential)
        exchange = LammpsExchange(data, rows.kept)
        if wide:
            energies, gradients = _owned_gradients(self._potential, graph, rows.n_owned)
        else:
            energies, gradients = pair_gradients(self._potential, graph, exchange)
            exchange.finish()
        _hand_over(data, rows, energies, gradients)
        return exchange.widths

    def _is_wide(self, data: PairData) -> bool:
        """Say whether ghosts are evaluated here instead of being asked for.

        This is the way of a LAMMPS without exchange, ``unified FILE 1``: the list has
        the neighbours of ghosts too, and ``comm_modify cutoff`` must reach over as many
        cutoffs as there are layers.
        """
        can_exchange = callable(getattr(data, "forward_exchange", None))
        if can_exchange or self.header.n_layers == 1:
            return False
        if data.natomneigh > data.nlistatoms or data.ntotal == data.nlocal:
            return True
        n_layers, cutoff = self.header.n_layers, self.header.cutoff
        raise EngineError(
            explain(
                "this LAMMPS has no exchange of ghost features, which a potential "
                f"of {n_layers} layers needs",
                got="a plain ML-IAP build and FLAG 0",
                wanted="the pair style that Lamplighter installs, or mliap/kk",
                fix="run the lmp of the environment where lamplighter is installed, or "
                f"use FLAG 1 with comm_modify cutoff {n_layers * cutoff:g} plus skin",
            )
        )


class LammpsExchange:
    """Ghost exchange through LAMMPS' communication; see `GhostExchange`.

    Attributes:
        widths: numbers per atom of each forward exchange so far.
        n_reverse: reverse exchanges so far.
    """

    def __init__(self, data: PairData, kept: Tensor | None = None) -> None:
        """Exchange rows of `data`; `kept` lists the rows in the graph (None: all)."""
        self.widths: list[int] = []
        self.n_reverse = 0
        self._dtype = torch.float64
        self._data = data
        self._kept = kept

    def forward(self, features: Tensor) -> Tensor:
        """Return `features` [n_atoms, width], ghost rows as their owners have them."""
        received: Tensor = _Exchange.apply(features, self)  # type: ignore[no-untyped-call]
        return received

    def send(self, rows: Tensor) -> Tensor:
        """Forward communication: owners to ghosts, without gradient."""
        self.widths.append(rows.shape[1])
        self._dtype = rows.dtype
        return self._communicate(self._data.forward_exchange, rows)

    def send_back(self, rows: Tensor) -> Tensor:
        """Reverse communication: ghosts add to their owners, without gradient."""
        self.n_reverse += 1
        return self._communicate(self._data.reverse_exchange, rows)

    def finish(self) -> None:
        """Make the reverse exchanges that differentiation had no reason to make.

        Autograd leaves out what depends on no pair. On a rank without atoms or pairs
        that is everything, but the other ranks wait for its gradients, which are zero.
        """
        while self.n_reverse < len(self.widths):
            width = self.widths[len(self.widths) - 1 - self.n_reverse]
            n_rows = self._data.ntotal if self._kept is None else len(self._kept)
            self.send_back(torch.zeros((n_rows, width), dtype=self._dtype))

    def _communicate(self, exchange: Any, rows: Tensor) -> Tensor:
        source = rows.detach()
        width = source.shape[1]
        if self._kept is not None:
            source = source.new_zeros((self._data.ntotal, width))
            source[self._kept] = rows.detach()
        source = source.contiguous()
        received = torch.empty_like(source)
        exchange(source, received, width)
        return received if self._kept is None else received[self._kept]


class _Exchange(torch.autograd.Function):
    """The pair of adjoint communications as one differentiable function."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, link: LammpsExchange) -> Tensor:
        ctx.link = link
        return link.send(features)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        link: LammpsExchange = ctx.link
        return link.send_back(gradient), None


def _owned_gradients(
    potential: Potential, graph: Graph, n_owned: int
) -> tuple[Tensor, Tensor]:
    """Return energies [n_owned] with E0, and dE/d rij of the owned atoms' energy."""
    vectors = graph.pair_vectors.detach().requires_grad_()
    with torch.enable_grad():
        energies = potential(graph.with_pair_vectors(vectors))[:n_owned]
        (gradients,) = torch.autograd.grad(
            energies.sum(), vectors, materialize_grads=True
        )
    reference = potential.reference_energies(graph)[:n_owned]
    return energies.detach().to(torch.float64) + reference, gradients


@dataclass(frozen=True, slots=True)
class _Rows:
    """Which rows and pairs of LAMMPS the potential sees: those with an element.

    Attributes:
        species: element index of every kept row.
        n_owned: kept owned atoms; they come first.
        n_centers: rows at which pairs may start; more than `n_owned` if ghosts are
            evaluated here.
        kept: row numbers of the kept rows, None when that is all of them.
        new: for each row of LAMMPS its number among the kept rows, or -1.
        pairs: numbers of the kept pairs, None when that is all of them in order.
    """

    species: Tensor
    n_owned: int
    n_centers: int
    kept: Tensor | None
    new: Tensor | None
    pairs: Tensor | None

    @classmethod
    def of(cls, data: PairData, *, wide: bool) -> _Rows:
        """Sort out the rows and pairs of this step."""
        species = _integers(data.elems, data.ntotal)
        centers = _integers(data.pair_i, data.npairs)
        neighbors = _integers(data.pair_j, data.npairs)
        mapped = species >= 0
        wanted = mapped[centers] & mapped[neighbors]
        if not wide:  # pairs of ghost centres (FLAG 1) are their owners' affair
            wanted &= centers < data.nlocal
        found = torch.nonzero(wanted).flatten()
        if bool(wanted.all()) and bool((centers[1:] >= centers[:-1]).all()):
            pairs = None
        else:
            pairs = found[torch.argsort(centers[found], stable=True)]
        if bool(mapped.all()):
            n_centers = data.ntotal if wide else data.nlocal
            return cls(species, data.nlocal, n_centers, None, None, pairs)
        kept = torch.nonzero(mapped).flatten()
        new = torch.full_like(species, -1)
        new[kept] = torch.arange(len(kept))
        n_owned = int(mapped[: data.nlocal].sum())
        n_centers = len(kept) if wide else n_owned
        return cls(species[kept], n_owned, n_centers, kept, new, pairs)


def _graph(data: PairData, rows: _Rows, potential: Potential) -> Graph:
    """Return the rank's own atoms, ghosts and pairs as one structure."""
    vectors = _floats(data.rij, data.npairs)
    centers = _integers(data.pair_i, data.npairs)
    neighbors = _integers(data.pair_j, data.npairs)
    if rows.pairs is not None:
        vectors, centers = vectors[rows.pairs], centers[rows.pairs]
        neighbors = neighbors[rows.pairs]
    if rows.new is not None:
        centers, neighbors = rows.new[centers], rows.new[neighbors]
    return Graph.build(
        pair_vectors=vectors.to(potential.dtype),
        centers=centers,
        neighbors=neighbors,
        species=rows.species,
        frames=torch.zeros(rows.n_centers, dtype=torch.int64),
        heads=torch.zeros(1, dtype=torch.int64),
    )


def _hand_over(
    data: PairData, rows: _Rows, energies: Tensor, gradients: Tensor
) -> None:
    """Write energies and pair forces where LAMMPS looks for them."""
    energies = energies.detach()
    data.energy = float(energies.sum())
    if rows.new is not None:
        spread = energies.new_zeros(data.ntotal)
        spread[rows.kept[: rows.n_owned]] = energies  # type: ignore[index]
        energies = spread
    listed = _integers(data.iatoms, data.natomneigh)[: data.nlistatoms]
    _set_atom_energies(data, energies[listed].numpy())
    if data.npairs == 0:  # a plain LAMMPS takes the address of the first entry
        return
    forces = gradients.detach().to(torch.float64)
    if rows.pairs is not None:
        everywhere = forces.new_zeros((data.npairs, 3))
        everywhere[rows.pairs] = forces
        forces = everywhere
    data.update_pair_forces(forces.contiguous().numpy())


def _set_atom_energies(data: PairData, energies: np.ndarray[Any, Any]) -> None:
    """Set ``data.eatoms``; a Kokkos LAMMPS has no setter but a live array."""
    try:
        data.eatoms = energies
    except AttributeError:
        data.eatoms[: len(energies)] = energies


def _floats(array: Any, n_pairs: int) -> Tensor:
    """View LAMMPS' pair vectors as a tensor [n_pairs, 3] without a copy."""
    if n_pairs == 0:  # LAMMPS may hand over None before any pair existed
        return torch.zeros((0, 3), dtype=torch.float64)
    return torch.from_numpy(_on_host(array)).reshape(n_pairs, 3)


def _integers(array: Any, length: int) -> Tensor:
    """Return LAMMPS' 32-bit indices as int64, the index type of torch."""
    if length == 0:
        return torch.zeros(0, dtype=torch.int64)
    return torch.from_numpy(_on_host(array)[:length]).to(torch.int64)


def _on_host(array: Any) -> np.ndarray[Any, Any]:
    if isinstance(array, np.ndarray):
        return array
    raise EngineError(
        explain(
            "LAMMPS' arrays are not in host memory",
            got=type(array).__name__,
            wanted="numpy arrays",
            fix="run without the kk suffix",
        )
    )


def _threads_of_lammps() -> None:
    """Give torch the threads that LAMMPS uses: one per rank, or ``OMP_NUM_THREADS``.

    torch would start one thread per core in every rank, which makes two ranks on two
    cores several times slower than one, and stalls on a machine that is shared.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
