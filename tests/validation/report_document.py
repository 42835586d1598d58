"""A realistic report document for the tests of the report: synthetic numbers."""

from __future__ import annotations

from typing import Any

import numpy as np


def bands(distances: np.ndarray, scale: float, shift: float) -> np.ndarray:
    """Return six smooth branches, [n_q, 6] in THz."""
    phase = np.pi * distances / distances[-1] * 3
    acoustic = np.abs(np.sin(phase))[:, None] * np.array([8.4, 8.6, 12.3])
    optical = 11.2 + np.abs(np.sin(phase))[:, None] * np.array([1.2, 2.0, 4.6])
    return scale * np.hstack([acoustic, optical]) + shift


def row(
    quantity: str, label: str, unit: str, values: tuple[float, float, float],
    tolerance: str, verdict: str,
) -> dict[str, Any]:  # fmt: skip
    """Return one row of a property table."""
    reference, ase, lammps = values
    return {
        "quantity": quantity, "label": label, "unit": unit, "reference": reference,
        "reference_text": "PBE, VASP", "engines": {"ase": ase, "lammps": lammps},
        "delta_engine": abs(lammps - ase), "engine_limit": 1e-3,
        "engine_verdict": "pass", "delta_physics": ase - reference,
        "tolerance": tolerance, "verdict": verdict, "extra": False,
    }  # fmt: skip


def plots() -> dict[str, Any]:
    """Return data for every figure."""
    rng = np.random.default_rng(7)
    steps = list(range(0, 400, 40))
    decay = np.exp(-np.array(steps) / 120)
    heads = {"pbe": 38, "r2scan": 52, "rpbe": 66, "wb97m-v": 118, "b3lyp-d3bj": 131}
    curves = {
        name: {"steps": steps, "force_rmse": list(value * (1 + 0.1 * decay))}
        for name, value in heads.items()
    }
    curves["pbesol"] = {"steps": steps, "force_rmse": list(45 + 240 * decay)}
    forces = {}
    for name, error in {"pbe": 0.038, "pbesol": 0.047, "wb97m-v": 0.12}.items():
        reference = rng.normal(0, 1.1, 600)
        predicted = reference + rng.normal(0, error, 600)
        forces[name] = {
            "reference": list(reference),
            "predicted": list(predicted),
            "rmse": 1000 * error,
        }
    distances = np.linspace(0, 3.2, 121)
    time = np.linspace(0, 1, 101)
    volumes = np.linspace(17.4, 20.4, 11)
    fine = np.linspace(17.4, 20.4, 60)
    strain = np.array([-0.005, -0.0025, 0.0025, 0.005])
    return {
        "learning_curve": {"heads": curves, "new_head": "pbesol"},
        "force_parity": {"heads": forces},
        "dynamics": {
            "time_ps": time,
            "temperature_K": rng.normal(320, 12, 101) - 300 * np.exp(-8 * time),
            "potential_eV": -1290 + 4 * (1 - np.exp(-8 * time)),
            "n_atoms": 216,
            "target_K": 300,
        },
        "phonon": {
            "distances": distances,
            "ticks": [0, 1.1, 2.0, 3.2],
            "labels": ["Γ", "X", "Γ", "L"],
            "reference_label": "PBE, phonopy",
            "bands": {
                "reference": bands(distances, 1, 0),
                "ase": bands(distances, 0.97, 0.05),
                "lammps": bands(distances, 0.97, 0.05 + 1e-9),
            },
            "breaks": [],
        },
        "bulk": {
            "per": "formula unit",
            "series": {
                name: {
                    "volumes": volumes,
                    "energies": -12 + 0.05 * (volumes - 19.2) ** 2,
                    "fit_volumes": fine,
                    "fit_energies": -12 + 0.05 * (fine - 19.2) ** 2,
                }
                for name in ("ase", "lammps")
            },
        },
        "elastic": {
            "curves": [
                {
                    "component": name, "engine": engine, "ions": ions,
                    "strain": strain, "stress": slope * strain + 8 * strain**2,
                    "slope": slope,
                }
                for name, slope in (("C11", 271.0), ("C12", 90.0), ("C44", 141.0))
                for engine in ("ase", "lammps")
                for ions in ("relaxed", "clamped")
            ]
        },
        "surface": {
            "reference": 0.87,
            "reference_label": "PBE, literature",
            "curves": [
                {
                    "engine": engine, "ions": ions, "layers": [4, 6, 8],
                    "gamma": [value + 0.003, value - 0.001, value], "fit": value,
                }
                for engine in ("ase", "lammps")
                for ions, value in (("relaxed", 0.82), ("clamped", 0.86))
            ],
        },
    }  # fmt: skip


def document() -> dict[str, Any]:
    """Return a whole report document."""
    structures = {
        "rattled rocksalt": 8, "triclinic, both tilts": 8, "MgO(100) slab": 12,
        "cell smaller than the cutoff": 2, "molecule in a box": 3, "isolated atom": 1,
    }  # fmt: skip
    parity = [
        {
            "structure": name, "n_atoms": n, "verdict": "pass",
            "values": {"energy": 3e-13, "forces": 4.1e-12, "stress": 2.2e-10},
        }
        for name, n in structures.items()
    ]  # fmt: skip
    bulk = [
        row(
            "a", "lattice constant", "Å", (4.2549, 4.2601, 4.2601), "0.5 / 1 %", "pass"
        ),
        row("B", "bulk modulus", "GPa", (150.6, 158.9, 158.9), "5 / 15 %", "near"),
    ]
    phonon = [
        row("omega_G_TO", "ω Γ TO", "THz", (11.198, 10.89, 10.89), "3 / 8 %", "pass"),
        row(
            "omega_X_1", "ω X, branch 1", "THz", (8.455, 7.31, 7.31), "3 / 8 %", "miss"
        ),
    ]
    columns = [
        ("energy", "ΔE", "eV/atom", 1e-9), ("forces", "ΔF", "eV/Å", 1e-8),
        ("stress", "Δσ", "GPa", 1e-6),
    ]  # fmt: skip
    return {
        "format": "lamplighter-report", "schema_version": 1,
        "title": "MgO with base.safetensors, head pbe",
        "created": "2026-01-02 03:04 UTC",
        "verdict": {
            "state": "miss",
            "headline": "LAMMPS gives the model's numbers; 1 of 4 misses PBE.",
            "details": ["Parity: 6 of 6.", "Physics: 2 pass, 1 near, 1 miss."],
        },
        "model": [
            {"label": "file", "value": "tuned.safetensors", "code": True},
            {"label": "sha256", "value": "ab" * 32, "code": True},
            {"label": "head", "value": "pbe", "code": True},
            {"label": "level", "value": "PBE (GPAW, PW 800 eV)"},
            {"label": "elements", "value": "Mg O"},
            {"label": "cutoff", "value": "5 Å"},
        ],
        "engines": [
            {"name": "ase", "label": "ASE", "details": {"dtype": "float64"}},
            {
                "name": "lammps", "label": "LAMMPS",
                "details": {"version": "22 Jul 2025", "pair style": "mliap unified"},
            },
        ],
        "parity": {
            "columns": [
                dict(zip(("key", "label", "unit", "limit"), column, strict=True))
                for column in columns
            ],
            "rows": parity,
        },
        "properties": [
            {"property": "bulk", "title": "Equation of state", "material": "MgO",
             "method": "11 volumes, ±6 %, Birch-Murnaghan", "rows": bulk},
            {"property": "phonon", "title": "Phonons", "material": "MgO",
             "method": "64 atoms, displacement 0.02 Å", "rows": phonon},
        ],
        "training": {
            "text": "90 s of multi-head replay.",
            "rows": [
                {"head": "pbe", "level": "PBE", "n_frames": 12,
                 "before": {"energy_rmse": 4.1, "force_rmse": 41.0},
                 "after": {"energy_rmse": 3.9, "force_rmse": 38.2}},
                {"head": "pbesol", "level": "PBEsol", "n_frames": 5, "before": None,
                 "after": {"energy_rmse": 2.9, "force_rmse": 47.2}},
            ],
        },
        "notes": [{"title": "The new head", "text": "a = 4.213 Å against 4.217 Å."}],
        "checks": [
            {"property": "bulk", "material": "MgO", "engine": "ase",
             "name": "converged", "ok": True, "value": 3e-5, "limit": 1e-4,
             "text": "fmax",
             "advice": ""},
            {"property": "surface", "material": "MgO", "engine": "lammps",
             "name": "slope of E(N)", "ok": False, "value": 0.31, "limit": 0.1,
             "text": "The slope differs from the bulk energy by 0.31 meV/atom.",
             "advice": "relax the bulk more tightly"},
        ],
        "plots": plots(),
        "stages": [{"name": "post-training", "seconds": 84.2}],
        "provenance": {"Versions": {"lamplighter": "0.1.0", "torch": "2.13"},
                       "Machine": {"cpu": "2 cores"}},
        "references": [
            {"quantity": "a", "value": "4.2549", "unit": "Å", "level": "PBE, 0 K",
             "source": "GPAW, PW 800 eV", "licence": "CC-BY-4.0", "verified": True},
        ],
    }  # fmt: skip
