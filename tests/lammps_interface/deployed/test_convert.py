"""Conversion: what the file holds, what is refused, what is never left behind."""

import subprocess
import sys

import pytest
import torch

import lamplighter
from lamplighter.errors import (
    ArtifactError,
    CheckFailedError,
    ConfigError,
)
from lamplighter.files import sha256_file
from lamplighter.lammps_interface import bundle, selfcheck
from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.selfcheck import TOLERANCES, check_structures


def test_header(model):
    header = bundle.read(model.float64).header
    assert header.model_sha256 == sha256_file(model.path)
    assert header.model_name == "tiny.safetensors"
    assert (header.head, header.level_of_theory) == ("pbe", "PBE")
    assert (header.dispersion, header.licence) == ("none", "CC-BY-4.0")
    assert set(header.elements) == {"O", "Mg"}
    assert (header.cutoff, header.n_layers, header.dtype) == (4.0, 2, "float64")
    assert header.message_width == 4 * 8  # s and p components of 8 edge channels
    assert (header.units, header.kind) == ("metal", "mliap")
    assert header.lamplighter_version == lamplighter.__version__
    assert header.torch_version == torch.__version__


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_self_check_is_recorded(model, dtype):
    check = bundle.read(getattr(model, dtype)).header.self_check
    for name, limit in TOLERANCES[dtype].items():
        assert check[f"{name}_tolerance"] == limit
        assert 0 < check[name] < limit
    assert check["n_structures"] == 5


def test_check_structures_hold_every_element():
    elements = ["H", "C", "N", "O", "F", "Na", "Mg", "Al", "Si"]
    dense = [atoms for atoms in check_structures(elements) if len(atoms) > 1]
    isolated = [atoms for atoms in check_structures(elements) if len(atoms) == 1]
    assert {symbol for atoms in dense for symbol in atoms.symbols} == set(elements)
    assert [str(atoms.symbols) for atoms in isolated] == elements
    for atoms in dense:
        assert min(atoms.get_all_distances(mic=True)[0, 1:]) > 0.9


def test_same_input_same_file(model, tmp_path):
    again = convert(model.path, "pbe", ["Mg", "O"], tmp_path / "again.pt")
    assert again.read_bytes() == model.compiled64.read_bytes()


def test_disagreement_writes_no_file(model, tmp_path, monkeypatch):
    # Spoil what LAMMPS would hold by a rounding that float64 must not show.
    genuine = selfcheck.MliapModel.evaluate

    def spoiled(self, data):
        widths = genuine(self, data)
        data.f += 1e-6
        return widths

    monkeypatch.setattr(selfcheck.MliapModel, "evaluate", spoiled)
    with pytest.raises(CheckFailedError, match="disagrees with its source in forces"):
        convert(model.path, "pbe", ["Mg", "O"], tmp_path / "m.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("head", "elements", "message"),
    [
        ("pbe0", ["Mg", "O"], "(?s)pbe0.*scan"),
        (
            "pbe",
            ["Mg", "Xe"],
            "the model lacks an element; got: Xe; wanted: some of H O",
        ),
        ("pbe", ["Xx", "Xe"], "the model lacks elements; got: Xx Xe"),
        ("scan", ["O", "H"], "head 'scan' lacks an element; got: H"),
        ("pbe", ["O", "Mg", "O"], "given twice; got: O"),
        ("pbe", [], "no elements"),
    ],
)
def test_bad_request(model, tmp_path, head, elements, message):
    with pytest.raises(ConfigError, match=message):
        convert(model.path, head, elements, tmp_path / "m.pt")
    assert list(tmp_path.iterdir()) == []


def test_bad_dtype(model, tmp_path):
    with pytest.raises(ConfigError, match="unknown dtype; got: 'float16'"):
        convert(model.path, "pbe", ["O"], tmp_path / "m.pt", dtype="float16")


def test_missing_folder(model, tmp_path):
    with pytest.raises(ConfigError, match=r"folder does not exist.*mkdir -p"):
        convert(model.path, "pbe", ["O"], tmp_path / "absent" / "m.pt")


def test_missing_model(tmp_path):
    with pytest.raises(ArtifactError):
        convert(tmp_path / "absent.safetensors", "pbe", ["O"], tmp_path / "m.pt")


def test_truncated_model(model, tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(model.path.read_bytes()[:-100])
    with pytest.raises(ArtifactError):
        convert(broken, "pbe", ["O"], tmp_path / "m.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.safetensors"]


def test_converted_file_as_model(model, tmp_path):
    with pytest.raises(ArtifactError):
        convert(model.float64, "pbe", ["O"], tmp_path / "m.pt")


FULL_DISK = """
import resource, sys
from lamplighter.errors import LamplighterError
from lamplighter.lammps_interface.convert import convert
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    convert(sys.argv[1], "pbe", ["Mg", "O"], sys.argv[2])
except LamplighterError as error:
    sys.exit(str(error))
"""


def test_full_disk_leaves_the_old_file(model, tmp_path):
    """A limit on the file size stands in for a full disk: the write fails half-way."""
    out = tmp_path / "m.pt"
    out.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, model.path, out],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert "m.pt was not written" in done.stderr
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("m.pt", b"old")]
