# For LAMMPS' own deck examples/ELASTIC/in.elastic: the crystal and the strain.

variable     up equal 2.5e-3         # strain; "lamplighter validate" takes this and twice this
variable     atomjiggle equal 0.01   # Å; displaces atoms, in case they rest on a saddle

units        metal
variable     cfac equal 1.0e-4       # bar to GPa
variable     cunits string GPa

variable     etol equal 0.0          # forces decide
variable     ftol equal 1.0e-5       # eV/Å
variable     maxiter equal 500
variable     maxeval equal 5000
variable     dmax equal 0.05         # Å

boundary     p p p
lattice      custom 4.256 a1 1 0 0 a2 0 1 0 a3 0 0 1 &
             basis 0 0 0  basis 0 .5 .5  basis .5 0 .5  basis .5 .5 0 &
             basis .5 .5 .5  basis .5 0 0  basis 0 .5 0  basis 0 0 .5
region       box prism 0 1 0 1 0 1 0 0 0
create_box   2 box
create_atoms 1 box basis 1 1 basis 2 1 basis 3 1 basis 4 1 &
             basis 5 2 basis 6 2 basis 7 2 basis 8 2
mass         1 24.305
mass         2 15.999
