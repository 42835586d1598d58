"""The object that LAMMPS holds and calls once per step.

LAMMPS hands over its atoms as rows: the owned atoms of this rank first, then the
ghosts, copies of atoms that other ranks, or periodic images, own. Pairs run from an
owned centre i to any row j. A message-passing potential needs the features of the
ghosts after every layer; their owners send them (`exchange`), and the gradient
travels back the same way, so that energies and forces do not depend on the number of
ranks.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.lammps_interface.bundle import Bundle, BundleHeader
from lamplighter.lammps_interface.centroid import centroid_virials
from lamplighter.lammps_interface.exchange import ExchangeData, LammpsExchange
from lamplighter.lammps_interface.rows import RowData, Rows, graph_of, integers
from lamplighter.memory import reuse_freed_memory
from lamplighter.model import (
    Graph,
    Potential,
    pair_gradients,
    potential_from_bytes,
    select,
)


class PairData(RowData, ExchangeData, Protocol):
    """What LAMMPS hands to `MliapModel.compute_forces`; lengths as in lammps docs.

    The names are those of LAMMPS' own ML-IAP interface, so that the same object serves
    a LAMMPS that was built with Python. `x`, `centroid` and `outputs` of
    `pair_data.PairData` are optional.
    """

    nlistatoms: int
    natomneigh: int
    iatoms: Any
    energy: float
    eatoms: Any

    def update_pair_forces(self, fij: Any) -> None:
        """Add `fij` (dE/d rij, float64) to i, subtract it from j, tally the virial."""


class MliapModel:
    """A potential for one head and a set of elements, as LAMMPS' ML-IAP wants it.

    Attributes:
        header: what the ML-IAP file says about itself.
        element_types: chemical symbols that ``pair_coeff`` may name.
        rcutfac: half the cutoff in Å; LAMMPS multiplies it by two.
        ndescriptors: always 1; the descriptor stage is not used.
        nparams: always 1; the parameters stay on this side.
        interface: a back pointer that LAMMPS sets.
        potential: the potential of the head in use, without conditions.
        gives_centroid: `evaluate` fills ``data.centroid`` where there is one.
    """

    gives_centroid = True

    def __init__(
        self,
        bundle: Bundle,
        *,
        head: str | None = None,
        conditions: Mapping[str, float] | None = None,
    ) -> None:
        """Load the potential of `bundle`.

        Args:
            bundle: the content of an ML-IAP file.
            head: which of its heads to use; the first if not given.
            conditions: charge, spin and the like in place of those in the header.

        Raises:
            ArtifactError: the potential inside is damaged.
            ConfigError: the file does not have the head, or does not depend on a
                condition.
        """
        self._bundle = bundle
        whole = potential_from_bytes(bundle.potential, dtype=bundle.header.dtype)
        self.header: BundleHeader = _chosen(bundle.header, whole, head, conditions)
        values = self.header.conditions if whole.config.conditions else conditions
        elements = list(bundle.header.elements)
        self.potential: Potential = select(whole, self.header.head, elements, values)
        self.potential.requires_grad_(requires_grad=False)
        self.element_types: list[str] = elements
        self.rcutfac: float = 0.5 * bundle.header.cutoff
        self.ndescriptors: int = 1
        self.nparams: int = 1
        self.interface: object = None
        self._head_named = head is not None or len(self.header.heads) < 2
        _threads_of_lammps()
        reuse_freed_memory()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the names of what `evaluate` can tell about each atom."""
        names = ("reference", "interaction")
        return (*names, "repulsion") if self.potential.config.zbl else names

    def with_settings(
        self, head: str | None, conditions: Mapping[str, float] | None = None
    ) -> Self:
        """Return the same file's model for another head, charge or spin.

        Raises:
            ConfigError: the file has several heads and none is named, or it does not
                have this one, or does not depend on a condition.
        """
        if head is None and len(self.header.heads) > 1:
            raise ConfigError(
                explain(
                    "the file holds several heads, and none is named",
                    wanted="one of " + ", ".join(self.header.heads),
                    fix="add it after FLAG: pair_style mliap unified FILE 0 head "
                    + self.header.heads[0],
                )
            )
        return type(self)(self._bundle, head=head, conditions=conditions)

    def compute_descriptors(self, data: PairData) -> None:
        """Do nothing: all work is done in `compute_forces`."""

    def compute_gradients(self, data: PairData) -> None:
        """Do nothing: all work is done in `compute_forces`."""

    def compute_forces(self, data: PairData) -> None:
        """Evaluate this rank's atoms and hand the results to LAMMPS.

        Sets ``data.energy`` (eV, this rank's sum) and ``data.eatoms`` (eV per listed
        atom) and passes dE/d rij (eV/Å) of every directed pair to
        ``data.update_pair_forces``. Fills ``data.centroid`` (eV) and the arrays of
        ``data.outputs`` (eV) where LAMMPS asks for them.
        A rank without atoms or pairs takes part in every exchange.

        Raises:
            EngineError: this LAMMPS cannot exchange ghost features.
        """
        self.evaluate(data)

    def evaluate(self, data: PairData) -> list[int]:
        """Do `compute_forces` and return the width of each forward exchange made."""
        if not self._head_named:
            self.with_settings(None)  # raises: a LAMMPS that cannot name one
        wide = self._is_wide(data)
        rows = Rows.of(data, wide=wide)
        graph = graph_of(data, rows, self.potential.dtype)
        exchange = LammpsExchange(data, rows.kept)
        if wide:
            energies, gradients = _owned_gradients(self.potential, graph, rows.n_owned)
        elif getattr(data, "centroid", None) is not None:
            energies, gradients = self._with_centroid(data, rows, graph, exchange)
        else:
            energies, gradients = pair_gradients(self.potential, graph, exchange)
            exchange.finish()
        _hand_over(data, rows, energies, gradients)
        self._write_outputs(data, rows, graph, energies)
        return exchange.widths

    def _with_centroid(
        self, data: Any, rows: Rows, graph: Graph, exchange: LammpsExchange
    ) -> tuple[Tensor, Tensor]:
        """Return energies with E0 and pair gradients; fill ``data.centroid``."""
        positions = torch.from_numpy(data.x)
        if rows.kept is not None:
            positions = positions[rows.kept]
        energies, gradients, virials = centroid_virials(
            self.potential, graph, positions, exchange
        )
        kept = slice(None) if rows.kept is None else rows.kept.numpy()
        data.centroid[kept] = virials.numpy()
        reference = self.potential.reference_energies(graph)
        return energies.to(torch.float64) + reference, gradients

    def _write_outputs(
        self, data: Any, rows: Rows, graph: Graph, energies: Tensor
    ) -> None:
        """Fill the per-atom arrays that LAMMPS asks for, [nlocal] in eV."""
        wanted: Mapping[str, Any] = getattr(data, "outputs", None) or {}
        if not wanted:
            return
        reference = self.potential.reference_energies(graph)[: rows.n_owned]
        parts = {
            "reference": reference,
            "interaction": energies[: rows.n_owned] - reference,
        }
        if "repulsion" in wanted:
            parts["repulsion"] = self.potential.repulsion(graph)[: rows.n_owned]
        kept = torch.arange(rows.n_owned) if rows.kept is None else rows.kept
        owned = kept[: rows.n_owned].numpy()
        for name, array in wanted.items():
            array[owned] = parts[name].detach().numpy()

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


def _chosen(
    header: BundleHeader,
    potential: Potential,
    head: str | None,
    conditions: Mapping[str, float] | None,
) -> BundleHeader:
    """Return the header of the head in use, with the conditions in use."""
    spec = potential.config.head(head or header.head)
    return dataclasses.replace(
        header,
        head=spec.name,
        level_of_theory=spec.level_of_theory,
        dispersion=spec.dispersion,
        licence=spec.licence,
        conditions=header.conditions | dict(conditions or {}),
    )


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


def _hand_over(data: PairData, rows: Rows, energies: Tensor, gradients: Tensor) -> None:
    """Write energies and pair forces where LAMMPS looks for them."""
    energies = energies.detach()
    data.energy = float(energies.sum())
    if rows.new is not None:
        spread = energies.new_zeros(data.ntotal)
        spread[rows.kept[: rows.n_owned]] = energies  # type: ignore[index]
        energies = spread
    listed = integers(data.iatoms, data.natomneigh)[: data.nlistatoms]
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


def _threads_of_lammps() -> None:
    """Give torch the threads that LAMMPS uses: one per rank, or ``OMP_NUM_THREADS``.

    torch would start one thread per core in every rank, which makes two ranks on two
    cores several times slower than one, and stalls on a machine that is shared.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
