"""The commands `lamplighter replay ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import App, Parameter

from lamplighter.cli.examples import add_examples
from lamplighter.cli.types import Dtype, Json, Model, Output

Many: TypeAlias = Annotated[list[Path], Parameter(consume_multiple=True)]

replay = App(name="replay")


@replay.command
def label(
    model: Model,
    files: list[Path],
    /,
    *,
    head: str,
    output: Output,
    dtype: Dtype = "float64",
    device: str = "cpu",
    wait: float = 600.0,
) -> int:
    """Label structures with one head of a potential: all of them, or no file.

    The file says what its labels depend on. Where it is there already and that agrees,
    it is used again; where it does not agree, it is refused. Of several processes that
    ask for the same file, one computes.

    Args:
        model: A potential (safetensors), or model:base for the shipped one.
        files: Structures; labels that they have are left out.
        head: The head that labels.
        output: The file to write, extended XYZ.
        dtype: Precision of the evaluation.
        device: Where to compute, as torch names it.
        wait: Seconds to wait for another process that writes the same file.
    """
    from lamplighter.commands import replay as replay_commands

    return replay_commands.label(
        model, files, head, output, dtype=dtype, device=device, wait_s=wait
    )


@replay.command
def select(
    files: list[Path],
    /,
    *,
    new: Many,
    n: Annotated[int, Parameter(name=["--number", "-n"])],
    output: Output,
    method: Literal["fps", "elements", "kinds", "random"] = "fps",
    relevance: Literal["any", "shared", "subset"] = "any",
    model: Model | None = None,
    head: str | None = None,
    seed: int = 0,
    as_json: Json = False,
) -> int:
    """Choose labelled structures for replay, and say how relevant they are.

    The choice does not depend on the order of the files, and no other method steps in
    where one cannot do what it promises.

    Args:
        files: Labelled structures to choose from.
        new: Structures of the new data, labelled or not: --new mine.xyz more.xyz.
        n: Most structures to choose. Nothing is added to reach the number.
        output: The file to write, extended XYZ with the labels.
        method: Farthest points in the space of the potential's invariants; every
            element; config types in turn; or at random.
        relevance: Which may be chosen: any, those that share an element with the new
            data, or those with no other elements.
        model: A potential (or model:base), for farthest points and for distances in
            the report.
        head: The head of frames that name none.
        seed: Changes the draw.
        as_json: Write the report as JSON instead of text.
    """
    from lamplighter.commands import replay as replay_commands
    from lamplighter.train.finetune_config import ReplaySettings

    settings = ReplaySettings(
        max_frames=n, selection=method, relevance=relevance, seed=seed
    )
    return replay_commands.select(
        files, new, settings, model, head, output, as_json=as_json
    )


add_examples(replay, ("replay",))
