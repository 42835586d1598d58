"""Extended XYZ with every digit: what is read back is what was written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.extxyz import key_val_dict_to_str

from lamplighter.train.data.frame import Frame
from lamplighter.train.data.labels import TEXTS


def write_xyz(path: Path, structures: Iterable[Atoms]) -> None:
    """Write structures with their ``info`` and their arrays of numbers.

    ASE's own writer keeps eight digits after the point.
    """
    with path.open("w", encoding="utf-8") as stream:
        for atoms in structures:
            stream.write(_frame(atoms))


def _frame(atoms: Atoms) -> str:
    columns = {"pos": atoms.positions}
    for name in sorted(set(atoms.arrays) - {"numbers", "positions"}):
        columns[name] = np.asarray(atoms.arrays[name], dtype=float)
    flat = {name: values.reshape(len(atoms), -1) for name, values in columns.items()}
    properties = ":".join(
        ["species:S:1", *(f"{name}:R:{v.shape[1]}" for name, v in flat.items())]
    )
    info = {
        "Lattice": atoms.cell.array.ravel(),
        "Properties": properties,
        **atoms.info,
        "pbc": np.asarray(atoms.pbc),
    }
    if not atoms.cell.array.any():
        del info["Lattice"]
    table = np.hstack(list(flat.values()))
    lines = [
        " ".join([symbol, *(f"{x:.17g}" for x in row)])
        for symbol, row in zip(atoms.get_chemical_symbols(), table, strict=True)
    ]
    return "\n".join([str(len(atoms)), key_val_dict_to_str(info), *lines]) + "\n"


def labelled_atoms(frame: Frame) -> Atoms:
    """Return a frame with the keys that [`read_frames`][] reads it from."""
    atoms = frame.atoms()
    texts = {name: getattr(frame, name) for name in TEXTS}
    atoms.info = {"REF_energy": frame.energy}
    atoms.info |= {name: text for name, text in texts.items() if text}
    if frame.weight != 1.0:
        atoms.info["weight"] = frame.weight
    if frame.forces is not None:
        atoms.arrays["REF_forces"] = frame.forces
    if frame.stress is not None:
        atoms.info["REF_stress"] = frame.stress.ravel()
    if frame.hessian is not None:
        rows = frame.hessian
        index = np.stack([rows.atoms, rows.components], axis=1)
        atoms.info["REF_hessian_index"] = index.ravel()
        columns = rows.values.swapaxes(0, 1)
        atoms.arrays["REF_hessian"] = columns.reshape(frame.n_atoms, -1)
    return atoms
