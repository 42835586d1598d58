"""Small potentials written twice: as ML-IAP models, and as a sum over all images.

The two-layer toy has what a message-passing potential has: a density of each atom, sent
to its neighbours' owners, and an energy that depends on the densities of both ends.

    rho_i = sum_j q(z_j) f(r_ij)
    E = sum_i [e0(z_i) + B rho_i^2] + 1/2 sum_(i,j) A rho_i rho_j f(r_ij)
"""

import itertools
import os
import sys

import numpy as np

CUTOFF = 4.0
A, B = 0.3, -0.2
ELEMENTS = ["Mg", "O"]
CHARGE = np.array([1.0, 1.7])
E0 = np.array([-1.5, -4.25])


def gather(rows, values, length):
    """Sum `values` into `rows`; numpy's own gives integers where there are none."""
    return np.bincount(rows, values, minlength=length).astype(np.float64)


def shape(r):
    """A bump that ends smoothly at the cutoff."""
    return (1.0 - (r / CUTOFF) ** 2) ** 3


def slope(r):
    return -6.0 * r / CUTOFF**2 * (1.0 - (r / CUTOFF) ** 2) ** 2


class LennardJones:
    element_types = ("Ar",)
    rcutfac = 3.0
    interface = None
    epsilon, sigma = 0.01, 3.4

    def compute_forces(self, data):
        r = np.linalg.norm(data.rij, axis=1)
        power = (self.sigma / r) ** 6
        derivative = 4 * self.epsilon * (6 * power - 12 * power**2) / r
        data.update_pair_energy(4 * self.epsilon * (power**2 - power))
        # Each pair is listed twice: half of the derivative belongs to each entry.
        data.update_pair_forces(0.5 * (derivative / r)[:, None] * data.rij)


class Toy:
    """The two-layer toy; the density travels as `width` columns that sum up to it."""

    element_types = ELEMENTS
    rcutfac = CUTOFF / 2
    interface = None

    def __init__(self, width=1, dtype=np.float64, style="numpy"):
        self.width, self.dtype, self.style = width, dtype, style
        self.up = np.arange(1, width + 1) / width
        self.down = 1.0 / np.arange(1, width + 1)

    def compute_forces(self, data):
        r = np.linalg.norm(data.rij, axis=1)
        i, j = data.pair_i, data.pair_j
        f, df = shape(r), slope(r)
        elements = np.where(data.elems >= 0, data.elems, 0)
        rho = gather(i, CHARGE[elements[j]] * f, data.ntotal)
        everywhere = self.exchange(data, rho, forward=True)
        bond = 0.5 * A * everywhere[i] * everywhere[j]
        own = np.zeros(data.ntotal)
        own[data.iatoms] = B * rho[data.iatoms] ** 2 + E0[elements[data.iatoms]]
        own += gather(i, bond * f, data.ntotal)
        self.energies(data, own)

        onto = gather(i, 0.5 * A * everywhere[j] * f, data.ntotal)
        onto[: data.nlocal] += 2 * B * rho[: data.nlocal]
        onto += gather(j, 0.5 * A * everywhere[i] * f, data.ntotal)
        adjoint = self.exchange(data, onto, forward=False)
        along = (bond + adjoint[i] * CHARGE[elements[j]]) * df / r
        data.update_pair_forces(along[:, None] * data.rij)

    def energies(self, data, own):
        data.energy = own[: data.nlocal].sum()
        data.eatoms = own[: data.nlocal]

    def exchange(self, data, column, *, forward):
        there, back = (self.up, self.down) if forward else (self.down, self.up)
        rows = np.ascontiguousarray((column[:, None] * there).astype(self.dtype))
        received = np.full_like(rows, np.nan)
        if self.style == "torch":
            import torch

            rows, received = torch.from_numpy(rows), torch.from_numpy(received)
        call = data.forward_exchange if forward else data.reverse_exchange
        call(rows, received, self.width)
        return np.asarray(received, dtype=np.float64) @ back


class GhostToy(Toy):
    """The toy for FLAG 1: both layers on owned and ghost centres, no exchange."""

    def compute_forces(self, data):
        r = np.linalg.norm(data.rij, axis=1)
        i, j = data.pair_i, data.pair_j
        f, df = shape(r), slope(r)
        rho = gather(i, CHARGE[data.elems[j]] * f, data.ntotal)
        mine = i < data.nlocal
        bond = np.where(mine, 0.5 * A * rho[i] * rho[j], 0.0)
        local = np.arange(data.ntotal) < data.nlocal
        own = np.where(local, B * rho**2 + E0[data.elems], 0.0)
        own += gather(i, bond * f, data.ntotal)
        self.energies(data, own)
        half = np.where(mine, 0.5 * A * f, 0.0)
        onto = gather(i, half * rho[j], data.ntotal)
        onto += gather(j, half * rho[i], data.ntotal)
        onto += np.where(local, 2 * B * rho, 0.0)
        along = (bond + onto[i] * CHARGE[data.elems[j]]) * df / r
        data.update_pair_forces(along[:, None] * data.rij)


class Broken(Toy):
    """The toy, failing in one place: on the rank that `MPI rank` says."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    def fails(self, where):
        return where == self.where and rank() == int(os.environ.get("TOY_RANK", "0"))

    def trouble(self, kind, where):
        message = f"toy trouble {where}"
        raise kind(message)

    def compute_descriptors(self, _):
        if self.fails("start"):
            self.trouble(ValueError, "at the start")

    def exchange(self, data, column, *, forward):
        if self.fails("skip") and forward:
            return column
        column = super().exchange(data, column, forward=forward)
        if self.fails("middle") and forward:
            self.trouble(ValueError, "in the middle")
        return column

    def energies(self, data, own):
        super().energies(data, own)
        if self.fails("energy"):
            data.energy = float("nan")
        if self.fails("length"):
            data.eatoms = np.zeros(data.nlocal + 1)

    def compute_forces(self, data):
        super().compute_forces(data)
        if self.fails("end"):
            self.trouble(MemoryError, "at the end")
        if self.fails("exit"):
            sys.exit("toy wants to leave")


def rank():
    return int(os.environ.get("PMI_RANK", "0"))


def models():
    """What stands for FILE in the scripts of the tests."""
    places = ("start", "middle", "end", "exit", "skip", "energy", "length")
    return {
        "LJ": LennardJones(),
        "TOY": Toy(),
        "TOY300": Toy(width=300),
        "TOYTORCH": Toy(width=7, style="torch"),
        "TOYFLOAT": Toy(width=259, dtype=np.float32),
        "TOYGHOST": GhostToy(),
        **{place: Broken(place) for place in places},
    }


def energies(positions, cell, species, pbc=(True, True, True)):
    """Atomic energies of the toy, from a sum over every periodic image in reach."""
    reach = [
        int(np.ceil(CUTOFF * np.linalg.norm(row))) + 1 if periodic else 0
        for row, periodic in zip(np.linalg.inv(cell).T, pbc, strict=True)
    ]
    shifts = (
        np.array(list(itertools.product(*(range(-n, n + 1) for n in reach)))) @ cell
    )
    apart = positions[None, :, None] - positions[:, None, None] + shifts
    r = np.linalg.norm(apart, axis=-1)
    f = np.where((r > 1e-9) & (r < CUTOFF), shape(np.minimum(r, CUTOFF)), 0.0).sum(-1)
    rho = f @ CHARGE[species]
    return E0[species] + B * rho**2 + 0.5 * A * rho * (f @ rho)


def forces(positions, cell, species, step=1e-4):
    """Fourth-order central differences of the energy, eV/Å."""
    out = np.zeros_like(positions)
    for index in np.ndindex(*positions.shape):
        unit = np.zeros_like(positions)
        unit[index] = step
        e = [
            energies(positions + k * unit, cell, species).sum() for k in (-2, -1, 1, 2)
        ]
        out[index] = -(e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * step)
    return out


def virial(positions, cell, species, step=1e-4):
    """dE/d strain with the sign of LAMMPS' virial: W = -dE/d(strain), eV, [3, 3]."""
    out = np.zeros((3, 3))
    for a, b in np.ndindex(3, 3):
        unit = np.zeros((3, 3))
        unit[a, b] = unit[b, a] = 0.5 if a != b else 1.0
        e = []
        for k in (-2, -1, 1, 2):
            bend = np.eye(3) + k * step * unit
            e.append(energies(positions @ bend, cell @ bend, species).sum())
        out[a, b] = -(e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * step)
    return out
