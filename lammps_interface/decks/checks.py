"""What a deck refuses: options, structures and models that do not go together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import read
from ase.io.formats import UnknownFileTypeError
from ase.neighborlist import neighbor_list

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.lammps_interface.decks.options import USES, DeckOptions, Kind

_TOO_CLOSE: Final = 0.5
_LARGEST_SEED: Final = 2**31 - 1
_NEEDS_CRYSTAL: Final = frozenset(
    {"npt", "box-relax", "elastic", "heat-flux", "melt", "deform"}
)
_NEEDS_VELOCITIES: Final = frozenset({"nve", "nvt", "npt", "elastic", "heat-flux"})


def check_options(kind: Kind, options: DeckOptions) -> None:
    """Refuse options that a kind does not use, lacks, or cannot honour.

    Raises:
        ConfigError: the message names the option.
    """
    for name, kinds in USES.items():
        if getattr(options, name) is not None and kind not in kinds:
            raise ConfigError(
                explain(
                    f"a {kind} deck has no {_flag(name)}",
                    got=getattr(options, name),
                    wanted=f"one of the kinds {', '.join(sorted(kinds))}",
                )
            )
    needed = {"neb": ("end",), "gcmc": ("gas", "chemical_potential")}
    for name in needed.get(kind, ()):
        if getattr(options, name) is None:
            raise ConfigError(explain(f"a {kind} deck needs {_flag(name)}"))
    _check_numbers(options)
    if not 1 <= options.seed <= _LARGEST_SEED:
        raise ConfigError(
            explain("--seed", got=options.seed, wanted=f"1 to {_LARGEST_SEED}")
        )
    if min(options.supercell) < 1:
        raise ConfigError(
            explain("--supercell", got=options.supercell, wanted="three numbers from 1")
        )


def _check_numbers(options: DeckOptions) -> None:
    positive = ("temperature", "timestep", "melt_temperature", "strain")
    for name in positive:
        value = getattr(options, name)
        if value is not None and not 0.0 < value < math.inf:
            raise ConfigError(explain(_flag(name), got=value, wanted="above 0"))
    for name in ("pressure", "chemical_potential"):
        value = getattr(options, name)
        if value is not None and not math.isfinite(value):
            raise ConfigError(explain(_flag(name), got=value, wanted="a number"))
    for name, least in (("steps", 1), ("images", 3)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise ConfigError(explain(_flag(name), got=value, wanted=f"from {least}"))


def read_structure(file: Path) -> Atoms:
    """Return the one structure in a file; of several, the last.

    Raises:
        DataError: no file that ASE reads, or no atoms in it.
    """
    try:
        atoms = read(file)
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        OSError,
        RuntimeError,
        TypeError,
        UnknownFileTypeError,
        ValueError,
    ) as error:  # ASE's readers say in many ways that a file is none of theirs
        raise DataError(
            explain(f"cannot read {file}", got=error, wanted="a file that ASE reads")
        ) from error
    if not isinstance(atoms, Atoms) or len(atoms) == 0:
        raise DataError(explain(f"{file} has no atoms"))
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell).all():
        raise DataError(explain(f"{file} has positions or a cell that are no numbers"))
    return atoms


def check_structure(kind: Kind, atoms: Atoms) -> None:
    """Refuse a structure that a kind of deck cannot start from.

    Raises:
        DataError: atoms coincide; no cell along a periodic direction.
        ConfigError: too few atoms for velocities, or a kind that needs a crystal.
    """
    lengths = atoms.cell.lengths()
    if any(atoms.pbc & (lengths < 1e-6)):
        raise DataError(
            explain("the structure is periodic along a direction without a cell vector")
        )
    if kind in _NEEDS_CRYSTAL and not all(atoms.pbc):
        raise ConfigError(
            explain(
                f"a {kind} deck changes or measures the whole cell",
                got=f"periodic along {_directions(atoms.pbc)}",
                wanted="a structure that is periodic along all three directions",
                fix="use nvt, or minimize",
            )
        )
    if kind in _NEEDS_VELOCITIES and len(atoms) < 2:
        raise ConfigError(
            explain(
                "one atom has no temperature once its centre of mass is at rest",
                fix="--supercell 2 2 2",
            )
        )
    distances = neighbor_list("d", atoms, _TOO_CLOSE)
    if len(distances):
        raise DataError(
            explain(
                "two atoms coincide",
                got=f"{distances.min():.3f} Å",
                wanted=f"at least {_TOO_CLOSE} Å",
                fix="look for atoms that were listed twice",
            )
        )


def check_elements(
    symbols: Sequence[str], known: Sequence[str], *, model: Path
) -> None:
    """Refuse elements that a model file does not have.

    Raises:
        ConfigError: the message lists them, and what the file has.
    """
    missing = [symbol for symbol in symbols if symbol not in known]
    if not missing:
        return
    unknown = [symbol for symbol in missing if symbol not in chemical_symbols]
    raise ConfigError(
        explain(
            f"{model} lacks {'the element' if len(missing) == 1 else 'elements'} "
            f"{' '.join(missing)}",
            wanted=f"of {' '.join(known)}",
            fix="name an element"
            if unknown
            else "convert the model again with all "
            f"elements: lamplighter convert MODEL --elements {' '.join(symbols)} ...",
        )
    )


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a folder that has files in it.

    Raises:
        ConfigError: it has files and `force` is off, it is a file, or its parent does
            not exist.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(explain(f"{folder} is a file", wanted="a folder"))
    if not folder.exists() and not folder.absolute().parent.is_dir():
        raise ConfigError(
            explain(f"{folder.parent} does not exist", fix=f"mkdir -p {folder.parent}")
        )
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise ConfigError(
            explain(
                f"{folder} has files in it",
                fix="choose another folder, or overwrite with --force",
            )
        )


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _directions(pbc: Sequence[bool]) -> str:
    names = [n for n, on in zip("xyz", pbc, strict=True) if on]
    return " ".join(names) or "none"
