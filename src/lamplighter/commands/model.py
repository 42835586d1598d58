"""What the commands about model files do: import, inspect, select.

Every function returns the exit code of the command; see `lamplighter.commands`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamplighter.console import info
from lamplighter.errors import ConfigError, explain
from lamplighter.files import sha256_file

if TYPE_CHECKING:
    from lamplighter.model.mace_import import Imported

DONE = 0


def import_checkpoint(file: Path, output: Path, heads: Path | None, dtype: str) -> int:
    """Write the potential in a checkpoint of mace-torch as a model file."""
    from lamplighter.model import save_potential, torch_dtype
    from lamplighter.model.mace_import import import_mace, read_head_file

    known = {} if heads is None else read_head_file(heads)
    imported = import_mace(file, known)
    potential = imported.potential.to(torch_dtype(dtype))
    save_potential(potential, output, imported.provenance)
    config = potential.config
    names = ", ".join(spec.name for spec in config.heads)
    info(f"wrote {output}: {imported.n_parameters} parameters, {dtype}")
    info(f"heads: {names}")
    info(f"elements: {_few(config.elements)}; cutoff {config.cutoff:g} Å")
    for note in imported.notes:
        info(f"note: {note}")
    return DONE


def select(
    file: Path, output: Path, heads: Sequence[str], elements: Sequence[str]
) -> int:
    """Write some heads and elements of a potential as a model file of their own."""
    from lamplighter.model import load_potential, read_header, save_potential
    from lamplighter.model.select import select_part

    header = read_header(file)
    names = list(heads) or [spec.name for spec in header.config.heads]
    if len(set(names)) != len(names):
        raise ConfigError(explain("a head is named twice", got=" ".join(names)))
    chosen = [header.config.head(name).reference_energies for name in names]
    known = [e for e in header.config.elements if any(e in own for own in chosen)]
    potential = load_potential(file, dtype=header.dtype)
    part = select_part(potential, names, list(elements) or known)
    provenance = {
        **header.provenance,
        "selected_from": file.name,
        "selected_from_sha256": sha256_file(file),
    }
    save_potential(part, output, provenance)
    info(f"wrote {output}: heads {', '.join(names)}; {_few(part.config.elements)}")
    return DONE


def inspect(file: Path, *, as_json: bool) -> int:
    """Show what a model file says about itself."""
    facts = facts_of(file)
    if as_json:
        info(json.dumps(facts, indent=2, ensure_ascii=False))
        return DONE
    # an ML-IAP file only names its heads
    heads = [one for one in facts.get("heads", []) if isinstance(one, dict)]
    if heads:
        del facts["heads"]
    if "provenance" in facts:
        facts["provenance"] = _brief(facts["provenance"])
    width = max(len(key) for key in facts) + 2
    for key, value in facts.items():
        info(f"{key.replace('_', ' '):<{width}}{_cell(value)}")
    for head in heads:
        info(f"head {head.pop('name')}")
        for key, value in head.items():
            info(f"  {key.replace('_', ' '):<{width - 2}}{_cell(value)}")
    return DONE


def facts_of(file: Path) -> dict[str, Any]:
    """Return what is in an ML-IAP file, a checkpoint of mace-torch, or a potential."""
    foreign = _foreign_facts(file)
    if foreign is not None:
        return foreign
    if not zipfile.is_zipfile(file):
        return _potential_facts(file)
    with zipfile.ZipFile(file) as archive:
        tensors = any(re.search(r"/data/\d+$", name) for name in archive.namelist())
    # what LAMMPS gets from us is one call on bytes, without tensors of its own
    return _checkpoint_facts(file) if tensors else _mliap_facts(file)


def _foreign_facts(file: Path) -> dict[str, Any] | None:
    """Return what an ML-IAP file of another program is; None for any other file."""
    from lamplighter.lammps_interface.foreign import describe

    found = describe(file)
    if found is None or found.mace is None:
        return None if found is None else {"file": str(file), **found.facts}
    imported = found.mace.imported
    return {
        **_imported_facts(file, found.facts["kind"], imported),
        "head_in_use": found.mace.head,
        "dtype": found.mace.dtype,
        "charge_and_spin": found.mace.conditions or "not used",
    }


def _mliap_facts(file: Path) -> dict[str, Any]:
    from lamplighter.lammps_interface import bundle

    header = bundle.read(file).header
    return {"file": str(file), **dataclasses.asdict(header)}


def _checkpoint_facts(file: Path) -> dict[str, Any]:
    from lamplighter.model.mace_import import import_mace

    kind = "checkpoint of mace-torch; lamplighter import makes a model file of it"
    return _imported_facts(file, kind, import_mace(file))


def _imported_facts(file: Path, kind: str, imported: Imported) -> dict[str, Any]:
    return {
        "file": str(file),
        "kind": kind,
        **_size(file, imported.n_parameters),
        **_config_facts(imported.potential.config.to_dict()),
        "provenance": imported.provenance,
        "notes": list(imported.notes),
        "heads": [
            _head_facts(dataclasses.asdict(h)) for h in imported.potential.config.heads
        ],
    }


def _potential_facts(file: Path) -> dict[str, Any]:
    from lamplighter.model import read_header

    header = read_header(file)
    return {
        "file": str(file),
        "kind": "potential",
        **_size(file, header.n_parameters),
        "format_version": header.format_version,
        "lamplighter_version": header.lamplighter_version,
        "dtype": header.dtype,
        **_config_facts(header.config.to_dict()),
        "tensors_sha256": header.tensors_sha256,
        "provenance": header.provenance,
        "heads": [_head_facts(dataclasses.asdict(h)) for h in header.config.heads],
    }


def _size(file: Path, n_parameters: int) -> dict[str, Any]:
    return {
        "size_bytes": file.stat().st_size,
        "sha256": sha256_file(file),
        "parameters": n_parameters,
    }


def _config_facts(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "heads"}


def _brief(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The plain entries of a provenance and the data files; --json has the rest."""
    plain = {k: v for k, v in provenance.items() if not isinstance(v, (dict, list))}
    data = sorted(provenance.get("data_sha256", {}))
    return plain | ({"data": data} if data else {})


def _head_facts(head: Mapping[str, Any]) -> dict[str, Any]:
    """A head's entries, with its reference energies reduced to the elements."""
    from ase.data import atomic_numbers

    facts = dict(head)
    facts["elements"] = sorted(
        facts.pop("reference_energies"), key=atomic_numbers.__getitem__
    )
    return facts


def _few(elements: Sequence[str]) -> str:
    """The elements, or how many there are."""
    if len(elements) <= 12:
        return " ".join(elements)
    return f"{len(elements)} elements, {elements[0]} to {elements[-1]}"


def _cell(value: Any) -> str:
    """One entry of a header as text."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_cell(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(_cell(item) for item in value) or "-"
    return f"{value:g}" if isinstance(value, float) else str(value)
