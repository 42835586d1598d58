"""LAMMPS commands that make 64 atoms of rocksalt; no potential."""

CRYSTAL = """
units metal
atom_style atomic
atom_modify map yes
lattice custom 4.2 a1 1 0 0 a2 0 1 0 a3 0 0 1 basis 0 0 0 basis 0.5 0.5 0 &
 basis 0.5 0 0.5 basis 0 0.5 0.5 basis 0.5 0 0 basis 0 0.5 0 basis 0 0 0.5 &
 basis 0.5 0.5 0.5
region b block 0 2 0 2 0 2
create_box 2 b
create_atoms 2 box basis 1 1 basis 2 1 basis 3 1 basis 4 1
mass 1 24.3
mass 2 16.0
"""
