"""Levels of theory: what a reference value or a model speaks for, and which two agree.

A number has no meaning without its level: PBE puts the surface energy of Cu about 24 %
below experiment, and that is the functional and no fault of a model trained on PBE.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from lamplighter.errors import DataError, explain

Kind = Literal["dft", "theory", "experiment"]
ZeroPoint = Literal["none", "included", "removed"]

_BEYOND: Final = (
    r"(dlpno|lno|df|ri)*(ccsd|cisd|mp[234]|fci|caspt)|[dvar]mc$|fnd?mc|w[12]"
)
_SEPARATORS = str.maketrans("", "", " _-()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a reference value stands for.

    Attributes:
        kind: ``dft``; ``theory`` for what is better than a functional, such as coupled
            cluster and quantum Monte Carlo; or ``experiment``.
        functional: exchange-correlation functional with its dispersion correction, for
            example ``PBE`` or ``PBE-D3(BJ)``; of other theory the method, ``CCSD(T)``
            or ``DMC``; empty for an experiment.
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
            DataError: an unknown word, a calculation without a functional or method, an
                experiment with one, wave functions called a functional, or a
                temperature that is none.
        """
        for name, value, allowed in (
            ("kind", self.kind, get_args(Kind)),
            ("zpe", self.zpe, ("none", "included", "removed")),
        ):
            if value not in allowed:
                problem = f"unknown {name} of a level of theory"
                raise DataError(
                    explain(problem, got=repr(value), wanted=" or ".join(allowed))
                )
        self._check_method()
        kelvin = self.temperature_K
        if kelvin is not None and not 0 <= kelvin < math.inf:
            wanted = "a number of K, 0 or more; none of the static lattice"
            raise DataError(explain("temperature_K", got=repr(kelvin), wanted=wanted))

    def _check_method(self) -> None:
        if self.kind == "experiment":
            if self.functional:
                problem = "an experiment has no functional"
                raise DataError(explain(problem, got=self.functional))
            return
        if not self.functional:
            raise DataError(
                explain(
                    f"a {self.kind.upper()} reference without a functional",
                    wanted="functional: PBE, ...",
                )
            )
        if self.kind != kind_of_method(self.functional):
            raise DataError(
                explain(
                    f"{self.functional} is not of kind {self.kind}",
                    wanted=f"kind: {kind_of_method(self.functional)}",
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


def kind_of_method(method: str) -> Kind:
    """Return ``theory`` for wave functions and quantum Monte Carlo, else ``dft``.

    >>> kind_of_method("DLPNO-CCSD(T)"), kind_of_method("DMC"), kind_of_method("r2SCAN")
    ('theory', 'theory', 'dft')
    """
    bare = normalised(method)
    return "theory" if re.match(_BEYOND, bare) else "dft"


def normalised(functional: str) -> str:
    """Return a functional's name without case, separators and the word GGA.

    Dispersion corrections stay: ``PBE-D3(BJ)`` and ``PBE`` are different levels.

    >>> normalised("GGA-PBE"), normalised("pbe"), normalised("PBE-D3(BJ)")
    ('pbe', 'pbe', 'pbed3bj')
    """
    bare = functional.split("/", maxsplit=1)[0].lower().translate(_SEPARATORS)
    return bare.removeprefix("metagga").removeprefix("gga")


def same_level(level_of_theory: str, reference: Level) -> bool:
    """Return whether a model's level of theory is that of a calculated reference.

    Args:
        level_of_theory: what the model's head was trained on, for example ``PBE``.
        reference: level of the reference; an experiment never matches.
    """
    if reference.kind == "experiment" or not level_of_theory:
        return False
    return normalised(level_of_theory) == normalised(reference.functional)
