"""Synthetic figures of every kind for the tests of the report."""

from __future__ import annotations

from typing import Any

import numpy as np

ENGINES = ("ase", "lammps")


def both(value: Any) -> dict[str, Any]:
    """Return the same data for both engines."""
    return dict.fromkeys(ENGINES, value)


def cube() -> dict[str, Any]:
    """Return the faces of a cube with its edge along the axes."""
    faces = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=float)
            faces.append(np.insert(square, axis, side, axis=1).tolist())
    planes = ["100"] * 6
    return {"faces": faces, "planes": planes, "fractions": {"100": 1.0}}


def figures() -> list[dict[str, Any]]:
    """Return one figure of each kind that belongs to a property."""
    t = np.linspace(0, 1000, 41)
    w = np.linspace(0, 16, 81)
    q = np.linspace(0, 3.2, 61)
    r = np.linspace(1.2, 5.0, 60)
    density = np.exp(-((w - 8) ** 2) / 8)
    heat = 24.9 * t / (t + 150)
    well = 4.0 * ((2.2 / r) ** 12 - (2.2 / r) ** 6)
    path = {"distances": q, "ticks": [0, 3.2], "labels": ["Γ", "X"], "breaks": []}
    data = {
        "dos": {
            "curves": {
                **both({"frequencies": w, "density": density}),
                "reference": {"frequencies": w, "density": 0.95 * density},
            },
            "reference_label": "PBE, VASP",
            "elements": {"Mg": 0.6 * density, "O": 0.4 * density},
        },
        "thermal": {
            "curves": both(
                {
                    "temperatures": t,
                    "heat_capacity": heat,
                    "entropy": heat * 1.3,
                    "free_energy": -heat,
                }
            ),
            "points": [
                {"name": "entropy", "temperature": 300, "value": 21.0, "label": "PBE"}
            ],
        },
        "grueneisen": {
            "curves": both({"frequencies": w, "values": 2 - 0.1 * w}),
        },
        "grueneisen_bands": {
            **path,
            "bands": both(np.stack([1 + np.sin(q), 2 - 0.2 * q], axis=1)),
            "y_label": "Grueneisen parameter γ",
        },
        "qha": {
            "panels": [
                {
                    "label": label,
                    "curves": both({"temperatures": t, "values": scale * heat}),
                }
                for label, scale in (("volume", 0.1), ("Cp", 1.0), ("α (1/K)", 1e-6))
            ]
        },
        "facets": {
            "facets": ["100", "110", "111"],
            "series": {"ase": [0.89, 1.4, None], "lammps": [0.89, 1.4, None]},
            "cleaved": both([0.91, 1.6, None]),
            "reference": {"100": 0.90},
            "reference_label": "PBE",
        },
        "wulff": {"shapes": both(cube())},
        "vacancy": {
            "curves": [
                {
                    "engine": engine, "site": "", "ions": ions,
                    "n_atoms": [31, 107, 255],
                    "energies": [e + 0.02, e + 0.006, e + 0.003],
                }
                for engine in ENGINES
                for ions, e in (("relaxed", 1.27), ("unrelaxed", 1.31))
            ],
            "reference": 1.25,
            "reference_label": "PBE, relaxed",
        },
        "dimers": {
            "curves": both(
                {
                    pair: {"distances": r, "energies": scale * well}
                    for pair, scale in (("Mg-Mg", 0.1), ("Mg-O", 1.0), ("O-O", 1.4))
                }
            )
        },
        "locality": {"curves": both({"distances": r, "changes": np.exp(-4 * r)})},
        "nve": {
            "curves": [
                {
                    "engine": engine, "label": f"{step} fs", "times": t / 200,
                    "energies": 0.02 * step * np.sin(t / 9),
                }
                for engine in ENGINES
                for step in (1, 0.5)
            ]
        },
        "systems": {
            "systems": ["water dimer", "ammonia_dimer", "benzene dimer"],
            "series": {"ase": [0.01, -0.02, None], "lammps": [0.01, -0.02, 0.03]},
            "errors": [0.005, None, 0.01],
            "unit": "eV",
        },
        "plain": {
            "x": {"name": "twist", "values": t},
            "panels": [{"name": "energy", "curves": both(heat)}],
        },
    }  # fmt: skip
    return [
        {"kind": kind, "property": "phonon", "material": "MgO", "data": one}
        for kind, one in data.items()
    ]
