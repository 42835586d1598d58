"""Levels of theory: what a reference value or a model speaks for, and which two agree.

A number has no meaning without its level: PBE puts the surface energy of Cu about 24 %
below experiment, and that is the functional and no fault of a model trained on PBE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lamplighter.errors import DataError, explain

Kind = Literal["dft", "experiment"]
ZeroPoint = Literal["none", "included", "removed"]

_SEPARATORS = str.maketrans("", "", " _-()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a reference value stands for.

    Attributes:
        kind: ``dft`` or ``experiment``.
        functional: exchange-correlation functional with its dispersion correction, for
            example ``PBE`` or ``PBE-D3(BJ)``; empty for an experiment.
        code: program (and settings) that gave the number; empty for an experiment.
        temperature_K: temperature in K; ``None`` is the static lattice.
        zpe: whether zero-point motion is in the value (``included``, as in every raw
            experiment), taken out of it (``removed``), or never there (``none``).
    """

    kind: Kind
    functional: str = ""
    code: str = ""
    temperature_K: float | None = None  # noqa: N815 - the unit is spelled K
    zpe: ZeroPoint = "none"

    def __post_init__(self) -> None:
        """Refuse kinds and zero-point states that do not exist.

        Raises:
            DataError: an unknown word, or a DFT level without a functional.
        """
        for name, value, allowed in (
            ("kind", self.kind, ("dft", "experiment")),
            ("zpe", self.zpe, ("none", "included", "removed")),
        ):
            if value not in allowed:
                problem = f"unknown {name} of a level of theory"
                raise DataError(
                    explain(problem, got=repr(value), wanted=" or ".join(allowed))
                )
        if self.kind == "dft" and not self.functional:
            raise DataError(
                explain(
                    "a DFT reference without a functional",
                    wanted="functional: PBE, ...",
                )
            )

    def __str__(self) -> str:
        """Return the level in a few words, for example ``PBE, VASP``."""
        parts = [self.functional or self.kind]
        if self.code:
            parts.append(self.code)
        if self.temperature_K is not None:
            parts.append(f"{self.temperature_K:g} K")
        if self.zpe == "removed":
            parts.append("zero-point motion removed")
        return ", ".join(parts)


def normalised(functional: str) -> str:
    """Return a functional's name without case, separators and the word GGA.

    Dispersion corrections stay: ``PBE-D3(BJ)`` and ``PBE`` are different levels.

    >>> normalised("GGA-PBE"), normalised("pbe"), normalised("PBE-D3(BJ)")
    ('pbe', 'pbe', 'pbed3bj')
    """
    bare = functional.split("/", maxsplit=1)[0].lower().translate(_SEPARATORS)
    return bare.removeprefix("metagga").removeprefix("gga")


def same_level(level_of_theory: str, reference: Level) -> bool:
    """Return whether a model's level of theory is that of a DFT reference.

    Args:
        level_of_theory: what the model's head was trained on, for example ``PBE``.
        reference: level of the reference; an experiment never matches.
    """
    if reference.kind != "dft" or not level_of_theory:
        return False
    return normalised(level_of_theory) == normalised(reference.functional)
