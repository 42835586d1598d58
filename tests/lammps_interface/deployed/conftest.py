"""A small untrained potential, structures, and a way to run many of them in one `lmp`.

Starting `lmp` costs seconds, because torch is loaded: structures share one process.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.lammps import Prism
from ase.io.lammpsdata import write_lammps_data

from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.runner import LammpsRun, run_lammps
from lamplighter.model import HeadSpec, Potential, PotentialConfig, save_potential

# The pressure factor of LAMMPS' metal units (force.nktv2p), not quite CODATA's.
BAR_PER_EV_A3 = 1.6021765e6
TYPES = ("Mg", "O")  # LAMMPS types 1 and 2; the model's order is O, Mg


def make_potential(n_layers: int = 2) -> Potential:
    """Return a potential with random weights whose forces are not tiny."""
    torch.manual_seed(7)
    config = PotentialConfig(
        elements=("H", "O", "Mg"),
        heads=(
            HeadSpec(
                name="pbe",
                level_of_theory="PBE",
                reference_energies={"H": -13.6, "O": -432.1, "Mg": -23.25},
                licence="CC-BY-4.0",
            ),
            HeadSpec(
                name="scan",
                level_of_theory="SCAN",
                reference_energies={"O": -430.0, "Mg": -22.5},
                scale=1.3,
                shift=0.1,
                dispersion="d3bj:scan",
            ),
        ),
        cutoff=4.0,
        n_radial=6,
        radial_hidden=(16,),
        l_max=2,
        channels=8,
        edge_channels=8,
        hidden_l_max=1,
        n_layers=n_layers,
        correlation=3,
        readout_hidden=8,
        density_alpha=1.0,  # forces of eV/Å from random weights
    )
    potential = Potential(config).to(torch.float64)
    with torch.no_grad():
        for parameter in potential.parameters():
            if parameter.ndim <= 1:  # biases start at zero and would hide mistakes
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return potential


@dataclass(frozen=True)
class TinyModel:
    """The source model and its ML-IAP files.

    Those without tables are compared to 1e-12 with ASE and with each other.
    """

    path: Path
    float64: Path
    float32: Path
    compiled64: Path
    compiled32: Path

    def compiled(self, dtype: str) -> Path:
        """Return the file with tables."""
        return {"float64": self.compiled64, "float32": self.compiled32}[dtype]


@pytest.fixture(scope="session")
def potential() -> Potential:
    return make_potential()


@pytest.fixture(scope="session")
def model(tmp_path_factory, potential) -> TinyModel:
    folder = tmp_path_factory.mktemp("tiny")
    path = folder / "tiny.safetensors"
    save_potential(potential, path, provenance={})
    files = {}
    for dtype in ("float64", "float32"):
        for kind, tables in ((dtype, False), (f"compiled{dtype[5:]}", True)):
            out = folder / f"{kind}.pt"
            files[kind] = convert(path, "pbe", ["Mg", "O"], out, dtype, tables=tables)
    return TinyModel(path=path, **files)


@pytest.fixture(scope="session")
def make_model() -> Callable[[Path, int], Path]:
    """Return a function that writes an untrained model with some number of layers."""

    def write(folder: Path, n_layers: int) -> Path:
        path = folder / f"layers{n_layers}.safetensors"
        save_potential(make_potential(n_layers), path, provenance={})
        return path

    return write


@pytest.fixture(scope="session")
def structures() -> dict[str, Atoms]:
    """MgO rattled, skewed both ways, as a slab, as atoms far apart."""
    rng = np.random.default_rng(5)
    conventional = bulk("MgO", "rocksalt", a=4.25, cubic=True)

    def rattled(atoms: Atoms) -> Atoms:
        atoms = atoms.copy()
        atoms.positions += rng.normal(scale=0.08, size=atoms.positions.shape)
        return atoms

    def skewed(*shears: float) -> Atoms:
        atoms = conventional.copy()
        xy, xz, yz = shears
        strain = np.array([[1.02, 0, 0], [xy, 0.97, 0], [xz, yz, 1.01]])
        atoms.set_cell(atoms.cell @ strain, scale_atoms=True)
        return rattled(atoms)

    rotated = skewed(0.2, 0.1, -0.15)
    rotated.rotate(35, (1, 2, 3), rotate_cell=True)
    slab = rattled(conventional * (1, 1, 2))
    slab.center(vacuum=7.0, axis=2)
    open_slab = slab.copy()
    open_slab.set_pbc((True, True, False))
    pair = Atoms(
        "MgO", positions=[[3, 3, 3], [3, 3, 12]], cell=np.eye(3) * 24, pbc=True
    )
    return {
        "rattled": rattled(conventional * (2, 1, 1)),
        "primitive": rattled(bulk("MgO", "rocksalt", a=4.2)),
        "tilted": skewed(0.21, 0.13, 0.17),
        "tilted back": skewed(-0.23, -0.11, -0.19),
        "rotated": rotated,
        "slab": slab,
        "open slab": open_slab,
        "isolated Mg": Atoms(
            "Mg", positions=[[5, 5, 5]], cell=np.eye(3) * 20, pbc=True
        ),
        "isolated O": Atoms("O", positions=[[1, 5, 9]], cell=np.eye(3) * 20, pbc=True),
        "far pair": pair,
    }


@dataclass(frozen=True)
class Evaluated:
    """What LAMMPS says about a structure, in the structure's own orientation."""

    energy: float  # eV
    energies: np.ndarray  # [n], eV
    forces: np.ndarray  # [n, 3], eV/Å
    stress: np.ndarray  # [3, 3], eV/Å^3, tension positive
    atom_virial: np.ndarray  # [6], eV, sum over atoms in LAMMPS' order, LAMMPS' axes
    atom_stresses: np.ndarray  # [n, 6], bar Å^3, as LAMMPS has them
    virial: np.ndarray  # [6], eV, global, same order and axes
    table: dict[str, np.ndarray]  # thermo output of the run
    output: str


BLOCK = """
clear
units metal
atom_style atomic
boundary {boundary}
{processors}
read_data {name}.data
{pair}
compute e all pe/atom
compute s all stress/atom NULL virial
compute p all pressure NULL virial
compute total all reduce sum c_s[1] c_s[2] c_s[3] c_s[4] c_s[5] c_s[6]
thermo_style custom step pe ke vol c_p[1] c_p[2] c_p[3] c_p[4] c_p[5] c_p[6] &
  c_total[1] c_total[2] c_total[3] c_total[4] c_total[5] c_total[6]
thermo_modify format float %.17g norm no
{before}
run {steps}
write_dump all custom {name}.dump id fx fy fz c_e c_s[*] &
  modify sort id format float %.17g
"""


def evaluate_in_lammps(
    structures: dict[str, Atoms],
    bundle: Path,
    folder: Path,
    *,
    ranks: int = 1,
    types: Sequence[str] = TYPES,
    **settings: str | int,
) -> dict[str, Evaluated]:
    """Evaluate structures in one LAMMPS process; `settings` fill gaps of BLOCK."""
    pair = f"pair_style mliap unified {bundle} 0\npair_coeff * * {' '.join(types)}"
    settings = {"processors": "", "before": "", "steps": 0, "pair": pair} | settings
    script, prisms = "", {}
    for label, atoms in structures.items():
        name = label.replace(" ", "_")
        prisms[label] = Prism(atoms.cell.array)
        write_lammps_data(
            folder / f"{name}.data",
            atoms,
            specorder=list(types),
            prismobj=prisms[label],
            masses=True,
        )
        script += BLOCK.format(
            name=name,
            boundary=" ".join("p" if periodic else "f" for periodic in atoms.pbc),
            **settings,
        )
    (folder / "in.lammps").write_text(script)
    run = run_lammps(folder / "in.lammps", ranks=ranks, timeout_s=300)
    return {
        label: _result(
            folder / f"{label.replace(' ', '_')}.dump", prisms[label], table, run
        )
        for label, table in zip(structures, run.thermo, strict=True)
    }


def _result(path: Path, prism: Prism, table, run: LammpsRun) -> Evaluated:
    last = {name: column[-1] for name, column in table.items()}
    dump = np.loadtxt(path, skiprows=9, ndmin=2)
    pressure = np.array([last[f"c_p[{k}]"] for k in range(1, 7)])
    xx, yy, zz, xy, xz, yz = -pressure / BAR_PER_EV_A3
    stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    atom_stress = np.array([last[f"c_total[{k}]"] for k in range(1, 7)])  # bar Å^3
    return Evaluated(
        energy=last["PotEng"],
        energies=dump[:, 4],
        forces=prism.vector_to_ase(dump[:, 1:4]),
        stress=prism.tensor2_to_ase(stress),
        atom_virial=-atom_stress / BAR_PER_EV_A3,
        atom_stresses=dump[:, 5:],
        virial=pressure * last["Volume"] / BAR_PER_EV_A3,
        table=table,
        output=run.output,
    )


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., dict[str, Evaluated]]:
    """Return `evaluate_in_lammps`, for fixtures that outlive a test."""
    return evaluate_in_lammps


@pytest.fixture
def lammps(tmp_path) -> Callable[..., dict[str, Evaluated]]:
    """Return `evaluate_in_lammps` for a folder of the test's own."""

    def run(structures, bundle, **settings):
        folder = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        folder.mkdir()
        return evaluate_in_lammps(structures, bundle, folder, **settings)

    return run
