"""Pickles that no honest program writes, made by hand."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable


class Call:
    """Pickles as the call of a function."""

    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.reduced = (function, args)

    def __reduce__(self):
        return self.reduced


class Stored:
    """Pickles as a persistent identifier."""

    def __init__(self, identifier: object) -> None:
        self.identifier = identifier


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        return obj.identifier if isinstance(obj, Stored) else None


def pickled(value: object, protocol: int = 2) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, protocol).dump(value)
    return stream.getvalue()


def rewritten(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return a torch archive with another pickle."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(stream, "w") as new,
    ):
        for entry in old.infolist():
            data = old.read(entry)
            is_pickle = entry.filename.endswith("/data.pkl")
            new.writestr(entry.filename, change(data) if is_pickle else data)
    return stream.getvalue()
