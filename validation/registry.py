"""The properties that a suite can ask for: those of this package and of strangers.

A property is a settings dataclass and a function that asks an engine. The built-in ones
stand in [`BUILT_IN`][], one row each; a package adds others by an entry point::

    [project.entry-points."lamplighter.properties"]
    density = "my_package:DENSITY"

whose object is a [`Property`][]. Nothing of a stranger is imported before a suite names
its property: its name and its package are read from the metadata alone.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, Final, Literal, get_args

from lamplighter.errors import ConfigError, explain
from lamplighter.validation.yaml_values import known

GROUP: Final = "lamplighter.properties"

Kind = Literal["crystal", "slab", "molecule", "model"]
"""What a property starts from; ``model`` needs no structure, only elements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """A property as the runner uses it, and as a plug-in gives it.

    Attributes:
        name: what suites call it.
        description: one line.
        applies_to: kinds of structure that it starts from.
        settings: frozen dataclass whose fields all have defaults.
        run: ``run(start, engine, settings)`` returns a ``PropertyResult``; parity,
            which compares two engines, is the one exception.
    """

    name: str
    description: str
    applies_to: tuple[Kind, ...]
    settings: type[Any]
    run: Callable[..., Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A property in the list, before anything of it is imported.

    Attributes:
        name: what suites call it.
        description: one line; of a stranger the summary of its package.
        applies_to: kinds of structure; empty for a stranger, whose code knows.
        package: the stranger's distribution and version; empty for a built-in one.
    """

    name: str
    description: str
    applies_to: tuple[Kind, ...] = ()
    package: str = ""


# Name: what it starts from, description. The order is that in which a suite runs them.
# Module and settings follow from the name: properties/cold_curve.py, ColdCurveSettings.
BUILT_IN: Final[dict[str, tuple[tuple[Kind, ...], str]]] = {
    "parity": (
        ("crystal", "slab", "molecule"),
        "LAMMPS gives the model's energies, forces and stresses",
    ),
    "relaxation": (("crystal",), "lattice, energy, and what is left of the forces"),
    "bulk": (("crystal",), "relaxed lattice constant, energy and bulk modulus"),
    "elastic": (("crystal",), "elastic constants with clamped and relaxed ions"),
    "phonon": (("crystal",), "phonon frequencies at the special points, and bands"),
    "surface": (("crystal",), "surface energy from slabs of several thicknesses"),
    "surfaces": (("crystal",), "surface energies of all planes and terminations"),
    "wulff": (("crystal",), "equilibrium shape from the energies of all planes"),
    "adsorption": (
        ("crystal", "slab"),
        "adsorption energies of an atom or molecule on all sites",
    ),
    "adhesion": (("crystal",), "work of adhesion of two crystals, and their strain"),
    "vacancy": (("crystal",), "vacancies of every kind of site, extrapolated in size"),
    "locality": (("crystal",), "how far a move of one atom is felt"),
    "extensivity": (("crystal", "molecule"), "whether energies add up"),
    "grueneisen": (("crystal",), "mode and mean Grüneisen parameters"),
    "qha": (("crystal",), "thermal expansion and bulk modulus, quasi-harmonic"),
    "conductivity": (("crystal",), "heat that phonons carry, by relaxation times"),
    "lattice_energy": (("crystal",), "what holds the molecules of a crystal together"),
    "repair": (("crystal",), "where an imaginary mode leads, and what it gains"),
    "nve": (("crystal", "molecule"), "drift of the energy in dynamics"),
    "md_elastic": (("crystal",), "elastic constants at a temperature, from dynamics"),
    "md_phonon": (("crystal",), "phonons at a temperature, from dynamics"),
    "molecule": (("molecule",), "bond lengths, and what holds molecules together"),
    "dimers": (("model",), "curves of all pairs of elements: holes, jumps, minima"),
    "s22": (("model",), "interaction energies of 22 pairs of molecules"),
    "dbh24": (("model",), "barrier heights of 12 reactions, forward and back"),
    "x23": (("model",), "lattice energies of 23 molecular crystals"),
}

DEFAULT: Final = ("parity", "bulk", "elastic", "phonon", "surface")
"""Properties of a suite that names none."""


def entries() -> list[Entry]:
    """Return every property that can be named: built-in ones, then strangers'.

    A stranger cannot take the name of a built-in property; such a one is left out.
    """
    found = [
        Entry(name=name, description=text, applies_to=kinds)
        for name, (kinds, text) in BUILT_IN.items()
    ]
    for name, point in sorted(_entry_points().items()):
        summary = ""
        if point.dist is not None:
            summary = str(point.dist.metadata.json.get("summary", ""))
        found.append(Entry(name=name, description=summary, package=_package(point)))
    return found


def names() -> tuple[str, ...]:
    """Return the names of all properties, in the order in which a suite runs them."""
    return (*BUILT_IN, *sorted(_entry_points()))


@cache
def find(name: str) -> Property:
    """Return a property; the first call imports its module.

    Raises:
        ConfigError: no such property, or the plug-in that holds it cannot be used.
    """
    known(name, names(), "properties")
    return _built_in(name) if name in BUILT_IN else _plug_in(_entry_points()[name])


def settings_class(name: str) -> type[Any]:
    """Return the settings dataclass of a property.

    Raises:
        ConfigError: there is no such property.
    """
    return find(name).settings


def default_settings(name: str) -> Any:
    """Return the settings of a property as they are without a suite."""
    return settings_class(name)()


def package_of(name: str) -> str:
    """Return the distribution and version of a stranger's property; else nothing."""
    if name in BUILT_IN:
        return ""
    point = _entry_points().get(name)
    return "" if point is None else _package(point)


def _built_in(name: str) -> Property:
    module = importlib.import_module(f"lamplighter.validation.properties.{name}")
    words = "".join(word.capitalize() for word in name.split("_"))
    kinds, text = BUILT_IN[name]
    return Property(
        name=name,
        description=text,
        applies_to=kinds,
        settings=getattr(module, f"{words}Settings"),
        run=module.run,
    )


def _entry_points() -> dict[str, metadata.EntryPoint]:
    found = metadata.entry_points(group=GROUP)
    return {point.name: point for point in found if point.name not in BUILT_IN}


def _package(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _plug_in(point: metadata.EntryPoint) -> Property:
    """Return the property of a stranger, or say what is wrong with its package."""
    try:
        found = point.load()
    except Exception as error:
        raise _broken(point, f"{type(error).__name__}: {error}") from error
    if not isinstance(found, Property):
        raise _broken(point, f"{point.value} is a {type(found).__name__}")
    if found.name != point.name:
        raise _broken(point, f"its name is {found.name!r}, its entry point's is not")
    if not found.applies_to or not set(found.applies_to) <= set(get_args(Kind)):
        raise _broken(point, f"applies_to is {found.applies_to!r}")
    if not dataclasses.is_dataclass(found.settings):
        raise _broken(point, f"{found.settings!r} is no dataclass")
    try:
        hash(found.settings())
    except TypeError as error:
        raise _broken(point, f"its settings: {error}") from error
    return found


def _broken(point: metadata.EntryPoint, got: str) -> ConfigError:
    return ConfigError(
        explain(
            f"the property {point.name!r} of package {_package(point)} cannot be used",
            got=got,
            wanted="an entry point that gives a lamplighter.validation.registry."
            "Property with frozen settings that all have defaults",
            fix=f"correct or remove the package {_package(point)}",
        )
    )
