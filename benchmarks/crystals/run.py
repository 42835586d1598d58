"""Elastic constants and phonons beside matcalc: same potentials, strains, supercells.

    python benchmarks/crystals/run.py --matcalc-python PATH

`PATH` is the Python of an environment with matcalc 0.7 (nothing of it is needed here);
ours is the running one. Both sides relax the crystal for themselves. Elastic constants
with relaxed ions must agree within 0.5 % of the natural scale ``sqrt(C_ii C_jj)``,
frequencies at every wave vector that fits the supercell within 0.02 THz. Results go to
``benchmarks/results/crystals.json``; the exit code is 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from cases import CASES, DISPLACEMENT, FMAX, STRAINS

from lamplighter.validation.engines import AseEngine
from lamplighter.validation.properties import elastic, phonon
from lamplighter.validation.properties.elastic_tensor import averages, natural_scale
from lamplighter.validation.properties.force_constants import force_constants
from lamplighter.validation.refs.force_sets import to_ase
from lamplighter.validation.relax import RelaxSettings, relax_crystal

HERE = Path(__file__).resolve().parent
MAX_ELASTIC = 0.005
"""Relative to ``sqrt(C_ii C_jj)``."""
MAX_FREQUENCY = 0.02
"""THz."""


def ours(name: str) -> dict[str, Any]:
    """Return our numbers, and the task for the other side under ``task``."""
    case = CASES[name]
    engine = AseEngine(case.calculator())
    constants = elastic.run(
        case.start, engine, elastic.ElasticSettings(strains=STRAINS, fmax=FMAX)
    )
    settings = phonon.PhononSettings(
        supercell=case.supercell,
        displacement=DISPLACEMENT,
        check_displacement=None,
        reference="none",
        fmax=FMAX,
    )
    vibrations = phonon.run(case.start, engine, settings)
    relaxed = relax_crystal(case.start, engine, RelaxSettings(fmax=FMAX)).atoms
    found = force_constants(relaxed, np.diag(case.supercell), engine, DISPLACEMENT)
    primitive = to_ase(found.phonons.primitive)
    supercell = found.phonons.supercell.cell
    matrix = supercell @ np.linalg.inv(primitive.cell.array)
    qpoints = commensurate(np.rint(matrix).astype(int))
    frequencies = np.sort(found.phonons.run_qpoints(qpoints).frequencies, axis=1)
    keep = ("heat_capacity_300K", "entropy_300K")
    # The other side starts from a cell off the minimum, in the same axes.
    start = primitive.copy()
    start.set_cell(primitive.cell.array * 1.004, scale_atoms=True)
    return {
        "status": {"elastic": constants.status, "phonon": vibrations.status},
        "C": constants.arrays["C"],
        "C_clamped": constants.arrays["C_clamped"],
        "C_error": constants.arrays["C_error"],
        "frequencies": frequencies.tolist(),
        "noise_THz": found.noise,
        **{key: vibrations.values[key].value for key in keep},
        "task": {
            "symbols": start.get_chemical_symbols(),
            "cell": start.cell.array.tolist(),
            "scaled_positions": start.get_scaled_positions().tolist(),
            # phonopy's columns are the supercell's vectors.
            "supercell_matrix": np.rint(matrix).astype(int).T.tolist(),
            "qpoints": qpoints.tolist(),
        },
    }


def commensurate(matrix: Any) -> Any:
    """Return the wave vectors that fit a supercell, without Γ and without images.

    Args:
        matrix: [3, 3], rows are supercell vectors in terms of the primitive ones.
    """
    size = abs(round(np.linalg.det(matrix)))
    inverse = np.linalg.inv(matrix).T
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 3), axis=-1).reshape(-1, 3)
    points = np.mod(np.round(grid @ inverse, 9), 1.0)
    points = np.unique(np.round(points, 6) % 1.0, axis=0)
    points = points[np.abs(points).max(axis=1) > 1e-6]
    # q and -q are the same frequencies.
    half = {min(tuple(q), tuple(np.round(-q % 1.0, 6) % 1.0)) for q in points}
    return np.array(sorted(half))


def compare(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Return the largest differences of one crystal."""

    def relative(one: Any, other: Any) -> float:
        one, other = np.asarray(one), np.asarray(other)
        return float((np.abs(one - other) / natural_scale(one)).max())

    frequencies = np.asarray(mine["frequencies"])
    apart = np.abs(frequencies - theirs["phonon"]["frequencies"])
    mean = averages(np.asarray(mine["C"]))
    return {
        "elastic": relative(mine["C"], theirs["elastic"]["C"]),
        "elastic_clamped": relative(mine["C_clamped"], theirs["elastic_clamped"]["C"]),
        "elastic_defaults": relative(mine["C"], theirs["elastic_defaults"]["C"]),
        "bulk": abs(theirs["elastic"]["bulk"] / mean.bulk - 1),
        "shear": abs(theirs["elastic"]["shear"] / mean.shear - 1),
        "frequency_THz": float(apart.max()),
        "frequency_mean_THz": float(apart.mean()),
        "frequency_highest_THz": float(frequencies.max()),
        **{
            key: abs(theirs["phonon"][key] / mine[key] - 1)
            for key in ("heat_capacity_300K", "entropy_300K")
        },
        "wave_vectors": len(frequencies),
    }


def agree(row: dict[str, Any]) -> bool:
    """Return whether the differences of one crystal are within the limits."""
    return bool(row["elastic"] <= MAX_ELASTIC and row["frequency_THz"] <= MAX_FREQUENCY)


def main() -> int:
    """Run both sides, write the results, say what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matcalc-python", required=True, type=Path)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    default = HERE.parent / "results" / "crystals.json"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    mine = {name: ours(name) for name in options.only}
    tasks = {name: value.pop("task") for name, value in mine.items()}
    with tempfile.TemporaryDirectory() as folder:
        task, answer = Path(folder) / "task.json", Path(folder) / "answer.json"
        task.write_text(json.dumps(tasks), encoding="utf-8")
        command = [options.matcalc_python, HERE / "matcalc_side.py", task, answer]
        subprocess.run(
            [str(word) for word in command],
            check=True,
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        theirs = json.loads(answer.read_text("utf-8"))
    found = {name: compare(mine[name], theirs[name]) for name in options.only}
    good = all(agree(row) for row in found.values())
    result = {
        "limits": {"elastic": MAX_ELASTIC, "frequency_THz": MAX_FREQUENCY},
        "settings": {"strains": STRAINS, "displacement": DISPLACEMENT, "fmax": FMAX},
        "versions": {"ours": {n: version(n) for n in ("ase", "phonopy")}}
        | {"theirs": theirs.pop("versions")},
        "agree": good,
        "differences": found,
        "lamplighter": mine,
        "matcalc": theirs,
    }
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, row in found.items():
        print(
            f"{name:4} C {row['elastic']:.2%} (clamped {row['elastic_clamped']:.2%}, "
            f"its default strains {row['elastic_defaults']:.2%}), frequencies "
            f"{row['frequency_THz']:.4f} THz at {row['wave_vectors']} wave vectors"
        )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
