"""Ready-to-run input decks for LAMMPS, from a structure and an ML-IAP file."""
