"""What the pair style of the plugin hands to a model each step, as numpy arrays.

The plugin fills a plain C structure (`plugin/pair_abi.h`) whose address it passes to
Python; `pair_abi` mirrors it field by field. `PairData` presents a step with the names
of both ML-IAP interfaces of LAMMPS (plain and Kokkos) at once, so that a model written
for either finds what it calls.

Arrays are views of LAMMPS' own memory and are valid only during the call that brought
them: copy what has to last. Units are Å and eV. Atom indices are LAMMPS' local ones:
the owned atoms of this rank come first (0 to ``nlocal - 1``), then the ghosts.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lamplighter.arrays import AnyArray, Floats
from lamplighter.errors import EngineError, explain
from lamplighter.lammps_interface.pair_abi import Step, view

Indices = npt.NDArray[np.int32]


class RankStopError(EngineError):
    """The step has ended on all ranks: another rank failed, or the ranks lost step."""


class PairData:
    """One step on one rank: atoms, directed pairs, and the ways to hand results back.

    Attributes:
        nlocal: owned atoms.
        ntotal: owned atoms and ghosts.
        nlistatoms: owned atoms that have an element; they lead `iatoms`.
        natomneigh: all centres; more than `nlistatoms` only with ghost neighbours (1).
        npairs: directed pairs with r < cutoff, grouped by centre, centres ascending.
        nneigh_max: pairs for which there is room.
        eflag: nonzero when LAMMPS wants energies.
        vflag: nonzero when LAMMPS wants a virial.
        iatoms: [natomneigh] atom indices of the centres.
        ielems: [natomneigh] their elements, indices into the model's `element_types`.
        numneighs: [natomneigh] their numbers of pairs.
        pair_i: [npairs] atom index of the centre of each pair.
        pair_j: [npairs] atom index of its neighbour, possibly a ghost.
        jatoms: the same as `pair_j`.
        jelems: [npairs] element of the neighbour.
        elems: [ntotal] element of every atom, -1 for a type mapped to NULL.
        rij: [npairs, 3] x_j - x_i in Å.
        rij_max: the same as `rij`.
        x: [ntotal, 3] positions in Å.
        f: [ntotal, 3] forces in eV/Å, as a rule the array of LAMMPS itself; adding to
            it changes the forces and the global virial, but not the per-atom virial.
        centroid: [ntotal, 3, 3] the many-body virial of every row in eV, to be filled
            (see `centroid`); None on steps that do not need it.
        outputs: per-atom arrays [nlocal] in eV that LAMMPS asks for, to be filled, by
            name; no more than the names in the model's attribute `outputs`.
    """

    def __init__(self, step: Step, outputs: Sequence[str] = ()) -> None:
        """View `step`; `outputs` are the names that the model said when it opened."""
        self._step = step
        self.nlocal: int = step.nlocal
        self.ntotal: int = step.ntotal
        self.nlistatoms: int = step.nlistatoms
        self.natomneigh: int = step.natomneigh
        self.npairs: int = step.npairs
        self.nneigh_max: int = step.nneigh_max
        self.eflag: int = step.eflag
        self.vflag: int = step.vflag
        centres, pairs = (self.natomneigh,), (self.npairs,)
        self.iatoms: Indices = view(step.iatoms, centres, np.int32)
        self.ielems: Indices = view(step.ielems, centres, np.int32)
        self.numneighs: Indices = view(step.numneighs, centres, np.int32)
        self.pair_i: Indices = view(step.pair_i, pairs, np.int32)
        self.pair_j: Indices = view(step.pair_j, pairs, np.int32)
        self.jatoms: Indices = self.pair_j
        self.jelems: Indices = view(step.jelems, pairs, np.int32)
        self.elems: Indices = view(step.elems, (self.ntotal,), np.int32)
        self.rij: Floats = view(step.rij, (self.npairs, 3), np.float64)
        self.rij_max: Floats = self.rij
        self.x: Floats = view(step.x, (self.ntotal, 3), np.float64)
        self.f: Floats = view(step.f, (self.ntotal, 3), np.float64)
        self.centroid: Floats | None = None
        if step.centroid is not None:
            self.centroid = view(step.centroid, (self.ntotal, 3, 3), np.float64)
        self.outputs: dict[str, Floats] = {
            name: view(step.outputs[k], (self.nlocal,), np.float64)
            for k, name in enumerate(outputs)
            if step.outputs[k] is not None
        }
        self._eatoms: Floats = view(step.eatoms, (self.nlocal,), np.float64)

    @property
    def energy(self) -> float:
        """Energy of this rank's owned atoms in eV; 0 at the start of every step."""
        return float(self._step.energy)

    @energy.setter
    def energy(self, value: float) -> None:
        self._step.energy = float(value)

    @property
    def eatoms(self) -> Floats:
        """Energies of the owned atoms in eV, [nlocal], by atom index; 0 at the start.

        Set it as a whole, with one entry per owned atom or one per entry of `iatoms`
        (its first `nlistatoms`), or write into what it returns.
        """
        return self._eatoms

    @eatoms.setter
    def eatoms(self, values: Any) -> None:
        energies = np.asarray(_on_host(values), dtype=np.float64).reshape(-1)
        if energies.size == self.nlocal:
            self._eatoms[:] = energies
        elif energies.size == self.nlistatoms:
            self._eatoms[self.iatoms[: self.nlistatoms]] = energies
        else:
            raise EngineError(
                explain(
                    "the model returned atomic energies of the wrong length",
                    got=energies.size,
                    wanted=f"{self.nlocal} (owned atoms) or {self.nlistatoms} (listed)",
                )
            )

    def update_pair_energy(self, eij: Any) -> None:
        """Take energies of directed pairs: half of each belongs to its centre.

        Sets `energy` and `eatoms`. A full list holds every pair twice, hence the half.

        Args:
            eij: [npairs] in eV.
        """
        energies = self._pairs(eij, "update_pair_energy", ())
        own = self.pair_i < self.nlocal
        self._eatoms[:] = np.bincount(
            self.pair_i[own], 0.5 * energies[own], minlength=self.nlocal
        )
        self.energy = float(self._eatoms.sum())

    def update_pair_forces(self, fij: Any) -> None:
        """Take g = dE/d rij of directed pairs: the force on i gains +g, that on j -g.

        The virial -rij (x) g of the pair goes half to each of the two atoms. Forces are
        not halved: g is the derivative with respect to that one directed pair.

        Args:
            fij: [npairs, 3] in eV/Å.
        """
        forces = self._pairs(fij, "update_pair_forces", (3,))
        if not np.isfinite(forces).all():
            raise self._not_numbers(forces)
        self._step.update_pair_forces(self._step.pair, forces.ctypes.data)

    update_pair_energy_cpu = update_pair_energy
    update_pair_energy_gpu = update_pair_energy
    update_pair_forces_cpu = update_pair_forces
    update_pair_forces_gpu = update_pair_forces

    def forward_exchange(self, src: Any, dst: Any, n: int) -> None:
        """Set `dst` to `src` with the rows of ghosts replaced by their owners' rows.

        Collective: every rank makes the same exchanges, of the same `n`, atoms or not.

        Args:
            src: numpy array or torch tensor with `ntotal` rows of `n` numbers, float32
                or float64, contiguous. Not changed.
            dst: like `src`; may be `src` itself.
            n: numbers per row.

        Raises:
            RankStopError: another rank failed; let it pass.
            EngineError: the arrays do not have the stated form.
        """
        self._exchange(self._step.forward_exchange, src, dst, n)

    def reverse_exchange(self, src: Any, dst: Any, n: int) -> None:
        """Set `dst` to `src` with ghost rows added to their owners', then zeroed.

        The adjoint of `forward_exchange`, with the same arguments and errors.
        """
        self._exchange(self._step.reverse_exchange, src, dst, n)

    def _exchange(self, call: Any, src: Any, dst: Any, n: int) -> None:
        source, target = _on_host(src), _on_host(dst)
        for name, array in (("src", source), ("dst", target)):
            _check_rows(name, array, self.ntotal, n)
        if source.dtype != target.dtype:
            raise EngineError(
                explain(
                    "exchange of unlike arrays", got=target.dtype, wanted=source.dtype
                )
            )
        status = call(
            self._step.pair,
            source.ctypes.data,
            target.ctypes.data,
            n,
            source.itemsize,
        )
        if status != 0:
            message = "the step has ended on all ranks"
            raise RankStopError(message)
        _send_back(target, dst)

    def _not_numbers(self, forces: Floats) -> EngineError:
        """Return the error that names the first pair whose force is not a number."""
        bad = np.flatnonzero(~np.isfinite(forces).all(axis=1))
        r = np.linalg.norm(self.rij[bad[0]])
        return EngineError(
            explain(
                "the model returned pair forces that are not numbers",
                got=f"{bad.size} of {self.npairs}, first between atoms {r:.3g} Å apart",
                fix="look for atoms that nearly coincide, or a too long time step",
            )
        )

    def _pairs(self, values: Any, name: str, shape: tuple[int, ...]) -> Floats:
        """Return `values` as float64 [npairs, *shape], copied only if they are not."""
        array = np.ascontiguousarray(_on_host(values), dtype=np.float64)
        wanted = (self.npairs, *shape)
        if array.size != np.prod(wanted, dtype=np.int64):
            raise EngineError(
                explain(f"{name} of the wrong length", got=array.shape, wanted=wanted)
            )
        return array.reshape(wanted)


def _on_host(values: Any) -> AnyArray:
    """Return a numpy view of an array or of a tensor; device memory is copied."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(values, torch.Tensor):
        host: AnyArray = values.detach().cpu().numpy()
        return host
    return np.asarray(values)


def _send_back(host: AnyArray, target: Any) -> None:
    """Bring `host` to a tensor on a device; a view of host memory needs nothing."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(target, torch.Tensor) and target.is_cuda:
        target.detach().copy_(torch.from_numpy(host))


def _check_rows(name: str, array: AnyArray, rows: int, width: int) -> None:
    if (
        array.dtype in (np.float32, np.float64)
        and array.flags.c_contiguous
        and array.size == rows * width
    ):
        return
    raise EngineError(
        explain(
            f"{name} of an exchange has the wrong form",
            got=f"{array.dtype} {array.shape}, contiguous: {array.flags.c_contiguous}",
            wanted=f"contiguous float32 or float64, {rows} rows of {width}",
        )
    )
