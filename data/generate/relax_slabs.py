"""Relax clean MgO(100) slabs with GPAW at PBE and keep every step; resumes.

    python relax_slabs.py FOLDER

The steps became `slab_pbe` and `slab_pbe_thick`; the energies are those of the
reference surface energy in `validation/refs/slab_energies`. Layers of one formula unit
at the PBE lattice constant, 12 Å of vacuum, all atoms free. FOLDER gets `energies.json`
and one trajectory per thickness. About ten minutes of one core.
"""

import json
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.optimize import BFGS
from label_periodic import calculator_settings
from labelling import load_code

LATTICE_CONSTANT = 4.2549
"""Å: PBE, at the settings of the data set."""

VACUUM = 12.0
LAYERS = (2, 3, 4, 5)
INFO = {"config_type": "slab_relax", "domain": "surface", "spin": 0, "box": 0}


def slab(n_layers: int, vacuum: float = VACUUM) -> Atoms:
    """An ideal slab, centred; without vacuum one period of the bulk in this cell."""
    side, distance = LATTICE_CONSTANT / np.sqrt(2), LATTICE_CONSTANT / 2
    atoms = Atoms(pbc=True, info=dict(INFO))
    for layer in range(n_layers):
        symbols = "MgO" if layer % 2 == 0 else "OMg"
        height = layer * distance
        atoms += Atoms(symbols, [(0, 0, height), (side / 2, side / 2, height)])
    gaps = n_layers - 1 if vacuum else n_layers
    atoms.set_cell([side, side, gaps * distance + vacuum])
    atoms.positions[:, 2] += vacuum / 2
    return atoms


def energy_of_bulk(folder: Path) -> float:
    """Energy of a formula unit, in the in-plane cell of the slabs, eV."""
    bulk = slab(2, vacuum=0.0)
    settings = calculator_settings(bulk, "pbe") | {
        "kpts": {"size": (4, 4, 3), "gamma": True}
    }
    bulk.calc = load_code("gpaw").GPAW(**settings, txt=str(folder / "bulk.txt"))
    return float(bulk.get_potential_energy()) / 2


def relax(n_layers: int, folder: Path) -> dict[str, float]:
    """Energies of the ideal and the relaxed slab, eV; the steps go to a trajectory."""
    atoms = slab(n_layers)
    settings = calculator_settings(atoms, "pbe")
    text_file = folder / f"slab{n_layers}.txt"
    atoms.calc = load_code("gpaw").GPAW(**settings, txt=str(text_file))
    cleaved = float(atoms.get_potential_energy())
    trajectory = str(folder / f"slab{n_layers}.traj")
    BFGS(atoms, trajectory=trajectory, logfile=None).run(fmax=0.01, steps=12)
    return {"cleaved": cleaved, "relaxed": float(atoms.get_potential_energy())}


def main() -> int:
    """Relax what the folder does not hold yet."""
    if len(sys.argv) != 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "energies.json"
    done = json.loads(record.read_text()) if record.exists() else {}
    for name in ("bulk", *map(str, LAYERS)):
        if name not in done:
            done[name] = (
                energy_of_bulk(folder) if name == "bulk" else relax(int(name), folder)
            )
            record.write_text(json.dumps(done, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
