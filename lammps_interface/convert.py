"""From a trained potential to the one file that LAMMPS reads.

A conversion keeps one head and the elements in use, fixes the floating-point type,
checks the result against its source through the calls that LAMMPS makes, and only then
writes.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch

import lamplighter
from lamplighter.errors import ConfigError, explain
from lamplighter.files import sha256_file
from lamplighter.lammps_interface import bundle as bundles
from lamplighter.lammps_interface.bundle import Bundle, BundleHeader
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.selfcheck import self_check
from lamplighter.model import (
    HeadSpec,
    Potential,
    load_potential,
    potential_to_bytes,
)
from lamplighter.model.select import fix_conditions, select_part

_DTYPES: Final = {"float64": torch.float64, "float32": torch.float32}


def convert(
    model_path: str | os.PathLike[str],
    head: str | Sequence[str],
    elements: Sequence[str],
    out: str | os.PathLike[str],
    dtype: str = "float64",
    conditions: Mapping[str, float] | None = None,
) -> Path:
    """Write the ML-IAP file of one head, or several, and a set of elements.

    Args:
        model_path: a potential (safetensors) written by training or import.
        head: the head to keep, by name; of several, the script names one.
        elements: chemical symbols to keep; ``pair_coeff`` may name any of them, in any
            order.
        out: the file to write, by custom ``*.pt``.
        dtype: ``"float64"`` or ``"float32"``, the precision of the evaluation; energies
            are summed in float64 either way.
        conditions: ``total_charge``, ``total_spin`` and the like of the system, for a
            potential that depends on them; the script may give others. Charge and spin
            are 0 and 1 if not given.

    Returns:
        The path of the file written.

    Raises:
        ArtifactError: `model_path` is not a readable potential.
        ConfigError: unknown head, an element that the model or the head lacks, one
            given twice, an unknown dtype, a folder that does not exist, or a condition
            that the model does not have.
        CheckFailedError: the converted potential disagrees with its source; no file is
            written.
        LamplighterError: the disk is full; no file is left half-written.
    """
    names = [head] if isinstance(head, str) else list(head)
    _check_request(Path(out), elements, dtype)
    _check_heads(names)
    source = load_potential(model_path, dtype="float64")
    defaults = {
        one.name: one.check((conditions or {}).get(one.name))
        for one in source.config.conditions
    }
    fixed = fix_conditions(source, conditions or {})  # refuses unknown ones
    for name in names:
        _check_elements(source, _head_of(source, name), elements)
    bundle = _bundle(source, names, elements, dtype, Path(model_path), defaults)
    # What is checked is what is written: the potential as read back from the bytes.
    written = bundles.unpack(bundles.pack(bundle))
    for name in reversed(names):  # the header tells of the first
        found = self_check(fixed, name, MliapModel(written, head=name))
    header = dataclasses.replace(
        bundle.header,
        self_check=found.as_header(dtype),
        message_width=found.message_width,
    )
    bundles.write(out, bundles.pack(dataclasses.replace(bundle, header=header)))
    return Path(out)


def _bundle(
    source: Potential,
    heads: Sequence[str],
    elements: Sequence[str],
    dtype: str,
    path: Path,
    conditions: dict[str, float],
) -> Bundle:
    """Return the selected potential with a header that lacks the self-check."""
    selected = select_part(source, heads, elements).to(_DTYPES[dtype])
    spec = selected.config.head(heads[0])
    header = BundleHeader(
        model_sha256=sha256_file(path),
        model_name=path.name,
        head=spec.name,
        level_of_theory=spec.level_of_theory,
        dispersion=spec.dispersion,
        licence=spec.licence,
        elements=tuple(selected.config.elements),
        cutoff=float(selected.config.cutoff),
        n_layers=selected.config.n_layers,
        message_width=0,
        dtype=dtype,
        conditions=conditions,
        heads=tuple(heads),
        lamplighter_version=lamplighter.__version__,
        torch_version=str(torch.__version__),
    )
    return Bundle(header=header, potential=potential_to_bytes(selected))


def _check_request(out: Path, elements: Sequence[str], dtype: str) -> None:
    """Refuse what can be refused before a model is loaded."""
    if dtype not in _DTYPES:
        raise ConfigError(
            explain("unknown dtype", got=repr(dtype), wanted="float64 or float32")
        )
    if not out.parent.is_dir():
        raise ConfigError(
            explain(
                f"cannot write {out.name}: its folder does not exist",
                got=out.parent,
                wanted="an existing folder",
                fix=f"mkdir -p {out.parent}",
            )
        )
    if not elements:
        raise ConfigError(
            explain("no elements", wanted="at least one", fix="--elements Mg O")
        )
    twice = sorted({symbol for symbol in elements if list(elements).count(symbol) > 1})
    if twice:
        raise ConfigError(
            explain(
                "an element is given twice",
                got=" ".join(twice),
                wanted="each element once (LAMMPS types may share it in pair_coeff)",
            )
        )


def _check_heads(heads: Sequence[str]) -> None:
    if not heads or len(set(heads)) < len(heads):
        raise ConfigError(
            explain(
                "heads to convert",
                got=" ".join(heads) or "none",
                wanted="one or more, each once",
            )
        )


def _head_of(source: Potential, head: str) -> HeadSpec:
    """Return the specification of a head; an unknown name lists the known ones."""
    return source.config.heads[source.head_index(head)]


def _check_elements(source: Potential, spec: HeadSpec, elements: Sequence[str]) -> None:
    """Refuse elements that the model, or the head within it, does not know."""
    known = source.config.elements
    for allowed, holder in (
        (known, "the model"),
        (
            tuple(e for e in known if e in spec.reference_energies),
            f"head {spec.name!r}",
        ),
    ):
        missing = [symbol for symbol in elements if symbol not in allowed]
        if missing:
            raise ConfigError(
                explain(
                    f"{holder} lacks {'elements' if missing[1:] else 'an element'}",
                    got=" ".join(missing),
                    wanted=f"some of {' '.join(allowed)}",
                    fix="choose other elements, or train the model on data with them",
                )
            )
