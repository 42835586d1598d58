"""Where the files that travel with the package lie."""

from __future__ import annotations

from pathlib import Path

from lamplighter.errors import ConfigError, explain

_PACKAGE = Path(__file__).parent


def base_model() -> Path:
    """Return the path of the shipped base model (safetensors)."""
    return _existing(_PACKAGE / "models" / "base.safetensors", "the base model")


def model_file(path: Path) -> Path:
    """Return a path, with ``model:base`` for the shipped base model looked up.

    Raises:
        ConfigError: there is no shipped model of that name.
    """
    kind, _, name = str(path).partition(":")
    if kind != "model" or not name:
        return path
    if name != "base":
        raise ConfigError(explain("unknown model", got=name, wanted="model:base"))
    return base_model()


def dataset_folder() -> Path:
    """Return the folder of the shipped data sets."""
    return _PACKAGE / "datasets"


def dataset(name: str) -> Path:
    """Return the path of a shipped data set, for example ``dataset("crystal_pbe")``.

    Raises:
        ConfigError: there is no such data set; the message lists what there is.
    """
    path = dataset_folder() / f"{name}.xyz.gz"
    if not path.is_file():
        known = sorted(
            p.name[: -len(".xyz.gz")] for p in dataset_folder().glob("*.xyz.gz")
        )
        raise ConfigError(
            explain("unknown data set", got=name, wanted=f"one of {', '.join(known)}")
        )
    return path


def _existing(path: Path, what: str) -> Path:
    if not path.is_file():
        raise ConfigError(
            explain(
                f"{what} is missing from the installation", got=path, fix="reinstall"
            )
        )
    return path
