"""An error on one rank ends all, also where LAMMPS' own ML-IAP calls Python.

LAMMPS turns an exception of Python into an error that waits for all ranks. If only one
failed, out of memory for example, the others wait in an exchange, and the job hangs.
Our plugin lets the ranks agree; elsewhere the failing rank has to end the job itself.
"""

from __future__ import annotations

import ctypes
import sys
import traceback
from typing import Any, Final

from lamplighter.lammps_interface.serving import MEMORY_ADVICE, is_out_of_memory

_MPICH_WORLD: Final = 0x44000000
"""``MPI_COMM_WORLD`` of the MPICH ABI, a number; that of Open MPI is an address."""

_UPSTREAM: Final = "mliap_unified_couple"


def end_all_ranks(error: BaseException, data: Any, mpi: Any = None) -> None:
    """Print an error with its rank and end all ranks, if there are several.

    Does nothing on a single rank and in our own plugin: LAMMPS' own error follows.

    Args:
        error: what was raised.
        data: what LAMMPS handed over; its class tells whose it is.
        mpi: the loaded MPI library; what this process has, if not given.
    """
    if not type(data).__module__.startswith(_UPSTREAM):
        return
    library = ctypes.CDLL(None) if mpi is None else mpi
    try:
        world = _world(library)
        size, rank = ctypes.c_int(1), ctypes.c_int(0)
        library.MPI_Comm_size(world, ctypes.byref(size))
        library.MPI_Comm_rank(world, ctypes.byref(rank))
    except AttributeError:  # a LAMMPS without MPI
        return
    if size.value < 2:
        return
    text = "".join(traceback.format_exception(error))
    if is_out_of_memory(error):
        text += MEMORY_ADVICE + "\n"
    sys.stderr.write(f"ERROR: lamplighter on rank {rank.value}:\n{text}")
    sys.stderr.flush()
    library.MPI_Abort(world, 1)


def _world(library: Any) -> Any:
    """Return ``MPI_COMM_WORLD`` as the library wants it."""
    try:
        return ctypes.c_void_p(
            ctypes.addressof(ctypes.c_char.in_dll(library, "ompi_mpi_comm_world"))
        )
    except (ValueError, TypeError, AttributeError):
        return ctypes.c_int(_MPICH_WORLD)
