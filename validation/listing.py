"""What a suite can name, without loading anything that computes."""

from __future__ import annotations

from typing import Any

from lamplighter.validation.benchmarks.catalogue import CATALOGUE
from lamplighter.validation.materials import BUILT_IN
from lamplighter.validation.refs import load_references
from lamplighter.validation.refs import materials as known_materials
from lamplighter.validation.registry import entries


def listing() -> dict[str, list[dict[str, Any]]]:
    """Return properties, built-in materials and materials with references."""
    return {
        "properties": [
            {
                "name": entry.name,
                "applies_to": list(entry.applies_to),
                "description": entry.description,
                "package": entry.package,
            }
            for entry in entries()
        ],
        "materials": [_material(name) for name in BUILT_IN],
        "benchmarks": [
            {
                "name": one.name,
                "domain": one.domain,
                "version": one.version,
                "needs": one.needs,
                "unavailable": one.unavailable,
            }
            for one in CATALOGUE.values()
        ],
        "references": [_references(name) for name in sorted(known_materials())],
    }


def _material(name: str) -> dict[str, Any]:
    atoms = BUILT_IN[name]()
    directions = int(atoms.pbc.sum())
    kind = "crystal" if directions == 3 else "slab" if directions else "molecule"
    return {"name": name, "kind": kind, "formula": atoms.get_chemical_formula()}


def _references(name: str) -> dict[str, Any]:
    records = load_references(name, unverified="use")
    return {
        "material": name,
        "quantities": len({record.quantity for record in records}),
        "levels": sorted({r.level.functional or r.level.kind for r in records}),
    }
