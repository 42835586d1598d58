# For LAMMPS' own deck examples/ELASTIC/in.elastic: the pair style. It is read again after every
# "clear", so everything that a restart file does not hold is here.
pair_style   mliap unified ../../mgo-nvt/mgo-pbe.pt 0
pair_coeff   * * Mg O
min_style    cg
min_modify   dmax ${dmax} norm max
thermo       100
thermo_style custom step pe fmax press pxx pyy pzz pxy pxz pyz lx ly lz
thermo_modify norm no format float %.10g
