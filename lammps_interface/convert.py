"""From a trained potential to the one file that LAMMPS reads.

A conversion keeps the heads and elements in use, fixes the floating-point type, checks
the result against its source through the calls that LAMMPS makes, and only then writes.
Several potentials become a committee, each checked by itself.
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
from lamplighter.lammps_interface.convert_sources import load_members
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.selfcheck import self_check
from lamplighter.model import Potential, potential_to_bytes
from lamplighter.model.select import fix_conditions, select_part

_DTYPES: Final = {"float64": torch.float64, "float32": torch.float32}


def convert(
    model_path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    head: str | Sequence[str],
    elements: Sequence[str],
    out: str | os.PathLike[str],
    dtype: str = "float64",
    conditions: Mapping[str, float] | None = None,
) -> Path:
    """Write the ML-IAP file of one head, or several, and a set of elements.

    Args:
        model_path: a potential (safetensors) written by training or import; several
            are a committee, of which LAMMPS gets the mean energies and forces.
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
            given twice, an unknown dtype, a folder that does not exist, a condition
            that the model does not have, or members of a committee that do not fit
            each other.
        CheckFailedError: the converted potential disagrees with its source; no file is
            written.
        LamplighterError: the disk is full; no file is left half-written.
    """
    if isinstance(model_path, (str, os.PathLike)):
        model_path = [model_path]
    paths = [Path(one) for one in model_path]
    names = [head] if isinstance(head, str) else list(head)
    _check_request(Path(out), elements, dtype)
    _check_heads(names)
    given = dict(conditions or {})
    sources = load_members(paths, names, elements)
    whole = _join(
        [
            _checked(_bundle(source, names, elements, dtype, path, given), source)
            for source, path in zip(sources, paths, strict=True)
        ]
    )
    bundles.write(out, bundles.pack(whole))
    return Path(out)


def _checked(bundle: Bundle, source: Potential) -> Bundle:
    """Compare what will be written with its source; complete the header.

    Raises:
        CheckFailedError: they disagree.
    """
    header = bundle.header
    fixed = fix_conditions(source, header.conditions)
    # What is checked is what is written: the potential as read back from the bytes.
    written = bundles.unpack(bundles.pack(bundle))
    for name in reversed(header.heads):  # the header tells of the first
        found = self_check(fixed, name, MliapModel(written, head=name))
    header = dataclasses.replace(
        header,
        self_check=found.as_header(header.dtype),
        message_width=found.message_width,
    )
    return dataclasses.replace(bundle, header=header)


def _join(members: Sequence[Bundle]) -> Bundle:
    """Return one bundle of several; its self-check is the worst of theirs."""
    if len(members) == 1:
        return members[0]
    headers = [one.header for one in members]
    header = dataclasses.replace(
        headers[0],
        n_members=len(members),
        member_names=tuple(one.model_name for one in headers),
        member_sha256=tuple(one.model_sha256 for one in headers),
        message_width=max(one.message_width for one in headers),
        self_check={
            name: max(one.self_check[name] for one in headers)
            for name in headers[0].self_check
        },
    )
    others = tuple(one.potential for one in members[1:])
    return Bundle(header=header, potential=members[0].potential, others=others)


def _bundle(
    source: Potential,
    heads: Sequence[str],
    elements: Sequence[str],
    dtype: str,
    path: Path,
    given: Mapping[str, float],
) -> Bundle:
    """Return the selected potential with a header that lacks the self-check."""
    fix_conditions(source, given)  # refuses unknown ones
    conditions = {
        one.name: one.check(given.get(one.name)) for one in source.config.conditions
    }
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
