"""What a potential says about structures, several of them in one evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from ase import Atoms

from lamplighter.arrays import Floats
from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.model.derivatives import atomic_virials, predict, predict_energies
from lamplighter.model.dispersion import DispersionTable
from lamplighter.model.evaluation import Evaluation
from lamplighter.model.graph import Graph, collate
from lamplighter.model.neighbors import graph_from_atoms
from lamplighter.model.potential import Potential

PROPERTIES = ("energy", "energies", "forces", "stress", "stresses")
"""What can be asked for; the last three come together."""

MOST_PAIRS = 4096
"""Directed pairs in one evaluation unless told otherwise.

Time and memory grow with the pairs, not the atoms. On a processor, small cells of MgO
were evaluated 2.6 times as fast as one by one with this number, no faster with more.
"""

# Atoms closer than this are at the same place, Å.
_SAME_PLACE = 1e-6


def evaluate(
    potential: Potential,
    structures: Iterable[Atoms],
    head: str | Sequence[str] | None = None,
    *,
    properties: Sequence[str] = PROPERTIES,
    max_pairs: int = MOST_PAIRS,
    dispersion: str | None = None,
) -> Iterator[Evaluation]:
    """Yield what a potential says about each structure, in their order.

    Structures are evaluated together as long as their pairs are at most `max_pairs`;
    a larger one is evaluated by itself. The numbers equal those of single evaluations
    to rounding. Structures are read as they are needed, so that a file of any length
    fits into memory. Charge and spin come from ``atoms.info``.

    Args:
        potential: any dtype and device.
        structures: any number, none included; atoms without neighbours are fine.
        head: one for all, or one for each structure; None where there is only one.
        properties: what is wanted, of [`PROPERTIES`][]. Without forces and stresses
            nothing is differentiated, which is twice as fast.
        max_pairs: directed pairs within the cutoff in one evaluation.
        dispersion: as in [`Calculator`][lamplighter.model.Calculator].

    Raises:
        ConfigError: an unknown property, head or element, or a list of heads that is
            not as long as that of the structures.
        DataError: a structure that has no neighbour list, with two atoms at one place,
            or whose energy or forces are not finite.
    """
    unknown = sorted(set(properties) - set(PROPERTIES))
    if unknown or not properties:
        raise ConfigError(
            explain(
                "unknown properties",
                got=", ".join(unknown) or "none",
                wanted="some of " + ", ".join(PROPERTIES),
            )
        )
    if max_pairs < 1:
        raise ConfigError(explain("bad max_pairs", got=max_pairs, wanted="1 or more"))
    table = DispersionTable(potential.config, dispersion, potential.embedding)
    differentiate = not set(properties) <= {"energy", "energies"}
    return _stream(potential, structures, head, table, differentiate, max_pairs)


def _stream(
    potential: Potential,
    structures: Iterable[Atoms],
    head: str | Sequence[str] | None,
    table: DispersionTable,
    differentiate: bool,
    max_pairs: int,
) -> Iterator[Evaluation]:
    """Yield evaluations; see [`evaluate`][]."""
    batch: list[Atoms] = []
    graphs: list[Graph] = []
    names: list[str | None] = []

    def evaluated() -> Iterator[Evaluation]:
        found = evaluate_graphs(potential, batch, graphs, differentiate=differentiate)
        for atoms, name, one in zip(batch, names, found, strict=True):
            yield table.add(one, atoms, name, differentiate=differentiate)

    for atoms, name in _with_heads(structures, head):
        graph = structure_graph(potential, atoms, name)
        if batch and sum(g.n_pairs for g in graphs) + graph.n_pairs > max_pairs:
            yield from evaluated()
            batch, graphs, names = [], [], []
        batch.append(atoms)
        graphs.append(graph)
        names.append(name)
    if batch:
        yield from evaluated()


def _with_heads(
    structures: Iterable[Atoms], head: str | Sequence[str] | None
) -> Iterator[tuple[Atoms, str | None]]:
    """Yield each structure with its head."""
    if head is None or isinstance(head, str):
        for atoms in structures:
            yield atoms, head
        return
    heads = iter(head)
    count = 0
    for atoms in structures:
        name = next(heads, None)
        if name is None:
            raise ConfigError(
                explain(
                    "fewer heads than structures",
                    got=f"{count} heads",
                    wanted="one head for all, or one for each structure",
                )
            )
        count += 1
        yield atoms, name
    if next(heads, None) is not None:
        raise ConfigError(
            explain(
                "more heads than structures",
                got=f"{len(head)} heads, {count} structures",
                wanted="one head for all, or one for each structure",
            )
        )


def structure_graph(potential: Potential, atoms: Atoms, head: str | None) -> Graph:
    """Return the graph of one structure in the dtype and on the device of `potential`.

    Raises:
        ConfigError: an unknown head, or an element that the head lacks.
        DataError: no neighbour list, or two atoms at one place.
    """
    graph = graph_from_atoms(atoms, potential.config, head)
    refuse_same_place(atoms, graph)
    device = potential.embedding.device
    return graph.to(dtype=potential.dtype, device=device)


def refuse_same_place(atoms: Atoms, graph: Graph) -> None:
    """Refuse a structure with two atoms at one place; DataError names them."""
    if graph.n_pairs:
        squares = graph.pair_vectors.square().sum(1)
        k = int(squares.argmin())
        if squares[k] < _SAME_PLACE**2:
            first, second = int(graph.centers[k]), int(graph.neighbors[k])
            raise DataError(
                explain(
                    "two atoms are at the same place",
                    got=f"atoms {first} and {second} ({_labels(atoms, [first])})",
                    wanted=f"a distance of more than {_SAME_PLACE} Å",
                    fix="remove one of them, or check the cell",
                )
            )


def evaluate_graphs(
    potential: Potential,
    structures: Sequence[Atoms],
    graphs: Sequence[Graph],
    *,
    differentiate: bool = True,
) -> list[Evaluation]:
    """Return what one evaluation of several graphs says about each structure.

    Raises:
        DataError: an energy or a force is not finite; the message names the atoms.
    """
    graph = graphs[0] if len(graphs) == 1 else collate(graphs)
    counts = [len(atoms) for atoms in structures]
    if not differentiate:
        energies = _split(predict_energies(potential, graph), counts)
        found = [Evaluation.of(e) for e in energies]
    else:
        prediction = predict(potential, graph)
        shares = atomic_virials(graph, prediction.pair_gradients)
        parts = zip(
            structures,
            _split(prediction.atomic_energies, counts),
            _split(prediction.forces, counts),
            _array(prediction.virial),
            _split(shares, counts),
            strict=True,
        )
        found = [
            Evaluation.of(energies, forces, virial, virials, volume_of(atoms))
            for atoms, energies, forces, virial, virials in parts
        ]
    for atoms, one in zip(structures, found, strict=True):
        refuse_not_finite(atoms, one)
    return found


def volume_of(atoms: Atoms) -> float | None:
    """Return the volume of a cell, Å^3; None unless periodic in three directions."""
    return float(atoms.get_volume()) if atoms.pbc.all() else None


def _array(values: torch.Tensor) -> Floats:
    array: Floats = values.detach().cpu().double().numpy()
    return array


def _split(values: torch.Tensor, counts: Sequence[int]) -> list[Floats]:
    """Return the rows of each structure."""
    return np.split(_array(values), np.cumsum(counts)[:-1])


def refuse_not_finite(atoms: Atoms, found: Evaluation) -> None:
    """Refuse an evaluation with a number that is not finite."""
    good = np.isfinite(found.energies)
    if found.forces is not None:
        good &= np.isfinite(found.forces).all(axis=1)
    if not good.all():
        raise DataError(
            explain(
                f"the potential gives no finite energy or force for"
                f" {atoms.get_chemical_formula()}",
                got="not finite at " + _labels(atoms, np.flatnonzero(~good).tolist()),
                wanted="atoms at distances that occur in matter",
                fix="look at these atoms' neighbours; try dtype float64",
            )
        )


def _labels(atoms: Atoms, indices: Sequence[int]) -> str:
    """Return the first few of some atoms in words."""
    shown = [f"{atoms.symbols[i]} {i}" for i in indices[:8]]
    more = f" and {len(indices) - 8} more" if len(indices) > 8 else ""
    return ", ".join(shown) + more
