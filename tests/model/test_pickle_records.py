"""Checkpoints of mace-torch: every tensor and setting is read, nothing is built."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from lamplighter.errors import ArtifactError
from lamplighter.model import Potential, pickle_records, save_potential
from lamplighter.model.pickle_builders import BUILDERS, CONSTANTS
from lamplighter.model.pickle_machine import PickleMachine
from lamplighter.model.pickle_records import (
    Record,
    Reference,
    attribute,
    children,
    compiled_tensors,
    irreps,
    module_state,
    module_tensors,
    read_checkpoint,
    submodule,
)
from lamplighter.model.torch_archive import read_archive, read_script

FILES = Path(__file__).with_name("mace_files")


@pytest.fixture
def unpack(tmp_path: Path):
    def unpack_file(name: str) -> Path:
        path = tmp_path / f"{name}.model"
        path.write_bytes(lzma.decompress((FILES / f"{name}.model.xz").read_bytes()))
        return path

    return unpack_file


@pytest.fixture
def saved(tmp_path: Path):
    def save(value: object, **options: object) -> Path:
        path = tmp_path / "value.model"
        torch.save(value, path, **options)
        return path

    return save


@pytest.mark.parametrize("name", ["two_heads", "nonlinear"])
def test_all_tensors_are_those_of_the_model(unpack, name: str) -> None:
    record = read_checkpoint(unpack(name))
    found = {**module_tensors(record), **compiled_tensors(record)}
    for key, (dtype, shape, digest) in json.loads(
        (FILES / f"{name}.json").read_text()
    ).items():
        tensor = found.pop(key)
        assert [str(tensor.dtype), list(tensor.shape)] == [dtype, shape], key
        content = tensor.contiguous().numpy().tobytes()
        assert hashlib.sha256(content).hexdigest()[:16] == digest, key
    assert not found


def test_settings_and_names_of_a_model(unpack) -> None:
    record = read_checkpoint(unpack("two_heads"))
    assert record.class_name == "mace.modules.models.ScaleShiftMACE"
    assert repr(record) == "<record of mace.modules.models.ScaleShiftMACE>"
    assert attribute(record, "heads") == ["low", "high"]
    assert attribute(record, "r_max").item() == 4.0
    assert attribute(record, "training") is True
    assert attribute(record, "apply_cutoff") is True
    assert attribute(record, "embedding_specs", None) is None
    first = submodule(record, "interactions.0")
    assert first is attribute(submodule(record, "interactions"), "0")
    average = attribute(first, "avg_num_neighbors")
    assert (type(average), average) == (float, 7.5)
    hidden = attribute(first, "hidden_irreps")
    assert hidden.class_name == "e3nn.o3._irreps.Irreps"
    assert irreps(hidden) == ((2, 0, 1), (2, 1, -1))
    act = submodule(record, "readouts.1.non_linearity.acts.0")
    assert attribute(act, "f") == Reference("torch.nn.functional", "silu")
    assert "pair_repulsion_fn" in children(record)


def test_traced_modules_have_their_attributes_as_state(unpack) -> None:
    record = read_checkpoint(unpack("two_heads"))
    contraction = submodule(record, "products.0.symmetric_contractions.contractions.0")
    traced = submodule(contraction, "graph_opt_main")
    assert traced.class_name == "torch.fx.graph_module.GraphModule"
    assert "_code" in module_state(traced)


def assorted_module() -> nn.Module:
    """Views, shared storages, tensors with attributes, unusual types, no numbers."""
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ParameterList())
    base = torch.arange(24, dtype=torch.float32)
    module[0].weight = nn.Parameter(base[4:16].reshape(3, 4).T)
    module[0].bias.note = "a parameter with state"
    marked = base[::5].clone()
    marked.note = "a tensor with state"
    module[1].register_buffer("marked", marked)
    module[1].register_buffer("hidden", base[16:], persistent=False)
    module[1].register_buffer("none", None)
    module[1].register_buffer("empty", torch.zeros(0, 3))
    module[1].register_buffer("scalar", torch.tensor(True))
    for dtype in (torch.float16, torch.bfloat16, torch.complex64, torch.int8):
        module[2].append(nn.Parameter(torch.ones(2, 1).to(dtype), requires_grad=False))
    module[2].register_buffer("buffer", nn.Buffer(torch.ones(3)))
    return module


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_modules_of_torch_itself(saved, protocol: int) -> None:
    module = assorted_module()
    record = read_checkpoint(saved(module, pickle_protocol=protocol))
    found = module_tensors(record)
    assert torch.equal(found.pop("1.hidden"), module[1].hidden)
    expected = module.state_dict()
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        assert type(found[key]) is torch.Tensor
        assert torch.equal(found[key], value), key
    assert compiled_tensors(record) == {}


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary()
    | st.sets(st.integers() | st.text())
    | st.frozensets(st.tuples(st.integers(), st.text())),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner)
        | st.tuples(inner, inner, inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(value=plain, protocol=st.integers(0, 5))
def test_plain_values_are_what_pickle_makes_of_them(value, protocol: int) -> None:
    machine = PickleMachine(
        source="it",
        check=lambda _module, _name: None,
        builders=BUILDERS,
        constants=CONSTANTS,
        load=lambda _: None,
    )
    assert machine.run(pickle.dumps([value, value], protocol)) == [value, value]


def test_further_plain_values(saved) -> None:
    shared: list[object] = []
    value = [
        *(OrderedDict(a=1), torch.Size([2, 3]), torch.float32, slice(1, None, 2)),
        *(
            np.float32(0.5),
            np.int64(-3),
            np.bool_(True),
            np.str_("été"),
            np.bytes_(b"x"),
        ),
        *(shared, shared, torch.device("cpu"), np.ones(2), list, bytearray(b"ab")),
    ]
    got = read_archive(saved(value))
    assert got[:9] == [
        *({"a": 1}, (2, 3), torch.float32, slice(1, None, 2), 0.5, -3, True),
        *("été", b"x"),
    ]
    assert [type(one) for one in got[4:9]] == [float, int, bool, str, bytes]
    assert got[9] is got[10]
    assert got[11].class_name == "torch.device"
    assert got[12].name == "_reconstruct"
    assert got[13] == Reference("builtins", "list")
    assert got[14].class_name == "builtins.bytearray"


def test_records_keep_what_would_be_added_to_them(saved) -> None:
    from collections import Counter, defaultdict, deque

    counter, queue, default = read_archive(
        saved([Counter("aab"), deque([1, 2]), defaultdict(list, a=1)])
    )
    assert counter.args == ({"a": 2, "b": 1},)
    assert queue.entries == [1, 2]
    assert default == {"a": 1}


def scripted() -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Sequential(nn.Linear(2, 1))), stream)
    return stream.getvalue()


def test_script_has_its_tensors() -> None:
    script = read_script(scripted(), "a script")
    module = Record("e3nn", "Linear", (), {"__codegen__": {"main": scripted()}})
    assert script.module.startswith("__torch__")
    shapes = {
        key: tuple(value.shape) for key, value in compiled_tensors(module).items()
    }
    assert shapes == {"main.0.weight": (1, 2), "main.0.bias": (1,)}


def legacy(path: Path) -> None:
    torch.save(nn.Linear(1, 1), path, _use_new_zipfile_serialization=False)


def other_zip(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), a=np.ones(2))
    path.with_suffix(".npz").rename(path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (lzma.compress(b"x"), "decompress it first"),
        (pickle.dumps([1], protocol=4), "bare Python pickle"),
        (b"hello world, no model", "another format"),
        (b"PK\x03\x04 and no end", "truncated or damaged archive"),
        (legacy, "torch before 1.6"),
        (lambda p: save_file({"a": torch.ones(1)}, p), "safetensors without"),
        (other_zip, "zip archive of another program"),
        (lambda p: p.write_bytes(scripted()), "TorchScript"),
        (lambda p: torch.save(nn.Linear(1, 1).state_dict(), p), "a state dict"),
        (lambda p: torch.save({"model": {}, "optimizer": {}}, p), "a training run"),
        (lambda p: torch.save([1], p), "a value of type list"),
        (lambda p: torch.save(nn.functional.silu, p), r"torch\.nn\.functional\.silu"),
        (lambda p: p.mkdir(), "a folder or a device"),
        (lambda _: None, "No such file"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content, match: str) -> None:
    path = tmp_path / "other.model"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    with pytest.raises(ArtifactError, match=match) as caught:
        read_checkpoint(path)
    assert "other.model" in str(caught.value)


def test_own_model_needs_no_import(potential: Potential, tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_potential(potential, path)
    with pytest.raises(ArtifactError, match=r"a Lamplighter model.*use it as it is"):
        read_checkpoint(path)


def test_unfit_records() -> None:
    empty = Record("torch.nn", "Module", (), {"_modules": {}, "_parameters": {}})
    with pytest.raises(ArtifactError, match="has no submodule readouts"):
        submodule(empty, "readouts.0")
    with pytest.raises(ArtifactError, match="has no attribute heads"):
        attribute(empty, "heads")
    with pytest.raises(ArtifactError, match=r"torch\.device has no attributes"):
        module_state(Record("torch", "device", ("cpu",)))
    with pytest.raises(ArtifactError, match="type list as _modules"):
        children(Record("torch.nn", "Module", (), {"_modules": []}))
    wrong = Record("torch.nn", "Module", (), {"_parameters": {"w": 1.0}})
    with pytest.raises(ArtifactError, match="a value of type float as w"):
        module_tensors(wrong)
    with pytest.raises(ArtifactError, match="type str as compiled code"):
        compiled_tensors(Record("e3nn", "Linear", (), {"__codegen__": {"main": ""}}))
    with pytest.raises(ArtifactError, match="type str is not what e3nn saves"):
        irreps("2x0e")
    with pytest.raises(ArtifactError, match=r"type int is not .* a part of irreps"):
        irreps(Record("e3nn.o3._irreps", "Irreps", ((1, 2),)))
    assert irreps(Record("e3nn.o3._irreps", "Irreps", ((),))) == ()
    assert module_state(Record("a", "B", (), ({"x": 1}, {"slot": 2}))) == {"x": 1}


def test_modules_that_contain_themselves() -> None:
    loop = Record("torch.nn", "Module", (), {"_modules": {}})
    loop.state["_modules"]["again"] = loop
    with pytest.raises(ArtifactError, match="contains itself"):
        module_tensors(loop)


def test_modules_that_are_shared_exponentially(monkeypatch) -> None:
    monkeypatch.setattr(pickle_records, "_MAX_MODULES", 1000)
    module = Record("torch.nn", "Module", (), {"_modules": {}})
    for _ in range(40):
        module = Record(
            "torch.nn", "Module", (), {"_modules": {"a": module, "b": module}}
        )
    with pytest.raises(ArtifactError, match="more modules than a model has"):
        module_tensors(module)


def test_script_without_a_module(saved) -> None:
    with pytest.raises(ArtifactError, match=r"type list.*compiled module"):
        read_script(saved([1]).read_bytes(), "a script")
