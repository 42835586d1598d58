"""The potentials that a conversion starts from, and what it asks of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lamplighter.errors import ConfigError, explain
from lamplighter.model import HeadSpec, Potential, load_potential


def load_members(
    paths: Sequence[Path], heads: Sequence[str], elements: Sequence[str]
) -> list[Potential]:
    """Return the potentials of some files, in float64, if they can go into one file.

    Args:
        paths: one file, or those of a committee.
        heads: names of the heads that all must have.
        elements: chemical symbols that all, and these heads of theirs, must know.

    Raises:
        ArtifactError: a file is not a readable potential.
        ConfigError: no file, a head or an element is missing, or the members differ in
            what they have to share; the message names the file.
    """
    if not paths:
        raise ConfigError(explain("no model to convert", wanted="at least one"))
    members = [_load(path, heads, elements) for path in paths]
    wanted = _facts(members[0], heads)
    for path, member in zip(paths[1:], members[1:], strict=True):
        for what, found in _facts(member, heads).items():
            if found != wanted[what]:
                raise _unlike(what, f"{found} in {path.name}", wanted[what], paths[0])
    return members


def _load(path: Path, heads: Sequence[str], elements: Sequence[str]) -> Potential:
    source = load_potential(path, dtype="float64")
    try:
        for head in heads:
            # an unknown name lists the known ones
            spec = source.config.heads[source.head_index(head)]
            _check_elements(source, spec, elements)
    except ConfigError as error:
        message = f"{path.name}: {error}"
        raise ConfigError(message) from error
    return source


def _facts(member: Potential, heads: Sequence[str]) -> dict[str, str]:
    """Return what has to be the same in all members of a committee, by name."""
    config = member.config
    conditions = [f"{c.name} (default {c.default})" for c in config.conditions]
    facts = {
        "cutoff": f"{float(config.cutoff):g} Å",
        "number of layers": str(config.n_layers),
        "conditions": ", ".join(conditions) or "none",
    }
    for name in heads:
        spec = config.head(name)
        facts[f"level of theory of head {name!r}"] = spec.level_of_theory
        facts[f"dispersion of head {name!r}"] = spec.dispersion
    return facts


def _unlike(what: str, got: str, wanted: str, first: Path) -> ConfigError:
    return ConfigError(
        explain(
            f"models of a committee differ in the {what}",
            got=got,
            wanted=f"{wanted}, as in {first.name}",
            fix="train the members with the same settings and other seeds",
        )
    )


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
