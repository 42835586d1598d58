"""Lattice thermal conductivity from third-order force constants.

Displacements of one atom and of two atoms at a time give force constants of second and
third order; phono3py scatters phonons by them and solves the Boltzmann equation in the
relaxation-time approximation. Electrons, isotopes (unless asked for) and boundaries do
not scatter.

Source: A. Togo, L. Chaput, I. Tanaka, Phys. Rev. B 91, 094306 (2015).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms

from lamplighter.errors import ConfigError, OptionalDependencyError, explain
from lamplighter.validation.engines.base import Engine, FloatArray
from lamplighter.validation.properties.bands import run_spectrum
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
    require_positive,
)
from lamplighter.validation.properties.crystal import conventional, material_name
from lamplighter.validation.properties.force_constants import (
    ForceConstants,
    IntArray,
    centring,
    diagonal_supercell,
    force_constants,
)
from lamplighter.validation.properties.phonon_settings import check_grid
from lamplighter.validation.properties.stability import judge_stability
from lamplighter.validation.refs.force_sets import to_ase, to_phonopy
from lamplighter.validation.relax import RelaxSettings, relax_crystal
from lamplighter.validation.structures import CUBIC, UNIAXIAL, symmetry

_ACOUSTIC: Final = 3
_AXES: Final = ("xx", "yy", "zz")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConductivitySettings:
    """How the thermal conductivity is computed.

    Attributes:
        displacement: how far one atom, or two, are moved, Å.
        supercell: repeats of the conventional cell for the third order; ``None`` takes
            what `min_length` asks for.
        min_length: shortest distance between faces of that supercell, Å.
        phonon_supercell: the same for the second order.
        phonon_min_length: the same, Å; twice the engine's cutoff is kept as well.
        mesh: wave vectors along each reciprocal vector.
        check_mesh: a coarser mesh, whose difference is the error bar; ``None`` computes
            none.
        temperature: K.
        isotopes: scatter by the natural isotopes too.
        fmax: largest force of the relaxed crystal, eV/Å.
        max_residual_force: largest force on an atom before any displacement, eV/Å.
        max_correction: largest change, over the largest force constant, that
            translation and permutation symmetry may ask for, second order.
        imaginary: frequencies below minus this, THz, are imaginary modes.
        max_mesh_difference: relative, of the two meshes, beyond which a warning comes.
    """

    displacement: float = 0.03
    supercell: tuple[int, int, int] | None = None
    min_length: float = 8.0
    phonon_supercell: tuple[int, int, int] | None = None
    phonon_min_length: float = 15.0
    mesh: int = 11
    check_mesh: int | None = 9
    temperature: float = 300.0
    isotopes: bool = False
    fmax: float = 1e-4
    max_residual_force: float = 5e-3
    max_correction: float = 0.02
    imaginary: float = 0.05
    max_mesh_difference: float = 0.2

    def __post_init__(self) -> None:
        """Refuse settings that give no conductivity."""
        names = (
            "displacement",
            "min_length",
            "phonon_min_length",
            "temperature",
            "fmax",
            "max_residual_force",
            "max_correction",
            "imaginary",
            "max_mesh_difference",
        )
        require_positive(self, names, "the conductivity settings must be positive")
        for repeats in (self.supercell, self.phonon_supercell):
            check_grid(self.mesh, repeats)
        if self.check_mesh is not None and not 2 <= self.check_mesh < self.mesh:
            raise ConfigError(
                explain(
                    "check_mesh of the conductivity settings",
                    got=self.check_mesh,
                    wanted=f"at least 2 and coarser than mesh, {self.mesh}; or none",
                )
            )


def run(
    start: Atoms, engine: Engine, settings: ConductivitySettings | None = None
) -> PropertyResult:
    """Return the lattice thermal conductivity of a crystal.

    Values in W/m/K: ``thermal_conductivity_300K``, a third of the trace, and of other
    than cubic crystals ``thermal_conductivity_xx_300K`` and so on in the standard
    crystal axes; ``frequency_lowest`` THz. Arrays: ``conductivity`` [6] (xx yy zz yz xz
    xy), and by wave vector and branch ``mode_conductivity`` (W/m/K, a third of the
    trace; their sum is the conductivity), ``frequencies`` THz, ``linewidths`` THz (half
    width; the lifetime is 1 / (4 pi linewidth) ps); ``qpoints``, ``weights``.

    Args:
        start: any cell of the crystal.
        engine: what computes.
        settings: see [`ConductivitySettings`][].

    Raises:
        OptionalDependencyError: phono3py is not installed.
        EngineError: an evaluation fails.
        DataError: the structure is no crystal.
    """
    settings = settings or ConductivitySettings()
    kind = phono3py_class()
    relaxed = relax_crystal(
        conventional(start), engine, RelaxSettings(fmax=settings.fmax)
    )
    checks = list(relaxed.checks)
    method: dict[str, Any] = dataclasses.asdict(settings)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if relaxed.ok:
        unit = relaxed.atoms
        matrices = supercells(unit, engine, settings)
        second = force_constants(unit, matrices[1], engine, settings.displacement)
        more = _checks(second, settings)
        checks += more
        method |= {
            "supercell_matrix": matrices[0].tolist(),
            "phonon_supercell_matrix": matrices[1].tolist(),
            "approximation": "relaxation time, without electrons and boundaries",
            "noise_floor_THz": second.noise,
        }
        if all(check.ok for check in more):
            solver, count = third_order(kind, unit, matrices, engine, second, settings)
            method["n_displaced"] = count + second.n_displaced
            found, values, arrays = _conductivities(solver, unit, settings)
            checks += found
            values["frequency_lowest"] = Quantity(
                value=float(more[-1].value or 0.0), unit="THz", error=second.noise
            )
    return PropertyResult.conclude(
        "conductivity",
        material_name(start),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def phono3py_class() -> Any:
    """Return phono3py's class.

    Raises:
        OptionalDependencyError: phono3py is not installed.
    """
    try:
        from phono3py import Phono3py  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise OptionalDependencyError(
            explain(
                "thermal conductivities need the package phono3py",
                got=error,
                fix="pip install 'lamplighter[conductivity]'",
            )
        ) from error
    return Phono3py


def supercells(
    unit: Atoms, engine: Engine, settings: ConductivitySettings
) -> tuple[IntArray, IntArray]:
    """Return the diagonal supercells of the third and of the second order."""
    reach = max(settings.phonon_min_length, 2 * engine.info.cutoff)
    pairs = (
        (settings.supercell, settings.min_length),
        (settings.phonon_supercell, reach),
    )
    third, second = (
        diagonal_supercell(unit, length)
        if repeats is None
        else np.diag(np.asarray(repeats, dtype=np.int64))
        for repeats, length in pairs
    )
    return third, second


def third_order(
    kind: Any,
    unit: Atoms,
    matrices: tuple[IntArray, IntArray],
    engine: Engine,
    second: ForceConstants,
    settings: ConductivitySettings,
) -> tuple[Any, int]:
    """Return phono3py's object with both force constants, and how many supercells.

    Forces of the undisplaced supercell and the mean force are subtracted.
    """
    solver = kind(
        to_phonopy(unit),
        supercell_matrix=matrices[0],
        phonon_supercell_matrix=matrices[1],
        primitive_matrix=centring(unit),
        log_level=0,
    )
    solver.generate_displacements(distance=settings.displacement)
    displaced = [to_ase(cell) for cell in solver.supercells_with_displacements]
    structures = [to_ase(solver.supercell), *displaced]
    rest, *moved = engine.compute_many(structures, want=("energy", "forces"))
    changes = [result.forces - rest.forces for result in moved]
    solver.forces = np.array([change - change.mean(axis=0) for change in changes])
    solver.produce_fc3()
    solver.symmetrize_fc3()
    solver.fc2 = np.array(second.phonons.force_constants)
    return solver, len(displaced)


def _checks(second: ForceConstants, settings: ConductivitySettings) -> list[Check]:
    spectrum = run_spectrum(
        second.phonons, mesh=settings.mesh, temperature=settings.temperature
    )
    stability = judge_stability(
        second.phonons, spectrum.lowest, limit=settings.imaginary, noise=second.noise
    )
    return [
        at_most(
            "residual force",
            second.residual_force,
            settings.max_residual_force,
            "largest force before any displacement, eV/Å; relax more tightly",
        ),
        at_most(
            "force-constant symmetrisation",
            second.correction,
            settings.max_correction,
            "largest change over the largest force constant of the second order",
        ),
        at_least(
            "imaginary modes",
            min(stability.lowest_exact, stability.lowest_mesh),
            -settings.imaginary,
            "lowest frequency, THz; an imaginary mode carries no heat",
        ),
    ]


def _solve(solver: Any, mesh: int, settings: ConductivitySettings) -> Any:
    solver.mesh_numbers = [mesh] * 3
    solver.init_phph_interaction()
    solver.run_thermal_conductivity(
        temperatures=[settings.temperature], is_isotope=settings.isotopes
    )
    return solver.thermal_conductivity


def _conductivities(
    solver: Any, unit: Atoms, settings: ConductivitySettings
) -> tuple[list[Check], dict[str, Quantity], dict[str, Any]]:
    end = f"{settings.temperature:g}K"
    coarse: FloatArray | None = None
    if settings.check_mesh is not None:
        coarse = np.array(_solve(solver, settings.check_mesh, settings).kappa[0, 0])
    found = _solve(solver, settings.mesh, settings)
    whole = np.array(found.kappa[0, 0])
    names = {f"thermal_conductivity_{end}": np.array([1.0, 1.0, 1.0]) / 3.0}
    number = symmetry(unit).number
    for index, axes in enumerate(_AXES):
        if number >= CUBIC or (number >= UNIAXIAL and axes == "yy"):
            continue
        names[f"thermal_conductivity_{axes}_{end}"] = np.eye(3)[index]
    values = {}
    for name, weights in names.items():
        value = float(weights @ whole[:3])
        error = None if coarse is None else abs(float(weights @ coarse[:3]) - value)
        values[name] = Quantity(value=value, unit="W/m/K", error=error)
    modes = np.array(found.mode_kappa[0, 0])[..., :3].mean(axis=-1)
    arrays = {
        "conductivity": whole,
        "mode_conductivity": modes / settings.mesh**3,
        "frequencies": np.array(found.frequencies),
        "linewidths": np.array(found.gamma[0, 0]),
        "qpoints": np.array(found.qpoints),
        "weights": np.array(found.grid_weights),
    }
    ignored = int(np.ravel(found.number_of_ignored_phonon_modes).max())
    checks = [
        at_most(
            "modes without frequency",
            ignored,
            _ACOUSTIC,
            "modes that were left out; the acoustic ones at Γ are three",
        )
    ]
    mean = values[f"thermal_conductivity_{end}"]
    if mean.error is not None:
        checks.append(
            at_most(
                "two meshes",
                mean.error / abs(mean.value),
                settings.max_mesh_difference,
                "relative difference of the conductivity; take a finer mesh",
                hard=False,
            )
        )
    return checks, values, arrays
