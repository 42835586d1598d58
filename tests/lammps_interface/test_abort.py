"""One rank that fails in an upstream LAMMPS ends the others."""

import types

import pytest

from lamplighter.lammps_interface.abort import end_all_ranks


class Library:
    """What `end_all_ranks` calls of MPI."""

    def __init__(self, size):
        self.size = size
        self.ended = []

    def MPI_Comm_size(self, _, out):  # noqa: N802
        out._obj.value = self.size

    def MPI_Comm_rank(self, _, out):  # noqa: N802
        out._obj.value = self.size - 1

    def MPI_Abort(self, world, status):  # noqa: N802
        self.ended.append((world.value, status))


def data_of(module):
    return type("MLIAPDataPy", (), {"__module__": module})()


UPSTREAM = data_of("mliap_unified_couple_kokkos")


def test_a_failing_rank_of_several_ends_the_job_and_says_which(capfd):
    library = Library(3)
    try:
        raise MemoryError  # noqa: TRY301
    except MemoryError as error:
        end_all_ranks(error, UPSTREAM, library)
    assert library.ended == [(0x44000000, 1)]
    said = capfd.readouterr().err
    assert "on rank 2:\nTraceback" in said
    assert "MemoryError" in said
    assert "more ranks" in said


@pytest.mark.parametrize(
    ("data", "library"),
    [
        (UPSTREAM, Library(1)),
        (data_of("lamplighter.lammps_interface.pair_data"), Library(3)),
        (UPSTREAM, types.SimpleNamespace()),  # no MPI in the process
    ],
)
def test_otherwise_the_error_is_lammps_own(data, library, capfd):
    end_all_ranks(ValueError("x"), data, library)
    assert not getattr(library, "ended", [])
    assert capfd.readouterr().err == ""
