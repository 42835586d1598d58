"""The commands `lamplighter validate run|list|merge` and one for each property."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from lamplighter.cli.types import Engine, Json, Model, Output
from lamplighter.validation.registry import BUILT_IN

Words = Annotated[list[str] | None, Parameter(consume_multiple=True)]
Setting = Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True)]

_COMMON = """        head: The head to use; may be left out when there is only one.
        engine: The code that computes energies, forces and stresses.
"""


def run(
    suite: Path,
    /,
    *,
    output: Output = Path("validation-report"),
    jobs: Annotated[int, Parameter(name=["--jobs", "-j"])] = 0,
    shard: str = "",
    only: Words = None,
    engine: Words = None,
    retry_failed: bool = False,
    time_limit: float | None = None,
    dask: str = "",
    junit: Path | None = None,
    as_json: Json = False,
) -> int:
    """Every property of a suite, compared with references, as a report.

    Finished parts are kept: the same command goes on where it stopped, also after it
    was killed. The exit code is 1 when parity fails, a calculation is invalid or a task
    crashed; with strict: true also when a number misses its reference.

    Args:
        suite: YAML file that names the potential, the materials, the properties.
        output: Folder for the results and the report.
        jobs: Processes beside each other; 0 computes in this one.
        shard: One part of several, 3/16, for an array of cluster jobs; see validate
            merge.
        only: Properties, or properties of one material: --only phonon:MgO bulk. Shell
            patterns are allowed.
        engine: Only tasks of these engines, by their names in the suite.
        retry_failed: Compute again what crashed, took too long or is invalid.
        time_limit: Seconds that one task may take; the suite's own when left out.
        dask: Run on a Dask cluster: tcp://host:8786, or local for one on this machine.
        junit: Also write the verdicts as JUnit XML.
        as_json: Write the report's document as JSON instead of tables.
    """
    from lamplighter.commands import suite as suite_commands

    return suite_commands.run(
        suite,
        output,
        suite_commands.RunRequest(
            jobs=jobs,
            shard=shard,
            only=tuple(only or ()),
            engines=tuple(engine or ()),
            retry_failed=retry_failed,
            time_limit=time_limit,
            dask=dask,
            junit=junit,
        ),
        as_json=as_json,
    )


def merge(
    folders: list[Path],
    /,
    *,
    output: Output = Path("validation-report"),
    as_json: Json = False,
) -> int:
    """Put the shards of a suite together and write the report of the whole.

    The exit code is 1 when tasks are missing, as after a part that was not run.

    Args:
        folders: Output folders of validate run --shard, of the same suite.
        output: Folder for the whole; may be one of them.
        as_json: Write the report's document as JSON instead of tables.
    """
    from lamplighter.commands import suite as suite_commands

    return suite_commands.merge(folders, output, as_json=as_json)


def show(*, as_json: Json = False) -> int:
    """List what a suite can name: properties, materials, references.

    Args:
        as_json: Write JSON instead of tables.
    """
    from lamplighter.commands import suite as suite_commands

    return suite_commands.show(as_json=as_json)


def _compute(
    name: str,
    model: Path,
    structure: Path | None,
    asked: dict[str, Any],
    *,
    as_json: bool,
) -> int:
    from lamplighter.commands import suite as suite_commands

    request = suite_commands.PropertyRequest(**asked)
    return suite_commands.compute_property(
        name, model, structure, request, as_json=as_json
    )


def _property(name: str, text: str) -> Callable[..., int]:
    """Return the command `lamplighter validate NAME`: one property of one structure."""

    def command(
        model: Model,
        structure: Path,
        /,
        *,
        head: str | None = None,
        engine: Engine = "ase",
        setting: Setting = None,
        as_json: Json = False,
    ) -> int:
        asked = {"head": head, "engine": engine, "settings": tuple(setting or ())}
        return _compute(name, model, structure, asked, as_json=as_json)

    command.__doc__ = f"""{text[0].upper()}{text[1:]}.

    Args:
        model: A potential (safetensors), or model:base for the shipped one.
        structure: One structure, in any format that ASE reads, or the name of a
            built-in one.
{_COMMON}        setting: Settings of the property: --set points=15 'miller=[1, 1, 0]'.
        as_json: Write JSON instead of a table.
    """
    return command


def _model_property(name: str, text: str) -> Callable[..., int]:
    """Return the command of a property that needs a model and no structure."""

    def command(
        model: Model,
        /,
        *,
        elements: Words = None,
        head: str | None = None,
        engine: Engine = "ase",
        setting: Setting = None,
        as_json: Json = False,
    ) -> int:
        asked = {"head": head, "engine": engine, "settings": tuple(setting or ())}
        asked["elements"] = tuple(elements or ())
        return _compute(name, model, None, asked, as_json=as_json)

    command.__doc__ = f"""{text[0].upper()}{text[1:]}.

    Args:
        model: A potential (safetensors), or model:base for the shipped one.
        elements: What it is tried with: --elements Mg O; else all of the head's.
{_COMMON}        setting: Settings of the property: --set n_points=200.
        as_json: Write JSON instead of a table.
    """
    return command


def benchmark(
    model: Model,
    names: list[str] | None = None,
    /,
    *,
    data: Path | None = None,
    head: str | None = None,
    elements: Words = None,
    engine: Engine = "ase",
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    as_json: Json = False,
) -> int:
    """Score a potential by benchmarks with fixed protocols; validate list names them.

    Args:
        model: A potential (safetensors), or model:base for the shipped one.
        names: Benchmarks; those that need no data when left out.
        data: Folder with the benchmark's data; what is missing is named.
        head: The head to use; may be left out when there is only one.
        elements: Elements to use: --elements Mg O; all that the head knows when left
            out.
        engine: The code that computes energies, forces and stresses.
        output: Also write every number into this JSON file.
        as_json: Write JSON instead of tables.
    """
    from lamplighter.commands import suite as suite_commands

    return suite_commands.run_benchmarks(
        names or (),
        model,
        suite_commands.PropertyRequest(
            head=head, engine=engine, elements=tuple(elements or ())
        ),
        data=data,
        output=output,
        as_json=as_json,
    )


def register(validate: App) -> None:
    """Add the commands of this module to the group."""
    validate.command(run, name="run")
    validate.command(merge, name="merge")
    validate.command(show, name="list")
    validate.command(benchmark, name="benchmark")
    for name, (kinds, text) in BUILT_IN.items():
        if name != "parity":
            make = _model_property if kinds == ("model",) else _property
            validate.command(make(name, text), name=name)
