"""MgO in ASE with two heads: relax the cell, then dynamics at constant energy.

python relax_and_run.py
"""

import numpy as np
from ase import units
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS

from lamplighter import Calculator
from lamplighter.resources import base_model

calculator = Calculator(base_model(), head="pbe")
crystal = bulk("MgO", "rocksalt", a=4.3, cubic=True)

for head in ("pbe", "r2scan"):
    relaxed = crystal.copy()
    relaxed.calc = calculator.with_head(head)  # shares the weights
    BFGS(FrechetCellFilter(relaxed), logfile=None).run(fmax=1e-3, steps=100)
    pressure = -relaxed.get_stress()[:3].mean() / units.GPa
    print(f"{head}: a = {relaxed.cell[0, 0]:.4f} Å, pressure {pressure:.4f} GPa")

moving = crystal.repeat(2)
moving.set_cell(moving.cell * 4.256 / 4.3, scale_atoms=True)
moving.calc = calculator
MaxwellBoltzmannDistribution(moving, temperature_K=600, rng=np.random.default_rng(1))
Stationary(moving)

energies = []
dynamics = VelocityVerlet(moving, timestep=2 * units.fs)
dynamics.attach(lambda: energies.append(moving.get_total_energy()), interval=5)
dynamics.run(100)
drift = np.polyfit(np.arange(len(energies)) * 0.01, energies, 1)[0] / len(moving)
spread = np.std(energies) / len(moving)
print(f"200 fs: {moving.get_temperature():.0f} K")
print(f"total energy: spread {1e3 * spread:.4f} meV/atom")
print(f"total energy: slope {1e3 * drift:.4f} meV/atom/ps")
