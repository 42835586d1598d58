"""Archives of torch.save, opened without torch.load: what is inside, and what is not.

An archive is an uncompressed zip file whose folder holds one pickle (``data.pkl``) and
the numbers of each storage (``data/<key>``). Whatever else a file may be is told apart
by its first bytes, so that the message can say what to do about it.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NoReturn

import torch

from lamplighter.errors import ArtifactError, UnsafeFileError, explain
from lamplighter.model.inert import (
    Record,
    Reference,
    fail,
    kind_of,
    shown,
)
from lamplighter.model.pickle_builders import (
    BUILDERS,
    CONSTANTS,
    STORAGES,
    Storage,
)
from lamplighter.model.pickle_machine import PickleMachine

_WANTED: Final = "a whole model as mace-torch saves it (torch.save, uncompressed zip)"
_PACKAGES: Final = {
    *("torch", "e3nn", "mace", "numpy", "opt_einsum", "opt_einsum_fx"),
    *("openequivariance", "cuequivariance", "cuequivariance_torch"),
    *("cuequivariance_ops", "cuequivariance_ops_torch"),
    *("collections", "copyreg", "functools", "math", "operator", "_operator"),
    *("types", "typing"),
}
_BUILTINS: Final = {
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset"),
    # the reader's own getattr: a built-in function of torch by name, nothing else
    *("getattr", "int", "list", "object", "range", "set", "slice", "str", "tuple"),
}
_MAX_PICKLE: Final = 2**30


def read_archive(path: str | os.PathLike[str]) -> Any:
    """Return the content of an archive of torch.save: values, references and records.

    Raises:
        ArtifactError: no such file, not such an archive, damaged, or of a size that
            cannot be true.
        UnsafeFileError: the file names a function or class that no checkpoint needs.
    """
    file = Path(path)
    if file.exists() and not file.is_file():
        raise _refused(file.name, "a folder or a device", "name the model file")
    try:
        with file.open("rb") as stream:
            _refuse_other_kinds(stream, file.name)
            return _read(stream, file.name, scripted=False)
    except OSError as error:
        raise ArtifactError(
            explain(
                "the checkpoint cannot be read",
                got=f"{path}: {error.strerror or error}",
                wanted=_WANTED,
            )
        ) from error


def read_archive_bytes(content: bytes, name: str) -> Any:
    """Return the content of an archive that is in memory; see [`read_archive`][].

    Args:
        content: of the file.
        name: of the file, for messages.
    """
    stream = io.BytesIO(content)
    _refuse_other_kinds(stream, name)
    return _read(stream, name, scripted=False)


def read_script(content: bytes, name: str) -> Record:
    """Return the record of a TorchScript module that a checkpoint holds as bytes.

    Its state is a dict of tensors, plain values, and records of submodules; its code is
    not looked at. For errors see [`read_archive`][].
    """
    root = _read(io.BytesIO(content), name, scripted=True)
    if not isinstance(root, Record):
        raise _refused(name, kind_of(root), "copy the file again", "a compiled module")
    return root


def _read(stream: IO[bytes], name: str, *, scripted: bool) -> Any:
    with _as_damage(name):
        archive = _Archive(stream, name, scripted=scripted)
        return archive.content()


@contextlib.contextmanager
def _as_damage(name: str) -> Iterator[None]:
    """Turn what the zip reader raises on damaged files into an `ArtifactError`."""
    try:
        yield
    except ArtifactError:
        raise
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        OSError,
        OverflowError,
        ValueError,
        struct.error,
        zlib.error,
    ) as error:
        raise _refused(
            name,
            f"a truncated or damaged archive ({shown(str(error))})",
            "copy or download the file again",
        ) from error


class _Archive:
    """One open archive."""

    def __init__(self, stream: IO[bytes], name: str, *, scripted: bool) -> None:
        self._name = name
        self._scripted = scripted
        self._length = stream.seek(0, io.SEEK_END)
        self._zip = zipfile.ZipFile(stream)
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._storages: dict[str, torch.Tensor] = {}
        self._list_members()

    def _list_members(self) -> None:
        folders = set()
        for member in self._zip.infolist():
            folder, _, path = member.filename.partition("/")
            folders.add(folder)
            if path in self._members:
                self._damaged("two members of the same name")
            self._members[path] = member
        if len(folders) != 1 or "data.pkl" not in self._members:
            raise _refused(
                self._name,
                "a zip archive of another program",
                "name a file that mace-torch has saved",
            )
        # Members that share their bytes would make a small file large in memory.
        if (
            sum(member.compress_size for member in self._members.values())
            > self._length
        ):
            self._damaged("members that are larger than the file")

    def content(self) -> Any:
        self._check_kind()
        machine = PickleMachine(
            source=self._name,
            check=self._check_reference,
            builders=BUILDERS,
            constants=CONSTANTS,
            load=self._load,
        )
        if self._members["data.pkl"].file_size > _MAX_PICKLE:
            self._damaged("a pickle of more than 1 GiB")
        return machine.run(bytes(self._bytes("data.pkl")))

    def _check_kind(self) -> None:
        if "constants.pkl" in self._members and not self._scripted:
            raise _refused(
                self._name,
                "a TorchScript archive (a model compiled for one program)",
                "import the .model file that it was compiled from",
            )
        if "byteorder" in self._members and self._bytes("byteorder") != b"little":
            raise _refused(
                self._name,
                "numbers of a big-endian machine",
                "save the model again on a little-endian machine",
            )

    def _bytes(self, path: str) -> bytearray:
        """Return the content of one member."""
        member = self._members.get(path)
        if member is None:
            self._damaged(f"no member {shown(path)}")
        if (
            member.compress_type != zipfile.ZIP_STORED
            or member.file_size != member.compress_size
            or member.flag_bits & 1
        ):
            self._damaged(
                f"a compressed or encrypted member {shown(path)}, which torch never "
                "writes"
            )
        # Read to the end, the zip reader compares the checksum.
        return bytearray(self._zip.read(member))

    def _load(self, identifier: Any) -> Storage:
        match identifier:
            case (
                "storage",
                Reference(module="torch" | "torch.storage", name=name),
                str() as key,
                str(),
                int() as count,
            ) if name in STORAGES:
                return Storage(self._values(key, STORAGES[name], count))
        return fail("an external object that is no storage of torch")

    def _values(self, key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
        """Return the numbers of one storage."""
        if key not in self._storages:
            raw = self._bytes(f"data/{key}")
            self._storages[key] = (
                torch.frombuffer(raw, dtype=torch.uint8)
                if raw
                else torch.empty(0, dtype=torch.uint8)
            )
        values = self._storages[key]
        if values.numel() != count * dtype.itemsize:
            fail(f"a storage of {values.numel()} bytes where the model wants another")
        return values.view(dtype)

    def _check_reference(self, module: str, name: str) -> None:
        package = module.partition(".")[0]
        if (
            package in _PACKAGES
            or (module == "builtins" and name in _BUILTINS)
            or (module, name) == ("_codecs", "encode")
            or (self._scripted and package == "__torch__")
        ):
            return
        if package == "lamplighter":
            raise _refused(
                self._name,
                "a file that Lamplighter made for LAMMPS",
                "use the .safetensors file that it was converted from",
            )
        raise UnsafeFileError(
            explain(
                f"{self._name} is refused: it names what no mace-torch model needs; "
                "nothing of it was executed",
                got=shown(f"{module}.{name}"),
                wanted="classes and functions of torch, e3nn, mace and numpy",
                fix="do not open the file with torch.load either, unless you know who "
                "wrote it; get the model from its publisher",
            )
        )

    def _damaged(self, what: str) -> NoReturn:
        raise _refused(self._name, what, "copy or download the file again")


def _refused(name: str, got: str, fix: str, wanted: str = _WANTED) -> ArtifactError:
    return ArtifactError(
        explain(f"{name} cannot be imported", got=got, wanted=wanted, fix=fix)
    )


def _refuse_other_kinds(stream: IO[bytes], name: str) -> None:
    """Raise with advice if the file is no zip archive."""
    head = stream.read(4096)
    text = head.lstrip().lower()
    if head.startswith(b"PK\x03\x04"):
        return
    if not head:
        raise _refused(name, "an empty file", "copy or download the file again")
    if head.startswith(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."):
        raise _refused(
            name,
            "the format of torch before 1.6",
            "load the model and save it again, where you trust the file, with a newer "
            "torch",
        )
    if head.startswith(b"\x80"):
        raise _refused(name, "a bare Python pickle", "save the model with torch.save")
    if text.startswith(b"version https://git-lfs"):
        raise _refused(
            name, "a pointer of git-lfs instead of the file", "run `git lfs pull`"
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise _refused(
            name, "a web page instead of the file", "download the file itself"
        )
    if head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
        raise _refused(name, "a compressed file", "decompress it first")
    if head[8:10] == b'{"':
        own = b'"lamplighter"' in head
        raise _refused(
            name,
            "a Lamplighter model" if own else "safetensors without a Lamplighter model",
            "use it as it is" if own else "import the .model file of the same model",
        )
    raise _refused(name, "another format", "name a file that mace-torch has saved")
