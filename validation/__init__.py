"""Validation: the same property definitions through ASE and through LAMMPS.

Properties (``lamplighter.validation.properties``) ask an *engine*
(``lamplighter.validation.engines``) for energies, forces and stresses and never know
which code answers. Units and signs are those of ``docs/conventions.md``: eV, Å,
eV/Å^3 with tension positive, Voigt order xx yy zz yz xz xy.
"""
