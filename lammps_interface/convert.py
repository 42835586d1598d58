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
from lamplighter.errors import (
    CheckFailedError,
    ConfigError,
    EngineError,
    UnsupportedModelError,
    explain,
)
from lamplighter.files import sha256_file
from lamplighter.lammps_interface import bundle as bundles
from lamplighter.lammps_interface.backend import make_tables
from lamplighter.lammps_interface.bundle import Bundle, BundleHeader, tables_name
from lamplighter.lammps_interface.convert_sources import load_members
from lamplighter.lammps_interface.mliap import MliapModel
from lamplighter.lammps_interface.selfcheck import (
    COMPILED_TOLERANCES,
    TOLERANCES,
    Expected,
    expected,
    self_check,
)
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
    *,
    tables: bool = True,
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
        tables: compile the potential and store the tables, so that LAMMPS evaluates it
            many times as fast on CPUs. What the compiled potential does not have leaves
            a file without them, whose header says why (`not_compiled`).

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
            _checked(
                _bundle(source, names, elements, dtype, path, given), source, tables
            )
            for source, path in zip(sources, paths, strict=True)
        ]
    )
    bundles.write(out, bundles.pack(whole))
    return Path(out)


def _checked(bundle: Bundle, source: Potential, tables: bool) -> Bundle:
    """Compare what will be written with its source; complete the header.

    Raises:
        CheckFailedError: they disagree.
    """
    header = bundle.header
    fixed = fix_conditions(source, header.conditions)
    # What is checked is what is written: the potential as read back from the bytes.
    written = bundles.unpack(bundles.pack(bundle))
    for head in reversed(header.heads):  # the header tells of the first
        wanted = expected(fixed, head, header.elements)
        model = MliapModel(written, head=head, backend="reference")
        found = self_check(wanted, model)
        if tables and not bundle.header.not_compiled:
            bundle = _with_tables(bundle, model, wanted)
    header = dataclasses.replace(
        bundle.header,
        self_check=found.as_header(TOLERANCES[header.dtype]),
        message_width=found.message_width,
    )
    return dataclasses.replace(bundle, header=header)


def _with_tables(
    bundle: Bundle, model: MliapModel, wanted: Sequence[Expected]
) -> Bundle:
    """Return the bundle with the tables of a head, or with why there are none.

    Raises:
        CheckFailedError: the tables as read back disagree with the source.
    """
    try:
        made, (one,) = make_tables(bundle, model.header, model.members)
    except (UnsupportedModelError, ConfigError, EngineError, CheckFailedError) as error:
        header = dataclasses.replace(
            bundle.header, compiled={}, not_compiled=str(error)
        )
        return dataclasses.replace(bundle, header=header, tables={})
    bundle = dataclasses.replace(bundle, tables={**bundle.tables, **made})
    read_back = bundles.unpack(bundles.pack(bundle))
    compiled = MliapModel(read_back, head=model.header.head)
    limits = COMPILED_TOLERANCES[model.header.dtype]
    found = self_check(wanted, compiled, limits).as_header(limits)
    found["knots"] = float(one.settings.knots if one.settings else 0)
    header = dataclasses.replace(
        bundle.header, compiled=_worst([bundle.header.compiled, found])
    )
    return dataclasses.replace(bundle, header=header)


def _worst(many: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the largest number of each name."""
    names = {name: None for one in many for name in one}
    return {name: max(one[name] for one in many if name in one) for name in names}


def _join(members: Sequence[Bundle]) -> Bundle:
    """Return one bundle of several; its self-check is the worst of theirs."""
    if len(members) == 1:
        return members[0]
    headers = [one.header for one in members]
    problems = [one.not_compiled for one in headers if one.not_compiled]
    header = dataclasses.replace(
        headers[0],
        n_members=len(members),
        member_names=tuple(one.model_name for one in headers),
        member_sha256=tuple(one.model_sha256 for one in headers),
        message_width=max(one.message_width for one in headers),
        self_check=_worst([one.self_check for one in headers]),
        compiled={} if problems else _worst([one.compiled for one in headers]),
        not_compiled="; ".join(problems[:1]),
    )
    others = tuple(one.potential for one in members[1:])
    tables = {
        tables_name(k, head): one.tables[tables_name(0, head)]
        for k, one in enumerate(members)
        for head in header.heads
        if not problems and one.tables
    }
    return Bundle(
        header=header, potential=members[0].potential, others=others, tables=tables
    )


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
