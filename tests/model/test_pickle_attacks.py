"""Files that want something run, or more memory than they have: refused, by name."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from hand_pickles import Call, Stored, pickled
from torch import nn

from lamplighter.errors import ArtifactError, UnsafeFileError
from lamplighter.model import pickle_machine
from lamplighter.model.inert import Record, Reference
from lamplighter.model.pickle_records import (
    attribute,
    read_checkpoint,
)
from lamplighter.model.torch_archive import read_archive

FILES = Path(__file__).with_name("mace_files")


@pytest.fixture
def sentinel(tmp_path: Path) -> Path:
    return tmp_path / "sentinel"


def attacks(sentinel: Path) -> dict[str, tuple[object, str]]:
    """Name of an attack -> what it pickles, and the function that must be named."""
    touch = f"touch {sentinel}"
    write = f"__import__('pathlib').Path({str(sentinel)!r}).touch()"
    system = os.system.__module__ + ".system"
    evil = Call(os.system, touch)
    module = nn.Sequential(nn.Sequential())
    module[0].note = evil
    hook = nn.Sequential()
    hook._forward_hooks[0] = evil
    return {
        "reduce": (evil, system),
        "state of a module": (module, system),
        "hook": (hook, system),
        "key": ({evil: 1}, system),
        "argument": (Call(torch.device, evil), system),
        "persistent identifier": (Stored(("storage", evil, "0", "cpu", 1)), system),
        "eval": (Call(builtins.eval, write), "builtins.eval"),
        "exec": (Call(builtins.exec, write), "builtins.exec"),
        "import": (Call(builtins.__import__, "antigravity"), "builtins.__import__"),
        "open": (Call(builtins.open, str(sentinel), "w"), "open"),
        "subprocess": (Call(subprocess.Popen, ["touch", str(sentinel)]), "Popen"),
        "importlib": (Call(importlib.import_module, "os"), "importlib.import_module"),
        "pickle": (Call(pickle.loads, pickled(evil)), "pickle.loads"),
        "own class": (Call(Call, 1), "Call"),
    }


@pytest.mark.parametrize("name", sorted(attacks(Path("x"))))
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_would_be_run_is_refused_by_name(
    archive, sentinel: Path, name: str, protocol: int
) -> None:
    value, named = attacks(sentinel)[name]
    with pytest.raises(UnsafeFileError, match=rf"{named}.*nothing|nothing.*{named}"):
        read_checkpoint(archive(pickled(value, protocol)))
    assert not sentinel.exists()
    assert UnsafeFileError.exit_code == 2


def test_the_attacks_work_on_pickle_itself(sentinel: Path) -> None:
    for name in ("reduce", "state of a module", "hook", "argument", "eval", "exec"):
        with contextlib.suppress(TypeError, RuntimeError):
            pickle.loads(pickled(attacks(sentinel)[name][0]))
        assert sentinel.exists()
        sentinel.unlink()


@pytest.mark.parametrize(
    "content",
    [
        b"(S'true'\nios\nsystem\n.",
        b"(cos\nsystem\nS'true'\no.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        b"\x80\x04cos\nsystem\nX\x04\x00\x00\x00true\x85}\x92.",
        b"cos\nsystem\n.",
        b"c__builtin__\neval\n.",
    ],
)
def test_every_opcode_that_names_is_watched(archive, content: bytes) -> None:
    with pytest.raises(UnsafeFileError, match=r"os\.system|builtins\.eval"):
        read_checkpoint(archive(content))


@pytest.mark.parametrize(
    "content",
    [
        b"cbuiltins\ngetattr\nctorch\nhub\nS'load'\n\x86R.",
        b"cbuiltins\ngetattr\nctorch._C\n_VariableFunctionsClass\nI1\n\x86R.",
        b"cbuiltins\ngetattr\n)R.",
    ],
)
def test_attributes_are_not_looked_up(archive, content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"builtins\.getattr on something else"):
        read_checkpoint(archive(content))


def test_built_in_functions_of_torch_become_names(archive) -> None:
    module = nn.Module()
    module.function = torch.tanh
    record = read_checkpoint(archive(pickled(module)))
    assert attribute(record, "function") == Reference("torch", "tanh")


def test_functions_of_admitted_packages_stay_inert(archive, sentinel: Path) -> None:
    module = nn.Module()
    module.save = Call(np.savetxt, str(sentinel), [1.0])
    module.load = Call(torch.hub.load, str(sentinel.parent), "x")
    pickle.loads(pickled(module.save))
    assert sentinel.exists()
    sentinel.unlink()
    state = read_checkpoint(archive(pickled(module))).state
    assert not sentinel.exists()
    assert isinstance(state["save"], Record)
    assert state["load"].class_name == "torch.hub.load"
    assert state["load"].args == (str(sentinel.parent), "x")


def test_names_are_shown_without_control_characters(archive) -> None:
    content = pickled("x")[:-1] + b"c\x1b[2Jevil" + b"e" * 200 + b"\nf\n."
    with pytest.raises(UnsafeFileError) as caught:
        read_checkpoint(archive(content))
    assert r"\x1b[2Jevil" in str(caught.value)
    assert len(str(caught.value)) < 600
    assert "\x1b" not in str(caught.value)


def test_attributes_of_containers_are_not_set(archive) -> None:
    content = b"ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00clearNsb."
    got = read_archive(archive(content))
    assert got == {}
    assert got.clear is not None


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b".", "takes more than it has put"),
        (b"0.", "closes what it has not opened"),
        (b"(" * 1001, "nested more than 1000 deep"),
        (b"t.", "closes what it has not opened"),
        (b"h\x05.", "a reference to an object that is not there"),
        (b"K\x01K\x02a.", "appended to a value of type int"),
        (b"K\x01(K\x02\x90.", "added to a value of type int"),
        (b"K\x01K\x02K\x03s.", "an item set in a value of type int"),
        (b"(K\x01d.", "a key without a value"),
        (b"}K\x01\x85\x85K\x01s.", "a key that is a value of type tuple"),
        (b"(]\x91.", "a key that is a value of type list"),
        (b"K\x01K\x02\x93.", "a name that is a value of type int"),
        (b"K\x01)R.", "a call of a value of type int"),
        (b"ctorch\nSize\nK\x01R.", r"a call of torch\.Size"),
        (b"(o.", "a call of a value of type NoneType"),
        (b"ctorch\nTensor\n)}K\x01K\x02s\x92.", "keyword arguments"),
        (b"ctorch\nTensor\n}b.", r"attributes set on torch\.Tensor"),
        (b"ctorch\nfloat32\n}b.", "attributes set on a value of type dtype"),
        (b"\x82\x01.", "the opcode EXT1"),
        (b"Pid\n.", "the opcode PERSID"),
        (b"\xff.", "a malformed pickle"),
        (b"K\x01", "a malformed pickle"),
        (b"ctorch\nSi\\(ze\nK\x01R.", r"a call of torch\.Si\\\\\(ze"),
        (b"", "a malformed pickle"),
        (b"I" + b"9" * 5000 + b"\n.", "a malformed pickle"),
        (b"X\xff\xff\xff\x7fshort.", "a malformed pickle"),
        (b"K\x01Q.", "an external object that is no storage"),
        (b"c_codecs\nencode\nX\x01\x00\x00\x00xX\x04\x00\x00\x00zlib\x86R.", "encoded"),
        (pickled(Call(torch._utils._rebuild_parameter, 1)), "without a tensor"),
        (pickled(Call(torch._utils._rebuild_tensor_v2, 1)), "without a storage"),
        (pickled(Call(torch._utils._rebuild_tensor_v3, 1)), "without a storage or"),
        (pickled(Call(torch.Size, 1)), "a shape that is a value of type int"),
        (pickled(Call(torch.Size, (-1,))), "a value of type int in its shape"),
        (pickled(Call(torch.Size, (True,))), "a value of type bool in its shape"),
    ],
)
def test_malformed_pickles(archive, content: bytes, match: str) -> None:
    with pytest.raises(ArtifactError, match=match) as caught:
        read_archive(archive(content))
    assert "file.model is damaged" in str(caught.value)


def test_bytes_beyond_latin_1(archive) -> None:
    text = "€".encode()
    content = b"c_codecs\nencode\nX\x03\x00\x00\x00" + text
    content += b"X\x06\x00\x00\x00latin1\x86R."
    with pytest.raises(ArtifactError, match="bytes beyond 255"):
        read_archive(archive(content))


def test_numbers_of_numpy_that_are_too_short(archive) -> None:
    content = pickled(np.float64(1.0)).replace(b"latin1q", b"latin1q")
    short = Call(np.float64(1.0).__reduce__()[0], np.dtype("f8"), b"\0")
    assert read_archive(archive(content)) == 1.0
    with pytest.raises(ArtifactError, match="a damaged number of numpy"):
        read_archive(archive(pickled(short)))


def test_too_many_steps(archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_machine, "MAX_STEPS", 10)
    assert read_archive(archive(b"]" * 9 + b".")) == []
    with pytest.raises(ArtifactError, match="more than 10 steps"):
        read_archive(archive(b"]" * 10 + b"."))


def test_one_long_list_does_not_fill_the_memory(archive) -> None:
    """A list of 20,000 numbers, copied into 400 tuples: 8 million from 50 kB."""
    long = b"(" + b"K\x01" * 20_000 + b"lq\x00"
    copies = b"cbuiltins\ntuple\nh\x00\x85R"
    assert len(read_archive(archive(b"(" + long + copies * 10 + b"l."))) == 11
    with pytest.raises(ArtifactError, match="more content than the whole pickle"):
        read_archive(archive(b"(" + long + copies * 400 + b"l."))


def test_long_keys_are_refused(archive) -> None:
    assert read_archive(archive(pickled({(1,) * 64: 2}))) == {(1,) * 64: 2}
    with pytest.raises(ArtifactError, match="a key of 65 parts"):
        read_archive(archive(pickled({(1,) * 65: 2})))


def test_deep_values_are_no_problem(archive) -> None:
    deep = read_archive(archive(b")" + b"\x85" * 20_000 + b"."))
    assert isinstance(deep, tuple)
    with pytest.raises(ArtifactError, match="a value of type tuple"):
        read_checkpoint(archive(b")" + b"\x85" * 20_000 + b"."))


def test_files_for_lammps_are_told_apart(archive) -> None:
    with pytest.raises(ArtifactError, match="made for LAMMPS"):
        read_checkpoint(archive(b"clamplighter.lammps_interface.loading\nload\n."))
