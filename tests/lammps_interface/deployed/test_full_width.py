"""Conversion at full width: seconds, and a file that can be sent around."""

import time

import pytest
import torch

from lamplighter.lammps_interface import bundle
from lamplighter.lammps_interface.convert import convert
from lamplighter.model import HeadSpec, Potential, PotentialConfig, save_potential

ELEMENTS = ("O", "Mg", "Si")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wide_potential_is_converted_in_seconds(tmp_path, dtype):
    """The shape of MACE-MH-1: 512 channels, 128 on edges; random weights."""
    torch.manual_seed(3)
    energies = dict.fromkeys(ELEMENTS, -3.0)
    head = HeadSpec(name="a", level_of_theory="PBE", reference_energies=energies)
    config = PotentialConfig(
        elements=ELEMENTS, heads=(head,), cutoff=6.0, channels=512, edge_channels=128
    )
    path = tmp_path / "wide.safetensors"
    save_potential(Potential(config).double(), path, provenance={})
    begin = time.process_time()
    file = convert(path, "a", ELEMENTS, tmp_path / "wide.pt", dtype)
    seconds = time.process_time() - begin
    size = file.stat().st_size / 1e6
    header = bundle.read(file).header
    assert header.not_compiled == ""
    assert header.compiled["forces"] < header.compiled["forces_tolerance"]
    assert size < 100.0, f"{size:.0f} MB"
    # of one processor; twice the target, because a loaded machine is slower
    assert seconds < 40.0, f"{seconds:.0f} s"
