"""What is known of each pair before any channel: distance, harmonics, knots."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from lamplighter.errors import DataError, EngineError, explain
from lamplighter.model.angular import spherical_harmonics
from lamplighter.model.compiled.kernels.unpacked import LayerTensors, PotentialTensors
from lamplighter.model.graph import Graph
from lamplighter.model.repulsion import zbl_pair_energy

CHUNK = 65_536
"""Pairs that are looked at together: what is kept of each is bounded by this."""

KEPT_BYTES = 2**28
"""Geometry of all pairs up to this size is kept from stage to stage."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Atoms:
    """Atoms and pairs of a rank; own atoms come first, pairs are grouped by them.

    Attributes:
        species: ``[n_all]``.
        first: ``[n_own + 1]``, first pair of each own atom.
        centers: ``[n_pairs]``.
        neighbors: ``[n_pairs]``.
        vectors: ``[n_pairs, 3]``, Å, float64.
    """

    species: Tensor
    first: Tensor
    centers: Tensor
    neighbors: Tensor
    vectors: Tensor

    @property
    def n_own(self) -> int:
        """Return the number of own atoms."""
        return len(self.first) - 1

    def blocks(self) -> list[tuple[int, int]]:
        """Return ranges of own atoms with about [`CHUNK`][] pairs each."""
        firsts = self.first.tolist()
        found, begin = [], 0
        for atom in range(self.n_own):
            if firsts[atom + 1] - firsts[begin] > CHUNK and atom > begin:
                found.append((begin, atom))
                begin = atom
        if begin < self.n_own:
            found.append((begin, self.n_own))
        return found


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PairBlock:
    """The pairs of some atoms, one behind the other.

    Attributes:
        atoms: first own atom of the block, and the one after the last.
        first: ``[n_atoms + 1]``, first pair of each atom, from 0, int32.
        centers: ``[n]``, from 0, int32.
        neighbors: ``[n]``, int32.
        vectors: ``[n, 3]``, float64.
        distances: ``[n]``, float64.
        knots: ``[n]``, first of the rows of a table that count, int64.
        values: ``[n, 2 order]``, their weights in the value; 0 beyond the cutoff.
        slopes: ``[n, 2 order]``, in the derivative.
        harmonics: ``[n, (l_max + 1)^2]``.
    """

    atoms: tuple[int, int]
    first: Tensor
    centers: Tensor
    neighbors: Tensor
    vectors: Tensor
    distances: Tensor
    knots: Tensor
    values: Tensor
    slopes: Tensor
    harmonics: Tensor

    def density(self, layer: LayerTensors) -> tuple[Tensor, Tensor]:
        """Return the density of each pair and its slope; see equation (7)."""
        assert layer.density is not None
        steps = torch.arange(self.values.shape[1], device=self.knots.device)
        rows = layer.density[self.knots[:, None] + steps]
        return (rows * self.values).sum(1), (rows * self.slopes).sum(1)

    def turned(self, layer: LayerTensors) -> Tensor:
        """Return the couplings with the harmonics put in, ``[n, n_turns]``."""
        y = self.harmonics.to(layer.radial.dtype)
        parts = [
            y[:, path.l2**2 : (path.l2 + 1) ** 2] @ path.coupling
            for path in layer.paths
        ]
        return torch.cat(parts, dim=1).contiguous()


class Blocks:
    """The pairs of all atoms, block by block.

    Their geometry, which has no channels, is computed once where there is room for it,
    and otherwise whenever a stage looks at it.
    """

    def __init__(self, atoms: Atoms, p: PotentialTensors) -> None:
        """Look at the pairs of `atoms`.

        Raises:
            DataError: two atoms closer than the first knot, where all are kept.
        """
        self._atoms, self._p = atoms, p
        self.ranges = atoms.blocks()
        # vectors, distances, harmonics, values and slopes, places
        numbers = 4 + (p.l_max + 1) ** 2 + 4 * p.order + 2
        kept = 8 * numbers * len(atoms.centers) <= KEPT_BYTES
        self._kept = [block_of(atoms, p, *x) for x in self.ranges] if kept else None

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self.ranges)

    def __getitem__(self, k: int) -> PairBlock:
        """Return a block, kept or new.

        Raises:
            DataError: two atoms closer than the first knot.
        """
        if self._kept is not None:
            return self._kept[k]
        return block_of(self._atoms, self._p, *self.ranges[k])

    @property
    def kept(self) -> bool:
        """Return whether the geometry of all blocks is kept."""
        return self._kept is not None


def block_of(atoms: Atoms, p: PotentialTensors, begin: int, end: int) -> PairBlock:
    """Return the pairs of the own atoms from `begin` to before `end`.

    Raises:
        DataError: two atoms closer than the first knot.
    """
    pairs = slice(int(atoms.first[begin]), int(atoms.first[end]))
    vectors = atoms.vectors[pairs]
    distances = torch.linalg.vector_norm(vectors, dim=1)
    # written so that distances that are not numbers are refused too
    if len(distances) and not float(distances.min()) >= p.first_knot:
        raise DataError(
            explain("two atoms are too close", wanted="atoms at least 0.02 Å apart")
        )
    centers, neighbors = atoms.centers[pairs], atoms.neighbors[pairs]
    kind = atoms.species[centers] * p.n_species + atoms.species[neighbors]
    place = (distances - p.first_knot) / p.spacing
    knot = place.floor().long().clamp(0, p.count - 2)
    values, slopes = _weights(place - knot, p.order)
    inside = (distances < p.cutoff)[:, None]
    zero = torch.zeros((), dtype=values.dtype, device=values.device)
    return PairBlock(
        atoms=(begin, end),
        first=(atoms.first[begin : end + 1] - pairs.start).int(),
        centers=(centers - begin).int(),
        neighbors=neighbors.int(),
        vectors=vectors,
        distances=distances,
        knots=(kind * p.count + knot) * p.order,
        values=torch.where(inside, values, zero).contiguous(),
        slopes=torch.where(inside, slopes / p.spacing, zero).contiguous(),
        harmonics=spherical_harmonics(vectors / distances[:, None], p.l_max),
    )


def _weights(t: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Return Hermite's polynomials and their derivatives; see spline.h."""
    t2, t3 = t * t, t * t * t
    if order == 2:
        value = [1 - 3 * t2 + 2 * t3, t - 2 * t2 + t3, 3 * t2 - 2 * t3, t3 - t2]
        slope = [6 * t2 - 6 * t, 1 - 4 * t + 3 * t2, 6 * t - 6 * t2, 3 * t2 - 2 * t]
    else:
        t4, t5 = t2 * t2, t2 * t3
        value = [
            1 - 10 * t3 + 15 * t4 - 6 * t5,
            t - 6 * t3 + 8 * t4 - 3 * t5,
            0.5 * t2 - 1.5 * t3 + 1.5 * t4 - 0.5 * t5,
            10 * t3 - 15 * t4 + 6 * t5,
            -4 * t3 + 7 * t4 - 3 * t5,
            0.5 * t3 - t4 + 0.5 * t5,
        ]
        slope = [
            -30 * t2 + 60 * t3 - 30 * t4,
            1 - 18 * t2 + 32 * t3 - 15 * t4,
            t - 4.5 * t2 + 6 * t3 - 2.5 * t4,
            30 * t2 - 60 * t3 + 30 * t4,
            -12 * t2 + 28 * t3 - 15 * t4,
            1.5 * t2 - 4 * t3 + 2.5 * t4,
        ]
    return torch.stack(value, dim=1), torch.stack(slope, dim=1)


def harmonic_gradients(
    block: PairBlock, layer: LayerTensors, dturned: Tensor
) -> Tensor:
    """Return dE/dY ``[n, (l_max + 1)^2]`` from that by turned harmonics.

    Args:
        block: the pairs.
        layer: whose couplings turned the harmonics.
        dturned: ``[n, n_turns]``.
    """
    dy = torch.zeros_like(block.harmonics)
    for path in layer.paths:
        size = path.sizes[0] * path.sizes[1]
        part = dturned[:, path.turn : path.turn + size] @ path.coupling.T
        dy[:, path.l2**2 : (path.l2 + 1) ** 2] += part
    return dy


def vector_gradients(block: PairBlock, l_max: int, dy: Tensor, dr: Tensor) -> Tensor:
    """Return dE/d vector of each pair from those by harmonics and distance.

    Args:
        block: the pairs.
        l_max: highest degree of the harmonics.
        dy: ``[n, (l_max + 1)^2]``, float64.
        dr: ``[n]``, float64.
    """

    def of_vectors(vectors: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        return spherical_harmonics(vectors / length, l_max)

    (around,) = torch.func.vjp(of_vectors, block.vectors)[1](dy)
    gradients: Tensor = (dr / block.distances)[:, None] * block.vectors + around
    return gradients


def repulsion(
    block: PairBlock, atoms: Atoms, p: PotentialTensors
) -> tuple[Tensor, Tensor]:
    """Return half the ZBL energy of each pair and its derivative, ``[n]``, float64.

    Source: equation (16) of docs/potential.md.
    """
    zeros = torch.zeros_like(block.distances)
    if not p.zbl:
        return zeros, zeros
    own = atoms.species[block.centers.long() + block.atoms[0]]
    other = atoms.species[block.neighbors.long()]
    charges, radii = (p.charges[other], p.charges[own]), p.radii[own] + p.radii[other]

    def energy(r: Tensor) -> Tensor:
        return zbl_pair_energy(r, charges, radii, p.cutoff_power)

    ones = torch.ones_like(block.distances)
    found = torch.func.jvp(energy, (block.distances,), (ones,))
    return found[0], found[1]


def refuse_misfits(graph: Graph, n_species: int) -> None:
    """Refuse indices that would read other rows of the tables, or none of them.

    Raises:
        EngineError: with everything that is wrong.
    """
    species, centers, neighbors = graph.species, graph.centers, graph.neighbors
    problems = {
        "an atom of unknown species": _outside(species, n_species),
        "a centre that is not among the own atoms": _outside(centers, graph.n_own),
        "a neighbour that is not among the atoms": _outside(neighbors, len(species)),
        "pairs that are not grouped by atom": bool((centers.diff() < 0).any()),
        "centres and neighbours of different pairs": len(centers) != len(neighbors)
        or len(centers) != len(graph.pair_vectors),
    }
    found = [what for what, there in problems.items() if there]
    if found:
        raise EngineError(
            explain("the compiled potential stopped", got=", ".join(found))
        )


def _outside(indices: Tensor, n: int) -> bool:
    return bool(((indices < 0) | (indices >= n)).any())
