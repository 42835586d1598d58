"""What every rule sees, and how it says what it found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ase.data import atomic_masses, atomic_numbers

from lamplighter.lammps_interface.lint.finding import Finding, Severity, Where
from lamplighter.lammps_interface.lint.pairs import PairStyle, SubStyle
from lamplighter.lammps_interface.lint.script import Script
from lamplighter.lammps_interface.lint.state import Setting, State

if TYPE_CHECKING:
    from lamplighter.lammps_interface.bundle import BundleHeader


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The state at a run, or at the end of a script without one.

    Attributes:
        state: the settings; `state.pair` has an ML-IAP potential.
        header: header of the ML-IAP file, None if the file was not found.
        script: the script, to look for files.
    """

    state: State
    header: BundleHeader | None
    script: Script

    @property
    def pair(self) -> PairStyle:
        """The pair style in force."""
        assert self.state.pair is not None
        return self.state.pair

    @property
    def potential(self) -> SubStyle:
        """The (first) ML-IAP potential of the pair style."""
        return self.pair.potentials[0]

    @property
    def elements(self) -> dict[int, str]:
        """Types whose element is known, NULL left out."""
        names = self.state.names or ()
        return {
            k: name
            for k, name in enumerate(names, start=1)
            if name in atomic_numbers and name != "X"
        }

    @property
    def skin(self) -> float | None:
        """The skin in Å, 2.0 by default; None if not known."""
        skin = self.state.skin
        return 2.0 if skin is None else skin.value

    @property
    def time_step(self) -> float | None:
        """The time step in ps, 0.001 by default; None if not known."""
        step = self.state.timestep
        return 0.001 if step is None else step.value

    @property
    def style(self) -> str:
        """The atom style, ``""`` if not known."""
        style = self.state.atom_style
        return "atomic" if style is None else (style.value or "")

    def place(self, *settings: Setting[Any] | None) -> Where:
        """Return the place of the first setting that was made, or of pair_style."""
        for one in settings:
            if one is not None:
                return one.where
        return self.pair.where

    def sure(self, finding: Finding, *, sure: bool = True) -> Finding:
        """Return a finding, softened where it or the pair style may not run."""
        return finding if sure and self.pair.sure else finding.softened()


def standard_mass(symbol: str) -> float:
    """Return the standard atomic mass of an element in amu."""
    return float(atomic_masses[atomic_numbers[symbol]])


def error(rule: str, where: Where, what: str, fix: str) -> Finding:
    """Return a finding of severity error."""
    return _finding(rule, "error", where, what, fix)


def warning(rule: str, where: Where, what: str, fix: str) -> Finding:
    """Return a finding of severity warning."""
    return _finding(rule, "warning", where, what, fix)


def note(rule: str, where: Where, what: str, fix: str) -> Finding:
    """Return a finding of severity note."""
    return _finding(rule, "note", where, what, fix)


def _finding(
    rule: str, severity: Severity, where: Where, what: str, fix: str
) -> Finding:
    return Finding(rule=rule, severity=severity, where=where, what=what, fix=fix)
