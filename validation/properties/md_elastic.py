"""Elastic constants at a temperature, from dynamics.

Two ways that give the same isothermal constants, the derivatives of the Cauchy stress
with respect to strain at the given cell:

* `paired`: two Langevin runs at strains of opposite sign, with the same velocities and
  the same noise. Most of the thermal stress is common to both and drops out of the
  difference, so that a few ps are enough, and internal strain relaxes by itself.
* `fluctuation`: one run at rest. With the virial stress s of a configuration and the
  probability exp(-U / kT) at fixed scaled coordinates, differentiating the average
  gives ``C_ij = <ds_i/de_j> - V/kT (<s_i s_j> - <s_i><s_j>) + n kT/V`` (the last term
  for i, j = 1 to 3, n = N - 1 moving atoms): the first term is that of clamped ions.

Source: Squire, Holt, Hoover, Physica 42, 388 (1969) for fluctuations; Parrinello,
Rahman, J. Chem. Phys. 76, 2662 (1982).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from ase import Atoms

from lamplighter.errors import EngineError
from lamplighter.validation.dynamics.crystals import supercell_of
from lamplighter.validation.engines.base import Engine
from lamplighter.validation.properties.base import (
    Check,
    PropertyResult,
    Quantity,
    at_least,
    at_most,
)
from lamplighter.validation.properties.crystal import conventional, material_name
from lamplighter.validation.properties.elastic_tensor import born_eigenvalues
from lamplighter.validation.properties.elastic_values import constants, entries
from lamplighter.validation.properties.md_constants import (
    Constants,
    fluctuation,
    paired,
)
from lamplighter.validation.properties.md_elastic_settings import MdElasticSettings
from lamplighter.validation.relax import RelaxSettings, relax_crystal
from lamplighter.validation.structures import (
    is_cubic,
    point_group,
    strain_tensor,
    strained,
)

__all__ = ["MdElasticSettings", "run"]


def run(
    structure: Atoms, engine: Engine, settings: MdElasticSettings | None = None
) -> PropertyResult:
    """Return the isothermal elastic constants at a temperature.

    Values at 300 K, in the standard crystal axes: ``C11_300K`` and so on, GPa;
    ``thermal_strain_300K``, the mean linear strain from the cell of the relaxed crystal
    to zero stress, to first order; ``pressure_300K``, GPa, of the cell that was used.
    Errors are standard errors of blocks. Arrays: ``C``, ``C_error``, ``stress``,
    ``born_eigenvalues`` (GPa).

    Args:
        structure: a crystal, any cell; it is relaxed first.
        engine: what computes; LAMMPS runs the dynamics itself.
        settings: see [`MdElasticSettings`][].

    Raises:
        EngineError: the engine cannot compute the crystal at rest.
    """
    settings = settings or MdElasticSettings()
    relaxed = relax_crystal(structure, engine, RelaxSettings(fmax=settings.fmax))
    method: dict[str, Any] = asdict(settings)
    checks = list(relaxed.checks)
    values: dict[str, Quantity] = {}
    arrays: dict[str, Any] = {}
    if relaxed.ok:
        unit = conventional(relaxed.atoms)
        try:
            found, cell = _at_zero_stress(unit, engine, settings)
        except EngineError as error:
            checks.append(Check(name="dynamics run", ok=False, text=str(error)))
        else:
            strain = float(np.cbrt(cell.get_volume() / unit.get_volume())) - 1
            checks += [*found.checks, *_checks(found, settings)]
            values = _values(found, cell, strain, settings.temperature_K)
            arrays = {
                "C": found.tensor,
                "C_error": found.error,
                "stress": found.stress,
                "born_eigenvalues": born_eigenvalues(found.tensor),
            }
            method |= {"cell": cell.cell.array, "noise_gain": found.gain}
            method["n_atoms"] = len(supercell_of(cell, settings.min_length))
    return PropertyResult.conclude(
        "md_elastic",
        material_name(structure),
        engine.info,
        method=method,
        checks=checks,
        values=values,
        arrays=arrays,
    )


def _at_zero_stress(
    unit: Atoms, engine: Engine, settings: MdElasticSettings
) -> tuple[Constants, Atoms]:
    """Return the constants at the last cell, and that cell."""
    compute = paired if settings.method == "paired" else fluctuation
    found = compute(unit, engine, settings)
    cell = unit
    for _ in range(settings.cell_steps):
        change = -np.linalg.solve(found.tensor, found.stress)
        strain = sum(strain_tensor(i, float(change[i])) for i in range(6))
        cell = strained(cell, np.asarray(strain))
        found = compute(cell, engine, settings)
    return found, cell


def _checks(found: Constants, settings: MdElasticSettings) -> list[Check]:
    largest = float(np.abs(found.tensor).max())
    return [
        at_most(
            "error bars",
            float(found.error.max()) / largest,
            settings.max_error,
            "largest standard error over the largest constant: run longer",
            hard=False,
        ),
        at_most(
            "mean stress",
            float(np.abs(found.stress).max()),
            settings.max_stress,
            "of the cell that was used, GPa: set cell_steps to go to zero stress",
            hard=False,
        ),
        at_least(
            "Born stability",
            float(born_eigenvalues(found.tensor)[0]),
            0.0,
            "lowest eigenvalue of the elastic tensor, GPa",
            hard=False,
        ),
    ]


def _values(
    found: Constants, cell: Atoms, strain: float, temperature: float
) -> dict[str, Quantity]:
    ending = f"_{temperature:g}K"
    components = entries(point_group(cell), cubic=is_cubic(cell))
    values = constants(found.tensor, found.error, ending, components)
    compliance = np.linalg.inv(found.tensor)
    to_zero = -compliance @ found.stress
    error = np.abs(compliance) @ found.stress_error
    values[f"thermal_strain{ending}"] = Quantity(
        value=strain + float(to_zero[:3].mean()), unit="", error=float(error[:3].mean())
    )
    values[f"pressure{ending}"] = Quantity(
        value=-float(found.stress[:3].mean()),
        unit="GPa",
        error=float(found.stress_error[:3].mean()),
    )
    return values
