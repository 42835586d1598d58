"""Files that are either whole or absent, and their fingerprints."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lamplighter.errors import ConfigError, LamplighterError, explain


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends well.

    The temporary file lies in the folder of `path`, so that the final rename is atomic.
    When the block raises, the temporary file is removed and `path` is left as it was.

    Raises:
        ConfigError: the folder of `path` does not exist.
        LamplighterError: the disk is full or the folder cannot be written.
    """
    target = Path(path)
    folder = target.parent
    if not folder.is_dir():
        raise ConfigError(
            explain(
                f"cannot write {target.name}: its folder does not exist",
                got=folder,
                wanted="an existing folder",
                fix=f"mkdir -p {folder}",
            )
        )
    try:
        handle, name = tempfile.mkstemp(
            dir=folder, prefix=f".{target.name}.", suffix=target.suffix
        )
        os.close(handle)
    except OSError as error:
        raise LamplighterError(
            explain(f"cannot write into {folder}", got=error.strerror)
        ) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise LamplighterError(
            explain(
                f"{target} was not written",
                got=error.strerror or error,
                fix="free some space or choose another folder; nothing was left behind",
            )
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    value = os.umask(0)
    os.umask(value)
    return value


def sha256_bytes(content: bytes) -> str:
    """Return the SHA-256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
