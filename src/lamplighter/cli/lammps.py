"""The commands about LAMMPS: `certify`, `doctor`, `forecast`, `lint` and `script`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from lamplighter.cli.types import Json, Output
from lamplighter.lammps_interface.decks.options import DeckOptions, Kind

_DECK_OPTIONS = DeckOptions()


def certify(
    model: Path,
    structure: Path | None = None,
    /,
    *,
    ranks: Annotated[tuple[int, ...], Parameter(consume_multiple=True)] = (1, 2, 3, 4),
    json: Path | None = None,
    lmp: str | None = None,
    head: str | None = None,
    flag: int = 0,
    comm_cutoff: float | None = None,
    cases: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = (),
    timeout: float = 300.0,
    seed: int = 0,
    backend: str | None = None,
) -> int:
    """Show that ranks, and how they divide the box, do not change the numbers.

    Runs an ML-IAP file in LAMMPS on several ranks, brick and tiled, in structures made
    from its elements: dense, skewed, with vacuum, one atom per rank, moving. Compares
    energies, forces and stress with an independent evaluation and with one rank. Exit
    codes: 0 all agree, 1 a difference or a failure, 3 not all of it could be run.

    Args:
        model: An ML-IAP file, as lamplighter convert writes it.
        structure: One more case: a structure in any format that ASE reads.
        ranks: Numbers of ranks: --ranks 1 2 4. More than the machine has cores is slow
            and as good.
        json: Write the certificate to this file.
        lmp: Another executable of LAMMPS, or the word module for LAMMPS inside Python.
        head: Which head, of a file that holds several.
        flag: FLAG of the pair_style command. 1 is for a LAMMPS with plain ML-IAP; the
            communication cutoff is then set to the reach of all layers.
        comm_cutoff: Another communication cutoff, in Å.
        cases: Names of the cases to run, as the table shows them; all when left out.
        timeout: Seconds after which a case has failed.
        seed: Seed of the structures.
        backend: What evaluates, reference or compiled; when left out, compiled where
            the file has tables. Tables differ from the independent evaluation by more
            than rounding does: the certificate says how much is allowed.
    """
    from lamplighter.commands import lammps as lammps_commands
    from lamplighter.lammps_interface.certificate import CertifyOptions

    options = CertifyOptions(
        ranks=tuple(ranks),
        lmp=lmp,
        head=head,
        flag=flag,
        comm_cutoff=comm_cutoff,
        cases=tuple(cases),
        timeout_s=timeout,
        seed=seed,
        backend=backend,
    )
    return lammps_commands.certify(model, structure, options, json)


def doctor(
    lammps: str | None = None,
    /,
    *,
    model: Path | None = None,
    explain: str | None = None,
    no_trial: bool = False,
    as_json: Json = False,
) -> int:
    """Look at a LAMMPS: what runs here, what does not, and the command line to use.

    Runs two atoms on one rank and on two. Exit codes: 0 all well, 1 a problem, 3 no
    LAMMPS.

    Args:
        lammps: Path of an executable, or the word module for LAMMPS inside Python; the
            lmp of this environment when left out.
        model: An ML-IAP file to run; the shipped potential for MgO when left out.
        explain: Explain an error instead: its text, or a log file. Exit code 1 if
            nothing in it is known.
        no_trial: Do not run the two atoms.
        as_json: Write JSON instead of lines.
    """
    from lamplighter.commands import lammps as lammps_commands

    if explain is not None:
        return lammps_commands.explain_errors(explain, as_json=as_json)
    return lammps_commands.doctor(lammps, model, as_json=as_json, trial=not no_trial)


def forecast(
    model: Path,
    /,
    *,
    atoms: int,
    density: float = 0.1,
    ranks: int = 1,
    timestep: float = 1.0,
    head: str | None = None,
    as_json: Json = False,
) -> int:
    """Predict memory and speed of molecular dynamics on this machine.

    Evaluates 125 atoms for seconds, on one core; nothing is kept of that. What else the
    machine does counts: the prediction is for ranks that have a core each.

    Args:
        model: An ML-IAP file, as lamplighter convert writes it.
        atoms: How many atoms the system has.
        density: Atoms per cubic ångström: 0.1 in a crystal or a dense liquid.
        ranks: MPI ranks.
        timestep: Femtoseconds.
        head: Which head, of a file that holds several.
        as_json: Write JSON instead of lines.
    """
    from lamplighter.commands import lammps as lammps_commands

    return lammps_commands.forecast(
        model, atoms, density, head, ranks, timestep, as_json=as_json
    )


def lint(
    script: Path,
    data: Path | None = None,
    /,
    *,
    model: Path | None = None,
    var: Annotated[
        list[tuple[str, str]] | None,
        Parameter(name=["--var", "-var"], allow_leading_hyphen=True),
    ] = None,
    lmp: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    as_json: Json = False,
) -> int:
    """Check a LAMMPS script that uses an ML-IAP potential, without running it.

    Finds what LAMMPS accepts in silence and what makes the numbers wrong, line by
    line. The exit code is 1 if there is an error.

    Args:
        script: The input script; files that it includes are read as well.
        data: The data file, where the script's read_data does not lead to it.
        model: The ML-IAP file, where the script's pair_style does not lead to it.
        var: A variable of the command line of lmp: --var NAME VALUE.
        lmp: Other options of lmp: --lmp "-k on g 1 -sf kk".
        as_json: Write JSON instead of text.
    """
    from lamplighter.commands import lammps as lammps_commands

    return lammps_commands.lint(script, data, model, var or [], lmp, as_json=as_json)


def script(
    kind: Kind,
    structure: Path,
    model: Path,
    /,
    *,
    output: Output,
    options: Annotated[DeckOptions, Parameter(name="*")] = _DECK_OPTIONS,
) -> int:
    """Write a deck that LAMMPS runs as it is: script, data file, model, README.

    Args:
        kind: What to run.
        structure: One structure, in any format that ASE reads.
        model: An ML-IAP file; it is copied into the folder.
        output: The folder; it must be new or empty.
        options: Temperature, steps and the like. An option that the kind does not use
            is refused.
    """
    from lamplighter.commands import lammps as lammps_commands

    return lammps_commands.write_script(kind, structure, model, output, options)


def lmp(*options: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> int:
    """Run LAMMPS inside Python, with the options of its own command lmp.

    For a Python without a shared library, which lmp cannot start:
    lamplighter lmp -in in.lammps, or mpiexec -n 2 lamplighter lmp -in in.lammps.

    Args:
        options: Those of lmp, -in SCRIPT among them.
    """
    from lamplighter.lammps_interface.host import main

    return main(options)
