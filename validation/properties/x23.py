"""Lattice energies of the X23 molecular crystals.

Source: Otero-de-la-Roza, Johnson, J. Chem. Phys. 137, 054103 (2012) and Reilly,
Tkatchenko, J. Chem. Phys. 139, 024705 (2013) for the set; the references are diffusion
Monte Carlo energies at the same structures, see ``refs/molecules/x23.yaml``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from ase import Atoms
from ase.io import read

from lamplighter.errors import DataError, explain
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import PropertyResult
from lamplighter.validation.properties.molecules import (
    KJ_MOL_PER_EV,
    Entry,
    MolecularSet,
    boxed,
    chosen,
    evaluate_set,
    vacuum_for,
    with_state,
)
from lamplighter.validation.refs.loader import RECORDS_FOLDER

DATA_FOLDER: Final = RECORDS_FOLDER.parent / "molecules"


@dataclass(frozen=True, slots=True, kw_only=True)
class X23Settings:
    """Which crystals are computed, and from which structures.

    Attributes:
        systems: names as in ``refs/molecules/x23.yaml``, for example ``urea``; none
            takes all 23.
        folder: where structures of your own lie, as ``21_urea/POSCAR_solid`` and
            ``21_urea/POSCAR_molecule``; empty takes the built-in ones.
        allow_missing: whether crystals that the engine cannot compute only warn.
        max_error: difference from the reference that is worth a warning, kJ/mol.
    """

    systems: tuple[str, ...] = ()
    folder: str = ""
    allow_missing: bool = False
    max_error: float = 4.2


def run(
    structure: Atoms, engine: Engine, settings: X23Settings | None = None
) -> PropertyResult:
    """Return lattice energies: crystal per molecule minus the molecule alone.

    Values in kJ/mol: ``lattice_energy_urea`` and so on, ``x23_mae`` and
    ``x23_mean_error`` with the statistical error of the reference. Nothing is relaxed:
    the references hold at these structures. Charge 0 and multiplicity 1 stand in
    ``atoms.info``.

    Args:
        structure: not used; the set brings its own.
        engine: what computes.
        settings: see [`X23Settings`][].

    Raises:
        ConfigError: an unknown crystal.
        DataError: files are missing or hold other molecules.
    """
    del structure
    settings = settings or X23Settings()
    content = records()
    systems = {item["name"]: item for item in content["systems"]}
    names = chosen(list(systems), settings.systems, "X23")
    wanted = [systems[name] for name in names]
    if settings.folder:
        pairs = read_folder(Path(settings.folder), wanted)
    else:
        pairs = built_in(wanted)
    vacuum = vacuum_for(engine)
    group = MolecularSet(
        name="x23",
        title="X23",
        value="lattice_energy",
        unit="kJ/mol",
        per_ev=KJ_MOL_PER_EV,
        entries=tuple(_entry(item, *pairs[item["name"]], vacuum) for item in wanted),
        source={
            "level": "diffusion Monte Carlo, static lattice",
            "energies": content["dmc"]["text"],
            "structures": settings.folder or content["structures"]["text"],
        },
        expected=23,
        max_error=settings.max_error,
        method=asdict(settings) | {"vacuum": vacuum},
    )
    return evaluate_set(group, engine, allow_missing=settings.allow_missing)


def records() -> dict[str, Any]:
    """Return the reference energies with their sources."""
    text = (DATA_FOLDER / "x23.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def built_in(wanted: list[dict[str, Any]]) -> dict[str, tuple[Atoms, Atoms]]:
    """Return crystal and molecule of each system by name.

    Args:
        wanted: entries of [`records`][].
    """
    frames: Any = read(DATA_FOLDER / "x23_structures.xyz", index=":", format="extxyz")
    found = {(frame.info["name"], frame.info["kind"]): frame for frame in frames}
    return {
        item["name"]: (
            found[item["name"], "solid"],
            found[item.get("molecule", item["name"]), "molecule"],
        )
        for item in wanted
    }


def read_folder(
    folder: Path, wanted: list[dict[str, Any]]
) -> dict[str, tuple[Atoms, Atoms]]:
    """Return crystal and molecule of each system from a folder of POSCAR files.

    Args:
        folder: with one folder a system, for example ``21_urea``.
        wanted: entries of [`records`][].

    Raises:
        DataError: files are missing, all of which are named, or cannot be read.
    """
    numbers = {item["name"]: item["number"] for item in records()["systems"]}
    paths = {}
    for item in wanted:
        gas = item.get("molecule", item["name"])
        paths[item["name"]] = (
            folder / f"{item['number']:02d}_{item['name']}" / "POSCAR_solid",
            folder / f"{numbers[gas]:02d}_{gas}" / "POSCAR_molecule",
        )
    missing = sorted(
        {str(p) for pair in paths.values() for p in pair if not p.exists()}
    )
    if missing:
        raise DataError(
            explain(
                f"{len(missing)} files of X23 are missing",
                got=", ".join(missing),
                fix="put them there, or leave folder out: X23 is built in",
            )
        )
    return {
        name: (_poscar(solid), _whole(_poscar(gas)))
        for name, (solid, gas) in paths.items()
    }


def _whole(molecule: Atoms) -> Atoms:
    """Return a molecule whose atoms lie together, whatever faces of its box cut it."""
    scaled = molecule.get_scaled_positions(wrap=True)
    for axis in range(3):
        places = np.sort(scaled[:, axis])
        gaps = np.diff(np.append(places, places[0] + 1.0))
        start = places[(int(np.argmax(gaps)) + 1) % len(places)]
        scaled[:, axis] = (scaled[:, axis] - start + 1e-9) % 1.0
    result: Atoms = molecule.copy()
    result.set_scaled_positions(scaled)
    return result


def _poscar(path: Path) -> Atoms:
    try:
        atoms = read(path, format="vasp")
    except (OSError, RuntimeError, ValueError, LookupError) as error:
        problem = "not a POSCAR file"
        raise DataError(explain(problem, got=f"{path}: {error}")) from error
    if not isinstance(atoms, Atoms):
        raise DataError(explain("more than one structure", got=path, wanted="one"))
    return atoms


def _entry(
    item: Mapping[str, Any], solid: Atoms, molecule: Atoms, vacuum: float
) -> Entry:
    """Return crystal per molecule minus molecule, after counting the molecules."""
    number = int(item["molecules"])
    counts = Counter(molecule.get_chemical_symbols())
    whole = Counter(solid.get_chemical_symbols())
    n_found = len(solid) // len(molecule)
    if whole != Counter({k: v * n_found for k, v in counts.items()}):
        raise DataError(
            explain(
                f"crystal and molecule of {item['name']} do not belong together",
                got=solid.get_chemical_formula(),
                wanted=f"{number} times {molecule.get_chemical_formula()}",
            )
        )
    crystal = with_state(solid)
    return Entry(
        name=item["name"],
        terms=(
            (1.0 / n_found, crystal),
            (-1.0, with_state(boxed(molecule, vacuum))),
        ),
        reference=float(item["dmc"]),
        error=float(item["error"]),
    )
