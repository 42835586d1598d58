"""PBE labels of held-out molecules and reaction paths, which the shipped data lack.

    python benchmarks/mechanism/label_pbe.py RUNS/data LABELS.xyz [--limit-s SECONDS]
    python benchmarks/mechanism/label_pbe.py RUNS/data LABELS.xyz --publish

The first form labels with PySCF (the interpreter of `data/README.md`), one frame after
the other, and resumes. The order is a hash, so that any number of labels is a fair
sample. The second form writes `molecules_pbe.xyz.gz` beside this script: energies are
moved from the free atoms of PySCF to those of the PBE head (GPAW), since only the
difference means something. Gas molecules that have a GPAW label too tell how far the
two codes agree; they are logged and not published.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "data" / "generate"))

import label_molecules  # noqa: E402 - the labellers are scripts of data/generate
from labelled_frames import frames_text, write_gzip  # noqa: E402
from labelling import Label, label_structures  # noqa: E402

PUBLISHED = HERE / "molecules_pbe.xyz.gz"
SETS = {"wb97m-v-molecules": "pbe-molecules", "b3lyp-d3bj-paths": "pbe-paths"}
"""Test sets whose geometries are labelled, and the names of the new test sets."""

MAX_ATOMS = 6
METHOD = label_molecules.Method(
    functional="pbe", basis="def2-tzvp", grid=2, nonlocal_grid=0
)

log = logging.getLogger(__name__)


def main(words: Sequence[str] | None = None) -> int:
    """Label or publish; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder `data` of a run")
    parser.add_argument("labels", type=Path, help="plain extended XYZ to append to")
    parser.add_argument("--limit-s", type=float, default=float("inf"))
    parser.add_argument("--publish", action="store_true")
    arguments = parser.parse_args(words)
    if arguments.publish:
        publish(arguments.labels)
        return 0
    label_molecules.METHODS["pbe"] = METHOD
    label_structures(
        structures(arguments.data), arguments.labels, _label, limit_s=arguments.limit_s
    )
    return 0


def structures(data: Path) -> list[Atoms]:
    """Free atoms, gas molecules with a GPAW label, then molecules and paths in turn."""
    atoms = read(ROOT / "data" / "mol_wb97mv.xyz.gz", ":4")
    gas = read(data / "pbe-gas.xyz", ":")
    for molecule in gas:
        molecule.pbc = False
        molecule.cell = None
    turns = zip_longest(*(_shuffled(read(data / f"{s}.xyz", ":")) for s in SETS))
    return [*atoms, *gas, *(a for a in chain.from_iterable(turns) if a is not None)]


def _shuffled(frames: Sequence[Atoms]) -> list[Atoms]:
    small = [a for a in frames if len(a) <= MAX_ATOMS]
    return sorted(
        small, key=lambda a: hashlib.sha256(a.info["uid"].encode()).hexdigest()
    )


def _label(atoms: Atoms) -> Label:
    found = label_molecules.label(atoms, "pbe")
    found.record.update(head="pbe", level="PBE")
    return found


def publish(labels: Path) -> None:
    """Write the labelled frames with the zero of energy of the PBE head."""
    frames = read(labels, ":")
    zero = _free_atoms(frames)
    target = _free_atoms(read(ROOT / "data" / "crystal_pbe.xyz.gz", ":"))
    twins = {
        a.info["uid"]: a
        for name in ("crystal_pbe", "surface_pbe")
        for a in read(ROOT / "data" / f"{name}.xyz.gz", ":")
        if a.info["config_type"] == "gas_molecule"
    }
    chosen = []
    for atoms in frames:
        symbols = atoms.get_chemical_symbols()
        atoms.info["REF_energy"] += sum(target[s] - zero[s] for s in symbols)
        if atoms.info["uid"] in twins:
            _compare(atoms, twins[atoms.info["uid"]])
        elif len(atoms) > 1:
            chosen.append(atoms)
    write_gzip(PUBLISHED, frames_text(chosen))
    log.info("%d frames in %s", len(chosen), PUBLISHED.name)


def _free_atoms(frames: Sequence[Atoms]) -> dict[str, float]:
    return {
        a.get_chemical_symbols()[0]: a.info["REF_energy"]
        for a in frames
        if a.info["config_type"] == "IsolatedAtom"
    }


def _compare(mine: Atoms, theirs: Atoms) -> None:
    """Log how far PySCF and GPAW agree on one molecule."""
    energy = (mine.info["REF_energy"] - theirs.info["REF_energy"]) / len(mine)
    forces = mine.arrays["REF_forces"] - theirs.arrays["REF_forces"]
    log.info(
        "%s %s: PySCF - GPAW %.1f meV/atom, forces %.1f meV/Å (RMS)",
        mine.info["uid"],
        mine.symbols,
        1e3 * energy,
        1e3 * float(np.sqrt((forces**2).mean())),
    )


if __name__ == "__main__":
    sys.exit(main())
