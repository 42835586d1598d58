"""The commands `lamplighter validate refs ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from lamplighter.cli.types import Json, Output

refs = App(
    name="refs",
    help="Reference values: what there is, one's own, and whether they hold together.",
)

_Files = Annotated[list[Path] | None, Parameter(consume_multiple=True)]


@refs.command
def show(
    material: str | None = None,
    /,
    *,
    quantity: str | None = None,
    unverified: bool = False,
    files: _Files = None,
    as_json: Json = False,
) -> int:
    """Reference values of a material with level of theory, source and licence.

    Args:
        material: Chemical formula; left out, the materials are listed.
        quantity: Only these: a name, a pattern such as 'C*', or a part of a name.
        unverified: Also show values that nobody checked against their source.
        files: Files of one's own to show as well.
        as_json: Write JSON instead of a table.
    """
    from lamplighter.commands import refs as refs_commands

    return refs_commands.show(
        material, quantity, files or [], unverified=unverified, as_json=as_json
    )


@refs.command
def check(files: list[Path] | None = None, /) -> int:
    """Hold reference files against the catalogue and against each other.

    Args:
        files: Files of one's own; the built-in records when left out. Those of a
            material with built-in records are also held against these.
    """
    from lamplighter.commands import refs as refs_commands

    return refs_commands.check(files or [])


@refs.command
def add(
    *,
    output: Output,
    from_phonopy: Path | None = None,
    from_vasprun: _Files = None,
    from_csv: Path | None = None,
    functional: str = "",
    experiment: bool = False,
    code: str = "",
    temperature: float | None = None,
    zpe: Literal["none", "included", "removed"] | None = None,
    material: str = "",
    structure: str = "",
    space_group: int | None = None,
    source: str = "",
    doi: str = "",
    licence: str = "own data",
    secondary: bool = False,
    unverified: bool = False,
) -> int:
    """Write a file of references from a calculation or a table of one's own.

    The level of theory is never guessed: --functional or --experiment, unless the file
    itself says it.

    Args:
        output: The YAML file to write; it must not exist.
        from_phonopy: phonopy YAML with forces, or with FORCE_SETS beside it.
        from_vasprun: One relaxed vasprun.xml, or five and more of different volumes.
        from_csv: Table with the columns quantity, value and any others of a record.
        functional: For example PBE, PBEsol, r2SCAN, PBE-D3(BJ).
        experiment: The numbers were measured.
        code: Program that computed them.
        temperature: Temperature in K; left out, the static lattice.
        zpe: Whether zero-point motion is in the values; of an experiment it is.
        material: Chemical formula, if the file does not say it.
        structure: Structure type, for example rocksalt.
        space_group: International number, if the file does not say it.
        source: Where the numbers can be found again; else file name and hash.
        doi: Of the source.
        licence: Under which the numbers may be passed on.
        secondary: Show them beside others; they give no verdict.
        unverified: They were not checked against their source.
    """
    from lamplighter.commands import refs as refs_commands
    from lamplighter.validation.refs.writer import Origin

    origin = Origin(
        functional=functional,
        experiment=experiment,
        code=code,
        temperature_K=temperature,
        zpe=zpe,
        material=material,
        structure=structure,
        space_group=space_group,
        source=source,
        doi=doi,
        licence=licence,
        role="secondary" if secondary else "primary",
        verified=not unverified,
    )
    return refs_commands.add(output, origin, from_phonopy, from_vasprun or [], from_csv)
