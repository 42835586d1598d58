"""What each check means, and what to do when it fails."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Entry(NamedTuple):
    """A check in words.

    Attributes:
        meaning: what must hold, and why it matters.
        advice: what to do when it does not.
    """

    meaning: str
    advice: str


CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {
        "rotation": Entry(
            "A rotated structure has the same energy, and rotated forces and stress.",
            "Look for absolute coordinates, a grid, or coupling coefficients of "
            "another sign convention (e3nn releases differ); angular momentum drifts.",
        ),
        "inversion": Entry(
            "A mirror image has the same energy, and mirrored forces and stress.",
            "Look for a pseudoscalar among the invariants: a path of odd parity.",
        ),
        "translation": Entry(
            "Moving everything together changes nothing.",
            "Look for absolute coordinates; momentum is not conserved.",
        ),
        "permutation": Entry(
            "The order of the atoms does not matter.",
            "Look for indices that are used as species, sums that depend on padding, "
            "or results that are returned in another order than they were asked for.",
        ),
        "wrapping": Entry(
            "Atoms may lie in any image of the cell.",
            "Look at the neighbour list: shifts must be taken from the positions as "
            "they are, not from wrapped ones.",
        ),
        "cells": Entry(
            "Equivalent descriptions of one crystal (other lattice vectors, a reduced "
            "or left-handed cell, a supercell; a molecule in a large box) agree.",
            "Look at the neighbour list of skewed cells and of cells smaller than the "
            "cutoff, and at terms that do not grow in proportion to the atoms.",
        ),
        "batch": Entry(
            "Structures evaluated together give what each gives alone.",
            "Look for indices of atoms or heads that leak between structures.",
        ),
        "smoothness": Entry(
            "Energy, force and its derivative are continuous where a neighbour enters "
            "the cutoff: jumps heat molecular dynamics and spoil phonons.",
            "Multiply every function of the distance by a cutoff function with two "
            "continuous derivatives; shifting the energy is not enough.",
        ),
        "extensivity": Entry(
            "The energy of two structures far apart is the sum of the two.",
            "Look for means or norms over all atoms, and for terms without a cutoff.",
        ),
        "locality": Entry(
            "What is beyond the stated range has no influence: only then are domain "
            "decomposition and the stated cutoff right.",
            "State the true cutoff and number of layers, or do not run this model in "
            "parallel with that communication range.",
        ),
        "derivatives": Entry(
            "Forces and stress are derivatives of the energy.",
            "Look at the sign conventions, at a detached part of the energy, and at "
            "directly predicted forces; energy is not conserved in dynamics. Where "
            "smoothness fails as well, begin there: a step across a jump is no slope.",
        ),
        "isolated": Entry(
            "A single atom has a finite energy and no force.",
            "Look for a division by the number of neighbours or by a norm. The "
            "distance from E0 is no error; it says how wrong dissociation limits are.",
        ),
        "conservation": Entry(
            "An isolated molecule exerts no net force and no net torque on itself.",
            "Look for forces that are not derivatives of an invariant energy, or that "
            "miss the reaction on the neighbour.",
        ),
        "close_approach": Entry(
            "Two atoms pushed together repel: a hole there swallows a simulation at "
            "high temperature or pressure.",
            "Add a core repulsion (ZBL), or train on compressed dimers; until then "
            "keep these pairs apart.",
        ),
        "dtype": Entry(
            "Single precision gives what double precision gives, to rounding.",
            "Use float64, and look for large numbers that cancel (E0 in the model).",
        ),
        "determinism": Entry(
            "The same structure gives the same numbers, again and after others.",
            "Look for random numbers, dropout that is still on, or results that are "
            "kept from the call before.",
        ),
    }
)
