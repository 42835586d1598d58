"""Make reaction paths of C, H, O molecules: the origin of `react.xyz`.

    python make_reaction_structures.py FOLDER

Kept for the record: `structures/react.xyz` is the source of truth. GFN2-xTB (needs
`tblite`) need not repeat bit for bit elsewhere; an isolated Mg atom (`rea9001`) was
added afterwards, so that the files of a head share their elements.
"""

import logging
import sys
from pathlib import Path

import numpy as np
import reaction_ends
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.mep import NEB
from ase.optimize import FIRE
from reaction_ends import Reaction
from structure_tools import Collection, OverlapError, rattled, write_structures
from tight_binding import FAILURES, relax, tight_binding

log = logging.getLogger(__name__)

ATOMS = (("H", 1), ("O", 2), ("C", 2))
OVERLAP = 0.5
SEED = 11
ORDER_SEED = 1


class Paths(Collection):
    """The reaction frames in the making, with the random numbers that they draw."""

    def __init__(self) -> None:
        super().__init__("rea", factor=OVERLAP)
        self.rng = np.random.default_rng(SEED)

    def put(
        self,
        atoms: Atoms,
        config_type: str,
        spin: int,
        *,
        fraction: float = 0.0,
        noise: float = 0.0,
    ) -> None:
        """Add a frame; fraction is its place along the path, noise its rattle (Å)."""
        self.add(
            atoms,
            config_type,
            "reactive",
            spin=spin,
            path=round(float(fraction), 3),
            noise=noise,
        )

    def put_rattled(
        self,
        atoms: Atoms,
        config_type: str,
        spin: int,
        *,
        fraction: float,
        noise: float,
    ) -> None:
        """Add a rattled copy of a frame; none where atoms would overlap."""
        try:
            shaken = rattled(atoms, noise, self.rng, factor=OVERLAP)
        except OverlapError as error:
            log.warning("%s: %s", config_type, error)
            return
        self.put(shaken, config_type, spin, fraction=fraction, noise=noise)

    def put_path(self, reaction: Reaction) -> None:
        """Add the images of a reaction and their rattled copies."""
        config_type, spin = f"rx_{reaction.name}", reaction.spin
        images = path_images(reaction)
        for index, image in enumerate(images):
            fraction = index / (len(images) - 1)
            self.put(image, config_type, spin, fraction=fraction)
            inside = 0 < index < len(images) - 1
            for noise in (0.06, 0.12) if inside else (0.06,):
                self.put_rattled(
                    image, config_type, spin, fraction=fraction, noise=noise
                )


def relaxed_ends(reaction: Reaction) -> tuple[Atoms, Atoms]:
    """Both ends after a short relaxation with xTB; as they are where it fails."""
    pair = (reaction.reactant.copy(), reaction.product.copy())
    try:
        for end in pair:
            end.calc = tight_binding("GFN2-xTB", reaction.spin)
            relax(end, force=0.1, n_steps=40, longest=0.1)
    except FAILURES as error:
        log.warning("%s: xTB relaxation failed: %s", reaction.name, error)
    return pair


def path_images(reaction: Reaction) -> list[Atoms]:
    """The images of a path: interpolated, then relaxed as an elastic band."""
    first, last = relaxed_ends(reaction)
    minimize_rotation_and_translation(first, last)
    images = [first.copy() for _ in range(reaction.n_images - 1)] + [last.copy()]
    band = NEB(images, method="improvedtangent", climb=False, k=1.0)
    try:
        band.interpolate(method="idpp")
    except FAILURES:
        band.interpolate()
    if reaction.band:
        try:
            for image in images:
                image.calc = tight_binding("GFN2-xTB", reaction.spin)
            FIRE(band, logfile=None, maxstep=0.05).run(fmax=0.3, steps=30)
        except FAILURES as error:
            log.warning("%s: xTB elastic band failed: %s", reaction.name, error)
    return images


def add_water_dimer(paths: Paths) -> None:
    """A proton moves from one water molecule to the other on a straight line."""
    before, after = reaction_ends.water_dimer()
    for fraction in np.linspace(0, 1, 7):
        image = before.copy()
        image.positions = (1 - fraction) * before.positions + fraction * after.positions
        paths.put(image, "rx_H2O_dimer_PT", 0, fraction=fraction)
        paths.put_rattled(image, "rx_H2O_dimer_PT", 0, fraction=fraction, noise=0.08)


def reaction_structures() -> list[Atoms]:
    """All reaction frames: atoms first, then the others shuffled."""
    paths = Paths()
    for element, spin in ATOMS:
        paths.put(Atoms(element), "IsolatedAtom", spin)
    for reaction in (
        *reaction_ends.hydrogen_transfers(),
        *reaction_ends.methane_abstractions(),
        *reaction_ends.formaldehyde(),
        *reaction_ends.rearrangements(),
        *reaction_ends.radical_additions(),
        reaction_ends.water_and_hydroxyl(),
    ):
        paths.put_path(reaction)
    add_water_dimer(paths)
    for reaction in reaction_ends.decompositions():
        paths.put_path(reaction)
    return paths.ordered(("IsolatedAtom",), np.random.default_rng(ORDER_SEED))


if __name__ == "__main__":
    write_structures(Path(sys.argv[1]) / "react.xyz", reaction_structures())
