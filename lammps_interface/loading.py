"""Which Python object is behind the FILE of a pair_style command.

An ML-IAP file that `bundle` reads, one of another program (see `foreign`), or an object
that was registered in this process. Nothing in a file is executed, unless the user
trusts that very file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamplighter.errors import ArtifactError, ConfigError, explain


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What a loaded model finds in its attribute `interface`.

    Attributes:
        path: the FILE of the pair_style command.
        ghostneigh: whether pairs of ghost centres are listed (FLAG 1).
        embedded: whether LAMMPS started Python (`lmp`), not Python LAMMPS.
    """

    path: str
    ghostneigh: bool
    embedded: bool


_registered: dict[str, Any] = {}


def register(model: Any, name: str = "EXISTS") -> None:
    """Offer a Python object to ``pair_style mliap unified NAME`` in this process.

    For LAMMPS inside Python, where a model need not come from a file.

    Args:
        model: has `element_types`, `rcutfac` (half the cutoff in Å) and
            `compute_forces(data)`, optionally `compute_descriptors` and
            `compute_gradients`; see `pair_data.PairData`.
        name: stands in place of FILE.

    Raises:
        ConfigError: the object lacks one of these.
    """
    check_model(model, name)
    _registered[name] = model


def is_registered(path: str) -> bool:
    """Say whether the FILE of a pair_style command is an object of this process."""
    return path in _registered


def load(path: str) -> Any:
    """Return the model behind the FILE of a pair_style command.

    Raises:
        ArtifactError: no such file, or not an ML-IAP file.
        LamplighterError: a file of another program; see `foreign.load_foreign`.
    """
    if path in _registered:
        return _registered[path]
    if not Path(path).is_file():
        raise ArtifactError(
            explain(
                f"there is no ML-IAP file {path}",
                got=f"working folder {Path.cwd()}",
                fix="lamplighter convert MODEL --head HEAD --elements ... -o FILE.pt",
            )
        )
    # Brings torch, which takes seconds: only when a file needs it.
    from lamplighter.lammps_interface import bundle, foreign  # noqa: PLC0415

    content = Path(path).read_bytes()
    if foreign.is_foreign(content):
        return foreign.load_foreign(path, content)
    return bundle.load_model(path)


def check_model(model: Any, name: str) -> None:
    """Refuse an object that is not an ML-IAP model, before LAMMPS relies on it.

    Raises:
        ConfigError: the message lists what is missing.
    """
    elements = getattr(model, "element_types", None)
    rcutfac = getattr(model, "rcutfac", None)
    problems = []
    if not isinstance(elements, (list, tuple)) or not elements:
        problems.append("no list element_types")
    elif not all(isinstance(one, str) and one.split() == [one] for one in elements):
        problems.append("names in element_types that are not words")
    if not isinstance(rcutfac, (int, float)) or not 0.0 < rcutfac < math.inf:
        problems.append(f"rcutfac {rcutfac!r}, which must be half the cutoff in Å")
    if not callable(getattr(model, "compute_forces", None)):
        problems.append("no method compute_forces")
    if problems:
        raise ConfigError(
            explain(f"{name} is not an ML-IAP model", got="; ".join(problems))
        )


def note_of(model: Any, path: str) -> str:
    """Return one line about a model for LAMMPS' log."""
    parts = [_origin(model), f"elements {' '.join(model.element_types)}"]
    parts.append(f"cutoff {2.0 * model.rcutfac:g} Angstrom")
    header = getattr(model, "header", None)
    n_members = getattr(header, "n_members", 1)
    if n_members > 1:
        parts.append(f"mean of a committee of {n_members}")
    for name in ("head", "level_of_theory", "dtype"):
        value = getattr(header, name, "")
        if value:
            parts.append(f"{name.replace('_', ' ')} {value}")
    device = getattr(model, "device", None)
    if device is not None and device.type != "cpu":
        parts.append(f"device {device}")
    if getattr(model, "compiled", ()):
        parts.append("compiled")
    elif getattr(model, "backend_note", ""):
        parts.append(f"not compiled: {model.backend_note}")
    conditions = getattr(header, "conditions", {})
    parts += [f"{n.replace('_', ' ')} {x:g}" for n, x in conditions.items()]
    return f"Lamplighter: {path}: {', '.join(filter(None, parts))}"


def _origin(model: Any) -> str:
    """Return what a model of another program is; nothing for Lamplighter's own."""
    kind = type(model)
    if kind.__module__.startswith("lamplighter."):
        return str(getattr(model, "origin", ""))
    return f"{kind.__module__}.{kind.__qualname__}"
