"""What `lamplighter evaluate` does; returns the exit code of the command."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamplighter.console import info, progress
from lamplighter.files import atomic_path

if TYPE_CHECKING:
    from lamplighter.train.data.labels import LabelSettings
    from lamplighter.train.judge import Judgement, Ratio

DONE = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateOptions:
    """Options of the command.

    Attributes:
        head: the head for all frames.
        by: groupings of the tables that are shown.
        against: another potential.
        labels: YAML file with names and units of the labels.
        dtype: precision.
        device: torch device.
        as_json: write JSON instead of tables.
        html: page to write.
        xyz: extended XYZ with labels and predictions to write.
    """

    head: str | None = None
    by: Sequence[str] = ("config_type",)
    against: Path | None = None
    labels: Path | None = None
    dtype: str = "float64"
    device: str = "cpu"
    as_json: bool = False
    html: Path | None = None
    xyz: Path | None = None


def evaluate(model: Path, files: Sequence[Path], options: EvaluateOptions) -> int:
    """Show the errors of a potential on labelled files."""
    from lamplighter.train import judge as room

    frames, hashes = room.read_labelled(
        files, head=options.head, labels=_labels(options.labels)
    )
    paths = [model, *([options.against] if options.against else [])]
    judged = []
    with progress(len(paths) * len(frames), "evaluating") as advance:
        for path in paths:
            found = room.judge(
                path,
                frames,
                head=options.head,
                dtype=options.dtype,
                device=options.device,
                files=hashes,
                advance=functools.partial(_advance, advance, path.name),
            )
            judged.append(found)
    first, second = judged[0], judged[1] if len(judged) > 1 else None
    ratios = room.compare(first, second) if second is not None else []
    _write(options, first, second, ratios)
    if options.as_json:
        info(json.dumps(_content(first, second, ratios), indent=2, ensure_ascii=False))
    else:
        _show(options, first, second, ratios)
    return DONE


def _advance(advance: Callable[[int, str], None], note: str, n: int) -> None:
    advance(n, note)


def _labels(path: Path | None) -> LabelSettings | None:
    from lamplighter.train.data.labels import LabelSettings
    from lamplighter.train.yaml_config import read_yaml

    return None if path is None else read_yaml(LabelSettings, path)


def _write(
    options: EvaluateOptions,
    first: Judgement,
    second: Judgement | None,
    ratios: Sequence[Ratio],
) -> None:
    from lamplighter.train.judge import write_predictions
    from lamplighter.train.reporting.judge_page import judge_html

    if options.html is not None:
        content = judge_html(first, second, ratios)
        with atomic_path(options.html) as temporary:
            temporary.write_text(content, encoding="utf-8")
    if options.xyz is not None:
        write_predictions(first.found, options.xyz)


def _content(
    first: Judgement, second: Judgement | None, ratios: Sequence[Ratio]
) -> dict[str, Any]:
    content = first.to_json()
    if second is not None:
        content["against"] = second.to_json()
        content["comparison"] = [
            {**dataclasses.asdict(one), "verdict": one.verdict} for one in ratios
        ]
    return content


def _show(
    options: EvaluateOptions,
    first: Judgement,
    second: Judgement | None,
    ratios: Sequence[Ratio],
) -> None:
    from lamplighter.train.error_groups import GROUPINGS
    from lamplighter.train.errors_table import aligned
    from lamplighter.train.reporting.judge_page import (
        COMPARISON_COLUMNS,
        comparison_rows,
    )

    for one in (first, second):
        if one is None:
            continue
        if second is not None:
            info(f"{one.model} ({one.sha256[:12]})")
        for by in GROUPINGS:
            if by in options.by:
                info(one.table(by).text() + "\n")
    missing = {name: n for name, n in first.missing().items() if n}
    if missing:
        lacking = ", ".join(f"{n} without {name}" for name, n in missing.items())
        info(f"labels left out where they are missing: {lacking}")
    if second is not None:
        info(f"A: {first.model} ({first.sha256[:12]}), B: {second.model} "
             f"({second.sha256[:12]})")  # fmt: skip
        info(aligned([COMPARISON_COLUMNS, *comparison_rows(ratios)]))
    for path in (options.html, options.xyz):
        if path is not None:
            info(f"wrote {path}")
