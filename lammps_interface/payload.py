"""The payload of an ML-IAP file, taken out without unpickling.

The file is an archive of `torch.save` whose pickle is one call of one function on one
string of bytes. The pickle's opcodes are looked at, never executed.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from lamplighter.errors import ArtifactError, explain

LOADER: Final = ("lamplighter.lammps_interface.bundle", "_load")
"""Module and name of the one function that the pickle of an ML-IAP file calls."""

CONVERT: Final = "lamplighter convert MODEL --head HEAD --elements ... -o FILE.pt"
"""The command that writes an ML-IAP file, for messages."""

_BOOKKEEPING: Final = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT"})
_STRINGS: Final = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_BYTES: Final = frozenset({"SHORT_BINBYTES", "BINBYTES", "BINBYTES8"})


def payload_of(content: bytes, name: str) -> bytes:
    """Return the payload in the content of an ML-IAP file.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        ArtifactError: truncated, or a file of another kind; the message says which.
    """
    return _argument(_pickle_of(content, name), name)


def damaged(name: str, got: str) -> ArtifactError:
    """Return the error about a file that is not whole; `got` says what is wrong."""
    return ArtifactError(
        explain(
            f"{name} is damaged or truncated",
            got=got,
            wanted="a whole ML-IAP file",
            fix=f"copy it again, or write it anew: {CONVERT}",
        )
    )


def _pickle_of(content: bytes, name: str) -> bytes:
    """Return the pickle inside a torch archive."""
    if not content.startswith(b"PK"):
        raise _not_an_archive(content, name)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {
                one.filename.partition("/")[2]: one for one in archive.infolist()
            }
            if "constants.pkl" in entries:
                raise _foreign(
                    name, "a TorchScript model (made for another pair style)"
                )
            entry = entries.get("data.pkl")
            if entry is None:
                raise _foreign(name, "a zip archive without a torch pickle")
            if entry.compress_type != zipfile.ZIP_STORED:
                raise _foreign(name, "a compressed archive, which torch never writes")
            return archive.read(entry)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise damaged(name, f"{len(content)} bytes ({error})") from error


def _argument(pickled: bytes, name: str) -> bytes:
    """Return the argument of the one admitted call; no opcode is executed."""
    try:
        steps = list(_until_foreign(pickled))
    except ValueError as error:
        raise damaged(name, f"its pickle is malformed ({error})") from error
    match steps:
        case [
            ("GLOBAL", loader),
            ("BYTES", bytes(payload)),
            "TUPLE1",
            "REDUCE",
            "STOP",
        ] if loader == LOADER:
            return payload
        case _:
            raise _foreign(name, _describe(steps))


def _until_foreign(pickled: bytes) -> Iterator[Any]:
    """Yield the opcodes that matter, up to the first one that no bundle has."""
    strings: list[str] = []
    for opcode, value, _ in pickletools.genops(pickled):
        if opcode.name in _BOOKKEEPING:
            continue
        if opcode.name in _STRINGS:
            strings.append(str(value))
        elif opcode.name in {"STACK_GLOBAL", "GLOBAL"}:
            words = str(value).split(" ") if opcode.name == "GLOBAL" else strings[-2:]
            yield "GLOBAL", tuple(words)
            if tuple(words) != LOADER:
                return
        elif opcode.name in _BYTES:
            yield "BYTES", value
        else:
            yield opcode.name
            if opcode.name not in {
                "TUPLE1",
                "REDUCE",
                "EMPTY_DICT",
                "MARK",
                "EMPTY_TUPLE",
            }:
                return


def _describe(steps: list[Any]) -> str:
    named = [" ".join(step[1][:1]) for step in steps if step[0] == "GLOBAL"]
    if any(
        module.startswith(("mace", "nequip", "allegro", "sevenn")) for module in named
    ):
        return f"an object of another program, module {named[0]!r}"
    if any(module.startswith(("torch", "collections")) for module in named):
        return "a torch checkpoint, not an ML-IAP file"
    if named and named[0] == LOADER[0]:
        return "a pickle with more in it than a Lamplighter bundle"
    return (
        f"a pickle that would call {named[0]!r}"
        if named
        else "a pickle without a model"
    )


def _not_an_archive(content: bytes, name: str) -> ArtifactError:
    if not content:
        return damaged(name, "an empty file")
    if content[8:9] == b"{":
        return ArtifactError(
            explain(
                f"{name} is a model that is not converted for LAMMPS yet",
                got="a safetensors file",
                wanted="an ML-IAP file (.pt)",
                fix=CONVERT,
            )
        )
    if content.startswith(b"\x80"):
        return _foreign(name, "a bare pickle")
    return _foreign(name, f"a file that starts with {content[:8]!r}")


def _foreign(name: str, got: str) -> ArtifactError:
    return ArtifactError(
        explain(
            f"{name} is not a Lamplighter ML-IAP file",
            got=got,
            wanted="a file written by `lamplighter convert`",
            fix=f"nothing in it was executed; {CONVERT}",
        )
    )
