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

from lamplighter.errors import ConfigError, EngineError, explain
from lamplighter.lammps_interface.abort import end_all_ranks
from lamplighter.lammps_interface.backend import choose_backend, say
from lamplighter.lammps_interface.bundle import Bundle, BundleHeader
from lamplighter.lammps_interface.device import choose
from lamplighter.lammps_interface.exchange import ExchangeData
from lamplighter.lammps_interface.members import Answer, answer_of, mean_of
from lamplighter.lammps_interface.outputs import output_names, write_outputs
from lamplighter.lammps_interface.rows import RowData, Rows, graph_of, integers
from lamplighter.lammps_interface.upstream import (
    refuse_thin_shell,
    refuse_wrong_exchange,
)
from lamplighter.memory import reuse_freed_memory
from lamplighter.model import Potential, potential_from_bytes, select


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
    """A potential, or a committee, for one head and some elements, as LAMMPS wants it.

    Attributes:
        header: what the ML-IAP file says about itself.
        element_types: chemical symbols that ``pair_coeff`` may name.
        rcutfac: half the cutoff in Å; LAMMPS multiplies it by two.
        ndescriptors: always 1; the descriptor stage is not used.
        nparams: always 1; the parameters stay on this side.
        interface: a back pointer that LAMMPS sets.
        members: the potentials of the head in use, without conditions: one, or those
            of a committee, whose mean energies and forces LAMMPS gets.
        device: where the potentials are.
        compiled: the members compiled, where the backend is that; they evaluate.
        backend_note: why the reference evaluates although nobody asked for it.
        has_default_head: where no head is named, the one in use is meant.
        gives_centroid: `evaluate` fills ``data.centroid`` where there is one.
    """

    gives_centroid = True
    has_default_head = False

    def __init__(
        self,
        bundle: Bundle,
        *,
        head: str | None = None,
        conditions: Mapping[str, float] | None = None,
        device: str | None = None,
        backend: str | None = None,
    ) -> None:
        """Load the potential of `bundle`.

        Args:
            bundle: the content of an ML-IAP file.
            head: which of its heads to use; the first if not given.
            conditions: charge, spin and the like in place of those in the header.
            device: where to compute; see `device.choose`.
            backend: ``reference``; ``compiled``, which is faster and for the CPU; if
                not given, compiled where the file has tables that fit.

        Raises:
            ArtifactError: the potential inside is damaged.
            ConfigError: the file does not have the head, does not depend on a
                condition, or there is no such device, or not for that backend.
        """
        _threads_of_lammps()  # compiled potentials keep the number they find
        reuse_freed_memory()
        self._bundle = bundle
        self.device: torch.device = choose(device)
        dtype = bundle.header.dtype
        whole = [potential_from_bytes(one, dtype=dtype) for one in bundle.members]
        self.header: BundleHeader = _chosen(bundle.header, whole[0], head, conditions)
        values = self.header.conditions if whole[0].config.conditions else conditions
        elements = list(bundle.header.elements)
        self.members: tuple[Potential, ...] = tuple(
            select(one, self.header.head, elements, values)
            .requires_grad_(requires_grad=False)
            .to(self.device)
            for one in whole
        )
        chosen = choose_backend(backend, bundle, self.header, self.members, self.device)
        self.compiled, self.backend_note = chosen.compiled, chosen.note
        self.element_types: list[str] = elements
        self.rcutfac: float = 0.5 * bundle.header.cutoff
        self.ndescriptors: int = 1
        self.nparams: int = 1
        self.interface: object = None
        self._client_known = False
        alone = len(self.header.heads) < 2
        self._head_named = head is not None or alone or self.has_default_head

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the names of what `evaluate` can tell about each atom."""
        return output_names(self.members)

    def with_settings(
        self,
        head: str | None,
        conditions: Mapping[str, float] | None = None,
        device: str | None = None,
        backend: str | None = None,
    ) -> Self:
        """Return the same file's model for another head, charge, spin, device, backend.

        Raises:
            ConfigError: the file has several heads and none is named, or it does not
                have this one, or does not depend on a condition, or there is no device.
        """
        if head is None and self.has_default_head:
            head = self.header.head
        if head is None and len(self.header.heads) > 1:
            raise ConfigError(
                explain(
                    "the file holds several heads, and none is named",
                    wanted="one of " + ", ".join(self.header.heads),
                    fix="add it after FLAG: pair_style mliap unified FILE 0 head "
                    + self.header.heads[0],
                )
            )
        return type(self)(
            self._bundle,
            head=head,
            conditions=conditions,
            device=device,
            backend=backend,
        )

    def compute_descriptors(self, data: PairData) -> None:
        """Do nothing: all work is done in `compute_forces`."""

    def compute_gradients(self, data: PairData) -> None:
        """Do nothing: all work is done in `compute_forces`."""

    def compute_forces(self, data: PairData) -> None:
        """Evaluate this rank's atoms and hand the results to LAMMPS.

        Sets ``data.energy`` (eV, this rank's sum) and ``data.eatoms`` (eV per listed
        atom) and passes dE/d rij (eV/Å) of every directed pair to
        ``data.update_pair_forces``. Fills ``data.centroid`` (eV) and the arrays of
        ``data.outputs`` (see `outputs`) where LAMMPS asks for them. A committee's are
        the means over its members.
        A rank without atoms or pairs takes part in every exchange.

        Raises:
            EngineError: this LAMMPS cannot exchange ghost features, or does it
                wrongly, or its ghosts end too early.
        """
        try:
            self.evaluate(data)
        except BaseException as error:
            end_all_ranks(error, data)
            raise

    def evaluate(self, data: PairData) -> list[int]:
        """Do `compute_forces` and return the width of each forward exchange made."""
        if not self._head_named:
            self.with_settings(None)  # raises: a LAMMPS that cannot name one
        wide = self._is_wide(data)
        if not self._client_known:
            self._refuse_client(data, wide=wide)
        rows = Rows.of(data, wide=wide)
        exact = graph_of(data, rows, torch.float64)
        graph = exact.to(dtype=self.members[0].dtype, device=self.device)
        compiled = self.compiled or (None,) * len(self.members)
        if self.compiled and getattr(data, "centroid", None) is not None:
            say("many-body virials are evaluated by the reference, not compiled")
        answers = [
            answer_of(one, data, rows, graph, wide=wide, compiled=fast, exact=exact)
            for one, fast in zip(self.members, compiled, strict=True)
        ]
        mean = mean_of(answers)
        _hand_over(data, rows, mean)
        write_outputs(self.members, answers, data, rows, graph)
        return mean.widths

    def _refuse_client(self, data: PairData, *, wide: bool) -> None:
        """Refuse a LAMMPS that would give wrong numbers; at the first step only."""
        if self.header.n_layers > 1:
            refuse_wrong_exchange(data)
        if wide:
            refuse_thin_shell(data, self.header.cutoff, self.header.n_layers)
        if wide and self.compiled:
            say("with FLAG 1 the reference evaluates, not the compiled potential")
        self._client_known = True

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


def _hand_over(data: Any, rows: Rows, answer: Answer) -> None:
    """Write energies, pair forces and virials where LAMMPS looks for them."""
    energies = answer.energies
    data.energy = float(energies.sum())
    if answer.virials is not None:
        kept = slice(None) if rows.kept is None else rows.kept.numpy()
        data.centroid[kept] = answer.virials.numpy()
    if rows.new is not None:
        spread = energies.new_zeros(data.ntotal)
        spread[rows.kept[: rows.n_owned]] = energies  # type: ignore[index]
        energies = spread
    listed = integers(data, "iatoms", data.natomneigh)[: data.nlistatoms]
    if len(listed):  # without atoms, a plain LAMMPS has no room for their energies
        _set_atom_energies(data, energies[listed].numpy())
    if data.npairs == 0:  # a plain LAMMPS takes the address of the first entry
        return
    forces = answer.gradients
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
