"""What a deck may be told: the kinds of decks and their options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

Kind: TypeAlias = Literal[
    "nve",
    "nvt",
    "npt",
    "minimize",
    "box-relax",
    "elastic",
    "heat-flux",
    "neb",
    "gcmc",
    "melt",
    "deform",
]

USES: Final[dict[str, frozenset[str]]] = {
    "temperature": frozenset(
        {"nve", "nvt", "npt", "elastic", "heat-flux", "gcmc", "melt", "deform"}
    ),
    "pressure": frozenset({"npt", "box-relax", "melt", "deform"}),
    "steps": frozenset(get_args(Kind)),
    "timestep": frozenset(
        {"nve", "nvt", "npt", "elastic", "heat-flux", "neb", "gcmc", "melt", "deform"}
    ),
    "end": frozenset({"neb"}),
    "images": frozenset({"neb"}),
    "gas": frozenset({"gcmc"}),
    "chemical_potential": frozenset({"gcmc"}),
    "melt_temperature": frozenset({"melt"}),
    "strain": frozenset({"elastic", "deform"}),
}
"""Which kinds an option belongs to; those not listed belong to all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeckOptions:
    """Options of a deck. An option that its kind does not use is refused.

    Attributes:
        temperature: in K; 300 when left out.
        pressure: in bar; 0 when left out.
        steps: time steps of the production run, or steps of a minimiser.
        timestep: in ps; from the lightest element when left out.
        seed: of the random numbers; another seed is another trajectory.
        supercell: repeat the structure along its three cell vectors: 2 2 2.
        end: for neb: the structure at the end of the path, same atoms in same order.
        images: for neb: number of images, ends included; one partition each.
        gas: for gcmc: the element whose atoms come and go.
        chemical_potential: for gcmc: of the gas, in eV, E0 of the potential included.
        melt_temperature: for melt: the highest temperature, in K.
        strain: for elastic: of each deformation, 0.005 when left out; for deform: at
            the end, 0.1 when left out.
        force: write into a folder that has files; those of the same name are replaced.
    """

    temperature: float | None = None
    pressure: float | None = None
    steps: int | None = None
    timestep: float | None = None
    seed: int = 12345
    supercell: tuple[int, int, int] = (1, 1, 1)
    end: Path | None = None
    images: int | None = None
    gas: str | None = None
    chemical_potential: float | None = None
    melt_temperature: float | None = None
    strain: float | None = None
    force: bool = False
