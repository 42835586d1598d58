"""Compare a labeller's forces and stress with differences of its energies.

    python check_finite_differences.py LEVEL [CONFIG_TYPE]

Two or four more calculations per structure, some minutes.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import label_molecules
import label_periodic
import numpy as np
from ase import Atoms
from ase.io import read
from ase.units import GPa
from catalogue import STRUCTURES
from labelled_frames import stress_matrix
from labelling import Label, MissingCodeError
from structure_tools import strained

log = logging.getLogger(__name__)

DISPLACEMENT = 0.003
"""Å."""

STRAIN = 0.004
EXAMPLES = {
    "b3lyp-d3bj": ("rx_CH3O_CH2OH", "rx_H2O_dimer_PT"),
    "wb97m-v": ("rad_HCO_T1000", "cluster_H2O_CO", "mol_CH3OH_T1000"),
}
PERIODIC_EXAMPLE = ("mgh2",)
FILES = ("crystal", "surface", "mol", "react")


def moved(atoms: Atoms, atom: int, axis: int, distance: float) -> Atoms:
    """A copy with one atom moved along one axis, Å."""
    copy = atoms.copy()
    copy.positions[atom, axis] += distance
    return copy


def force_error(
    atoms: Atoms, label: Callable[[Atoms], Label], atom: int, axis: int
) -> tuple[float, float]:
    """One force component and its error against central differences, eV/Å."""
    force = float(label(atoms).forces[atom, axis])
    plus = label(moved(atoms, atom, axis, DISPLACEMENT)).energy
    minus = label(moved(atoms, atom, axis, -DISPLACEMENT)).energy
    return force, force + (plus - minus) / (2 * DISPLACEMENT)


def stress_error(atoms: Atoms, label: Callable[[Atoms], Label]) -> tuple[float, float]:
    """The xx stress and its error against central differences, eV/Å^3.

    Raises:
        ValueError: The labeller gives no stress for this structure.
    """
    stress = label(atoms).stress
    if stress is None:
        message = f"{atoms.info['uid']} has no stress; choose a crystal or a slab"
        raise ValueError(message)
    stretch = np.diag([STRAIN, 0, 0])
    plus = label(strained(atoms, stretch)).energy
    minus = label(strained(atoms, -stretch)).energy
    value = float(stress_matrix(stress)[0, 0])
    return value, value - (plus - minus) / (2 * STRAIN * atoms.get_volume())


def examples(kinds: tuple[str, ...], index: int) -> Iterator[Atoms]:
    """One structure of each configuration type, the `index`-th in the files."""
    structures = [s for name in FILES for s in read(STRUCTURES / f"{name}.xyz", ":")]
    for kind in kinds:
        same = [s for s in structures if s.info["config_type"] == kind]
        if len(same) <= index:
            message = f"{len(same)} structures of {kind}, wanted {index + 1} or more"
            raise ValueError(message)
        yield same[index]


def compare(level: str, kind: str | None) -> None:
    """Log the errors of a level on its example structures.

    Raises:
        MissingCodeError: The code of the level is not installed.
        ValueError: There is no such structure.
    """
    periodic = level in label_periodic.FUNCTIONALS
    if periodic:
        text_file = Path(f"finite_differences_{level}.gpaw.txt")
        label = partial(label_periodic.label, method=level, text_file=text_file)
        kinds = (kind,) if kind else PERIODIC_EXAMPLE
    else:
        label = partial(label_molecules.label, name=level, energy_step=1e-10)
        kinds = (kind,) if kind else EXAMPLES[level]
    for atoms in examples(kinds, index=4 if periodic else 1):
        force, error = force_error(atoms, label, atom=2 if periodic else 1, axis=1)
        log.info(
            "%s %s %s: force %.4f eV/Å, error %.3f meV/Å",
            level,
            atoms.info["uid"],
            atoms.symbols,
            force,
            1e3 * error,
        )
        if periodic and not atoms.info["box"]:
            stress, error = stress_error(atoms, label)
            log.info("stress %.3f GPa, error %.3f GPa", stress / GPa, error / GPa)


def main() -> int:
    """Compare from the command line."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    levels = (*label_periodic.FUNCTIONALS, *label_molecules.METHODS)
    parser.add_argument("level", choices=levels)
    parser.add_argument("config_type", nargs="?")
    arguments = parser.parse_args()
    try:
        compare(arguments.level, arguments.config_type)
    except (MissingCodeError, ValueError) as error:
        log.error("%s", error)  # noqa: TRY400 - the user needs no traceback
        return 3 if isinstance(error, MissingCodeError) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
