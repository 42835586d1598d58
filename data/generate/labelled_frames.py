"""Frames with labels: reading, appending, resuming and the published text format."""

import gzip
import io
import logging
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

log = logging.getLogger(__name__)

VOIGT = ((0, 5, 4), (5, 1, 3), (4, 3, 2))
"""Place of each tensor component in ASE's order xx yy zz yz xz xy."""

FAILED = re.compile(r"^(?P<uid>\S+) \S+ FAILED (?P<reason>.*)$", re.MULTILINE)
"""What a labeller says of a structure that it could not label."""

DECIMALS = {"REF_energy": 9, "cpu_s": 1, "s2": 4, "path": 3, "noise": 3}
KEYS = (
    "uid",
    "head",
    "level",
    "config_type",
    "domain",
    "REF_energy",
    "REF_stress",
    "spin",
    "box",
    "s2",
    "path",
    "noise",
    "code",
    "ecut",
    "kpts",
    "net_force",
    "cpu_s",
)
"""Keys of a published frame, in their order."""


def complete_text(text: str) -> str:
    """The text without a last frame that is not all there.

    A labeller that is killed, or that is writing at this moment, leaves part of a
    frame at the end.

    Raises:
        ValueError: A frame does not begin with an atom count.
    """
    lines = text.split("\n")
    start = 0
    while start < len(lines) - 1:
        if not lines[start].strip().isdigit():
            message = (
                f"line {start + 1} is {lines[start][:60]!r}, wanted the number of "
                "atoms of a frame"
            )
            raise ValueError(message)
        end = start + int(lines[start]) + 2
        if end > len(lines) - 1:  # the piece after the last newline does not count
            break
        start = end
    return "".join(line + "\n" for line in lines[:start])


def read_frames(path: Path) -> list[Atoms]:
    """The whole frames of a plain or gzipped file; none if there is no such file.

    Raises:
        ValueError: The file is not extended XYZ.
    """
    if not path.exists():
        return []
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    try:
        text = complete_text(text)
    except ValueError as error:
        message = f"{path}: {error}"
        raise ValueError(message) from error
    return read(io.StringIO(text), ":", format="extxyz") if text else []


def failed_reasons(words: Path) -> dict[str, str]:
    """Reason by uid of the structures whose labelling failed, from a labeller's log."""
    if not words.exists():
        return {}
    return {m["uid"]: m["reason"] for m in FAILED.finditer(words.read_text())}


def done_uids(path: Path) -> set[str]:
    """The uids that have a label in the file; cuts off a torn last frame.

    Raises:
        ValueError: The file is not extended XYZ.
    """
    if not path.exists():
        return set()
    text = path.read_text()
    whole = complete_text(text)
    if len(whole) < len(text):
        log.info("%s: cut off %d bytes of a torn frame", path, len(text) - len(whole))
        os.truncate(path, len(whole.encode()))
    return {atoms.info["uid"] for atoms in read_frames(path)}


def stress_matrix(stress: np.ndarray) -> np.ndarray:
    """The stress as a 3x3 matrix from six (xx yy zz yz xz xy) or nine components."""
    stress = np.asarray(stress, dtype=float)
    return stress[np.array(VOIGT)] if stress.shape == (6,) else stress.reshape(3, 3)


def append_frame(
    path: Path,
    atoms: Atoms,
    *,
    energy: float,
    forces: np.ndarray,
    stress: np.ndarray | None,
    record: dict[str, str | float],
) -> None:
    """Append one frame and wait until it is on the disk.

    Args:
        path: File to append to, made where it does not exist.
        atoms: The structure with its own keys.
        energy: Total energy of the code, eV.
        forces: [n_atoms, 3], eV/Å.
        stress: [6] or [3, 3], eV/Å^3, tension positive; None leaves it out.
        record: Further keys (head, level, code, settings, cost).
    """
    frame = atoms.copy()
    frame.calc = None
    frame.info.update(record)
    frame.info["REF_energy"] = float(energy)
    frame.arrays["REF_forces"] = np.asarray(forces, dtype=float)
    if stress is not None:
        frame.info["REF_stress"] = stress_matrix(stress)
    text = io.StringIO()
    write(text, frame, format="extxyz")
    with path.open("a") as file:
        file.write(text.getvalue())
        file.flush()
        os.fsync(file.fileno())


def _number(value: float, decimals: int) -> str:
    """Fixed decimals, without a sign on zero."""
    text = f"{value:.{decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def _value_text(key: str, atoms: Atoms) -> str:
    """One `key=value` of the comment line."""
    value = atoms.info[key]
    if key == "REF_stress":
        matrix = stress_matrix(value)
        matrix = (matrix + matrix.T) / 2
        return f'{key}="{" ".join(_number(x, 10) for x in matrix.ravel())}"'
    if key == "net_force":
        # Below a nanoelectronvolt it is round-off, which differs between machines.
        return f"{key}={value if value > 1e-9 else 0.0:.2e}"
    if key in DECIMALS:
        return f"{key}={_number(float(value), DECIMALS[key])}"
    return f"{key}={value}"


def frame_text(atoms: Atoms) -> str:
    """One published frame: fixed key order, fixed number formats.

    Writing what was read from such a text gives the same text again.
    """
    header = []
    if atoms.pbc.any():
        cell = " ".join(repr(float(x)) for x in atoms.cell.array.ravel())
        header.append(f'Lattice="{cell}"')
    header.append("Properties=species:S:1:pos:R:3:REF_forces:R:3")
    header += [_value_text(key, atoms) for key in KEYS if key in atoms.info]
    header.append('pbc="{}"'.format(" ".join("FT"[int(x)] for x in atoms.pbc)))
    rows = [
        f"{symbol:<2}" + "".join(f"{_number(x, 8):>14}" for x in (*place, *force))
        for symbol, place, force in zip(
            atoms.symbols, atoms.positions, atoms.arrays["REF_forces"], strict=True
        )
    ]
    return "\n".join([str(len(atoms)), " ".join(header), *rows]) + "\n"


def frames_text(frames: Sequence[Atoms]) -> str:
    """The published text of several frames."""
    return "".join(frame_text(atoms) for atoms in frames)


def write_gzip(path: Path, text: str) -> bool:
    """Write a gzipped file whose bytes depend on the text alone.

    Returns:
        Whether the file changed; one that already holds the text is left alone.
    """
    if path.exists() and gzip.decompress(path.read_bytes()).decode() == text:
        return False
    buffer = io.BytesIO()
    with gzip.GzipFile(
        filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0
    ) as file:
        file.write(text.encode())
    write_atomically(path, buffer.getvalue())
    return True


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def largest_difference(first: np.ndarray, second: np.ndarray) -> float:
    """The largest absolute difference; infinite where the shapes differ."""
    if first.shape != second.shape:
        return math.inf
    return float(np.abs(first - second).max(initial=0.0))
