"""What a pickled ML-IAP file is, found out without executing anything in it."""

from __future__ import annotations

import io
import pickletools
import warnings
import zipfile
from dataclasses import dataclass
from typing import Any, Final

from lamplighter.errors import ArtifactError
from lamplighter.model.inert import Record
from lamplighter.model.pickle_builders import BUILDERS
from lamplighter.model.pickle_machine import PickleMachine

_PLAIN: Final = {
    *("builtins", "__builtin__", "collections", "copyreg", "copy_reg", "_codecs"),
    *("numpy", "torch"),
}
"""Packages that a pickle of any model names."""

_STRINGS: Final = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
_KEPT: Final = {
    key: builder
    for key, builder in BUILDERS.items()
    if key[0] in {"copyreg", "numpy.core.multiarray", "numpy._core.multiarray"}
}
"""Objects by their class and numbers of numpy; every other call stays a record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a pickle would build, and everything that it names.

    Attributes:
        class_name: module and name of the object; empty if it is not known.
        names: all classes and functions that loading would look up, in order.
        root: the object as a record, None if the pickle cannot be read without Python.
    """

    class_name: str
    names: tuple[str, ...]
    root: Record | None

    @property
    def module(self) -> str:
        """Return the module that loading would import for the object itself."""
        of_object = self.class_name.rpartition(".")[0]
        if of_object and of_object.partition(".")[0] not in _PLAIN:
            return of_object
        return next(
            (
                name.rpartition(".")[0]
                for name in self.names
                if name.partition(".")[0] not in _PLAIN
            ),
            of_object,
        )


def first_name(content: bytes) -> str:
    """Return module and name of the first class or function that a file names.

    Empty if the file is no pickle, neither bare nor in an archive of torch, or a pickle
    of plain values.
    """
    pickled = pickle_of(content)
    if pickled is None:
        return ""
    strings: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in damaged names
        try:
            for opcode, value, _ in pickletools.genops(pickled):
                if opcode.name in _STRINGS:
                    strings.append(str(value))
                elif opcode.name in {"GLOBAL", "INST"}:
                    return ".".join(str(value).split(" "))
                elif opcode.name == "STACK_GLOBAL":
                    return ".".join(strings[-2:])
        except ValueError:
            return ""
    return ""


def pickle_of(content: bytes) -> bytes | None:
    """Return the pickle that a file is, or that lies in an archive of torch."""
    if content.startswith(b"PK"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                names = {n.partition("/")[2]: n for n in archive.namelist()}
                if "data.pkl" not in names or "constants.pkl" in names:
                    return None
                entry = archive.getinfo(names["data.pkl"])
                stored = entry.compress_type == zipfile.ZIP_STORED
                return archive.read(entry) if stored else None
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError):
            return None
    return content if content.startswith(b"\x80") else None


def contents(content: bytes, name: str) -> Contents:
    """Return what the pickle in a file would build; nothing of it is executed.

    Args:
        content: of the file.
        name: of the file, for messages.
    """
    names: list[str] = []
    pickled = pickle_of(content)
    machine = PickleMachine(
        source=name,
        check=lambda module, what: names.append(f"{module}.{what}"),
        builders=_KEPT,
        constants={},
        load=lambda _: Record("torch", "storage"),
    )
    root: Any = None
    if pickled is not None:
        try:
            root = machine.run(pickled)
        except ArtifactError:
            root = None  # what this reader cannot follow has no root
    unique = tuple(dict.fromkeys(names))
    if isinstance(root, Record):
        return Contents(class_name=root.class_name, names=unique, root=root)
    return Contents(class_name=unique[0] if unique else "", names=unique, root=None)
