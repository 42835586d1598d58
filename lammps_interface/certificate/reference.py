"""The evaluation that LAMMPS is compared with: own neighbour list, no ghosts."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from lamplighter.lammps_interface.bundle import Bundle
from lamplighter.lammps_interface.certificate.cases import NOBODY
from lamplighter.lammps_interface.certificate.compare import Numbers
from lamplighter.lammps_interface.members import mean_prediction
from lamplighter.model import graph_from_atoms, potential_from_bytes


class Reference:
    """The potential of an ML-IAP file, in the file's dtype, without LAMMPS.

    Where it depends on charge or spin, they are those that the file names.
    """

    def __init__(self, bundle: Bundle, head: str | None = None) -> None:
        """Load the potential of a bundle.

        Args:
            bundle: content of the file.
            head: which of its heads; that of its header if not given.

        Raises:
            ArtifactError: the potential inside is damaged.
        """
        dtype = bundle.header.dtype
        self._members = [potential_from_bytes(m, dtype=dtype) for m in bundle.members]
        self._head = head or bundle.header.head
        self._conditions = dict(bundle.header.conditions)

    def evaluate(self, atoms: Atoms) -> Numbers:
        """Return energies, forces and virial of a structure.

        Atoms that the potential does not see (`NOBODY`) have neither. The volume is
        that of the cell.

        Raises:
            DataError: a position is not finite, or a periodic cell has no volume.
        """
        n = len(atoms)
        seen = np.array([symbol != NOBODY for symbol in atoms.symbols])
        visible = atoms[seen]
        visible.info |= self._conditions
        first = self._members[0]
        graph = graph_from_atoms(visible, first.config, self._head, first.dtype)
        found = mean_prediction(self._members, graph)
        energies, forces = np.zeros(n), np.zeros((n, 3))
        energies[seen] = found.atomic_energies.detach().numpy()
        forces[seen] = found.forces.detach().numpy()
        return Numbers(
            energy=float(energies.sum()),
            energies=energies,
            forces=forces,
            virial=found.virial.detach().numpy()[0].astype(np.float64),
            volume=abs(float(np.linalg.det(atoms.cell.array))),
        )
