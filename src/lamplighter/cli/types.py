"""Kinds of options that several commands have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter, Token

from lamplighter.resources import model_file


def _found(_: object, tokens: Sequence[Token]) -> Path:
    return model_file(Path(tokens[0].value))


# The file of a potential; `model:base` is the one that comes with the package.
Model: TypeAlias = Annotated[Path, Parameter(converter=_found)]
Json: TypeAlias = Annotated[bool, Parameter(name="--json")]
Output: TypeAlias = Annotated[Path, Parameter(name=["--output", "-o"])]
Engine: TypeAlias = Literal["ase", "lammps"]
Dtype: TypeAlias = Literal["float32", "float64"]
