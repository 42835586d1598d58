"""The command `lamplighter cite`: what to cite for a file or a run, as BibTeX."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from lamplighter import __version__
from lamplighter.console import info
from lamplighter.errors import DataError, explain

ALWAYS: Final = ("lamplighter", "mace", "mh1")
"""What every use of a potential of this project rests on."""

_TABLE: Final = Path(__file__).with_name("citations.toml")
_CRYSTALS: Final = ("ase", "spglib")
_BY_PROPERTY: Final = {
    "adhesion": ("ase", "pymatgen"),
    "adsorption": ("ase", "pymatgen"),
    "dbh24": ("ase", "dbh24"),
    "elastic": (*_CRYSTALS, "pymatgen"),
    "grueneisen": (*_CRYSTALS, "phonopy"),
    "md_phonon": (*_CRYSTALS, "phonopy"),
    "phonon": (*_CRYSTALS, "phonopy"),
    "qha": (*_CRYSTALS, "phonopy"),
    "repair": (*_CRYSTALS, "phonopy"),
    "s22": ("ase", "s22"),
    "surface": ("ase", "pymatgen"),
    "surfaces": ("ase", "pymatgen"),
    "wulff": ("ase", "pymatgen", "wulffpack"),
    "x23": ("ase", "x23"),
}
_IN_SCRIPTS: Final = {
    r"\bmliap\b": ALWAYS,
    r"\bdispersion/d3\b": ("d3",),
    r"\bdispersion/d3\s+bj\b": ("d3", "d3bj"),
    r"\bheat/flux\b": ("heat_flux",),
}


def cite(files: Iterable[Path]) -> int:
    """Print BibTeX of what the files used; return the exit code.

    Raises:
        DataError: a file is of no kind that is known.
    """
    keys: dict[str, None] = dict.fromkeys(ALWAYS)
    sources: dict[str, None] = {}
    named = tuple(files)
    for path in named:
        found, notes = _uses(path)
        keys |= dict.fromkeys(found)
        sources |= dict.fromkeys(notes)
    if not named:
        keys["lammps"] = None
    for entry in entries(keys):
        info(entry)
    for note in sources:
        info(f"% {note}")
    return 0


def entries(keys: Iterable[str]) -> list[str]:
    """Return the BibTeX entries of some keys, each once, in their order.

    Raises:
        KeyError: there is no such entry.
    """
    table = read_table()
    return [
        f"% {table[key]['title']}\n"
        + table[key]["bibtex"].strip().replace("VERSION", __version__)
        + "\n"
        for key in dict.fromkeys(keys)
    ]


def read_table() -> dict[str, dict[str, str]]:
    """Return all entries: title and BibTeX by key."""
    found: dict[str, dict[str, str]] = tomllib.loads(_TABLE.read_text("utf-8"))
    return found


def _uses(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of what a file used, and what its heads say of their source."""
    if path.is_dir():
        return _run_uses(path)
    if path.suffix in {".safetensors", ".pt", ".model"}:
        from lamplighter.commands.model import facts_of

        return _model_uses(facts_of(path))
    if not path.is_file():
        raise DataError(explain("there is no such file", got=path))
    if path.suffix in {".yaml", ".yml"}:
        return _settings_uses(_read_yaml(path))
    text = path.read_text(encoding="utf-8", errors="replace")
    if not re.search(r"^\s*(units|pair_style|LAMMPS)\b", text, re.MULTILINE):
        wanted = "a potential, settings, a LAMMPS script or log, or the folder of a run"
        raise DataError(explain("cannot tell what this used", got=path, wanted=wanted))
    keys = [
        key for p, some in _IN_SCRIPTS.items() if re.search(p, text) for key in some
    ]
    return ("lammps", *keys), ()


def _read_yaml(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        problem = explain(
            "no YAML", got=" ".join(str(error).split()), fix=f"see {path}"
        )
        raise DataError(problem) from error
    if not isinstance(content, Mapping):
        raise DataError(explain("no settings", got=path, wanted="a YAML mapping"))
    return content


def _model_uses(facts: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    keys = ["e3nn"]
    if facts.get("kind") == "mliap" or "ML-IAP" in str(facts.get("kind")):
        keys.append("lammps")
    if facts.get("zbl"):
        keys.append("zbl")
    heads = [head for head in facts.get("heads", ()) if isinstance(head, Mapping)]
    rules = [head.get("dispersion", "") for head in heads]
    if any(str(x).startswith("d3") for x in (*rules, facts.get("dispersion", ""))):
        keys += ["d3", "d3bj"]
    notes = [
        f"head {head['name']}: {head['source']}, licence {head.get('licence') or '?'};"
        " cite what it asks for"
        for head in heads
        if head.get("source")
    ]
    return tuple(keys), tuple(notes)


def _settings_uses(
    content: Mapping[str, Any],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if "properties" not in content:
        return ("e3nn",), ()  # a training
    keys = [key for name in content["properties"] for key in _BY_PROPERTY.get(name, ())]
    engines = str(content.get("engines", "lammps"))
    return (("lammps",) if "lammps" in engines else ()) + ("ase", *keys), ()


def _run_uses(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from lamplighter.validation.run_folder import read_manifest

    return _settings_uses(read_manifest(folder).suite)
