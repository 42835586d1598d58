"""The commands `lamplighter data ...`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import App, Parameter

from lamplighter.cli.examples import add_examples
from lamplighter.cli.types import Dtype, Json, Output

data = App(name="data")


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """Names and units of the labels in the files.

    Attributes:
        head: Head of frames that name none.
        energy_key: Name of the total energy. The default is REF_energy in extended
            XYZ, and energy in databases and HDF5; so for forces and stress.
        forces_key: Name of the forces.
        stress_key: Name of the stress.
        head_key: Name of the head.
        level_key: Name of the level of theory.
        config_type_key: Name of the kind of structure.
        uid_key: Name of the geometry.
        domain_key: Name of the part of chemistry.
        group_key: Name of the trajectory or system that a structure belongs to.
        energy_unit: Unit of the energies, also of those in the forces.
        length_unit: Unit of the positions, also of those in the forces.
        stress_unit: Unit of the stress.
        stress_sign: What is positive: tension (as in ASE), or pressure.
        where: Only frames with these values: --where.charge 0 --where.spin 1
    """

    head: str = ""
    energy_key: str | None = None
    forces_key: str | None = None
    stress_key: str | None = None
    head_key: str = "head"
    level_key: str = "level"
    config_type_key: str = "config_type"
    uid_key: str = "uid"
    domain_key: str = "domain"
    group_key: str = "group"
    energy_unit: Literal["eV", "hartree", "rydberg", "kcal/mol", "kJ/mol"] = "eV"
    length_unit: Literal["angstrom", "bohr"] = "angstrom"
    stress_unit: Literal["eV/angstrom^3", "GPa", "kbar", "hartree/bohr^3"] = (
        "eV/angstrom^3"
    )
    stress_sign: Literal["tension", "pressure"] = "tension"
    where: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LimitOptions:
    """What is refused.

    Attributes:
        limit_force: Largest force on an atom, eV/Å.
        limit_stress: Largest stress component, eV/Å^3.
        limit_distance: Smallest distance of two atoms, as a fraction of the sum of
            their covalent radii.
        no_check_work: Do not compare the work of the forces with the energies.
    """

    limit_force: float = 150.0
    limit_stress: float = 5.0
    limit_distance: float = 0.5
    no_check_work: bool = False


Labels: TypeAlias = Annotated[LabelOptions, Parameter(name="*")]
Limits: TypeAlias = Annotated[LimitOptions, Parameter(name="*")]
Words: TypeAlias = Annotated[tuple[str, ...], Parameter(consume_multiple=True)]

_LABELS = LabelOptions()
_LIMITS = LimitOptions()


@data.command
def inspect(
    files: list[Path],
    /,
    *,
    labels: Labels = _LABELS,
    limits: Limits = _LIMITS,
    as_json: Json = False,
) -> int:
    """What is in labelled files, and what is wrong with them.

    Counts by head, element and kind; ranges of energies above the free atoms, forces
    and stresses; bad frames, outliers, duplicates, mixed units. The exit code is 1 if
    there is a problem.

    Args:
        files: Extended XYZ, ASE databases, .aselmdb or folders of them, HDF5, caches,
            or dataset:NAME for a shipped set.
        labels: Names and units of the labels.
        limits: What is refused.
        as_json: Write JSON instead of a table.
    """
    from lamplighter.commands import data as data_commands

    return data_commands.inspect(files, asdict(labels), asdict(limits), as_json=as_json)


@data.command(name="filter")
def filter_(
    files: list[Path],
    /,
    *,
    output: Output,
    elements: Words = (),
    max_force: float | None = None,
    min_atoms: int = 1,
    max_atoms: int | None = None,
    config_type: Words = (),
    not_config_type: Words = (),
    drop_duplicates: bool = False,
    drop_outliers: bool = False,
    bad: Literal["drop", "refuse"] = "drop",
    labels: Labels = _LABELS,
    limits: Limits = _LIMITS,
) -> int:
    """Write the frames that pass into one file, in the units of this project.

    Args:
        files: Extended XYZ, ASE databases, .aselmdb or folders of them, HDF5, caches,
            or dataset:NAME for a shipped set.
        output: The file to write: .xyz, .xyz.gz or .h5.
        elements: Only frames without other elements: --elements Mg O.
        max_force: Only frames without a larger force on an atom, eV/Å.
        min_atoms: Only frames with at least so many atoms.
        max_atoms: Only frames with at most so many atoms.
        config_type: Only these kinds of structures; patterns such as "rattle*".
        not_config_type: Not these kinds of structures.
        drop_duplicates: Of frames of a head with one geometry, keep the first.
        drop_outliers: Leave out energies that do not fit, as inspect finds them.
        bad: Frames that the reader refuses: drop them, or refuse the file.
        labels: Names and units of the labels.
        limits: What is refused.
    """
    from lamplighter.commands import data as data_commands

    criteria = {
        "elements": elements,
        "max_force": max_force,
        "min_atoms": min_atoms,
        "max_atoms": max_atoms,
        "config_types": config_type,
        "not_config_types": not_config_type,
        "drop_duplicates": drop_duplicates,
        "drop_outliers": drop_outliers,
        "bad_frames": bad,
    }
    return data_commands.filter_(
        files, output, criteria, asdict(labels), asdict(limits)
    )


@data.command
def split(
    files: list[Path],
    /,
    *,
    output: Output,
    by: Literal["composition", "group"] = "group",
    validation: float = 0.1,
    test: float = 0.1,
    keep_in_train: Words = ("IsolatedAtom",),
    seed: int = 0,
    ending: Literal[".xyz", ".xyz.gz", ".h5"] = ".xyz.gz",
    labels: Labels = _LABELS,
    limits: Limits = _LIMITS,
) -> int:
    """Divide files into train, validation and test; never a trajectory in two.

    The side of a group depends on its name and the seed alone.

    Args:
        files: Extended XYZ, ASE databases, .aselmdb or folders of them, HDF5, caches,
            or dataset:NAME for a shipped set.
        output: Folder for the files.
        by: What stays together: frames of one group (their composition where they
            name no group), or of one composition.
        validation: Fraction of the groups for validation.
        test: Fraction of the groups for the test.
        keep_in_train: Kinds of structures whose groups stay in training; patterns.
        seed: Changes the draw.
        ending: Kind of the files.
        labels: Names and units of the labels.
        limits: What is refused.
    """
    from lamplighter.commands import data as data_commands

    rule = {
        "by": by,
        "validation_fraction": validation,
        "test_fraction": test,
        "keep_in_train": keep_in_train,
        "seed": seed,
        "ending": ending,
    }
    return data_commands.split(files, output, rule, asdict(labels), asdict(limits))


@data.command
def cache(
    files: list[Path],
    /,
    *,
    output: Output,
    cutoff: float = 6.0,
    level: str | None = None,
    dtype: Dtype = "float64",
    drop_duplicates: bool = False,
    bad: Literal["drop", "refuse"] = "refuse",
    by: Literal["composition", "group"] = "group",
    shard_frames: int = 8192,
    shard_mib: int = 32,
    labels: Labels = _LABELS,
    limits: Limits = _LIMITS,
) -> int:
    """Write checked frames with their neighbours, for training sets of any size.

    Interrupted, the same command goes on. In the YAML file of a training run the folder
    stands where a file would.

    Args:
        files: Extended XYZ, ASE databases, .aselmdb or folders of them, HDF5, caches,
            or dataset:NAME for a shipped set.
        output: Folder of the cache.
        cutoff: Range of the neighbour lists, at least that of the potential, Å.
        level: Level of theory of frames that name none; all others must have it.
        dtype: Precision of positions, forces and stress.
        drop_duplicates: Of frames of a head with one uid, keep the first. A uid that
            the files do not give is that of the geometry.
        bad: Frames that the reader refuses: drop and count them, or refuse the file.
        by: What stays on one side when training holds out a part.
        shard_frames: Most frames in a file of the cache.
        shard_mib: Size of a file of the cache, MiB.
        labels: Names and units of the labels.
        limits: What is refused.
    """
    from lamplighter.commands import data as data_commands

    settings = {
        "cutoff": cutoff,
        "level": level,
        "dtype": dtype,
        "duplicates": "drop" if drop_duplicates else "refuse",
        "bad_frames": bad,
        "group_by": by,
        "shard_frames": shard_frames,
        "shard_mib": shard_mib,
    }
    return data_commands.cache(files, output, settings, asdict(labels), asdict(limits))


@data.command
def verify(folder: Path, /) -> int:
    """Compare the checksum of every frame of a cache.

    Args:
        folder: The cache.
    """
    from lamplighter.commands import data as data_commands

    return data_commands.verify(folder)


add_examples(data, ("data",))
