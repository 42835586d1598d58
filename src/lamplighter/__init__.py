"""Lamplighter: from labelled structures to a checked LAMMPS pair style.

The package itself imports nothing heavy; `lamplighter.Calculator` loads torch when it
is first asked for.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Calculator", "__version__"]

if TYPE_CHECKING:
    from lamplighter.model import Calculator
else:

    def __getattr__(name: str) -> object:
        """The public names that live in a room, imported on first use."""
        if name == "Calculator":
            from lamplighter.model import Calculator  # noqa: PLC0415  (brings torch)

            return Calculator
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
