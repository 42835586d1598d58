"""The error hierarchy of Lamplighter and the shape of its messages.

Every error that a user can cause derives from [`LamplighterError`][] and carries the
exit code that the command line ends with. A message says four things: what was wrong,
what came, what was wanted, and what to do; [`explain`][] puts them together.
"""

from __future__ import annotations

from typing import ClassVar


class LamplighterError(Exception):
    """Base of every error that Lamplighter raises on purpose.

    Attributes:
        exit_code: exit status of the command line: 1 a check failed, 2 bad input,
            3 the environment lacks something.
    """

    exit_code: ClassVar[int] = 1


class ConfigError(LamplighterError, ValueError):
    """A setting, head name or element that cannot be honoured."""

    exit_code = 2


class DataError(LamplighterError, ValueError):
    """A structure file whose content is unusable."""

    exit_code = 2


class ArtifactError(LamplighterError, ValueError):
    """A model file that is truncated, foreign, altered or too new."""

    exit_code = 2


class UnsafeFileError(ArtifactError):
    """A file that asks for code to be run; none of it was."""


class UnsupportedModelError(LamplighterError):
    """A model that is valid but uses a feature that is not available."""

    exit_code = 2


class EngineError(LamplighterError, RuntimeError):
    """LAMMPS or another engine could not be run, or stopped with an error."""

    exit_code = 3


class OptionalDependencyError(LamplighterError, ImportError):
    """A package that an optional feature needs is not installed."""

    exit_code = 3


class CheckFailedError(LamplighterError):
    """A check (parity, self-test, physics) that must pass did not."""

    exit_code = 1


def explain(
    problem: str,
    *,
    got: object | None = None,
    wanted: object | None = None,
    fix: str | None = None,
) -> str:
    """Return an error message of four parts.

    Args:
        problem: what was wrong, a clause without a final full stop.
        got: what came.
        wanted: what was expected instead.
        fix: what the user can do.

    Returns:
        One line, for example ``unknown head; got: 'pbe0'; wanted: one of 'pbe',
        'rpbe'; fix: name one of these with --head``.

    >>> explain("unknown head", got="'pbe0'", wanted="'pbe'", fix="use --head pbe")
    "unknown head; got: 'pbe0'; wanted: 'pbe'; fix: use --head pbe"
    """
    parts = [problem]
    for label, value in (("got", got), ("wanted", wanted), ("fix", fix)):
        if value is not None:
            parts.append(f"{label}: {value}")
    return "; ".join(parts)
