"""The settings of a simulation at one place of a script."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lamplighter.lammps_interface.lint.data_file import DataFile
from lamplighter.lammps_interface.lint.finding import Where
from lamplighter.lammps_interface.lint.options import Command
from lamplighter.lammps_interface.lint.pairs import PairCoeff, PairStyle

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A setting and the command that made it.

    Attributes:
        value: None where the script alone does not decide it.
        where: its place.
    """

    value: T | None
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A fix, compute or dump that is in force.

    Attributes:
        name: its ID.
        style: its style without an accelerator suffix.
        args: the words after the style.
        group: the group it acts on.
        where: its place.
        sure: False where the command may not run.
    """

    name: str
    style: str
    args: tuple[str, ...]
    group: str
    where: Where
    sure: bool


@dataclass(slots=True, kw_only=True)
class State:
    """What LAMMPS would know at one place of a script; see the handlers.

    Attributes named after commands hold what these set last; None means that the
    command did not come.
    """

    units: Setting[str] | None = None
    atom_style: Setting[str] | None = None
    boundary: Setting[tuple[str, ...]] | None = None
    newton: Setting[bool] | None = None
    special: Setting[tuple[float, ...]] | None = None
    skin: Setting[float] | None = None
    timestep: Setting[float] | None = None
    comm_cutoff: Setting[float] | None = None
    bond_style: Setting[str] | None = None
    kspace: Setting[str] | None = None
    run_style: Setting[tuple[str, ...]] | None = None
    lost: Setting[str] | None = None
    neigh: dict[str, Setting[str]] = field(default_factory=dict)
    excludes: list[Command] = field(default_factory=list)
    pair: PairStyle | None = None
    coeffs: list[PairCoeff] = field(default_factory=list)
    pair_modify: list[Command] = field(default_factory=list)
    early: list[Command] = field(default_factory=list)
    masses: dict[int, Setting[float]] = field(default_factory=dict)
    masses_known: bool = True
    box: Where | None = None
    ntypes: int | None = None
    triclinic: bool | None = None
    regions: dict[str, str] = field(default_factory=dict)
    replicated: bool = False
    data: DataFile | None = None
    data_where: Where | None = None
    bonds: bool | None = None
    fixes: dict[str, Action] = field(default_factory=dict)
    computes: dict[str, Action] = field(default_factory=dict)
    dump_elements: list[Command] = field(default_factory=list)
    kokkos: Setting[tuple[str, ...]] | None = None
    suffix: Setting[str] | None = None
    packages: list[Command] = field(default_factory=list)
    step: Command | None = None

    @property
    def names(self) -> tuple[str, ...] | None:
        """The element of each atom type for the potential; None if not known."""
        mapped = [
            c for c in self.coeffs if c.style is not None and c.style.is_potential
        ]
        if not mapped or not mapped[-1].sure or self.ntypes is None:
            return None
        names = mapped[-1].names
        return names if len(names) == self.ntypes else None

    @property
    def dynamics(self) -> bool:
        """Whether atoms move in time at this place."""
        return self.step is not None and self.step.name == "run" and not self.static

    @property
    def static(self) -> bool:
        """Whether the step is a `run 0`."""
        return self.step is not None and self.step.args[:1] == ("0",)
