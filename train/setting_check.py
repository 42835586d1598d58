"""The one way in which a setting is refused."""

from __future__ import annotations

from lamplighter.errors import ConfigError, explain


def check(ok: bool, name: str, got: object, wanted: str) -> None:
    """Refuse a setting unless `ok`.

    Raises:
        ConfigError: the message names the setting.
    """
    if not ok:
        raise ConfigError(explain(f"wrong value for {name}", got=got, wanted=wanted))
