"""Damaged checkpoints give one clear error each, whatever the damage."""

from __future__ import annotations

import io
import lzma
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from lamplighter.errors import ArtifactError, LamplighterError
from lamplighter.model.pickle_records import (
    compiled_tensors,
    module_tensors,
    read_checkpoint,
    submodule,
)

FILES = Path(__file__).with_name("mace_files")
quick = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def small_model() -> bytes:
    """Return a checkpoint with views, a parameter list, and a script in bytes."""
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), script)
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    module[0].weight = nn.Parameter(torch.arange(6.0).reshape(2, 3).T)
    module[1].average = np.float64(2.5)
    module.__dict__["__codegen__"] = {"main": script.getvalue()}
    stream = io.BytesIO()
    torch.save(module, stream)
    return stream.getvalue()


def use(path: Path) -> None:
    """Read all that an import reads."""
    record = read_checkpoint(path)
    module_tensors(record)
    compiled_tensors(record)
    submodule(record, "0")


@quick
@given(st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_gives_one_error(tmp_path: Path, part: float) -> None:
    content = lzma.decompress((FILES / "two_heads.model.xz").read_bytes())
    path = tmp_path / "cut.model"
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ArtifactError, match=r"^cut\.model cannot be imported"):
        read_checkpoint(path)


SMALL = small_model()


@quick
@given(data=st.data())
def test_flipped_bytes_give_errors_of_our_own(tmp_path: Path, data) -> None:
    content = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(
            st.integers(1, 255)
        )
    path = tmp_path / "flipped.model"
    path.write_bytes(bytes(content))
    try:
        use(path)
    except LamplighterError as error:
        assert str(error)  # noqa: PT017  (not every flip must be an error)


@settings(quick, max_examples=200)
@given(data=st.data())
def test_flipped_bytes_in_the_pickle_itself(tmp_path: Path, data) -> None:
    path = tmp_path / "flipped.model"
    with zipfile.ZipFile(io.BytesIO(SMALL)) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            content = bytearray(old.read(member))
            if member.endswith("data.pkl"):
                for _ in range(data.draw(st.integers(1, 3))):
                    place = data.draw(st.integers(0, len(content) - 1))
                    content[place] = data.draw(st.integers(0, 255))
            new.writestr(member, bytes(content))
    try:
        use(path)
    except LamplighterError as error:
        assert str(error)  # noqa: PT017  (not every flip must be an error)
