"""Reference records from VASP calculations of one's own: vasprun.xml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import numpy as np
from ase import Atoms

from lamplighter.errors import DataError, explain
from lamplighter.units import GPA_PER_EV_A3
from lamplighter.validation.engines.base import FloatArray
from lamplighter.validation.properties.crystal import conventional, material_name
from lamplighter.validation.properties.eos import fit_birch_murnaghan, fit_vinet
from lamplighter.validation.refs.loader import ReferenceValue
from lamplighter.validation.refs.writer import Origin
from lamplighter.validation.relax import space_group
from lamplighter.validation.structures import is_cubic

MAX_STRESS: Final = 0.5
"""GPa: a cell under more stress is not at its minimum; a changes by about 0.1 %."""

_MIN_VOLUMES: Final = 5
_MIN_R2: Final = 0.9999
_GGA: Final = {
    "PE": "PBE",
    "PS": "PBEsol",
    "RP": "RPBE",
    "91": "PW91",
    "CA": "LDA",
    "AM": "AM05",
    "PBE": "PBE",
}
_META: Final = {"R2SCAN": "r2SCAN", "SCAN": "SCAN", "RSCAN": "rSCAN", "TPSS": "TPSS"}
_DISPERSION: Final = {"0": "", "11": "-D3", "12": "-D3(BJ)"}
_NO: Final = frozenset({"", "--", "F", "FALSE", ".FALSE.", "NONE", "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VaspRun:
    """What one vasprun.xml says.

    Attributes:
        path: the file.
        atoms: final structure.
        energy: final energy, sigma -> 0, eV.
        stress: final stress, [3, 3] GPa, tension positive; ``None`` if not there.
        functional: as far as the file says it; empty if it does not.
        cutoff: plane-wave cutoff, eV.
    """

    path: Path
    atoms: Atoms
    energy: float
    stress: FloatArray | None
    functional: str
    cutoff: float


def from_vasprun(paths: Sequence[str | Path], origin: Origin) -> list[ReferenceValue]:
    """Return what one relaxed cell, or an energy-volume curve, gives.

    One file must be at its minimum: the lattice constants and the volume. Five files
    or more of different volumes: the equation of state.

    Args:
        paths: vasprun.xml files of one crystal.
        origin: level of theory and so on. The functional may be left out where the
            files say it: GGA, METAGGA and IVDW. Hybrids, +U and van der Waals
            functionals have to be named.

    Raises:
        DataError: a file that is no finished vasprun.xml, a cell under stress, two to
            four volumes, or a curve without a minimum inside.
        ConfigError: no level of theory, or another one than the files'.
    """
    runs = [read_vasprun(Path(path)) for path in paths]
    first = runs[0]
    if len({run.functional for run in runs}) > 1:
        got = ", ".join(sorted({run.functional for run in runs}))
        raise DataError(explain("the files are of different functionals", got=got))
    level = origin.level(functional=first.functional, code=f"VASP, {first.cutoff:g} eV")
    material, group = material_name(first.atoms), space_group(first.atoms)
    for run in runs:
        if (material_name(run.atoms), space_group(run.atoms)) != (material, group):
            problem = f"{run.path.name} is of another crystal than {first.path.name}"
            got = f"{material_name(run.atoms)}, space group {space_group(run.atoms)}"
            wanted = f"{material}, space group {group}"
            raise DataError(explain(problem, got=got, wanted=wanted))
    values = _relaxed(first) if len(runs) == 1 else _equation_of_state(runs)
    return [
        ReferenceValue(
            quantity=quantity,
            material=origin.material or material,
            structure=origin.structure or f"space group {group}",
            space_group=origin.space_group or group,
            value=float(value),
            error=None if error is None else float(error),
            unit=unit,
            level=level,
            source=origin.source_of([run.path for run in runs]),
            licence=origin.licence,
            obtained="computed",
            verified=origin.verified,
            role=origin.role,
        )
        for quantity, (value, error, unit) in values.items()
    ]


_Value = tuple[float, float | None, str]


def _relaxed(run: VaspRun) -> dict[str, _Value]:
    if run.stress is None or np.abs(run.stress).max() > MAX_STRESS:
        largest = None if run.stress is None else float(np.abs(run.stress).max())
        raise DataError(
            explain(
                f"{run.path.name} is not at its minimum",
                got="no stress" if largest is None else f"stress {largest:.2f} GPa",
                wanted=f"at most {MAX_STRESS} GPa",
                fix="relax the cell (ISIF = 3), or pass five or more volumes",
            )
        )
    cell = conventional(run.atoms)
    lengths = cell.cell.lengths()
    values: dict[str, _Value] = {
        "lattice_constant": (round(float(lengths[0]), 5), None, "Å")
    }
    if not is_cubic(cell):
        values["lattice_constant_c"] = (round(float(lengths[2]), 5), None, "Å")
    volume = float(run.atoms.get_volume()) / len(run.atoms)
    values["volume_per_atom"] = (round(volume, 5), None, "Å^3")
    return values


def _equation_of_state(runs: Sequence[VaspRun]) -> dict[str, _Value]:
    pairs = sorted(
        (run.atoms.get_volume() / len(run.atoms), run.energy / len(run.atoms))
        for run in runs
    )
    volumes, energies = np.array(pairs).T
    if len(runs) < _MIN_VOLUMES or np.min(np.diff(volumes)) < 1e-4 * volumes[0]:
        problem = "too few volumes for an equation of state"
        got = f"{len(runs)} files, {len(set(np.round(volumes, 4)))} volumes"
        wanted = f"one relaxed cell, or {_MIN_VOLUMES} or more volumes"
        raise DataError(explain(problem, got=got, wanted=wanted))
    fit = fit_birch_murnaghan(volumes, energies)
    other = fit_vinet(volumes, energies, fit)
    if fit.r2 < _MIN_R2 or not volumes[1] < fit.volume < volumes[-2]:
        problem = "the energies are no smooth curve with its minimum inside"
        got = f"r² {fit.r2:.6f}, minimum at {fit.volume:.3f} Å^3"
        wanted = f"r² {_MIN_R2}, {volumes[1]:.3f} to {volumes[-2]:.3f} Å^3"
        fix = "equal settings and volumes on both sides of the minimum"
        raise DataError(explain(problem, got=got, wanted=wanted, fix=fix))
    modulus = fit.bulk_modulus * GPA_PER_EV_A3
    error = abs(modulus - other.bulk_modulus * GPA_PER_EV_A3)
    values: dict[str, _Value] = {}
    cell = conventional(runs[0].atoms)
    if is_cubic(cell):
        edge = float((fit.volume * len(cell)) ** (1 / 3))
        values["lattice_constant"] = (round(edge, 5), None, "Å")
    shift = abs(fit.volume - other.volume)
    values["volume_per_atom"] = (round(fit.volume, 5), round(shift, 6), "Å^3")
    values["bulk_modulus"] = (round(modulus, 3), round(error, 3), "GPa")
    values["bulk_modulus_derivative"] = (round(fit.derivative, 3), None, "")
    return values


def read_vasprun(path: Path) -> VaspRun:
    """Return what a finished vasprun.xml says.

    Raises:
        DataError: no such file, cut short, not converged, or stars for numbers.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - the user's own output
    except (OSError, ET.ParseError) as error:
        fix = "wait until the calculation ends; a file cut short holds no result"
        problem = f"cannot read {path} as vasprun.xml"
        raise DataError(explain(problem, got=error, fix=fix)) from error
    try:
        return _read(root, path)
    except ValueError as error:
        fix = "VASP writes stars for what it cannot print: look into the file"
        problem = f"{path.name} holds something else than numbers"
        raise DataError(explain(problem, got=error, fix=fix)) from error


def _read(root: ET.Element, path: Path) -> VaspRun:
    """Return what the tree of a vasprun.xml says; see [`read_vasprun`][]."""
    last = root.findall("calculation")
    symbols = [
        (rc.findtext("c") or "").strip()
        for rc in root.findall("atominfo/array[@name='atoms']/set/rc")
    ]
    final = root.find("structure[@name='finalpos']")
    if not last or not symbols or final is None:
        problem = f"{path.name} holds no finished calculation"
        raise DataError(explain(problem, wanted="<structure name='finalpos'>"))
    settings = _settings(root)
    _check_converged(path, len(last[-1].findall("scstep")), settings)
    cell = _matrix(final.find("crystal/varray[@name='basis']"))
    positions = _matrix(final.find("varray[@name='positions']"))
    pressure = last[-1].find("varray[@name='stress']")
    energy = last[-1].findtext("energy/i[@name='e_0_energy']")
    if energy is None:
        raise DataError(explain(f"{path.name} holds no energy"))
    return VaspRun(
        path=path,
        atoms=Atoms(symbols, scaled_positions=positions, cell=cell, pbc=True),
        energy=float(energy),
        # VASP writes kbar with compression positive.
        stress=None if pressure is None else -0.1 * _matrix(pressure),
        functional=_functional(root, settings, path),
        cutoff=float(settings.get("ENMAX") or settings.get("ENCUT") or 0.0),
    )


def _matrix(element: ET.Element | None) -> FloatArray:
    rows = [] if element is None else [(v.text or "").split() for v in element]
    return np.array(rows, dtype=float)


def _settings(root: ET.Element) -> dict[str, str]:
    """Return what VASP assumed, and over it what the INCAR said."""
    found: dict[str, str] = {}
    for block in ("parameters", "incar"):
        for item in root.findall(f"{block}//i"):
            found[item.get("name", "").upper()] = (item.text or "").strip()
    return found


def _check_converged(path: Path, steps: int, settings: dict[str, str]) -> None:
    allowed = int(settings.get("NELM") or 60)
    if steps >= allowed:
        problem = f"the last electronic loop of {path.name} did not converge"
        wanted = f"less than NELM = {allowed} steps"
        raise DataError(explain(problem, got=f"{steps} steps", wanted=wanted))


def _functional(root: ET.Element, settings: dict[str, str], path: Path) -> str:
    """Return the functional that the file says, or nothing where it cannot be said."""

    def on(name: str) -> bool:
        return settings.get(name, "").upper() not in _NO

    unsaid = [n for n in ("LHFCALC", "LDAU", "LUSE_VDW", "LMBJ") if on(n)]
    dispersion = _DISPERSION.get(settings.get("IVDW") or settings.get("VDW", "0"))
    if unsaid or dispersion is None:
        return ""
    meta = settings.get("METAGGA", "").upper()
    if meta not in _NO:
        name = _META.get(meta, "")
        return name + dispersion if name else ""
    name = _GGA.get(settings.get("GGA", "").upper(), "")
    if not name:
        name = _of_potentials(root, path)
    return name + dispersion if name else ""


def _of_potentials(root: ET.Element, path: Path) -> str:
    """Return the functional for which the potentials were made, without a GGA tag."""
    names = {
        (rc.findall("c")[-1].text or "").split()[0]
        for rc in root.findall("atominfo/array[@name='atomtypes']/set/rc")
        if rc.findall("c")
    }
    kinds = {{"PAW_PBE": "PBE", "PAW": "LDA"}.get(name, "") for name in names}
    if len(kinds) > 1:
        problem = f"{path.name} mixes potentials of different functionals"
        raise DataError(explain(problem, got=", ".join(sorted(names))))
    return kinds.pop() if kinds else ""
