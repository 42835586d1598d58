"""The tables of a compiled potential as bytes, to be used again without compiling.

What takes time is to choose the knots and to compare with the reference. The matrices
are made from the parameters, which a file holds anyway, in milliseconds, and functions
of the distance are stored unless they are large: then they are tabulated again, at the
knots that were found.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from lamplighter.arrays import AnyArray
from lamplighter.errors import ArtifactError, explain
from lamplighter.model.compiled.check import Deviation
from lamplighter.model.compiled.lower import lower_maps, lower_radial
from lamplighter.model.compiled.potential import CompiledPotential, Settings
from lamplighter.model.compiled.radial_tables import Knots
from lamplighter.model.compiled.tables import Tables
from lamplighter.model.potential import Potential

VERSION: Final = 1
"""Of the order of the numbers in a table; others are compiled again."""

MOST_BYTES: Final = 2**20
"""Tables of functions of the distance beyond this size are not stored."""

_KEY: Final = "lamplighter_tables"
_REALS: Final = {torch.float32: np.float32, torch.float64: np.float64}


def tables_to_bytes(compiled: CompiledPotential, origin: str) -> bytes:
    """Return what [`tables_from_bytes`][] needs beside the potential.

    Args:
        compiled: made by `compile_potential`.
        origin: says of what: potential, head, elements and conditions, in any words.
    """
    real = _REALS[compiled.dtype]
    tables = compiled.tables
    stored: dict[str, AnyArray] = {
        name: values.astype(real) if name.endswith(".radial") else values
        for name, values in tables.numbers.items()
        if name.endswith((".radial", ".density")) or name == "numbers"
    }
    if sum(values.nbytes for values in stored.values()) > MOST_BYTES:
        stored = {"numbers": tables.numbers["numbers"]}
    stored["shape"] = tables.integers["shape"]
    about = {
        "version": VERSION,
        "origin": origin,
        "settings": dataclasses.asdict(compiled.settings) if compiled.settings else {},
    }
    return safetensors.save(stored, metadata={_KEY: json.dumps(about)})


def tables_from_bytes(
    content: bytes,
    potential: Potential,
    origin: str,
    *,
    threads: int | None = None,
    isa: str | None = None,
) -> CompiledPotential | None:
    """Return the compiled potential of which `tables_to_bytes` wrote the tables.

    Args:
        content: what it returned.
        potential: the one that was compiled, one head, no conditions, in the dtype of
            the tables.
        origin: as it was then.
        threads: see [`CompiledPotential`][].
        isa: likewise.

    Returns:
        None where the tables have another origin or another release wrote them: the
        potential has to be compiled again.

    Raises:
        ArtifactError: the bytes are damaged.
        EngineError: there is no native library, or the tables do not fit.
    """
    about = _about(content)
    if (about["version"], about["origin"]) != (VERSION, origin):
        return None
    try:
        stored = safetensors.load(content)
        settings = _settings(about["settings"])
        radial = Tables(
            {k: x.astype(np.float64) for k, x in stored.items() if k != "shape"},
            {"shape": stored["shape"]},
        )
    except (SafetensorError, KeyError, TypeError) as error:
        raise _damaged(str(error)) from error
    exact = copy.deepcopy(potential).double().cpu()
    with torch.no_grad():
        tables = lower_maps(exact).joined(radial)
        if "layer0.radial" not in radial.numbers:
            cutoff = potential.config.cutoff
            knots = Knots(count=settings.knots, order=settings.order, cutoff=cutoff)
            tables = tables.joined(lower_radial(exact, knots))
    return CompiledPotential(
        potential.config, tables, potential.dtype, settings, threads=threads, isa=isa
    )


def _about(content: bytes) -> dict[str, Any]:
    size = int.from_bytes(content[:8], "little")
    try:
        text = json.loads(content[8 : 8 + size])["__metadata__"][_KEY]
        about: dict[str, Any] = json.loads(text)
        return {name: about[name] for name in ("version", "origin", "settings")}
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(str(error)) from error


def _settings(fields: dict[str, Any]) -> Settings:
    for name in ("interpolation", "deviation"):
        fields = fields | {name: Deviation(**fields[name])}
    return Settings(**fields)


def _damaged(what: str) -> ArtifactError:
    return ArtifactError(
        explain(
            "the tables of a compiled potential are damaged",
            got=what,
            fix="lamplighter convert the model again",
        )
    )
