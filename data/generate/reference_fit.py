"""Fit energies, forces and stresses of symmetric cells by one polynomial.

A cell that few coordinates describe (edges, heights, bonds) has an energy that is a
function of them; forces and stress give its slopes. The minimum of the polynomial is
the relaxed crystal, its second derivatives are stiffnesses with relaxed ions.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from labelled_frames import largest_difference, stress_matrix

DEGREE = 3

SIGMA_ENERGY = 2e-4
"""eV: noise of an energy, from the plane waves that enter as the cell changes."""

SIGMA_SLOPE = 2e-4
"""eV per step of the design: noise of a slope, from forces and stress."""

STEP = 1e-4
"""Å: for the derivatives of the geometry, which is nearly linear."""

FAR = 2.0
"""In steps of the design: a minimum beyond this is extrapolated."""


class NoReferenceError(Exception):
    """The labelled frames do not give the value; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Cells that differ in a few coordinates.

    Attributes:
        build: The cell of a set of coordinates (Å).
        measure: The coordinates of a cell.
        centre: Coordinates around which the polynomial is expanded.
        steps: Coordinates are divided by these, Å.
        n_cell: How many of the coordinates, the first ones, change the cell.
    """

    build: Callable[..., Atoms]
    measure: Callable[[Atoms], Sequence[float]]
    centre: Sequence[float]
    steps: Sequence[float]
    n_cell: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Slopes:
    """One frame in the coordinates of its family.

    Attributes:
        place: Coordinates minus the centre, in steps.
        energy: eV.
        slopes: Derivatives of the energy, eV per step.
        volume_slopes: Derivatives of the volume, Å^3 per step.
    """

    place: np.ndarray
    energy: float
    slopes: np.ndarray
    volume_slopes: np.ndarray


def slopes_of(frame: Atoms, family: Family) -> Slopes:
    """The energy of a labelled frame and its slopes along the coordinates.

    Raises:
        NoReferenceError: The frame is no cell of this family.
    """
    point = np.array(family.measure(frame), dtype=float)
    here = family.build(*point)
    apart = here.get_scaled_positions() - frame.get_scaled_positions()
    apart -= np.round(apart)
    shift = largest_difference(apart @ here.cell.array, np.zeros((len(here), 3)))
    shift = max(shift, largest_difference(here.cell.array, frame.cell.array))
    if shift > 1e-6 or (here.numbers != frame.numbers).any():
        message = f"{frame.info['uid']} differs from its family by {shift:.1e} Å"
        raise NoReferenceError(message)
    stress = stress_matrix(frame.info.get("REF_stress", np.zeros(6)))
    slopes, volume_slopes = np.zeros(len(point)), np.zeros(len(point))
    for index, width in enumerate(family.steps):
        move = np.eye(len(point))[index] * STEP
        ahead, behind = family.build(*(point + move)), family.build(*(point - move))
        strain = np.linalg.solve(here.cell.array, ahead.cell.array - behind.cell.array)
        moved = ahead.positions - behind.positions - here.positions @ strain
        work = here.get_volume() * np.sum(stress * strain)
        work -= np.sum(frame.arrays["REF_forces"] * moved)
        slopes[index] = work / (2 * STEP) * width
        volume_slopes[index] = here.get_volume() * np.trace(strain) / (2 * STEP) * width
    return Slopes(
        place=(point - family.centre) / family.steps,
        energy=frame.info["REF_energy"],
        slopes=slopes,
        volume_slopes=volume_slopes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A polynomial of the energy over the coordinates of a family.

    Attributes:
        family: Whose coordinates.
        powers: [n_terms, n_coordinates] exponents.
        factors: [n_terms] eV.
        pulay: Stress that the finite cutoff leaves, eV/Å^3; pressure negative.
        residual: Root mean square misfit of the energies, eV.
    """

    family: Family
    powers: np.ndarray
    factors: np.ndarray
    pulay: float
    residual: float

    def energy(self, place: np.ndarray) -> float:
        """Energy (eV) at a place in steps of the design."""
        return float(terms(place, self.powers) @ self.factors)

    def gradient(self, place: np.ndarray) -> np.ndarray:
        """Slopes, eV per step."""
        return np.array([d @ self.factors for d in slopes_of_terms(place, self.powers)])

    def hessian(self, place: np.ndarray) -> np.ndarray:
        """Second derivatives, eV per step squared."""
        return np.array(
            [
                [
                    curvature_of_terms(place, self.powers, i, j) @ self.factors
                    for j in range(len(place))
                ]
                for i in range(len(place))
            ]
        )

    def minimum(self) -> np.ndarray:
        """The place of least energy, in steps of the design.

        Raises:
            NoReferenceError: There is none near the frames.
        """
        place = np.zeros(len(self.family.centre))
        for _ in range(50):
            step = np.linalg.solve(self.hessian(place), self.gradient(place))
            place = place - step / max(1.0, float(np.abs(step).max()) / 0.5)
        near = np.abs(place).max() < FAR and np.abs(step).max() < 1e-9
        if not near or np.linalg.eigvalsh(self.hessian(place))[0] <= 0:
            message = f"no minimum within {FAR} steps of the frames: {place}"
            raise NoReferenceError(message)
        return place

    def coordinates(self, place: np.ndarray) -> np.ndarray:
        """Coordinates (Å) of a place."""
        return np.array(self.family.centre) + place * self.family.steps


def terms(place: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """The monomials of a place."""
    return np.prod(place**powers, axis=1)


def slopes_of_terms(place: np.ndarray, powers: np.ndarray) -> list[np.ndarray]:
    """Their first derivatives, one array per coordinate."""
    found = []
    for index in range(len(place)):
        lower = powers.copy()
        lower[:, index] = np.maximum(lower[:, index] - 1, 0)
        found.append(powers[:, index] * terms(place, lower))
    return found


def curvature_of_terms(
    place: np.ndarray, powers: np.ndarray, first: int, second: int
) -> np.ndarray:
    """Their second derivatives along two coordinates."""
    lower, factor = powers.copy(), np.ones(len(powers))
    for index in (first, second):
        factor = factor * lower[:, index]
        lower[:, index] = np.maximum(lower[:, index] - 1, 0)
    return factor * terms(place, lower)


def fit_surface(
    frames: Sequence[Atoms], family: Family, *, fourth: bool = False
) -> Surface:
    """The polynomial through energies and slopes of the frames.

    Where the stress counts it may have an isotropic constant error, which the energies
    tell: plane waves below a fixed cutoff pull a cell together. Terms that the frames
    do not determine stay zero.

    Args:
        frames: Labelled cells of the family.
        family: Their coordinates.
        fourth: Whether the fourth power of each coordinate joins the terms to the
            third degree; what it changes is the error of a value.

    Raises:
        NoReferenceError: A frame is no cell of this family.
    """
    n = len(family.centre)
    points = [slopes_of(frame, family) for frame in frames]
    orders = itertools.product(range(DEGREE + 1), repeat=n)
    powers = np.array([order for order in orders if sum(order) <= DEGREE])
    if fourth:
        powers = np.vstack([powers, 4 * np.eye(n, dtype=int)])
    origin = float(np.mean([point.energy for point in points]))
    rows, wanted = [], []
    for point in points:
        rows.append(np.append(terms(point.place, powers), 0.0) / SIGMA_ENERGY)
        wanted.append((point.energy - origin) / SIGMA_ENERGY)
        for index, d in enumerate(slopes_of_terms(point.place, powers)):
            pulay = point.volume_slopes[index]
            rows.append(np.append(d, pulay) / SIGMA_SLOPE)
            wanted.append(point.slopes[index] / SIGMA_SLOPE)
    found = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=1e-12)[0]
    left = (np.array(rows) @ found - wanted)[:: n + 1] * SIGMA_ENERGY
    factors = found[:-1].copy()
    factors[np.flatnonzero(powers.sum(axis=1) == 0)] += origin
    return Surface(
        family=family,
        powers=powers,
        factors=factors,
        pulay=float(found[-1]),
        residual=float(np.sqrt(np.mean(left**2))),
    )


def relaxed_curvature(surface: Surface, place: np.ndarray) -> np.ndarray:
    """Second derivatives along the coordinates of the cell, eV/Å^2, ions relaxed."""
    n = surface.family.n_cell
    width = np.array(surface.family.steps)
    h = surface.hessian(place) / np.outer(width, width)
    cell, mixed, ions = h[:n, :n], h[:n, n:], h[n:, n:]
    if not len(ions):
        return cell
    return cell - mixed @ np.linalg.solve(ions, mixed.T)
