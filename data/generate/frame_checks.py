"""What a labelled frame must fulfil before it is published."""

import numpy as np
from ase import Atoms
from catalogue import Dataset
from labelled_frames import KEYS, largest_difference, stress_matrix

REQUIRED = ("uid", "head", "level", "config_type", "domain", "code", "net_force")
SAME_KEYS = ("config_type", "domain", "spin", "box")
"""Keys that a frame takes over from its structure."""

GEOMETRY_TOLERANCE = 1e-8
"""Å: structures and labels are written with eight decimals."""

NET_FORCE_LIMIT = 0.05
"""eV/Å: largest net force before its removal that counts as grid noise."""

FORCE_LIMIT = 100.0
"""eV/Å: beyond this the calculation or the units are wrong."""

STRESS_LIMIT = 2.0
"""eV/Å^3 (320 GPa): beyond this the calculation or the units are wrong."""


def has_stress(atoms: Atoms) -> bool:
    """Whether a structure gets a stress: a crystal or slab, no molecule in a box.

    The steps of a relaxation (`slab2_relax` and so on) come without one.
    """
    relaxed = atoms.info["config_type"].endswith("_relax")
    return bool(atoms.pbc.any()) and not atoms.info["box"] and not relaxed


def frame_problems(frame: Atoms, structure: Atoms, dataset: Dataset) -> list[str]:
    """What is wrong with a labelled frame, in words; empty if nothing is.

    Args:
        frame: The labelled frame.
        structure: The structure with the same uid.
        dataset: The file that the frame belongs to.
    """
    missing = [key for key in (*REQUIRED, "REF_energy") if key not in frame.info]
    if missing or "REF_forces" not in frame.arrays:
        return [f"lacks {', '.join(missing) or 'REF_forces'}"]
    problems = [
        f"{key} is {frame.info[key]}, wanted {wanted}"
        for key, wanted in (
            ("head", dataset.head),
            ("level", dataset.level),
            ("code", dataset.code),
            *((key, structure.info[key]) for key in SAME_KEYS),
        )
        if frame.info[key] != wanted
    ]
    problems += [f"unknown key {key}" for key in sorted(set(frame.info) - set(KEYS))]
    problems += _geometry_problems(frame, structure)
    problems += _label_problems(frame)
    return problems


def _geometry_problems(frame: Atoms, structure: Atoms) -> list[str]:
    """Differences between the labelled geometry and the asked one."""
    if list(frame.numbers) != list(structure.numbers):
        return [f"atoms are {frame.symbols}, wanted {structure.symbols}"]
    if list(frame.pbc) != list(structure.pbc):
        return [f"pbc is {frame.pbc}, wanted {structure.pbc}"]
    shift = max(
        largest_difference(frame.positions, structure.positions),
        largest_difference(frame.cell.array, structure.cell.array),
    )
    if shift > GEOMETRY_TOLERANCE:
        return [f"geometry differs from the structure by {shift:.2e} Å"]
    return []


def _label_problems(frame: Atoms) -> list[str]:
    """Labels that are absent, not finite or out of any sensible range."""
    problems = []
    forces = frame.arrays["REF_forces"]
    if not np.isfinite(frame.info["REF_energy"]) or not np.isfinite(forces).all():
        problems.append("energy or forces are not finite")
    elif (largest := np.abs(forces).max()) > FORCE_LIMIT:
        problems.append(f"largest force is {largest:.1f} eV/Å")
    if (net := float(frame.info["net_force"])) > NET_FORCE_LIMIT:
        problems.append(f"net force was {net:.3f} eV/Å, limit {NET_FORCE_LIMIT}")
    if np.abs(forces.sum(axis=0)).max() > 1e-7 * max(len(frame), 10):
        problems.append("forces do not add up to zero")
    if has_stress(frame) != ("REF_stress" in frame.info):
        wanted = "wanted" if has_stress(frame) else "not wanted"
        return [*problems, f"stress is {wanted} for box={frame.info['box']}"]
    if "REF_stress" in frame.info:
        problems += _stress_problems(stress_matrix(frame.info["REF_stress"]))
    return problems


def _stress_problems(stress: np.ndarray) -> list[str]:
    """A stress that is not finite, not symmetric or out of range."""
    if not np.isfinite(stress).all():
        return ["stress is not finite"]
    if np.abs(stress - stress.T).max() > 1e-8:
        return ["stress is not symmetric"]
    if (largest := np.abs(stress).max()) > STRESS_LIMIT:
        return [f"largest stress is {largest:.2f} eV/Å^3"]
    return []
