"""The covariance of displacements against LAMMPS' own fix phonon, on the same run."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase.build import bulk

from lamplighter.validation.dynamics.base import Plan
from lamplighter.validation.dynamics.native import run_native
from lamplighter.validation.engines import LammpsEngine, pair_style
from lamplighter.validation.properties.covariance import (
    effective_constants,
    supercell_operations,
    symmetrised,
)

N = 4
STYLE = pair_style(
    ["pair_style lj/smooth/linear 6.0", "pair_coeff * * 0.0104 3.4"], ["Ar"], cutoff=6.0
)


def read_phonons(path):
    """Return force constants [N, N, N, 3, 3], eV/Å^2, temperature and cell [3, 3]."""
    raw = path.read_bytes()
    assert np.frombuffer(raw, np.int32, 5).tolist() == [3, N, N, N, 1]
    (boltzmann,) = np.frombuffer(raw, np.float64, 1, offset=20)
    assert abs(boltzmann - 8.617e-5) < 1e-8
    constants = np.frombuffer(raw, np.complex128, 9 * N**3, offset=28)
    rest = np.frombuffer(raw, np.float64, 10, offset=28 + 16 * 9 * N**3)
    return constants.reshape(N, N, N, 3, 3), rest[0], rest[1:].reshape(3, 3)


def test_the_covariance_gives_the_force_constants_of_fix_phonon(tmp_path):
    unit = bulk("Ar", "fcc", a=5.25)
    crystal = unit.repeat((N, N, N))
    places = product(range(N), repeat=3)
    rows = [f"{a} {b} {c} 0 {1 + (a * N + b) * N + c}" for a, b, c in places]
    (tmp_path / "map").write_text("\n".join([f"{N} {N} {N} 1", "atoms", *rows, ""]))
    plan = Plan(
        timestep_fs=8.0, n_steps=2000, every=10, initial_K=20.0, temperature_K=10.0,
        friction_per_ps=1.0, seed=3, positions=True,
    )  # fmt: skip
    fix = f"fix modes all phonon 10 1500 500 {tmp_path}/map {tmp_path}/out"
    with LammpsEngine(STYLE) as engine:
        run = run_native(crystal, engine, plan, [fix])
    theirs, temperature, axes = read_phonons(tmp_path / "out.bin.2000")

    # The same samples, those after 500 steps, in the axes of LAMMPS.
    turn = np.linalg.solve(unit.cell.array, axes)
    moves = (np.asarray(run.positions)[51:] - crystal.positions) @ turn
    moves -= moves.mean(axis=1, keepdims=True)
    moves = (moves - moves.mean(axis=0)).reshape(len(moves), -1)
    shifts = [
        (rotation, order)
        for rotation, order in supercell_operations(crystal)
        if np.allclose(rotation, np.eye(3))
    ]
    assert len(shifts) == N**3
    covariance = symmetrised(moves.T @ moves / len(moves), shifts)
    constants = effective_constants(covariance, temperature)[0]
    ours = np.fft.fftn(constants.reshape(N, N, N, 3, 3), axes=(0, 1, 2))

    # The fix takes a temperature of its own for each direction: one factor a direction,
    # the same at every wave vector. Its sign of the phase may be the other one.
    found = [q for q in product(range(N), repeat=3) if any(q)]
    squares = [np.diagonal(theirs[q]).real / np.diagonal(ours[q]).real for q in found]
    factors = np.sqrt(np.mean(squares, axis=0))
    assert np.abs(factors - 1).max() < 0.02
    size = max(np.abs(theirs[q]).max() for q in found)
    for q in found:
        scaled = ours[q] * np.outer(factors, factors)
        apart = [np.abs(theirs[q] - one).max() for one in (scaled, scaled.conj())]
        assert min(apart) < 1e-5 * size
