"""How phonons are computed."""

from __future__ import annotations

from dataclasses import dataclass

from lamplighter.errors import ConfigError, explain


def check_grid(mesh: int, supercell: tuple[int, ...] | None) -> None:
    """Refuse a mesh of Γ alone, and repeats that are not three whole numbers.

    Raises:
        ConfigError: one of the two.
    """
    repeats = (1, 1, 1) if supercell is None else supercell
    if mesh < 2 or mesh != int(mesh):
        raise ConfigError(
            explain(
                "mesh of phonons",
                got=mesh,
                wanted="a whole number of at least 2",
                fix="leave it out to use the default",
            )
        )
    if len(repeats) != 3 or any(n != int(n) for n in repeats):
        raise ConfigError(
            explain(
                "supercell of phonons",
                got=supercell,
                wanted="three whole numbers, repeats of the conventional cell",
                fix="for example [3, 3, 3], or leave it out",
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PhononSettings:
    """How phonons are computed.

    Attributes:
        displacement: how far one atom is moved, Å.
        check_displacement: a second distance, Å, whose difference to the first is the
            error bar; ``None`` computes none.
        supercell: repeats of the conventional cell; ``None`` takes those of the DFT
            force set, or else what `min_length` asks for.
        min_length: shortest distance between faces of an automatic supercell, Å; twice
            the engine's cutoff is kept as well.
        reference: material of the DFT force set; ``auto`` uses the one of the structure
            if there is one, ``none`` uses none.
        dataset: ``own``: the displacements that the symmetry of the crystal asks for;
            ``reference``: those of the DFT force set, atom by atom, so that both sides
            have the same finite-difference errors.
        nac: add the non-analytical term with the reference's Born charges: the
            longitudinal optical branch then is the model's forces with DFT's
            electrostatics.
        mesh: wave vectors along each reciprocal vector for the density of states.
        n_points: about how many wave vectors the band path gets.
        temperature: of the thermal functions that are values, K.
        max_temperature: end of the thermal functions that are curves, K.
        temperature_step: their spacing, K.
        projected: also compute the density of states of each element.
        fmax: largest force of the relaxed crystal, eV/Å.
        max_residual_force: largest force on an atom before any displacement, eV/Å.
        imaginary: frequencies below minus this, THz, are imaginary modes.
        max_correction: largest change, over the largest force constant, that
            translation and permutation symmetry may ask for.
    """

    displacement: float = 0.02
    check_displacement: float | None = 0.01
    supercell: tuple[int, int, int] | None = None
    min_length: float = 15.0
    reference: str = "auto"
    dataset: str = "own"
    nac: bool = True
    mesh: int = 21
    n_points: int = 160
    temperature: float = 300.0
    max_temperature: float = 1000.0
    temperature_step: float = 50.0
    projected: bool = True
    fmax: float = 1e-4
    max_residual_force: float = 5e-3
    imaginary: float = 0.05
    max_correction: float = 0.02

    def __post_init__(self) -> None:
        """Refuse settings that give no phonons.

        Raises:
            ConfigError: a distance, length or count that is not positive, two equal
                displacements, or an unknown data set.
        """
        second = self.check_displacement
        positive = {
            "displacement": self.displacement,
            "check_displacement": 1.0 if second is None else second,
            "supercell": min(self.supercell or (1,)),
            "min_length": self.min_length,
            "mesh": self.mesh,
            "n_points": self.n_points,
            "temperature": self.temperature,
            "max_temperature": self.max_temperature,
            "temperature_step": self.temperature_step,
            "fmax": self.fmax,
            "max_residual_force": self.max_residual_force,
            "max_correction": self.max_correction,
            "imaginary": self.imaginary,
        }
        for name, value in positive.items():
            if not value > 0:
                problem = f"{name} of the phonon settings must be positive"
                raise ConfigError(explain(problem, got=value, wanted="> 0"))
        check_grid(self.mesh, self.supercell)
        if self.dataset not in {"own", "reference"}:
            problem = "dataset of the phonon settings"
            raise ConfigError(
                explain(problem, got=self.dataset, wanted="own or reference")
            )
        if second == self.displacement:
            problem = "check_displacement equals displacement"
            wanted = "another distance, or None"
            raise ConfigError(explain(problem, got=second, wanted=wanted))
