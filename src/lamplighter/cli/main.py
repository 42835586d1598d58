"""The commands themselves, and the one place where an error becomes an exit code.

What a command does is in `lamplighter.commands`, imported when it is called, so that
``--help`` starts without torch. Commands never prompt. The exit codes:

* 0: done, every check passed;
* 1: a check failed (parity, self-test, a comparison with a reference);
* 2: bad input (a file, a setting, a name, the command line itself);
* 3: the environment lacks something (LAMMPS, a package);
* 70: an error in Lamplighter itself; 130: interrupted.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, CycloptsError, Parameter

from lamplighter import __version__
from lamplighter.cli.evaluate import evaluate
from lamplighter.cli.examples import EXIT_CODES, add_examples
from lamplighter.cli.help_text import FlowingHelp
from lamplighter.cli.lammps import certify, doctor, forecast, lint, lmp, script
from lamplighter.cli.presets import presets
from lamplighter.cli.types import Dtype, Json, Model, Output
from lamplighter.errors import LamplighterError

GROUPS: Final = {
    "data": "What is in labelled structures, which to take, and a cache of them.",
    "heads": "Heads of a potential: list, show, rename, drop, copy, renew, describe.",
    "replay": "What a post-training replays: old labels, and a choice of them.",
    "validate": "What a potential is worth: the same properties in ASE and LAMMPS.",
}
EXIT_BAD_INPUT = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130

app = App(
    name="lamplighter",
    help="From labelled structures to a checked LAMMPS pair style.",
    help_epilogue=EXIT_CODES,
    version=f"lamplighter {__version__}",
    help_format="plaintext",
    help_formatter=FlowingHelp(),
    suppress_keyboard_interrupt=False,
    default_parameter=Parameter(negative=()),
)
for _command in (evaluate, certify, doctor, forecast, lint, lmp, presets, script):
    app.command(_command)


def run(tokens: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Args:
        tokens: the words after the program's name.

    Returns:
        The exit code; an error has been written to standard error in two lines: what
        happened, and what to do.
    """
    try:
        code = app(
            list(tokens),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except KeyboardInterrupt:
        _complain("interrupted; finished files are whole, the same command goes on")
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  (the last resort, on purpose)
        return _exit_code(error)
    return code if isinstance(code, int) else 0


def _exit_code(error: Exception) -> int:
    """Say what went wrong and what to do; return the exit code for it."""
    if isinstance(error, CycloptsError):
        chain = " ".join(error.command_chain or ())
        command = f"lamplighter {chain}".strip()
        return _refuse(_one_line(error), f"see {command} --help", EXIT_BAD_INPUT)
    if isinstance(error, LamplighterError):
        problem, _, fix = _one_line(error).partition("; fix: ")
        return _refuse(problem, fix or "see lamplighter --help", error.exit_code)
    if isinstance(error, OSError) and error.filename is not None:
        problem = f"{error.filename}: {error.strerror}"
        return _refuse(problem, "check the path and its permissions", EXIT_BAD_INPUT)
    handle, name = tempfile.mkstemp(prefix="lamplighter-traceback-", suffix=".txt")
    with os.fdopen(handle, "w") as stream:
        traceback.print_exception(error, file=stream)
    problem = f"unexpected {type(error).__name__}: {_one_line(error)}"
    return _refuse(problem, f"report it with the traceback in {name}", EXIT_INTERNAL)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _refuse(problem: str, fix: str, code: int) -> int:
    _complain(f"error: {problem}")
    _complain(f"fix: {fix}")
    return code


def _complain(text: str) -> None:
    sys.stderr.write(text + "\n")


@app.command
def train(config: Path, /, *, preset: str | None = None) -> int:
    """Train a potential with one head per level of theory.

    Interrupted, the same command goes on from the last checkpoint.

    Args:
        config: YAML file with the fields of lamplighter.train.config.TrainConfig.
            Unknown keys are refused by name.
        preset: Settings to start from, see lamplighter presets; those of the file win.
    """
    from lamplighter.commands import training

    return training.train(config, preset)


@app.command
def finetune(config: Path, /, *, preset: str | None = None) -> int:
    """Post-train by multi-head replay: keep a potential's heads, add yours.

    Interrupted, the same command goes on from the last checkpoint. The exit code is 1
    when the old heads drifted beyond their limits: the model file then holds the last
    weights within them.

    Args:
        config: YAML file with the fields of lamplighter.train.config.FinetuneConfig.
            Unknown keys are refused by name.
        preset: Settings to start from, see lamplighter presets; those of the file win.
    """
    from lamplighter.commands import training

    return training.finetune(config, preset)


@app.command(name="import")
def import_checkpoint(
    file: Path,
    /,
    *,
    output: Output,
    heads: Path | None = None,
    dtype: Dtype = "float64",
) -> int:
    """Make a model file of a mace-torch checkpoint: the same numbers.

    mace-torch is not needed, and nothing in the checkpoint is executed. What
    cannot be imported is refused by name, and no file is written.

    Args:
        file: A .model file of mace-torch 0.3 (a whole model, as torch.save wrote it).
        output: The file to write, usually with the ending .safetensors.
        heads: YAML file with, for each head, any of
            level_of_theory, dispersion, licence, source, elements.
        dtype: Precision of the stored weights.
    """
    from lamplighter.commands import model as model_commands

    return model_commands.import_checkpoint(file, output, heads, dtype)


@app.command
def select(
    file: Model,
    /,
    *,
    output: Output,
    heads: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    elements: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
) -> int:
    """Keep some heads or elements of a potential; drop the others, exactly.

    Args:
        file: A potential (safetensors), or model:base for the shipped one.
        output: The file to write.
        heads: The heads to keep; all when left out.
        elements: The elements to keep: --elements Mg O H; all when left out.
    """
    from lamplighter.commands import model as model_commands

    return model_commands.select(file, output, heads or [], elements or [])


@app.command
def inspect(file: Model, /, *, as_json: Json = False) -> int:
    """Heads, levels of theory, elements, size and origin of a model file.

    Nothing in the file is executed.

    Args:
        file: A potential (safetensors), model:base for the shipped one, an ML-IAP file,
            or a mace-torch checkpoint.
        as_json: Write JSON instead of a table.
    """
    from lamplighter.commands import model as model_commands

    return model_commands.inspect(file, as_json=as_json)


@app.command
def convert(
    models: list[Path],
    /,
    *,
    head: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    elements: Annotated[list[str], Parameter(consume_multiple=True)],
    output: Output,
    dtype: Dtype = "float64",
    charge: int | None = None,
    spin: int | None = None,
    condition: dict[str, float] | None = None,
    tables: Annotated[bool, Parameter(negative="--no-tables")] = True,
) -> int:
    """Write the ML-IAP file that LAMMPS reads: one head or several, some elements.

    The file is compared with the potential before it gets its name. When they
    disagree, no file is written and the exit code is 1.

    Args:
        models: A potential (safetensors), or model:base for the shipped one. Several,
            which differ in the seed of their training, make a committee: LAMMPS gets
            their mean, and how far they disagree about each force.
        head: The head to take; may be left out when there is only one. Of several,
            --head pbe r2scan, the script of LAMMPS names one.
        elements: The elements to keep, in any order: --elements Mg O.
        output: The file to write, usually with the ending .pt.
        dtype: Precision of the evaluation in LAMMPS.
        charge: Total charge in e, for a potential that depends on it; 0 if left out.
            The script of LAMMPS may give another; so for spin.
        spin: Multiplicity 2S + 1, for a potential that depends on it; 1 if left out.
        condition: Any other number that the potential depends on, by its name.
        tables: Whether the file gets the tables of the compiled potential, with which
            LAMMPS is many times as fast on CPUs.
    """
    from lamplighter.commands import lammps as lammps_commands

    given = {"total_charge": charge, "total_spin": spin}
    conditions = {name: float(n) for name, n in given.items() if n is not None}
    conditions |= condition or {}
    return lammps_commands.convert(
        models,
        head or [],
        elements,
        output,
        dtype=dtype,
        conditions=conditions,
        tables=tables,
    )


@app.command
def demo(*, output: Output = Path("demo-report")) -> int:
    """Walk the whole road once, on real data, in about ten minutes.

    Post-trains the shipped base model on a small new set, converts it, runs
    molecular dynamics of MgO in LAMMPS, validates, writes a report.

    Args:
        output: Folder for the report and every file made on the way.
    """
    from lamplighter.demo import run_demo

    return run_demo(output)


@app.command
def cite(*files: Model) -> int:
    """Print BibTeX of Lamplighter, and of what files or runs used.

    Args:
        files: Potentials (model:base is the shipped one), ML-IAP files, settings of a
            training or a suite, folders of a validation, LAMMPS scripts and logs.
    """
    from lamplighter.commands import cite as cite_commands

    return cite_commands.cite(files)


app.register_install_completion_command(add_to_startup=False)
add_examples(app)
# Groups are imported when they are called. They add examples to their own commands.
for _group, _help in GROUPS.items():
    app.command(f"lamplighter.cli.{_group}:{_group}", name=_group, help=_help)
