"""Tensors and members of archives: what does not fit the file is refused."""

from __future__ import annotations

import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hand_pickles import Call, Stored, pickled

from lamplighter.errors import ArtifactError
from lamplighter.model import torch_archive
from lamplighter.model.torch_archive import read_archive


def stored(count: int, kind: object = torch.FloatStorage, key: str = "0") -> Stored:
    return Stored(("storage", kind, key, "cuda:3", count))


def tensor(
    offset: object, size: object, stride: object, *more: object, count: int = 6
) -> bytes:
    rest = more or (False, OrderedDict())
    return pickled(
        Call(
            torch._utils._rebuild_tensor_v2, stored(count), offset, size, stride, *rest
        )
    )


SIX = {"data/0": np.arange(6, dtype=np.float32).tobytes()}


def test_tensors_of_hand_made_archives(archive) -> None:
    got = read_archive(archive(tensor(1, (2, 2), (1, 3)), SIX))
    assert got.tolist() == [[1.0, 4.0], [2.0, 5.0]]
    assert got.device.type == "cpu"
    wide = Call(
        torch._utils._rebuild_tensor_v3,
        *(stored(24, torch.UntypedStorage), 0, (3,), (1,), False, OrderedDict()),
        torch.float64,
    )
    content = np.arange(3.0).tobytes()
    assert read_archive(archive(pickled(wide), {"data/0": content})).tolist() == [
        0,
        1,
        2,
    ]
    assert read_archive(archive(tensor(0, (0, 5), (9, 9)), SIX)).shape == (0, 5)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (tensor(0, (7,), (1,)), "needs 7 numbers where the file has 6"),
        (tensor(6, (), ()), "needs 7 numbers"),
        (tensor(1, (2, 3), (3, 1)), "needs 7 numbers"),
        (tensor(-1, (2,), (1,)), "in its shape"),
        (tensor(0, (2,), (-1,)), "in its shape"),
        (tensor(0, (2.0,), (1,)), "type float in its shape"),
        (tensor(0, (2**40,), (0,)), "elements overlap"),
        (tensor(0, (2, 2), (1, 1)), "elements overlap"),
        (tensor(0, (2**40, 2**40, 0), (1, 1, 1)), "larger than any memory"),
        (tensor(0, (2,), (1, 1)), "1 dimensions with 2 strides"),
        (tensor(0, (1,) * 26, (1,) * 26), "26 dimensions"),
        (tensor(0, (2,), (1,), False, {}, {"conj": True}), "conjugated or negated"),
        (tensor(0, (2,), (1,), count=2**40), "a storage of 24 bytes"),
        (tensor(0, (2,), (1,), count=-6), "a storage of 24 bytes"),
        (pickled(stored(6, key="1")), "no member data/1"),
        (pickled(stored(6, key="../data.pkl")), r"no member data/\.\./data\.pkl"),
        (pickled(stored(6, torch.QInt8Storage)), "no storage of torch"),
        (pickled(stored(6, torch.Tensor)), "no storage of torch"),
        (pickled(Stored(("storage", 1))), "no storage of torch"),
    ],
)
def test_tensors_that_leave_their_storage(archive, content: bytes, match: str) -> None:
    with pytest.raises(ArtifactError, match=match):
        read_archive(archive(content, SIX))


def test_storage_that_ends_within_a_number(archive) -> None:
    torn = Call(
        torch._utils._rebuild_tensor_v3,
        *(stored(6), 0, (1,), (1,), False, OrderedDict(), torch.complex128),
    )
    with pytest.raises(ArtifactError, match="ends within a number"):
        read_archive(archive(pickled(torn), {"data/0": bytes(24)}))


def patch_directory(path: Path, offset: int, layout: str, value: int) -> None:
    """Change a field in the central directory's entry of the last member."""
    content = bytearray(path.read_bytes())
    start = content.rindex(b"PK\x01\x02") + offset
    struct.pack_into(layout, content, start, value)
    path.write_bytes(bytes(content))


def test_members_larger_than_the_file(archive) -> None:
    path = archive(tensor(0, (6,), (1,)), SIX)
    patch_directory(path, 20, "<I", 2**31)
    patch_directory(path, 24, "<I", 2**31)
    with pytest.raises(ArtifactError, match="members that are larger than the file"):
        read_archive(path)


def test_encrypted_and_compressed_members(archive, tmp_path: Path) -> None:
    path = archive(tensor(0, (6,), (1,)), SIX)
    patch_directory(path, 8, "<H", 1)
    with pytest.raises(ArtifactError, match="compressed or encrypted member data/0"):
        read_archive(path)
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("x/data.pkl", b"]" * 10**6)
    with pytest.raises(
        ArtifactError, match=r"compressed or encrypted member data\.pkl"
    ):
        read_archive(tmp_path / "bomb")


def test_changed_numbers_do_not_match_their_checksum(archive) -> None:
    path = archive(tensor(0, (6,), (1,)), SIX)
    path.write_bytes(path.read_bytes().replace(SIX["data/0"], bytes(24)))
    with pytest.raises(ArtifactError, match="Bad CRC-32"):
        read_archive(path)


def test_archives_that_torch_does_not_write(archive, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="a big-endian machine"):
        read_archive(archive(b"].", {"byteorder": b"big"}))
    with pytest.raises(ArtifactError, match="TorchScript"):
        read_archive(archive(b"].", {"constants.pkl": b")."}))
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(b"].", {"data.pkl": b"."})
    with pytest.raises(ArtifactError, match="two members of the same name"):
        read_archive(path)
    with zipfile.ZipFile(tmp_path / "two", "w") as stream:
        stream.writestr("a/data.pkl", b"].")
        stream.writestr("b/data/0", b"")
    with pytest.raises(ArtifactError, match="a zip archive of another program"):
        read_archive(tmp_path / "two")


def test_a_pickle_that_is_too_large(archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_archive, "_MAX_PICKLE", 1)
    with pytest.raises(ArtifactError, match="a pickle of more than 1 GiB"):
        read_archive(archive(b"]."))
