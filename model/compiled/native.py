"""The plain C functions of the native library, with Python's arrays and errors."""

from __future__ import annotations

import ctypes
import threading
import weakref
from typing import Any

import numpy as np

from lamplighter.arrays import AnyArray, Floats, Integers
from lamplighter.errors import DataError, EngineError, explain
from lamplighter.model.compiled.exchange import StagedExchange
from lamplighter.model.compiled.library import AtomsOfRank
from lamplighter.model.compiled.tables import Tables

_REALS = {4: np.float32, 8: np.float64}
# What the library says of atoms, not of tables.
_OF_STRUCTURES = "two atoms are closer than the tables reach"


class NativePotential:
    """Tables in the memory of the native library, and room for one evaluation.

    Evaluations of several threads of Python wait for each other.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        tables: Tables,
        real_bytes: int,
        threads: int,
        *,
        deterministic: bool = False,
    ) -> None:
        """Build it; deterministic: the same bits for any number of threads.

        Raises:
            EngineError: tables that do not fit together.
        """
        self._library = library
        self._real = _REALS[real_bytes]
        self._n_layers = int(tables.integers["shape"][1])
        self._lock = threading.Lock()
        self._potential = library.lamplighter_new(real_bytes)
        weakref.finalize(self, library.lamplighter_free, self._potential)
        for name, numbers in tables.numbers.items():
            self._put(library.lamplighter_put, name, numbers)
        for name, integers in tables.integers.items():
            self._put(library.lamplighter_put_integers, name, integers)
        self._check(library.lamplighter_build(self._potential))
        self._evaluation = library.lamplighter_evaluation_new(
            self._potential, threads, deterministic
        )
        if not self._evaluation:
            self._check(1)
        # called before the other one: finalizers run in the opposite order
        weakref.finalize(self, library.lamplighter_evaluation_free, self._evaluation)

    @property
    def n_layers(self) -> int:
        """Return the number of layers."""
        return self._n_layers

    def address(self, function: str) -> int:
        """Return where a function of compiled_abi.h is; its name has no prefix.

        ``evaluation`` is the first argument of those that evaluate. It lives as long
        as this object.
        """
        if function == "evaluation":
            return int(self._evaluation)
        found = getattr(self._library, "lamplighter_" + function)
        return int(ctypes.cast(found, ctypes.c_void_p).value or 0)

    @property
    def n_bytes(self) -> int:
        """Return what the last evaluation holds."""
        return int(self._library.lamplighter_bytes(self._evaluation))

    def evaluate(
        self,
        species: Integers,
        first: Integers,
        neighbors: Integers,
        vectors: Floats,
        exchange: StagedExchange,
    ) -> tuple[Floats, Floats]:
        """Return energies without E0 ``[n_own]`` and pair gradients ``[n_pairs, 3]``.

        Args:
            species: ``[n_atoms]``, own atoms first.
            first: ``[n_own + 1]``, first pair of each own atom.
            neighbors: ``[n_pairs]``.
            vectors: ``[n_pairs, 3]``, Å.
            exchange: called once for every layer but the first, and once more on the
                way back, whatever the number of atoms.

        Raises:
            DataError: two atoms that are too close.
            EngineError: arrays that do not fit together.
        """
        arrays: list[AnyArray] = [
            np.ascontiguousarray(species, dtype=np.int32),
            np.ascontiguousarray(first, dtype=np.int64),
            np.ascontiguousarray(neighbors, dtype=np.int32),
            np.ascontiguousarray(vectors, dtype=np.float64),
        ]
        n_own, n_all, n_pairs = len(first) - 1, len(species), len(neighbors)
        atoms = AtomsOfRank(n_own, n_all, n_pairs, *(x.ctypes.data for x in arrays))
        with self._lock:
            self._run(atoms, n_all, exchange)
            library, one = self._library, self._evaluation
            return (
                _view(library.lamplighter_energies(one), (n_own,), np.float64).copy(),
                _view(
                    library.lamplighter_pair_gradients(one), (n_pairs, 3), np.float64
                ).copy(),
            )

    def _run(self, atoms: AtomsOfRank, n_all: int, exchange: StagedExchange) -> None:
        library, one = self._library, self._evaluation
        self._check(library.lamplighter_begin(one, ctypes.byref(atoms)))
        self._check(library.lamplighter_forward(one, 0))
        for t in range(1, self._n_layers):
            rows = self._rows(library.lamplighter_rows, t, n_all)
            exchange.forward(rows)
            self._check(library.lamplighter_forward(one, t))
        for t in reversed(range(self._n_layers)):
            self._check(library.lamplighter_backward(one, t))
            if t > 0:
                rows = self._rows(library.lamplighter_gradients, t, n_all)
                exchange.backward(rows, t - 1)

    def _rows(self, function: Any, t: int, n_all: int) -> AnyArray:
        width = self._library.lamplighter_width(self._evaluation, t)
        return _view(function(self._evaluation, t), (n_all, width), self._real)

    def _put(self, function: Any, name: str, values: AnyArray) -> None:
        self._check(
            function(self._potential, name.encode(), values.ctypes.data, values.size)
        )

    def _check(self, status: int) -> None:
        """Raise what the library says when `status` is not zero."""
        if status == 0:
            return
        problem = self._library.lamplighter_problem().decode()
        if problem == _OF_STRUCTURES:
            raise DataError(explain(problem, wanted="atoms at least 0.02 Å apart"))
        raise EngineError(explain("the compiled potential stopped", got=problem))


def _view(address: int | None, shape: tuple[int, ...], kind: Any) -> AnyArray:
    """Return an array over memory of the library; an empty one has no address."""
    size = int(np.prod(shape))
    if size == 0 or not address:
        return np.zeros(shape, dtype=kind)
    content = (ctypes.c_char * (size * np.dtype(kind).itemsize)).from_address(address)
    return np.frombuffer(content, dtype=kind).reshape(shape)
