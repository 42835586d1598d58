"""What the linter says: a finding, its place, and why each rule exists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]

SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Where:
    """A place in a script.

    Attributes:
        file: the file as the user named it, or ``"command line"``.
        line: the first line of the command, from 1; 0 for the command line.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a rule found.

    Attributes:
        rule: the stable name of the rule, a key of `WHY`.
        severity: ``"error"`` (LAMMPS stops, or the numbers are wrong), ``"warning"``
            (probably not what was meant), ``"note"`` (good to know).
        where: the command that has to change.
        what: what is wrong, a clause without a final full stop.
        fix: what to write instead.
    """

    rule: str
    severity: Severity
    where: Where
    what: str
    fix: str

    @property
    def why(self) -> str:
        """Why it matters, one sentence."""
        return WHY[self.rule]

    def softened(self) -> Finding:
        """Return the finding for a command that may not run: no error, a warning."""
        severity: Severity = "warning" if self.severity == "error" else self.severity
        return Finding(
            rule=self.rule,
            severity=severity,
            where=self.where,
            what=self.what,
            fix=self.fix,
        )


WHY: Final[dict[str, str]] = {
    # the script as text
    "syntax": "LAMMPS stops at this line.",
    "comment-continuation": "A comment that ends in & takes the next line with it, and "
    "LAMMPS does not say so.",
    "variable": "LAMMPS stops at a variable that is not defined.",
    "include": "Commands in a file that is not found cannot be checked.",
    "no-potential": "The other rules are about ML-IAP potentials.",
    # settings
    "units": "The potential works in Å and eV; in other units the same numbers mean "
    "another structure.",
    "newton": "Forces on ghost atoms have to return to the atoms that they are images "
    "of.",
    "order": "LAMMPS stops: the command needs the box, or must come before it.",
    "timestep": "Too long a step heats the system or loses atoms, and the default of "
    "other units is a thousand times longer.",
    "damping": "A damping time in fs written in units of ps couples a thousand times "
    "too weakly, and the run looks like NVE.",
    "skin": "Without a skin every step needs a new neighbour list, or atoms pass "
    "through each other's cutoff unseen.",
    "neigh-check": "Atoms that cross the skin before the list is rebuilt are missing "
    "from the potential's pairs, silently.",
    "neighbor-one": "LAMMPS stops with a neighbour list overflow once an atom has more "
    "neighbours than `neigh_modify one`.",
    "respa": "The potential has one kind of force: it cannot be split by distance, and "
    "the pair style refuses.",
    "lost-atoms": "Lost atoms are the sign of an exploding system; ignored, the run "
    "goes on with fewer atoms.",
    # pairs
    "pair-style": "LAMMPS stops at the pair_style command.",
    "pair-coeff": "LAMMPS stops: a pair style needs its pair_coeff command.",
    "pair-coeff-types": "One potential serves all pairs of types.",
    "pair-coeff-count": "The names go to the atom types in order; LAMMPS' own ML-IAP "
    "does not count them and reads past the end.",
    "element-name": "A name that the potential does not have stops LAMMPS.",
    "hybrid-null": "Each pair of atom types needs a style.",
    "hybrid-override": "Under hybrid the last pair_coeff of a pair of types wins: the "
    "potential loses these pairs without a word.",
    "pair-modify": "The potential has no tail, shift or mixing; the command does "
    "nothing for it.",
    "pairwise-compute": "A many-body energy is no sum over pairs, and LAMMPS stops.",
    "double-counting": "The potential already contains these interactions; added "
    "classical terms count them twice.",
    # neighbours
    "special-bonds": "LAMMPS drops bonded pairs from the neighbour list, and the "
    "potential then runs without its nearest neighbours.",
    "exclude": "Excluded pairs vanish from the neighbour list, and the potential sees "
    "atoms without their surroundings; 'exclude group NAME all' hides whole atoms.",
    "gcmc": "Trial moves exclude atoms from the neighbour list; an atom that is still "
    "counted with its reference energy makes acceptance wrong.",
    "ghost-shell": "A LAMMPS whose ML-IAP has no exchange computes features of ghosts "
    "itself, silently wrong with a thinner shell; elsewhere FLAG 1 is only slower.",
    # dynamics
    "no-integrator": "Without a time integrator atoms do not move.",
    "double-integration": "Atoms that two fixes integrate move twice per step.",
    "barostat-triclinic": "LAMMPS stops: tilt factors can only change in a triclinic "
    "box.",
    "vacuum": "A barostat across vacuum presses on nothing and closes the gap.",
    "stress-many-body": "The heat flux of a many-body potential does not follow from "
    "virials split evenly over pairs, only from those of centroid/stress/atom.",
    "minimize-float32": "Energies in float32 carry noise that a line search takes for "
    "a minimum.",
    "dump-elements": "A trajectory with elements in another order shows another "
    "material.",
    # data file
    "data-file": "A data file that is not found cannot be checked.",
    "data-masses": "The order of names in pair_coeff and of types in the box must be "
    "the same; swapped names give another material.",
    "data-labels": "Labels of atom types that disagree with pair_coeff mean that the "
    "types are in another order.",
    "data-atoms": "LAMMPS stops, or counts atoms twice.",
    "data-charges": "The potential does not read charges.",
    "data-tilt": "LAMMPS needs many more ghost atoms for a strongly tilted box.",
    "mass-missing": "LAMMPS stops: every atom type needs a mass.",
    "box-small": "Atoms that interact with their own images make fluctuations of a "
    "crystal, not of a liquid or a defect.",
    # model file
    "model-file": "LAMMPS reads the ML-IAP file that `lamplighter convert` writes.",
    "model-elements": "LAMMPS stops at an element that the file does not have.",
    "head-mismatch": "Dispersion of another functional does not fit the labels of this "
    "head.",
    "dispersion-twice": "The labels of this head contain dispersion already.",
    "dispersion-missing": "The labels of this head lack dispersion, which its level of "
    "theory expects to be added.",
    # Kokkos
    "kokkos-suffix": "Without the Kokkos style there is no exchange: the message is "
    "that MLIAPDataPy has no attribute forward_exchange.",
    "kokkos-comm": "Several ranks end in a segmentation fault: the exchange is packed "
    "on the host from device memory.",
    "kokkos-host": "On the host the exchange of mliap/kk writes past its buffers; "
    "small systems survive, larger ones crash.",
    "kokkos-langevin": "fix langevin/kk was wrong with a bias temperature before "
    "November 2025, and crashes with `zero yes` in 11 Feb 2026.",
    "kokkos-stress": "mliap/kk sizes the array of atomic stresses by that of atomic "
    "energies, and writes out of bounds without them.",
}
"""Why each rule exists; the keys are the names of all rules."""
