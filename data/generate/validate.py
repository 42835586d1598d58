"""Print a summary of labelled files: levels, E0, binding energies, forces, cost.

    python validate.py [FOLDER]

FOLDER holds `NAME.xyz` or `NAME.xyz.gz`; the published files if it is not given.
Writes nothing.
"""

import logging
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from catalogue import DATASETS, PUBLISHED, structures_of
from labelled_frames import read_frames

log = logging.getLogger(__name__)


def binding_energies(frames: Sequence[Atoms]) -> np.ndarray:
    """Energy per atom against the isolated atoms, eV; NaN where one is absent."""
    atoms = {
        frame.symbols[0]: frame.info["REF_energy"]
        for frame in frames
        if frame.info["config_type"] == "IsolatedAtom"
    }
    return np.array(
        [
            (
                frame.info["REF_energy"]
                - sum(atoms.get(s, np.nan) for s in frame.symbols)
            )
            / len(frame)
            for frame in frames
            if len(frame) > 1
        ]
    )


def summary(frames: Sequence[Atoms]) -> list[str]:
    """Lines that describe the frames of one file."""
    levels = Counter(frame.info["level"] for frame in frames)
    uids = {frame.info["uid"] for frame in frames}
    stress = sum("REF_stress" in frame.info for frame in frames)
    bound = binding_energies(frames)
    forces = np.concatenate(
        [f.arrays["REF_forces"].ravel() for f in frames if len(f) > 1] or [np.zeros(1)]
    )
    net = 1e3 * np.array([float(frame.info["net_force"]) for frame in frames])
    lines = [
        (
            f"  {sum(map(len, frames))} atoms, {dict(levels)}, stress in {stress}, "
            f"double uids {len(frames) - len(uids)}"
        ),
        (
            f"  force rms {forces.std():.2f}, "
            f"99 % below {np.percentile(abs(forces), 99):.2f}, "
            f"max {abs(forces).max():.1f} eV/Å; net force removed: "
            f"median {np.median(net):.2f}, max {net.max():.2f} meV/Å"
        ),
    ]
    if np.isfinite(bound).any():
        lines.append(
            f"  binding energy per atom {np.nanmin(bound):.2f} to "
            f"{np.nanmax(bound):.2f}, median {np.nanmedian(bound):.2f} eV"
        )
    return lines


def cost(frames: Sequence[Atoms], missing: Sequence[Atoms]) -> str:
    """CPU time spent, and an estimate for the structures without a label.

    A missing structure costs what labelled ones of the same type cost on average, else
    what the nearest size costs per atom and size squared.
    """
    by_type: dict[str, list[float]] = defaultdict(list)
    for frame in frames:
        by_type[frame.info["config_type"]].append(float(frame.info["cpu_s"]))
    sizes = np.array([len(frame) for frame in frames])
    spent = np.array([float(frame.info["cpu_s"]) for frame in frames])
    estimate = 0.0
    for atoms in missing:
        if same := by_type.get(atoms.info["config_type"]):
            estimate += float(np.mean(same))
        else:
            nearest = np.abs(sizes - len(atoms)).argmin()
            estimate += float(spent[nearest] * (len(atoms) / sizes[nearest]) ** 2)
    return (
        f"  cpu {spent.sum() / 3600:.2f} h spent, {spent.mean():.1f} s a frame; about "
        f"{estimate / 3600:.2f} h for the {len(missing)} missing"
    )


def main() -> int:
    """Summarise from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PUBLISHED
    for dataset in DATASETS:
        plain = folder / f"{dataset.name}.xyz"
        frames = read_frames(plain if plain.exists() else plain.with_suffix(".xyz.gz"))
        if not frames:
            log.info("%s: no frames", dataset.name)
            continue
        done = {frame.info["uid"] for frame in frames}
        missing = [a for a in structures_of(dataset) if a.info["uid"] not in done]
        log.info("%s: %d frames", dataset.name, len(frames))
        log.info("%s", "\n".join([*summary(frames), cost(frames, missing)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
