"""What a model finds in the data object, and what the object refuses."""

import ctypes

import numpy as np
import pytest
import torch

from lamplighter.errors import EngineError
from lamplighter.lammps_interface import pair_abi, pair_data


class Fake:
    """A step as the plugin fills it: three owned atoms, one of them NULL, 2 ghosts."""

    def __init__(self):
        self.calls = []
        self.arrays = {
            "iatoms": np.array([0, 2], np.int32),
            "ielems": np.array([0, 1], np.int32),
            "numneighs": np.array([2, 1], np.int32),
            "pair_i": np.array([0, 0, 2], np.int32),
            "pair_j": np.array([2, 3, 4], np.int32),
            "jelems": np.array([1, 1, 0], np.int32),
            "elems": np.array([0, -1, 1, 1, 0], np.int32),
            "rij": np.arange(9.0).reshape(3, 3),
            "f": np.zeros((5, 3)),
            "eatoms": np.zeros(3),
        }
        self.owners = np.array([0, 1, 2, 2, 0])
        self.step = pair_abi.Step(
            version=pair_abi.ABI_VERSION,
            nlocal=3,
            ntotal=5,
            nlistatoms=2,
            natomneigh=2,
            npairs=3,
            nneigh_max=8,
            eflag=1,
            vflag=0,
            **{name: array.ctypes.data for name, array in self.arrays.items()},
        )
        self.status = 0
        slots = dict(pair_abi.Step._fields_)
        self.step.forward_exchange = slots["forward_exchange"](self.exchange)
        self.step.reverse_exchange = slots["reverse_exchange"](self.exchange)
        self.step.update_pair_forces = slots["update_pair_forces"](self.forces)
        self.data = pair_data.PairData(self.step)

    def exchange(self, _, src, dst, width, item_bytes):
        kind = ctypes.c_double if item_bytes == 8 else ctypes.c_float
        rows = [(kind * (5 * width)).from_address(at) for at in (src, dst)]
        source, target = (np.frombuffer(row, kind).reshape(5, width) for row in rows)
        target[:] = source[self.owners]
        return self.status

    def forces(self, _, fij):
        self.calls.append(np.array((ctypes.c_double * 9).from_address(fij)))
        return 0


@pytest.fixture
def fake():
    return Fake()


def test_arrays_are_views_of_the_memory_of_lammps(fake):
    data = fake.data
    for name in (
        "iatoms",
        "ielems",
        "numneighs",
        "pair_i",
        "pair_j",
        "jelems",
        "elems",
    ):
        assert getattr(data, name).dtype == np.int32
        assert np.array_equal(getattr(data, name), fake.arrays[name])
    assert np.array_equal(data.jatoms, data.pair_j)
    assert np.array_equal(data.rij, fake.arrays["rij"])
    data.f[4, 1] = 7.0
    assert fake.arrays["f"][4, 1] == 7.0
    assert (data.nlocal, data.ntotal, data.npairs, data.nlistatoms) == (3, 5, 3, 2)
    assert (data.natomneigh, data.nneigh_max, data.eflag, data.vflag) == (2, 8, 1, 0)


def test_atomic_energies_come_by_atom_or_by_list_position(fake):
    fake.data.eatoms = [1.0, 2.0, 3.0]
    assert fake.arrays["eatoms"].tolist() == [1.0, 2.0, 3.0]
    fake.data.eatoms = np.array([[5.0], [6.0]])
    assert fake.arrays["eatoms"].tolist() == [5.0, 2.0, 6.0]
    fake.data.eatoms[1] += 1.0
    assert fake.arrays["eatoms"].tolist() == [5.0, 3.0, 6.0]
    with pytest.raises(EngineError, match=r"wrong length.*4.*3 \(owned atoms\) or 2"):
        fake.data.eatoms = np.zeros(4)


def test_half_of_a_pair_energy_belongs_to_its_centre(fake):
    fake.data.update_pair_energy([1.0, 2.0, 8.0])
    assert fake.arrays["eatoms"].tolist() == [1.5, 0.0, 4.0]
    assert fake.step.energy == 5.5
    with pytest.raises(EngineError, match="update_pair_energy of the wrong length"):
        fake.data.update_pair_energy([1.0, 2.0])


def test_pair_forces_are_handed_over_as_float64(fake):
    values = np.arange(9, dtype=np.float32).reshape(3, 3)
    fake.data.update_pair_forces(values)
    fake.data.update_pair_forces_gpu(values.T.copy().T)
    assert all(np.array_equal(call, np.arange(9.0)) for call in fake.calls)
    assert len(fake.calls) == 2
    with pytest.raises(EngineError, match=r"update_pair_forces.*\(2, 3\).*\(3, 3\)"):
        fake.data.update_pair_forces(values[:2])


def test_pair_forces_that_are_no_numbers_are_refused(fake):
    values = np.zeros((3, 3))
    values[1, 2] = np.nan
    with pytest.raises(EngineError, match=r"not numbers.*1 of 3.*7\.07 Å apart"):
        fake.data.update_pair_forces(values)
    assert not fake.calls


def test_exchanges_take_numpy_and_torch_of_both_precisions(fake):
    rows = np.arange(10.0).reshape(5, 2)
    wanted = rows[fake.owners]
    for dtype in (np.float32, np.float64):
        out = np.zeros((5, 2), dtype)
        fake.data.forward_exchange(rows.astype(dtype), out, 2)
        assert np.array_equal(out, wanted)
        tensor = torch.from_numpy(out.copy() * 0)
        source = torch.from_numpy(rows.astype(dtype)).requires_grad_()
        fake.data.reverse_exchange(source, tensor, 2)
        assert np.array_equal(tensor.numpy(), wanted)


@pytest.mark.parametrize(
    ("source", "target", "width"),
    [
        (np.zeros((4, 2)), np.zeros((5, 2)), 2),
        (np.zeros((5, 2)), np.zeros((5, 3)), 2),
        (np.zeros((5, 2), int), np.zeros((5, 2)), 2),
        (np.zeros((2, 5)).T, np.zeros((5, 2)), 2),
    ],
)
def test_an_exchange_of_the_wrong_form_is_refused(fake, source, target, width):
    with pytest.raises(EngineError, match=r"wrong form.*contiguous float32 or float64"):
        fake.data.forward_exchange(source, target, width)


def test_an_exchange_of_two_precisions_is_refused(fake):
    with pytest.raises(EngineError, match=r"unlike arrays.*float32.*float64"):
        fake.data.forward_exchange(np.zeros((5, 2)), np.zeros((5, 2), np.float32), 2)


def test_a_rank_stop_comes_as_an_error(fake):
    fake.status = 1
    with pytest.raises(pair_data.RankStopError, match="ended on all ranks"):
        fake.data.forward_exchange(np.zeros((5, 2)), np.zeros((5, 2)), 2)


def test_a_rank_without_atoms_gets_empty_arrays():
    data = pair_data.PairData(pair_abi.Step(version=pair_abi.ABI_VERSION))
    assert data.rij.shape == (0, 3)
    assert data.f.shape == (0, 3)
    assert data.eatoms.shape == data.pair_i.shape == data.elems.shape == (0,)
    data.eatoms = []
    data.update_pair_energy(np.zeros(0))
    assert data.energy == 0.0


def test_the_structures_match_the_header(root):
    """The fields of the C header and of ctypes agree in name and order."""
    header = (root / "lammps_interface/plugin/pair_abi.h").read_text()
    header = "\n".join(line.split("//")[0] for line in header.splitlines())
    for struct, mirror in (
        ("Member", pair_abi.Member),
        ("Open", pair_abi.Open),
        ("Step", pair_abi.Step),
        ("Check", pair_abi.Check),
    ):
        body = header.split(f"struct Lamplighter{struct} {{")[1].split("};")[0]
        names = []
        for declaration in filter(None, map(str.strip, body.split(";"))):
            head, *arguments = declaration.split("(*")
            if arguments:
                names.append(arguments[0].split(")")[0])
                continue
            _, _, listed = head.partition(" " if "*" not in head else "*")
            parts = [part.strip(" *\n").split()[-1] for part in listed.split(",")]
            names += [part.split("[")[0] for part in parts]
        assert names == [field[0] for field in mirror._fields_]
    assert f"LAMPLIGHTER_ABI = {pair_abi.ABI_VERSION} " in header
    assert f"LAMPLIGHTER_NAMES = {pair_abi.NAMES_LENGTH}," in header
    assert f"LAMPLIGHTER_HASH = {pair_abi.HASH_LENGTH} " in header


def test_another_version_is_refused():
    with pytest.raises(EngineError, match=r"version 9.*version 4.*install lamplighter"):
        pair_abi.check_version(9)
