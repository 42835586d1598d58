"""What `lamplighter heads` does: the heads of a model file as modules.

Every function returns the exit code of the command; see `lamplighter.commands`. A
command that changes heads writes a new file, or the same one anew: it is either whole
or what it was. Heads that a command does not name keep their numbers to the bit.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lamplighter.console import info, table
from lamplighter.errors import ConfigError, explain
from lamplighter.files import sha256_file

if TYPE_CHECKING:
    from lamplighter.model import HeadSpec, Potential

DONE = 0
MOST_ELEMENTS = 12


def list_heads(file: Path, *, as_json: bool) -> int:
    """Show the heads of a model file, one a line."""
    from lamplighter.model import read_header

    heads = read_header(file).config.heads
    if as_json:
        info(json.dumps([_facts(head) for head in heads], ensure_ascii=False, indent=2))
        return DONE
    rows = [
        (
            head.name,
            head.level_of_theory or "-",
            head.dispersion,
            _few(list(head.reference_energies)),
            f"{head.scale:.4g}",
            f"{head.shift:.4g}",
            _learnt(head),
        )
        for head in heads
    ]
    columns = ("head", "level", "dispersion", "elements", "scale", "shift eV", "learnt")
    table(rows, columns, title=str(file))
    return DONE


def show_head(file: Path, head: str | None, *, as_json: bool) -> int:
    """Show everything that a model file says about one head."""
    from lamplighter.model import load_potential, read_header
    from lamplighter.model.head_rows import head_rows

    header = read_header(file)
    spec = header.config.head(head)
    rows = head_rows(load_potential(file, dtype=header.dtype), spec.name)
    facts = _facts(spec) | {
        "weights": {name: list(value.shape) for name, value in rows.items()}
    }
    if as_json:
        info(json.dumps(facts, ensure_ascii=False, indent=2))
        return DONE
    energies = facts.pop("reference_energies")
    for key, value in facts.items():
        info(f"{key.replace('_', ' '):<18}{_text(value)}")
    info("E0")
    for element, energy in energies.items():
        info(f"  {element:<3}{energy:16.6f} eV")
    return DONE


def rename(file: Path, old: str, new: str, output: Path) -> int:
    """Write the model file with another name for a head."""
    from lamplighter.model.head_rows import rename_heads

    note = {"operation": "rename", "heads": {old: new}}
    return _edit(file, output, note, lambda p: rename_heads(p, {old: new}))


def drop(file: Path, heads: Sequence[str], output: Path) -> int:
    """Write the model file without some heads."""
    from lamplighter.model.head_rows import drop_heads

    note = {"operation": "drop", "heads": list(heads)}
    return _edit(file, output, note, lambda p: drop_heads(p, heads))


def copy(file: Path, head: str, name: str, output: Path) -> int:
    """Write the model file with a copy of a head under another name."""
    from lamplighter.model.head_rows import copy_head

    note = {"operation": "copy", "heads": {head: name}}
    return _edit(file, output, note, lambda p: copy_head(p, head, name))


def renew(file: Path, head: str, seed: int, output: Path) -> int:
    """Write the model file with the readouts of a head drawn anew."""
    from lamplighter.model.head_rows import initialise_head

    note = {"operation": "renew", "heads": [head], "seed": seed}
    return _edit(file, output, note, lambda p: initialise_head(p, head, seed))


def describe(
    file: Path, head: str, facts: Mapping[str, str | None], output: Path
) -> int:
    """Write the model file with other facts about a head; energies stay."""
    from lamplighter.model.head_rows import describe_head

    given = {name: value for name, value in facts.items() if value is not None}
    if not given:
        raise ConfigError(
            explain(
                f"nothing to change about head {head!r}",
                wanted="--level, --dispersion, --licence or --source",
            )
        )
    note = {"operation": "describe", "heads": [head], **given}
    return _edit(file, output, note, lambda p: describe_head(p, head, **given))


def _edit(
    file: Path,
    output: Path,
    note: Mapping[str, Any],
    change: Callable[[Potential], Potential],
) -> int:
    """Write the changed potential; its provenance keeps what was done to which file."""
    from lamplighter.model import load_potential, read_header, save_potential

    header = read_header(file)
    changed = change(load_potential(file, dtype=header.dtype))
    step = {**note, "file": file.name, "sha256": sha256_file(file)}
    done = [*header.provenance.get("heads_edited", []), step]
    save_potential(changed, output, {**header.provenance, "heads_edited": done})
    names = ", ".join(head.name for head in changed.config.heads)
    info(f"wrote {output}: heads {names}")
    return DONE


def _facts(head: HeadSpec) -> dict[str, Any]:
    """The entries of a head, E0 by atomic number."""
    from ase.data import atomic_numbers

    facts = dataclasses.asdict(head)
    energies = facts.pop("reference_energies")
    ordered = sorted(energies, key=atomic_numbers.__getitem__)
    return facts | {"reference_energies": {e: energies[e] for e in ordered}}


def _few(elements: Sequence[str]) -> str:
    """The elements, or how many there are."""
    if len(elements) <= MOST_ELEMENTS:
        return " ".join(elements)
    return f"{len(elements)} elements"


def _learnt(head: HeadSpec) -> str:
    return " ".join(f"{k} {v:g}" for k, v in head.learnt.items()) or "-"


def _text(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_text(v)}" for k, v in value.items()) or "-"
    return f"{value:g}" if isinstance(value, float) else str(value or "-")
