"""Kinds of options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

Json: TypeAlias = Annotated[bool, Parameter(name="--json")]
Output: TypeAlias = Annotated[Path, Parameter(name=["--output", "-o"])]
Engine: TypeAlias = Literal["ase", "lammps"]
Dtype: TypeAlias = Literal["float32", "float64"]
