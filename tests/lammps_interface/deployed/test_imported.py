"""Checkpoints of mace-torch, imported and converted, in the stock `lmp`."""

import numpy as np
import pytest

import lamplighter
from lamplighter.lammps_interface.convert import convert
from lamplighter.model import load_potential, save_potential
from lamplighter.model.mace_import import import_mace

GPA = 160.2176634  # per eV/Å^3


@pytest.mark.mpi
@pytest.mark.parametrize(
    ("name", "conditions"),
    [
        ("mh1-narrow-old", {}),
        ("three-layers", {}),
        ("degree-3", {}),
        ("v0.3.6-plain-then-residual", {}),
        ("embedding-readout", {"total_charge": -1.0, "total_spin": 2.0}),
    ],
)
def test_one_and_two_ranks_equal_ase(
    lammps, structures, checkpoint, tmp_path, name, conditions
):
    path = tmp_path / "model.safetensors"
    save_potential(import_mace(checkpoint(name)).potential, path)
    head = load_potential(path).config.heads[-1].name
    out = tmp_path / "m.pt"
    file = convert(path, head, ["O", "Mg"], out, conditions=conditions, tables=False)
    chosen = {k: structures[k] for k in ("tilted", "slab", "far pair", "isolated O")}
    one, two = lammps(chosen, file), lammps(chosen, file, ranks=2)
    largest = 0.0
    for label, found in [*one.items(), *two.items()]:
        atoms = chosen[label].copy()
        atoms.info |= conditions
        atoms.calc = lamplighter.Calculator(path, head=head)
        energies, forces = atoms.get_potential_energies(), atoms.get_forces()
        np.testing.assert_allclose(found.energies, energies, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.forces, forces, rtol=0, atol=1e-8)
        stress = atoms.get_stress(voigt=False)
        np.testing.assert_allclose(found.stress * GPA, stress * GPA, rtol=0, atol=1e-6)
        largest = max(largest, np.abs(forces).max())
    assert largest > 0.1
