"""What each command of the command line does: call a room, show what came back.

Every function returns the exit code of the command. Rooms are imported where they are
used: `inspect` of a file does not wait for phonopy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamplighter.console import info, progress, table
from lamplighter.files import atomic_path

if TYPE_CHECKING:
    from lamplighter.train import TrainResult

DONE = 0
CHECK_FAILED = 1


def train(config: Path, preset: str | None = None) -> int:
    """Train the potential that a YAML file describes."""
    from lamplighter import train as room
    from lamplighter.train.preset_files import read_and_show

    return _trained(room.train(read_and_show(room.TrainConfig, config, preset)))


def finetune(config: Path, preset: str | None = None) -> int:
    """Post-train as a YAML file describes; fails when the old heads drifted."""
    from lamplighter import train as room
    from lamplighter.train.preset_files import read_and_show

    result = room.finetune(read_and_show(room.FinetuneConfig, config, preset))
    code = _trained(result)
    return CHECK_FAILED if result.reason == "drift" else code


def _trained(result: TrainResult) -> int:
    """Say what a finished run left behind."""
    info(f"ended by: {result.reason}")
    info(f"model: {result.model}")
    info(f"errors: {result.errors}")
    if result.forgetting is not None:
        info(f"errors of the old heads, before and after: {result.forgetting}")
    info(f"learning curve: {result.learning_curve}")
    info(f"page: {result.page}")
    info(f"log: {result.log}")
    return DONE


def convert(
    models: Sequence[Path],
    heads: Sequence[str],
    elements: Sequence[str],
    output: Path,
    *,
    dtype: str,
    conditions: Mapping[str, float],
    tables: bool,
) -> int:
    """Write the ML-IAP file of a potential, or of a committee of several."""
    from lamplighter.lammps_interface.bundle import read
    from lamplighter.lammps_interface.convert import convert as write_mliap
    from lamplighter.resources import model_file

    models = [model_file(model) for model in models]
    path = write_mliap(
        models,
        [_head_name(models[0], head) for head in heads] or _head_name(models[0], None),
        elements,
        output,
        dtype=dtype,
        conditions=conditions,
        tables=tables,
    )
    choice = f" head {heads[0]}" if len(heads) > 1 else ""
    info(f"wrote {path}")
    not_compiled = read(path).header.not_compiled
    if not_compiled:
        info(f"not compiled: {not_compiled}")
    if len(models) > 1:
        info(f"a committee of {len(models)}: LAMMPS gets the mean energies and forces")
    info(f"in LAMMPS: pair_style mliap unified {path} 0{choice}")
    info(f"           pair_coeff * * {' '.join(elements)}")
    return DONE


def _head_name(model: Path, head: str | None) -> str:
    """The name of the head that is meant; an error lists the names."""
    from lamplighter.model import read_header

    config = read_header(model).config
    return config.heads[config.head_index(head)].name


def lint(
    script: Path,
    data: Path | None,
    model: Path | None,
    variables: Sequence[tuple[str, str]],
    options: str,
    *,
    as_json: bool,
) -> int:
    """Show what is wrong with a LAMMPS script."""
    from lamplighter.lammps_interface import lint as linter
    from lamplighter.lammps_interface.lint import report as view

    words = [word for name, text in variables for word in ("-var", name, text)]
    words += linter.split_options(options)
    report = linter.lint(script, data, model=model, options=words)
    lines = [_json(view.as_json(report))] if as_json else view.as_lines(report)
    for line in lines:
        info(line)
    return DONE if report.ok else CHECK_FAILED


def demo(output: Path) -> int:
    """Walk the whole road once."""
    from lamplighter.demo import run_demo

    return run_demo(output)


def check_model(
    file: Path,
    head: str | None,
    elements: Sequence[str] | None,
    *,
    dtype: str,
    device: str,
    output: Path | None,
) -> int:
    """Make the physical checks of a potential; show and write what they measured."""
    from lamplighter.validation.model_checks import CHECKS
    from lamplighter.validation.model_checks import check_model as check

    with progress(len(CHECKS), "checks") as advance:
        report = check(
            file,
            head=head,
            dtype=dtype,
            device=device,
            elements=elements,
            advance=lambda name: advance(1, name),
        )
    if output is not None:
        with atomic_path(output) as temporary:
            temporary.write_text(_json(report.to_dict()) + "\n", encoding="utf-8")
    rows = [
        (r.name, r.status, _short(r.value), _short(r.tolerance), r.unit)
        for r in report.records
    ]
    columns = ("check", "status", "value", "tolerance", "unit")
    title = f"{report.model}, head {report.head}, {report.dtype}"
    table(rows, columns, title=f"{title}, {' '.join(report.elements)}")
    for record in report.records:
        if record.status in ("information", "skipped"):
            info(f"{record.status} {record.name}: {record.note}")
    for record in report.failed:
        info(f"FAIL {record.name}: {record.note}")
        info(f"     {record.meaning}")
        info(f"     {record.advice}")
    return CHECK_FAILED if report.failed else DONE


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False)
