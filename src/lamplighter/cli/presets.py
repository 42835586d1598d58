"""The command `lamplighter presets`."""

from __future__ import annotations

from lamplighter.cli.types import Json


def presets(name: str | None = None, /, *, as_json: Json = False) -> int:
    """List the presets of train and finetune, or print every value of one.

    Args:
        name: A preset; the list when left out.
        as_json: Write JSON instead of text.
    """
    from lamplighter.commands import replay as replay_commands

    return replay_commands.presets(name, as_json=as_json)
