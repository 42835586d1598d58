"""Where an atom can sit on a slab: above atoms, bridges, hollows, each kind once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import spglib
from ase import Atoms
from ase.data import covalent_radii
from scipy.spatial import Delaunay

from lamplighter.errors import DataError, explain
from lamplighter.validation.properties.crystal import spglib_cell
from lamplighter.validation.properties.slabs import LAYER_WIDTH, FloatArray

KINDS: Final = ("top", "bridge", "hollow")
_SAME: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place on the upper face of a slab.

    Attributes:
        name: kind, with the element above which it is on compounds, and a number from
            the second of a name on: ``top``, ``top_Mg``, ``hollow_2``.
        kind: ``top``, ``bridge`` or ``hollow``.
        place: [2], Å, in the plane.
        images: [n, 2], fractions of the cell: all places of the same kind by symmetry.
    """

    name: str
    kind: str
    place: FloatArray
    images: FloatArray


def find_sites(slab: Atoms) -> tuple[Site, ...]:
    """Return the inequivalent sites of the upper face of an upright slab.

    Bridges are edges of the Delaunay triangles of the outermost layer, hollows the
    centres of the circles through their corners; the diagonal of a square is none.

    Args:
        slab: the third cell vector is the normal; any in-plane repeat.

    Raises:
        DataError: fewer than one atom in the outermost layer.
    """
    plane = slab.cell.array[:2, :2]
    top = np.flatnonzero(
        slab.positions[:, 2] > slab.positions[:, 2].max() - LAYER_WIDTH
    )
    if not len(top):
        raise DataError(explain("a slab without atoms has no sites", got=len(slab)))
    points, owners = _tiled(slab, top)
    edges, centres = _triangles(points)
    hollows = [c for c in centres if _home(c, plane)]
    bridges = [
        m
        for m in ((points[i] + points[j]) / 2 for i, j in edges)
        if _home(m, plane) and not any(np.linalg.norm(m - c) < _SAME for c in centres)
    ]
    tops = [points[i] for i in range(len(points)) if _home(points[i], plane)]
    symbols = {
        tuple(np.round(points[i], 6)): slab.symbols[owners[i]]
        for i in range(len(points))
    }
    several = len({slab.symbols[i] for i in top}) > 1
    moves = _face_moves(slab)
    found: list[Site] = []
    for kind, places in zip(KINDS, (tops, bridges, hollows), strict=True):
        for place in sorted(places, key=lambda p: tuple(np.round(p[::-1], 4))):
            scaled = place @ np.linalg.inv(plane)
            if any(_among(scaled, site.images, plane) for site in found):
                continue
            base = kind
            if kind == "top" and several:
                base = f"top_{symbols[tuple(np.round(place, 6))]}"
            same = sum(
                site.name == base or site.name.startswith(f"{base}_") for site in found
            )
            images = np.array([r @ scaled + t for r, t in moves])
            name = f"{base}_{same + 1}" if same else base
            found.append(Site(name=name, kind=kind, place=place, images=images))
    return tuple(found)


def nearest_site(place: FloatArray, sites: tuple[Site, ...], plane: FloatArray) -> str:
    """Return the name of the site that is closest to a place [2], Å, in the plane."""
    scaled = place @ np.linalg.inv(plane)
    return min(sites, key=lambda s: _distances(scaled, s.images, plane).min()).name


def start_height(slab: Atoms, place: FloatArray, number: int) -> float:
    """Return the height, Å, at which an atom touches the outermost layer.

    Args:
        slab: upright.
        place: [2], Å, in the plane.
        number: atomic number of the atom.
    """
    plane = slab.cell.array[:2, :2]
    highest = float(slab.positions[:, 2].max())
    best = highest + 0.5
    for atom in slab:
        if atom.position[2] < highest - LAYER_WIDTH:
            continue
        contact = covalent_radii[number] + covalent_radii[atom.number]
        apart = (place - atom.position[:2]) @ np.linalg.inv(plane)
        sideways = _shortest(apart[None], plane)[0]
        if sideways < contact:
            rise = np.sqrt(contact**2 - sideways**2)
            best = max(best, float(atom.position[2] + rise))
    return best


def _tiled(slab: Atoms, top: Any) -> tuple[FloatArray, list[int]]:
    """Return the outermost atoms of 5 x 5 cells, and which atom each one is."""
    plane = slab.cell.array[:2, :2]
    points, owners = [], []
    for shift in product(range(-2, 3), repeat=2):
        for index in top:
            points.append(slab.positions[index, :2] + np.array(shift) @ plane)
            owners.append(int(index))
    return np.array(points), owners


def _triangles(points: FloatArray) -> tuple[set[tuple[int, int]], list[FloatArray]]:
    """Return edges of the triangles, and the centres of their circles, each once."""
    edges: set[tuple[int, int]] = set()
    centres: list[FloatArray] = []
    for corners in Delaunay(points).simplices:
        a, b, c = (points[i] for i in corners)
        matrix = 2 * np.array([b - a, c - a])
        if abs(np.linalg.det(matrix)) < 1e-6:
            continue
        centre = np.linalg.solve(matrix, [b @ b - a @ a, c @ c - a @ a])
        if not any(np.linalg.norm(centre - other) < _SAME for other in centres):
            centres.append(centre)
        i, j, k = sorted(int(index) for index in corners)
        edges |= {(i, j), (j, k), (i, k)}
    return edges, centres


def _home(place: FloatArray, plane: FloatArray) -> bool:
    """Return whether a place is in the home cell: each site is there once."""
    scaled = place @ np.linalg.inv(plane)
    return bool(np.all(scaled > -1e-4) and np.all(scaled < 1 - 1e-4))


def _face_moves(slab: Atoms) -> list[tuple[FloatArray, FloatArray]]:
    """Return in-plane parts of the operations that keep the upper face up."""
    found: Any = spglib.get_symmetry(spglib_cell(slab), symprec=1e-2)
    return [
        (rotation[:2, :2].astype(float), shift[:2])
        for rotation, shift in zip(
            found["rotations"], found["translations"], strict=True
        )
        if rotation[2, 2] == 1
    ]


def _among(scaled: FloatArray, images: FloatArray, plane: FloatArray) -> bool:
    return bool(_distances(scaled, images, plane).min() < _SAME)


def _distances(scaled: FloatArray, images: FloatArray, plane: FloatArray) -> FloatArray:
    return _shortest(images - scaled, plane)


def _shortest(scaled: FloatArray, plane: FloatArray) -> FloatArray:
    """Return the lengths, Å, of the shortest images of vectors [n, 2] in fractions.

    In an oblique cell rounding the fractions is not enough.
    """
    inside = scaled - np.rint(scaled)
    images = inside[:, None] + np.array(list(product((-1, 0, 1), repeat=2)))
    return np.asarray(np.linalg.norm(images @ plane, axis=2).min(axis=1))
