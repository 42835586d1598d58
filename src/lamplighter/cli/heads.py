"""The commands `lamplighter heads ...`."""

from __future__ import annotations

from cyclopts import App

from lamplighter.cli.examples import add_examples
from lamplighter.cli.types import Json, Model, Output

heads = App(name="heads")


@heads.command(name="list")
def list_heads(file: Model, /, *, as_json: Json = False) -> int:
    """Every head with its level of theory, elements, and what it was trained on.

    Args:
        file: A potential (safetensors), or model:base for the shipped one.
        as_json: Write JSON instead of a table.
    """
    from lamplighter.commands import heads as heads_commands

    return heads_commands.list_heads(file, as_json=as_json)


@heads.command
def show(file: Model, head: str | None = None, /, *, as_json: Json = False) -> int:
    """Everything about one head: E0, scale, level, licence, its weights.

    Args:
        file: A potential (safetensors), or model:base for the shipped one.
        head: The head; may be left out when there is only one.
        as_json: Write JSON instead of text.
    """
    from lamplighter.commands import heads as heads_commands

    return heads_commands.show_head(file, head, as_json=as_json)


@heads.command
def rename(file: Model, old: str, new: str, /, *, output: Output) -> int:
    """Give a head another name.

    Args:
        file: A potential (safetensors), or model:base for the shipped one.
        old: The head.
        new: Its new name.
        output: The file to write; may be the same.
    """
    from lamplighter.commands import heads as heads_commands

    return heads_commands.rename(file, old, new, output)


@heads.command
def drop(file: Model, names: list[str], /, *, output: Output) -> int:
    """Leave heads out; the others stay as they are, to the bit.

    Args:
        file: A potential (safetensors), or model:base for the shipped one.
        names: The heads to leave out.
        output: The file to write; may be the same.
    """
    from lamplighter.commands import heads as heads_commands

    return heads_commands.drop(file, names, output)


@heads.command
def copy(file: Model, head: str, name: str, /, *, output: Output) -> int:
    """Add a copy of a head under another name.

    Args:
        file: A potential (safetensors), or model:base for the shipped one.
        head: The head to copy.
        name: The name of the copy.
        output: The file to write; may be the same.
    """
    from lamplighter.commands import heads as heads_commands

    return heads_commands.copy(file, head, name, output)


@heads.command
def renew(file: Model, head: str, /, *, output: Output, seed: int = 0) -> int:
    """Draw the readouts of a head anew, so that it can be trained from nothing.

    Args:
        file: A potential (safetensors), or model:base for the shipped one.
        head: The head.
        output: The file to write; may be the same.
        seed: Of the draw.
    """
    from lamplighter.commands import heads as heads_commands

    return heads_commands.renew(file, head, seed, output)


@heads.command
def describe(
    file: Model,
    head: str,
    /,
    *,
    output: Output,
    level: str | None = None,
    dispersion: str | None = None,
    licence: str | None = None,
    source: str | None = None,
) -> int:
    """Correct what a head says about itself; its energies stay.

    Args:
        file: A potential (safetensors), or model:base for the shipped one.
        head: The head.
        output: The file to write; may be the same.
        level: Level of theory of its labels.
        dispersion: none, included, or the rule to add, d3bj:pbe.
        licence: Licence of its training data.
        source: Where its training data come from.
    """
    from lamplighter.commands import heads as heads_commands

    facts = {
        "level_of_theory": level,
        "dispersion": dispersion,
        "licence": licence,
        "source": source,
    }
    return heads_commands.describe(file, head, facts, output)


add_examples(heads, ("heads",))
