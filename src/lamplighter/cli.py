"""The command line: what the commands are called, and what they end with.

Every command imports its room when it is called, so that ``--help`` starts without
torch. Commands never prompt. This is the one place where an error becomes an exit code:

* 0: done, every check passed;
* 1: a check failed (parity, self-test, a comparison with a reference);
* 2: bad input (a file, a setting, a name, the command line itself);
* 3: the environment lacks something (LAMMPS, a package);
* 70: an error in Lamplighter itself; 130: interrupted.
"""

from __future__ import annotations

import json
import os
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

from lamplighter import __version__
from lamplighter.errors import ConfigError, LamplighterError, explain

EXIT_CHECK_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130

app = App(
    name="lamplighter",
    help="From labelled structures to a checked LAMMPS pair style.",
    version=f"lamplighter {__version__}",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


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
    except CycloptsError as error:
        return _refuse(_one_line(error), "see: lamplighter --help", EXIT_BAD_INPUT)
    except LamplighterError as error:
        problem, _, fix = _one_line(error).partition("; fix: ")
        return _refuse(problem, fix or "see: lamplighter --help", error.exit_code)
    except OSError as error:
        if error.filename is None:
            return _report_bug(error)
        problem = f"{error.filename}: {error.strerror}"
        return _refuse(problem, "check the path and its permissions", EXIT_BAD_INPUT)
    except KeyboardInterrupt:
        _complain("interrupted; finished files are whole, the same command goes on")
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001  (the last resort, on purpose)
        return _report_bug(error)
    return code if isinstance(code, int) else 0


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _refuse(problem: str, fix: str, code: int) -> int:
    _complain(f"error: {problem}")
    _complain(f"fix: {fix}")
    return code


def _report_bug(error: Exception) -> int:
    handle, name = tempfile.mkstemp(prefix="lamplighter-traceback-", suffix=".txt")
    with os.fdopen(handle, "w") as stream:
        traceback.print_exception(error, file=stream)
    problem = f"unexpected {type(error).__name__}: {_one_line(error)}"
    return _refuse(problem, f"report it with the traceback in {name}", EXIT_INTERNAL)


def _complain(text: str) -> None:
    from lamplighter.console import complain

    complain(text)


def _info(text: str) -> None:
    from lamplighter.console import info

    info(text)


Json = Annotated[bool, Parameter(name="--json", negative="")]


@app.command
def train(config: Path, /) -> None:
    """Train a potential with one head per level of theory.

    Interrupted, the same command goes on from the last checkpoint.

    Parameters
    ----------
    config
        YAML file: the fields of lamplighter.train.TrainConfig. Unknown keys are refused.
    """
    from lamplighter.train import TrainConfig, load_config
    from lamplighter.train import train as run_training

    _report_training(run_training(load_config(config, TrainConfig)))


@app.command
def finetune(config: Path, /) -> None:
    """Post-train a potential by multi-head replay: keep its heads, add yours.

    Parameters
    ----------
    config
        YAML file: the fields of lamplighter.train.FinetuneConfig. Unknown keys are
        refused.
    """
    from lamplighter.train import FinetuneConfig, load_config
    from lamplighter.train import finetune as run_finetuning

    _report_training(run_finetuning(load_config(config, FinetuneConfig)))


@app.command
def evaluate(model: Path, files: list[Path], /, *, as_json: Json = False) -> None:
    """Errors of a potential on labelled files, per head and configuration type.

    Parameters
    ----------
    model
        The potential (safetensors).
    files
        Labelled structures (extended XYZ, may be compressed with gzip).
    as_json
        Write JSON to standard output instead of a table.
    """
    from lamplighter.train import evaluate as run_evaluation

    errors = run_evaluation(model, files)
    _info(json.dumps(errors.to_json(), indent=2) if as_json else str(errors))


@app.command
def inspect(file: Path, /, *, as_json: Json = False) -> None:
    """What a potential or an ML-IAP file is: heads, levels of theory, units, origin.

    Nothing in the file is executed.

    Parameters
    ----------
    file
        A potential (safetensors) or an ML-IAP file.
    as_json
        Write JSON to standard output instead of a table.
    """


@app.command
def convert(
    model: Path,
    /,
    *,
    head: str,
    elements: Annotated[list[str], Parameter(consume_multiple=True)],
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    dtype: Literal["float32", "float64"] = "float64",
) -> None:
    """Write the ML-IAP file that LAMMPS reads: one head, the elements in use.

    The file is compared with the potential before it gets its name; when they disagree,
    no file is written and the exit code is 1.

    Parameters
    ----------
    model
        The potential (safetensors).
    head
        The head to take, by name; `lamplighter inspect MODEL` lists them.
    elements
        The elements to keep, in any order.
    output
        The file to write, usually with the ending .pt.
    dtype
        Precision of the evaluation in LAMMPS.
    """
    from lamplighter.lammps_interface import convert as run_conversion

    path = run_conversion(model, head, elements, output, dtype=dtype)
    _info(f"wrote {path}")


@app.command
def demo(*, output: Annotated[Path, Parameter(name=["--output", "-o"])]) -> int:
    """Walk the whole road once, on real data, in under ten minutes on two cores.

    Post-trains the shipped base model on a small new set, converts it, runs molecular
    dynamics of MgO in LAMMPS, validates through ASE and LAMMPS, writes a report.

    Parameters
    ----------
    output
        Folder of the report and of every file made on the way.
    """
    from lamplighter.demo import run_demo

    return run_demo(output)
