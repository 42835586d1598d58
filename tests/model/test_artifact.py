"""Model files: whole or refused, and a part of a model is exactly that part."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

from lamplighter.errors import ArtifactError, ConfigError, LamplighterError
from lamplighter.model import (
    Calculator,
    Potential,
    load_potential,
    read_header,
    save_potential,
    select,
)
from lamplighter.model.upgrade import FORMAT_VERSION


@pytest.fixture
def file(potential: Potential, tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_potential(potential, path, {"seed": 7})
    return path


def edit_header(path: Path, **changes: object) -> None:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    outer = json.loads(content[8 : 8 + length])
    header = {**json.loads(outer["__metadata__"]["lamplighter"]), **changes}
    outer["__metadata__"]["lamplighter"] = json.dumps(header)
    text = json.dumps(outer).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])


def test_round_trip_gives_the_same_numbers(
    potential: Potential, file: Path, crystal: Atoms
) -> None:
    again = load_potential(file)
    values = []
    for p in (potential, again):
        crystal.calc = Calculator(p, "pbe")
        values.append((crystal.get_potential_energy(), crystal.get_forces()))
    assert values[0][0] == pytest.approx(values[1][0], abs=1e-12)
    np.testing.assert_allclose(values[0][1], values[1][1], atol=1e-14)
    header = read_header(file)
    assert header.config == potential.config
    assert header.provenance == {"seed": 7}
    assert header.format_version == FORMAT_VERSION


def test_dtype_is_chosen_at_load(file: Path) -> None:
    assert load_potential(file, "float32").dtype == torch.float32
    with pytest.raises(ConfigError, match="float32 or float64"):
        load_potential(file, "float16")


def test_truncated_file(file: Path) -> None:
    content = file.read_bytes()
    for size in (0, 5, 100, len(content) - 1):
        file.write_bytes(content[:size])
        with pytest.raises(ArtifactError, match=r"truncated|not a lamplighter"):
            load_potential(file)


def test_changed_tensor(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match="damaged"):
        load_potential(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04zip", "zip"),
        (b"\x80\x02pickle", "pickle"),
        (b"hello world!", "format"),
    ],
)
def test_foreign_file(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        load_potential(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be read"):
        load_potential(tmp_path / "none")


def test_newer_format(file: Path) -> None:
    edit_header(file, format_version=FORMAT_VERSION + 1)
    with pytest.raises(ArtifactError, match="upgrade lamplighter"):
        read_header(file)


def test_other_couplings(file: Path) -> None:
    couplings = list(read_header(file).coupling)
    couplings[3] *= -1
    edit_header(file, coupling=couplings)
    with pytest.raises(ArtifactError, match="coupling"):
        load_potential(file)


def test_other_kind_and_missing_key(file: Path) -> None:
    edit_header(file, config={"elements": ["O"]})
    with pytest.raises(ArtifactError, match="incomplete"):
        load_potential(file)
    edit_header(file, kind="a recipe")
    with pytest.raises(ArtifactError, match=r"something else.*recipe"):
        load_potential(file)


def test_nothing_is_left_of_a_failed_write(
    potential: Potential, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="folder does not exist"):
        save_potential(potential, tmp_path / "none" / "m.safetensors")
    (tmp_path / "taken").mkdir()
    with pytest.raises(LamplighterError, match="not written"):
        save_potential(potential, tmp_path / "taken")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_selected_part_is_exact(potential: Potential, crystal: Atoms) -> None:
    part = select(potential, "other", ["O", "Mg", "H"])
    crystal.calc = Calculator(potential, "other")
    whole = crystal.get_potential_energy(), crystal.get_forces(), crystal.get_stress()
    crystal.calc = Calculator(part)
    assert crystal.get_potential_energy() == pytest.approx(whole[0], abs=1e-12)
    np.testing.assert_allclose(crystal.get_forces(), whole[1], atol=1e-13)
    np.testing.assert_allclose(crystal.get_stress(), whole[2], atol=1e-13)
    oxide = crystal[:-1]
    smaller = select(potential, "other", ["Mg", "O"])
    oxide.calc = Calculator(potential, "other")
    expected = oxide.get_potential_energy()
    oxide.calc = Calculator(smaller)
    assert oxide.get_potential_energy() == pytest.approx(expected, abs=1e-12)
    assert smaller.config.elements == ("O", "Mg")


@pytest.mark.parametrize("elements", [["Si"], [], ["O", "O"]])
def test_impossible_selection(potential: Potential, elements: list[str]) -> None:
    with pytest.raises(ConfigError, match="cannot select elements"):
        select(potential, "pbe", elements)


def test_calculator_names_its_heads(potential: Potential, file: Path) -> None:
    with pytest.raises(ConfigError, match="'pbe', 'other'"):
        Calculator(file, head="rpbe")
    with pytest.raises(ConfigError, match="a head must be named"):
        Calculator(potential)


def test_calculator_properties(file: Path, crystal: Atoms, molecule: Atoms) -> None:
    crystal.calc = Calculator(file, "pbe", dtype="float32")
    energies = crystal.get_potential_energies()
    assert energies.sum() == pytest.approx(crystal.get_potential_energy(), abs=1e-9)
    molecule.calc = Calculator(file, "pbe")
    assert molecule.get_forces().shape == (4, 3)
    assert "stress" not in molecule.calc.results


def test_calculator_leaves_the_potential_of_its_caller_alone(
    potential: Potential, crystal: Atoms
) -> None:
    crystal.calc = Calculator(potential, "pbe", dtype="float32")
    crystal.get_potential_energy()
    assert potential.dtype == torch.float64
