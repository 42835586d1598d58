"""The command `lamplighter evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from lamplighter.cli.types import Dtype, Json, Model

By: TypeAlias = Literal["config_type", "element", "domain"]


def evaluate(
    model: Model,
    files: list[Path],
    /,
    *,
    head: str | None = None,
    by: Annotated[list[By] | None, Parameter(consume_multiple=True)] = None,
    against: Model | None = None,
    labels: Path | None = None,
    as_json: Json = False,
    html: Path | None = None,
    xyz: Path | None = None,
    dtype: Dtype = "float64",
    device: str = "cpu",
) -> int:
    """Errors of a potential on labelled files: energies, forces, stresses.

    MAE, RMSE and largest error of every head, by kind of structure, element, domain.
    A frame counts for the labels that it has.

    Args:
        model: A potential (safetensors), or model:base for the shipped one.
        files: Labelled structures: extended XYZ, databases, HDF5, or dataset:NAME.
        head: Judge every frame with this head, whatever head the frame names.
        by: What the rows of the table are: --by config_type element domain.
        against: Another potential, or model:base, compared on the same frames.
        labels: YAML file with names and units of the labels, where they are others
            than those of the documentation.
        as_json: Write JSON, with all groupings, instead of a table.
        html: Also write a page with tables and parity plots into this file.
        xyz: Also write every frame with its labels and its predictions into this file.
        dtype: Precision of the evaluation.
        device: Where to compute, as torch names it.
    """
    from lamplighter.commands import evaluate as evaluate_commands

    options = evaluate_commands.EvaluateOptions(
        head=head,
        by=by or ["config_type"],
        against=against,
        labels=labels,
        dtype=dtype,
        device=device,
        as_json=as_json,
        html=html,
        xyz=xyz,
    )
    return evaluate_commands.evaluate(model, files, options)
