"""What a frame, and a file of frames, must satisfy before training sees it."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from ase.data import covalent_radii

from lamplighter.errors import DataError, explain
from lamplighter.model.neighbors import neighbor_pairs
from lamplighter.train.data.consistency import check_consistency
from lamplighter.train.data.frame import Frame
from lamplighter.train.data.limits import ReaderLimits
from lamplighter.units import GPA_PER_EV_A3, HARTREE_IN_EV

MAX_ATOMIC_NUMBER = len(covalent_radii) - 1
THOMAS_FERMI_EV = 20.92
"""Leading term 0.7687 Z^(7/3) hartree of an atom's energy, eV: an upper bound of |E|.

Source: L. H. Thomas (1927), E. Fermi (1927); numerical prefactor from E. H. Lieb,
Rev. Mod. Phys. 53, 603 (1981).
"""

_FEW = 32
"""Atoms of a molecule whose distances are all computed; a list costs more than that."""
_HARTREE_ATOMS = (
    *(0.0, 0.500, 2.903, 7.478, 14.667, 24.654, 37.845, 54.589, 75.067, 99.734),
    *(128.938, 162.255, 200.053, 242.346, 289.359, 341.259, 398.110, 460.148, 527.540),
)
"""Minus the non-relativistic energy of the atoms up to Ar, hartree.

Source: S. J. Chakravorty et al., Phys. Rev. A 47, 3649 (1993), rounded.
"""


def check_frame(frame: Frame, limits: ReaderLimits) -> None:
    """Refuse a frame whose magnitudes or geometry cannot be right.

    Raises:
        DataError: see [`lamplighter.train.data.reader.read_frames`][].
    """
    _check_geometry(frame)
    _check_energy(frame)
    _check_forces(frame, limits)
    _check_stress(frame, limits)
    _check_distances(frame, limits)


def check_file(frames: list[Frame], path: Path, limits: ReaderLimits) -> None:
    """Refuse what only shows when the frames of a file stand side by side.

    Raises:
        DataError: a uid that names two frames of a head, two levels of theory in one
            head, energies that are far from the head's free atoms or look like
            hartree, or forces or stress that do not belong to the energies.
    """
    seen: dict[tuple[str, str], Frame] = {}
    for frame in frames:
        twin = seen.setdefault((frame.head, frame.uid), frame)
        if twin is not frame:
            _refuse(
                frame,
                "uid",
                "names two frames of one head",
                got=f"{frame.uid!r}, first at {twin.source}",
                wanted="a name of its own for every frame",
                fix="remove the repeated frame or rename it",
            )
    _check_levels(frames)
    _check_binding(frames, limits)
    _check_hartree(frames, path)
    if limits.check_work:
        check_consistency(frames, path)


def _refuse(frame: Frame, key: str, problem: str, **parts: Any) -> NoReturn:
    raise DataError(explain(f"{frame.source}: {key} {problem}", **parts))


def _check_geometry(frame: Frame) -> None:
    if not np.isfinite(frame.positions).all() or not np.isfinite(frame.cell).all():
        _refuse(frame, "pos or Lattice", "holds a NaN or an infinity", wanted="Å")
    if not ((frame.numbers > 0) & (frame.numbers <= MAX_ATOMIC_NUMBER)).all():
        _refuse(
            frame,
            "species",
            "holds something that is not an element",
            got=sorted(set(frame.numbers.tolist())),
            wanted="chemical symbols",
        )
    if any(frame.pbc) and abs(np.linalg.det(frame.cell)) < 1e-3:
        _refuse(
            frame,
            "Lattice",
            "spans no volume although the frame is periodic",
            got=frame.cell.tolist(),
            wanted="three independent lattice vectors in Å",
        )


def _check_energy(frame: Frame) -> None:
    bound = float((THOMAS_FERMI_EV * frame.numbers ** (7 / 3) + 50.0).sum())
    if math.isnan(frame.energy):  # only a frame that is judged may lack its energy
        return
    if not -bound < frame.energy < 200.0 * frame.n_atoms:
        _refuse(
            frame,
            "REF_energy",
            "is beyond what the electrons of these atoms can give",
            got=f"{frame.energy:.6g}",
            wanted=f"a total energy in eV between {-bound:.0f} and "
            f"{200 * frame.n_atoms}",
            fix="convert it to eV if it is in kcal/mol, kJ/mol or K",
        )


def _check_forces(frame: Frame, limits: ReaderLimits) -> None:
    if frame.forces is None:
        return
    norms = np.linalg.norm(frame.forces, axis=1)
    worst = int(norms.argmax())
    if norms[worst] > limits.max_force:
        _refuse(
            frame,
            "REF_forces",
            f"on atom {worst} is beyond the limit",
            got=f"{norms[worst]:.6g} eV/Å",
            wanted=f"at most {limits.max_force:g} eV/Å",
            fix="convert to eV/Å if the unit is another, remove the frame, or raise "
            "limits.max_force",
        )


def _check_stress(frame: Frame, limits: ReaderLimits) -> None:
    if frame.stress is None:
        return
    asymmetry = float(np.abs(frame.stress - frame.stress.T).max())
    if asymmetry > limits.stress_asymmetry:
        _refuse(
            frame,
            "REF_stress",
            "is not symmetric",
            got=frame.stress.tolist(),
            wanted=f"xy = yx and so on within {limits.stress_asymmetry:g} eV/Å^3",
        )
    largest = float(np.abs(frame.stress).max())
    if largest > limits.max_stress:
        _refuse(
            frame,
            "REF_stress",
            "is beyond the limit; it smells of GPa or kbar",
            got=f"{largest:.6g}",
            wanted=f"at most {limits.max_stress:g} eV/Å^3",
            fix=f"1 eV/Å^3 is {GPA_PER_EV_A3:.2f} GPa or {10 * GPA_PER_EV_A3:.1f} kbar:"
            " divide by it, or raise limits.max_stress",
        )


def _check_distances(frame: Frame, limits: ReaderLimits) -> None:
    radii = covalent_radii[frame.numbers]
    reach = 2.0 * limits.min_distance * float(radii.max())
    if reach == 0.0:
        return
    if any(frame.pbc) or frame.n_atoms > _FEW:
        i, j, vectors = neighbor_pairs(frame.atoms(), reach)
    else:
        i, j = np.nonzero(~np.eye(frame.n_atoms, dtype=bool))
        vectors = frame.positions[j] - frame.positions[i]
    d = np.linalg.norm(vectors, axis=1)
    ratio = d / (radii[i] + radii[j])
    if ratio.size and ratio.min() < limits.min_distance:
        k = int(ratio.argmin())
        _refuse(
            frame,
            "pos",
            f"puts atoms {int(i[k])} and {int(j[k])} on top of each other",
            got=f"{d[k]:.4g} Å, {ratio[k]:.3g} of the sum of their covalent radii",
            wanted=f"at least {limits.min_distance:g} of it",
            fix="positions are in Å; remove the frame or lower limits.min_distance",
        )


def _check_levels(frames: list[Frame]) -> None:
    first: dict[str, Frame] = {}
    for frame in frames:
        other = first.setdefault(frame.head, frame)
        if frame.level and other.level and frame.level != other.level:
            _refuse(
                frame,
                "level",
                f"is not that of the other frames of head {frame.head!r}",
                got=repr(frame.level),
                wanted=f"{other.level!r}, as at {other.source}",
                fix="labels of two levels of theory cannot share a head",
            )


def _check_binding(frames: list[Frame], limits: ReaderLimits) -> None:
    free: dict[tuple[str, int], float] = {
        (f.head, int(f.numbers[0])): f.energy for f in frames if f.is_isolated_atom
    }
    for frame in frames:
        known = [free.get((frame.head, int(z))) for z in frame.numbers]
        if None in known:
            continue
        binding = (frame.energy - sum(e or 0.0 for e in known)) / frame.n_atoms
        if abs(binding) > limits.max_binding:
            _refuse(
                frame,
                "REF_energy",
                "is far from the free atoms of its head",
                got=f"{binding:.4g} eV/atom above them",
                wanted=f"within {limits.max_binding:g} eV/atom",
                fix="energies of two codes or units may be mixed; correct them or "
                "raise limits.max_binding",
            )


def _check_hartree(frames: list[Frame], path: Path) -> None:
    """Refuse a head whose every energy is what all-electron codes print in hartree."""
    for head in Counter(f.head for f in frames):
        group = [
            f
            for f in frames
            if f.head == head and f.numbers.max() < len(_HARTREE_ATOMS)
        ]
        atoms = np.array([sum(_HARTREE_ATOMS[z] for z in f.numbers) for f in group])
        energies = np.array([f.energy for f in group])
        heavy = any(f.numbers.max() > 2 for f in group)
        if heavy and np.allclose(energies, -atoms, rtol=0.03, atol=0.05):
            raise DataError(
                explain(
                    f"{path}: REF_energy of head {head!r} looks like hartree",
                    got=f"{energies[0]:.6g} in frame {group[0].source}",
                    wanted="eV",
                    fix=f"multiply by {HARTREE_IN_EV:.6f}, and forces by 51.422",
                )
            )
