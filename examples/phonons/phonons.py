"""Phonons of MgO three ways: LAMMPS' dynamical_matrix, phonoLAMMPS, `lamplighter`.

Run `lmp -in in.lammps` first. frequencies.json gets all modes of the supercell from
LAMMPS, and from phonoLAMMPS where it is installed; and those at named wave vectors from
lamplighter. All in THz.
"""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from ase.io import read

from lamplighter import Calculator
from lamplighter.resources import base_model
from lamplighter.validation.engines import AseEngine
from lamplighter.validation.properties import phonon
from lamplighter.validation.properties.phonon import PhononSettings


def signed_roots(squares: np.ndarray) -> np.ndarray:
    """Frequencies whose squares are given; imaginary ones negative."""
    return np.sort(np.sign(squares) * np.sqrt(np.abs(squares)))


def from_lammps() -> np.ndarray:
    """Frequencies of the supercell from dynmat.dat, in THz."""
    matrix = np.loadtxt("dynmat.dat").reshape(192, 192)
    # eskm: 10 J/(mol Å^2 g), which are (1e12/s)^2
    return signed_roots(np.linalg.eigvalsh((matrix + matrix.T) / 2)) / (2 * np.pi)


def from_phonolammps() -> np.ndarray:
    """The same from the force constants of phonoLAMMPS."""
    from phonolammps import Phonolammps  # noqa: PLC0415  (may not be there)

    found = Phonolammps("in.crystal", supercell_matrix=np.diag([2, 2, 2]))
    constants = found.get_force_constants()  # [64, 64, 3, 3], eV/Å^2
    n = len(constants)
    # phonopy's supercell has the images of one atom side by side
    masses = np.repeat(found.get_unitcell().masses, 3 * n // 8)
    matrix = constants.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
    matrix /= np.sqrt(np.outer(masses, masses))
    thz = 15.633302  # sqrt(eV/Å^2/amu) / 2 pi
    return signed_roots(np.linalg.eigvalsh((matrix + matrix.T) / 2)) * thz


def ours() -> dict[str, float]:
    """Frequencies at the named wave vectors that fit the supercell, in THz."""
    crystal = read("mgo.data", format="lammps-data", atom_style="atomic", units="metal")
    engine = AseEngine(Calculator(base_model(), head="pbe"))
    settings = PhononSettings(
        supercell=(2, 2, 2), mesh=4, displacement=0.01, check_displacement=0.02
    )
    result = phonon.run(crystal, engine, settings)
    corners = ("frequency_G", "frequency_X", "frequency_L", "frequency_W")
    return {k: v.value for k, v in result.values.items() if k.startswith(corners)}


lammps = from_lammps()
print(f"LAMMPS: {len(lammps)} modes, highest {lammps[-1]:.3f} THz")
named = ours()
for name, value in named.items():
    nearest = lammps[np.abs(lammps - value).argmin()]
    print(f"{name:>16}: {value:7.3f} THz, in LAMMPS {nearest:7.3f}")
found = {"lammps": lammps.tolist(), "lamplighter": named}
if find_spec("phonolammps"):
    other = from_phonolammps()
    print(f"phonoLAMMPS: {len(other)} modes, highest {other[-1]:.3f} THz")
    found["phonolammps"] = other.tolist()
else:
    print("phonoLAMMPS is not installed: pip install --no-deps phonolammps")
Path("frequencies.json").write_text(json.dumps(found))
