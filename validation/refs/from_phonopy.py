"""Reference records from a phonopy calculation of one's own."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import phonopy
from phonopy.file_IO import parse_BORN
from phonopy.interface.phonopy_yaml import PhonopyYaml

from lamplighter.errors import ConfigError, DataError, explain
from lamplighter.validation.properties import bands
from lamplighter.validation.properties.crystal import material_name
from lamplighter.validation.properties.phonon_settings import PhononSettings
from lamplighter.validation.refs.force_sets import to_ase
from lamplighter.validation.refs.loader import ReferenceValue
from lamplighter.validation.refs.writer import Origin
from lamplighter.validation.relax import space_group

_N_ACOUSTIC: Final = 3
_MODES_OF_TWO_ATOMS: Final = 6
_CODES: Final = {
    "vasp": "VASP",
    "qe": "Quantum ESPRESSO",
    "abinit": "ABINIT",
    "elk": "Elk",
    "aims": "FHI-aims",
    "castep": "CASTEP",
    "cp2k": "CP2K",
    "siesta": "SIESTA",
    "abacus": "ABACUS",
    "crystal": "CRYSTAL",
    "dftbp": "DFTB+",
    "wien2k": "WIEN2k",
}


def from_phonopy(path: str | Path, origin: Origin) -> list[ReferenceValue]:
    """Return frequencies and thermal functions of a phonopy file.

    The frequencies are those that a validation computes: at the corners of the zone
    that fit the supercell, sorted, symmetrised force constants. A ``FORCE_SETS``,
    ``FORCE_CONSTANTS`` and ``BORN`` beside the file are used if it holds none itself.

    Args:
        path: ``phonopy_params.yaml``, ``phonopy.yaml`` or ``phonopy_disp.yaml``.
        origin: level of theory and so on; phonopy's files do not say the functional.

    Raises:
        ConfigError: no level of theory was given, or another material or space group.
        DataError: no phonopy file, or one without forces.
    """
    path = Path(path)
    level = origin.level()  # before any work: phonopy's files never know it
    phonons = _load(path)
    code = origin.code or _CODES.get(str(phonons.calculator or ""), "")
    level = origin.level(code=code) if level.kind != "experiment" else level
    unit = to_ase(phonons.primitive)
    material, group = material_name(unit), space_group(unit)
    _check_same("material", origin.material, material)
    _check_same("space group", origin.space_group, group)
    n_atoms = len(phonons.supercell)
    return [
        ReferenceValue(
            quantity=quantity,
            material=origin.material or material,
            structure=origin.structure or f"space group {group}",
            space_group=group,
            value=round(value, 4),
            unit=unit_of,
            level=level,
            source=origin.source_of([path], f"supercell of {n_atoms} atoms"),
            licence=origin.licence,
            obtained="computed",
            verified=origin.verified,
            role=origin.role,
        )
        for quantity, (value, unit_of) in _values(phonons, path.parent).items()
    ]


def _check_same(what: str, given: Any, found: Any) -> None:
    if given and given != found:
        problem = f"the file is of another {what}"
        fix = f"leave --{what.replace(' ', '-')} out"
        raise ConfigError(explain(problem, got=given, wanted=found, fix=fix))


def _load(path: Path) -> phonopy.Phonopy:
    # Every file is named: phonopy otherwise takes a FORCE_SETS or BORN that happens to
    # lie in the current folder.
    sets, constants = path.parent / "FORCE_SETS", path.parent / "FORCE_CONSTANTS"
    try:
        told = PhonopyYaml().read(str(path))
        inside = told.force_constants is not None or _has_forces(told.dataset)
        if not (inside or sets.is_file() or constants.is_file()):
            raise _unreadable(path, "displacements without forces")
        use_sets = not inside and sets.is_file()
        use_constants = not inside and not use_sets
        matrix = told.primitive_matrix
        centring: Any = "auto" if matrix is None else np.asarray(matrix).tolist()
        with warnings.catch_warnings():
            # It says that "auto" finds a smaller cell: that is what is wanted.
            warnings.filterwarnings("ignore", module="phonopy")
            warnings.filterwarnings("ignore", message=".*primitive_matrix.*")
            phonons = phonopy.load(
                str(path),
                primitive_matrix=centring,
                force_sets_filename=str(sets) if use_sets else None,
                force_constants_filename=str(constants) if use_constants else None,
                is_nac=False,
                symmetrize_fc=True,
                log_level=0,
            )
        phonons.nac_params = told.nac_params
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, error) from error
    return phonons


def _has_forces(dataset: Any) -> bool:
    if not dataset:
        return False
    return "forces" in (dataset.get("first_atoms") or [dataset])[0]


def _unreadable(path: Path, error: object) -> DataError:
    return DataError(
        explain(
            f"no phonons in {path}",
            got=error,
            wanted="a phonopy YAML file with forces in it, or FORCE_SETS beside it",
            fix="phonopy-load --include-fs writes phonopy_params.yaml with all in one",
        )
    )


def _values(phonons: phonopy.Phonopy, folder: Path) -> dict[str, tuple[float, str]]:
    settings = PhononSettings()
    born = _charges(phonons, folder)
    corners = bands.corner_frequencies(phonons, bands.default_path(phonons))
    found: dict[str, tuple[float, str]] = {}
    for label, frequencies in corners.items():
        name, first = label, 1
        if label == bands.GAMMA:
            name, first = "Gamma", _N_ACOUSTIC + 1
            optical = bands.optical_at_gamma(frequencies)
            if len(frequencies) == _MODES_OF_TWO_ATOMS:
                found["frequency_Gamma_TO"] = (float(optical[0]), "THz")
                continue
            frequencies = optical  # noqa: PLW2901 - without translations
        for index, frequency in enumerate(frequencies):
            found[f"frequency_{name}_{index + first}"] = (float(frequency), "THz")
    if born is not None:
        modes = bands.longitudinal_modes(phonons, born)
        found |= {name: (value, "THz") for name, value in modes.items()}
    with bands.with_charges(phonons, born):
        spectrum = bands.run_spectrum(
            phonons, mesh=settings.mesh, temperature=settings.temperature
        )
    found["frequency_highest"] = (spectrum.highest, "THz")
    # No imaginary mode is the statement; how low a mode is depends on the mesh.
    lowest = min(spectrum.lowest, 0.0)
    found["frequency_lowest"] = (0.0 if lowest > -settings.imaginary else lowest, "THz")
    if spectrum.thermal is not None:
        end = f"{settings.temperature:g}K"
        found[f"free_energy_{end}"] = (spectrum.thermal.free_energy, "kJ/mol")
        found[f"entropy_{end}"] = (spectrum.thermal.entropy, "J/mol/K")
        found[f"heat_capacity_{end}"] = (spectrum.thermal.heat_capacity, "J/mol/K")
    return found


def _charges(phonons: phonopy.Phonopy, folder: Path) -> Any:
    """Return Born charges of the file itself, or of a BORN file beside it."""
    inside = phonons.nac_params
    phonons.nac_params = None  # bands adds them where they are wanted
    file = folder / "BORN"
    if inside is not None or not file.is_file():
        return inside
    return parse_BORN(phonons.primitive, filename=str(file))
