"""Reference values and DFT force sets, each with its level of theory and source."""

from lamplighter.validation.refs.force_sets import FORCE_SETS, ForceSet, force_set
from lamplighter.validation.refs.levels import Level, same_level
from lamplighter.validation.refs.loader import (
    ReferenceValue,
    Source,
    load_file,
    load_references,
    materials,
    select,
)

__all__ = [
    "FORCE_SETS",
    "ForceSet",
    "Level",
    "ReferenceValue",
    "Source",
    "force_set",
    "load_file",
    "load_references",
    "materials",
    "same_level",
    "select",
]
