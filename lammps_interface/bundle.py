"""The ML-IAP file: data that LAMMPS unpickles and everybody else reads without pickle.

LAMMPS loads an ML-IAP file with ``torch.load(file, weights_only=False)``. What it
finds here is an archive as `torch.save` writes it whose pickle is one call,
``lamplighter.lammps_interface.bundle._load(bytes)``, and nothing more: no module, no
class state, no code. The bytes, the *payload*, are a safetensors file:

    metadata  "lamplighter_bundle": the header, a JSON object (`BundleHeader`)
    tensor    "potential": the bytes of the potential, itself a safetensors file

[`read`][] takes the payload out by walking over the pickle's opcodes; it never
unpickles, so that a file can be inspected whoever sent it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
import pickletools
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors

from lamplighter.errors import ArtifactError, explain
from lamplighter.files import atomic_path

if TYPE_CHECKING:
    from lamplighter.lammps_interface.mliap import MliapModel

FORMAT_VERSION: Final = 2
"""Version of the header and payload that this release writes.

Version 1 held one head, and charge and spin were fixed in its parameters.
"""

KIND: Final = "mliap"
"""The kind that a payload for LAMMPS names in its header."""

_HEADER_KEY: Final = "lamplighter_bundle"
_TENSOR_KEY: Final = "potential"
_LOADER: Final = ("lamplighter.lammps_interface.bundle", "_load")
_CONVERT: Final = "lamplighter convert MODEL --head HEAD --elements ... -o FILE.pt"
_BOOKKEEPING: Final = frozenset({"PROTO", "FRAME", "MEMOIZE", "BINPUT", "LONG_BINPUT"})
_STRINGS: Final = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"})
_BYTES: Final = frozenset({"SHORT_BINBYTES", "BINBYTES", "BINBYTES8"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleHeader:
    """What an ML-IAP file says about itself.

    Attributes:
        model_sha256: SHA-256 of the model file that was converted.
        model_name: name of that file, without its folder.
        head: the head in use, or the first of several that the file holds.
        level_of_theory: the electronic-structure method of that head's labels.
        dispersion: whether and how the labels contain dispersion, in words.
        licence: licence of the head's parameters.
        elements: chemical symbols, in the order of the species indices.
        cutoff: interaction radius of one layer in Å.
        n_layers: number of message-passing layers.
        message_width: numbers per atom in one ghost exchange (0 with one layer).
        dtype: ``"float64"`` or ``"float32"``.
        units: LAMMPS unit style, always ``"metal"``.
        self_check: largest deviations found at conversion: ``energy`` (eV/atom),
            ``forces`` (eV/Å), ``virial`` (eV/atom), and the tolerances used.
        conditions: total charge (e) and spin (multiplicity), unless the script gives
            others; empty for a potential that does not depend on them.
        heads: names of all heads that the file holds.
        lamplighter_version: the release that wrote the file.
        torch_version: the torch that wrote the file.
        format_version: version of this header.
        kind: always ``"mliap"``.
    """

    model_sha256: str
    model_name: str
    head: str
    level_of_theory: str
    dispersion: str
    licence: str
    elements: tuple[str, ...]
    cutoff: float
    n_layers: int
    message_width: int
    dtype: str
    self_check: dict[str, float] = field(default_factory=dict)
    conditions: dict[str, float] = field(default_factory=dict)
    heads: tuple[str, ...] = ()
    units: str = "metal"
    lamplighter_version: str = ""
    torch_version: str = ""
    format_version: int = FORMAT_VERSION
    kind: str = KIND

    def to_json(self) -> str:
        """Return the header as one JSON object with sorted keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, name: str) -> Self:
        """Return the header that `to_json` wrote.

        Args:
            text: a JSON object.
            name: the file's name, for messages.

        Raises:
            ArtifactError: not a header, another kind, or a newer format version.
        """
        try:
            fields = json.loads(text)
        except json.JSONDecodeError as error:
            raise _damaged(name, f"its header is not JSON ({error})") from error
        _check_kind(fields, name)
        known = {one.name for one in dataclasses.fields(cls)}
        try:
            fields["elements"] = tuple(fields["elements"])
            fields["heads"] = tuple(fields.get("heads", (fields["head"],)))
            return cls(**{key: fields[key] for key in known & fields.keys()})
        except (KeyError, TypeError) as error:
            raise _damaged(name, f"its header lacks entries ({error})") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An ML-IAP file in memory: the header and the potential's bytes."""

    header: BundleHeader
    potential: bytes


def pack(bundle: Bundle) -> bytes:
    """Return the payload: safetensors bytes that hold header and potential."""
    raw = torch.frombuffer(bytearray(bundle.potential), dtype=torch.uint8)
    metadata = {_HEADER_KEY: bundle.header.to_json()}
    return safetensors.save({_TENSOR_KEY: raw}, metadata=metadata)


def unpack(payload: bytes, *, name: str = "the ML-IAP file") -> Bundle:
    """Return header and potential of a payload.

    Raises:
        ArtifactError: damaged, of another kind, or written by a newer release.
    """
    header = BundleHeader.from_json(_metadata(payload, name), name=name)
    try:
        tensors = safetensors.load(payload)
        raw = tensors[_TENSOR_KEY]
    except (SafetensorError, KeyError) as error:
        raise _damaged(name, f"its tensors cannot be read ({error})") from error
    return Bundle(header=header, potential=raw.numpy().tobytes())


def to_file_bytes(payload: bytes) -> bytes:
    """Return the content of the ML-IAP file that carries `payload`."""
    stream = io.BytesIO()
    torch.save(_Call(payload), stream, pickle_protocol=4)
    return stream.getvalue()


def write(path: str | os.PathLike[str], payload: bytes) -> None:
    """Write the ML-IAP file that carries `payload`; the file is whole or absent.

    Raises:
        ConfigError: the folder does not exist.
        LamplighterError: the disk is full or the folder cannot be written.
    """
    content = to_file_bytes(payload)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read(path: str | os.PathLike[str]) -> Bundle:
    """Read an ML-IAP file without executing anything that it contains.

    Of an ML-IAP file of mace-torch, the head that it evaluates becomes the bundle.

    Raises:
        ArtifactError: no such file, truncated, written by another program, of another
            kind, or written by a newer release; the message says which, and what to do.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ArtifactError(
            explain(
                f"the ML-IAP file {path} cannot be read",
                got=error.strerror,
                fix=f"give the path of a file written by: {_CONVERT}",
            )
        ) from error
    # Imported here: it imports this module.
    from lamplighter.lammps_interface.foreign import mace_torch  # noqa: PLC0415

    found = mace_torch.read_bundle(content, Path(path).name)
    return found or from_file_bytes(content, name=str(path))


def from_file_bytes(content: bytes, *, name: str) -> Bundle:
    """Return the bundle in the content of an ML-IAP file; see `read`."""
    return unpack(_argument(_pickle_of(content, name), name), name=name)


def load_model(path: str | os.PathLike[str]) -> MliapModel:
    """Return the object that LAMMPS calls, from an ML-IAP file.

    Raises:
        ArtifactError: as `read`.
    """
    return _model(read(path))


def _load(payload: bytes) -> MliapModel:
    """Return the object that LAMMPS calls; the one call in an ML-IAP file's pickle."""
    return _model(unpack(payload))


def _model(bundle: Bundle) -> MliapModel:
    from lamplighter.lammps_interface.mliap import MliapModel  # noqa: PLC0415 (cycle)

    return MliapModel(bundle)


class _Call:
    """An object whose pickle is the call of `_load` on a payload."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload

    def __reduce__(self) -> tuple[Callable[[bytes], MliapModel], tuple[bytes]]:
        return _load, (self._payload,)


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
        raise _damaged(name, f"{len(content)} bytes ({error})") from error


def _argument(pickled: bytes, name: str) -> bytes:
    """Return the argument of the one admitted call; no opcode is executed."""
    try:
        steps = list(_until_foreign(pickled))
    except ValueError as error:
        raise _damaged(name, f"its pickle is malformed ({error})") from error
    match steps:
        case [
            ("GLOBAL", loader),
            ("BYTES", bytes(payload)),
            "TUPLE1",
            "REDUCE",
            "STOP",
        ] if loader == _LOADER:
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
            if tuple(words) != _LOADER:
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
    if named and named[0] == _LOADER[0]:
        return "a pickle with more in it than a Lamplighter bundle"
    return (
        f"a pickle that would call {named[0]!r}"
        if named
        else "a pickle without a model"
    )


def _not_an_archive(content: bytes, name: str) -> ArtifactError:
    if not content:
        return _damaged(name, "an empty file")
    if content[8:9] == b"{":
        return ArtifactError(
            explain(
                f"{name} is a model that is not converted for LAMMPS yet",
                got="a safetensors file",
                wanted="an ML-IAP file (.pt)",
                fix=_CONVERT,
            )
        )
    if content.startswith(b"\x80"):
        return _foreign(name, "a bare pickle")
    return _foreign(name, f"a file that starts with {content[:8]!r}")


def _metadata(payload: bytes, name: str) -> str:
    """Return the JSON text of the header in a payload (safetensors metadata)."""
    size = int.from_bytes(payload[:8], "little")
    if len(payload) < 8 + size:
        raise _damaged(name, "a truncated payload")
    try:
        table = json.loads(payload[8 : 8 + size])
        text = table["__metadata__"][_HEADER_KEY]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(name, "a payload without a header") from error
    return str(text)


def _check_kind(fields: Any, name: str) -> None:
    if not isinstance(fields, dict) or fields.get("kind") != KIND:
        kind = fields.get("kind") if isinstance(fields, dict) else fields
        raise ArtifactError(
            explain(
                f"{name} is not for LAMMPS", got=f"kind {kind!r}", wanted=repr(KIND)
            )
        )
    version = fields.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise _damaged(name, f"format version {version!r}")
    if version > FORMAT_VERSION:
        raise ArtifactError(
            explain(
                f"{name} was written by a newer Lamplighter",
                got=f"format version {version}",
                wanted=f"at most {FORMAT_VERSION}",
                fix="pip install --upgrade lamplighter, or convert the model again",
            )
        )


def _damaged(name: str, got: str) -> ArtifactError:
    return ArtifactError(
        explain(
            f"{name} is damaged or truncated",
            got=got,
            wanted="a whole ML-IAP file",
            fix=f"copy it again, or write it anew: {_CONVERT}",
        )
    )


def _foreign(name: str, got: str) -> ArtifactError:
    return ArtifactError(
        explain(
            f"{name} is not a Lamplighter ML-IAP file",
            got=got,
            wanted="a file written by `lamplighter convert`",
            fix=f"nothing in it was executed; {_CONVERT}",
        )
    )
