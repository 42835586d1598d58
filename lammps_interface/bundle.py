"""The ML-IAP file: data that LAMMPS unpickles and everybody else reads without pickle.

LAMMPS loads an ML-IAP file with ``torch.load(file, weights_only=False)``. What it
finds here is an archive as `torch.save` writes it whose pickle is one call,
``lamplighter.lammps_interface.bundle._load(bytes)``, and nothing more: no module, no
class state, no code. The bytes, the *payload*, are a safetensors file:

    metadata  "lamplighter_bundle": the header, a JSON object (`BundleHeader`)
    tensor    "potential": the bytes of the potential, itself a safetensors file
    tensors   "potential.1", "potential.2", ...: those of a committee's other members
    tensors   "tables.0.HEAD", "tables.1.HEAD", ...: the tables of the members compiled
              for a head, safetensors files as well, see `model.compiled.stored`

[`read`][] takes the payload out by walking over the pickle's opcodes; it never
unpickles, so that a file can be inspected whoever sent it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import torch
from safetensors import SafetensorError
from safetensors import torch as safetensors

from lamplighter.errors import ArtifactError, explain
from lamplighter.files import atomic_path
from lamplighter.lammps_interface.payload import CONVERT, damaged, payload_of

if TYPE_CHECKING:
    from lamplighter.lammps_interface.mliap import MliapModel

FORMAT_VERSION: Final = 3
"""Version of the header and payload that this release writes.

Version 1 held one head, and charge and spin were fixed in its parameters; version 2
had no tables of the compiled potential.
"""

KIND: Final = "mliap"
"""The kind that a payload for LAMMPS names in its header."""

_HEADER_KEY: Final = "lamplighter_bundle"
_TENSOR_KEY: Final = "potential"
_TABLES_KEY: Final = "tables."


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
        n_members: number of potentials in the file; more than one are a committee,
            whose mean is what LAMMPS gets.
        member_names: names of the model files of a committee, the first is
            `model_name`; empty for a single potential.
        member_sha256: likewise their SHA-256.
        compiled: how far the compiled potential is from the reference, the worst of
            all heads and members, in `energy` and `forces` as in `self_check`, the
            tolerances, and the number of `knots`; empty where the file has no tables.
        not_compiled: why it has none, in words.
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
    n_members: int = 1
    member_names: tuple[str, ...] = ()
    member_sha256: tuple[str, ...] = ()
    compiled: dict[str, float] = field(default_factory=dict)
    not_compiled: str = ""
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
            raise damaged(name, f"its header is not JSON ({error})") from error
        _check_kind(fields, name)
        known = {one.name for one in dataclasses.fields(cls)}
        try:
            fields["elements"] = tuple(fields["elements"])
            fields["heads"] = tuple(fields.get("heads", (fields["head"],)))
            for key in ("member_names", "member_sha256"):
                fields[key] = tuple(fields.get(key, ()))
            return cls(**{key: fields[key] for key in known & fields.keys()})
        except (KeyError, TypeError) as error:
            raise damaged(name, f"its header lacks entries ({error})") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An ML-IAP file in memory: the header and the bytes of the potentials.

    Attributes:
        header: what the file says about itself.
        potential: the potential, or the first member of a committee.
        others: the other members of a committee.
        tables: those of the compiled potential, by number of the member and head; see
            `tables_name`.
    """

    header: BundleHeader
    potential: bytes
    others: tuple[bytes, ...] = ()
    tables: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def members(self) -> tuple[bytes, ...]:
        """Return the bytes of all potentials, one if it is no committee."""
        return (self.potential, *self.others)


def pack(bundle: Bundle) -> bytes:
    """Return the payload: safetensors bytes that hold header and potentials."""
    names = _tensor_names(len(bundle.members))
    parts = dict(zip(names, bundle.members, strict=True))
    parts |= {_TABLES_KEY + name: content for name, content in bundle.tables.items()}
    tensors = {
        name: torch.frombuffer(bytearray(content), dtype=torch.uint8)
        for name, content in parts.items()
    }
    return safetensors.save(tensors, metadata={_HEADER_KEY: bundle.header.to_json()})


def unpack(payload: bytes, *, name: str = "the ML-IAP file") -> Bundle:
    """Return header and potentials of a payload.

    Raises:
        ArtifactError: damaged, of another kind, or written by a newer release.
    """
    header = BundleHeader.from_json(_metadata(payload, name), name=name)
    try:
        tensors = safetensors.load(payload)
        first = tensors.pop(_TENSOR_KEY).numpy().tobytes()
    except (SafetensorError, KeyError) as error:
        raise damaged(name, f"its tensors cannot be read ({error})") from error
    tables = {
        name.removeprefix(_TABLES_KEY): tensors.pop(name).numpy().tobytes()
        for name in sorted(tensors)
        if name.startswith(_TABLES_KEY)
    }
    names = _tensor_names(len(tensors) + 1)[1:]
    if set(names) != set(tensors) or header.n_members != len(tensors) + 1:
        found = ", ".join([_TENSOR_KEY, *sorted(tensors)])
        raise damaged(name, f"{found}, where it says {header.n_members!r} member(s)")
    others = tuple(tensors[one].numpy().tobytes() for one in names)
    return Bundle(header=header, potential=first, others=others, tables=tables)


def tables_name(member: int, head: str) -> str:
    """Return under which name a bundle holds the tables of a member for a head."""
    return f"{member}.{head}"


def _tensor_names(n_members: int) -> list[str]:
    """Return the names of the tensors that hold the members."""
    return [_TENSOR_KEY, *(f"{_TENSOR_KEY}.{k}" for k in range(1, n_members))]


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
                fix=f"give the path of a file written by: {CONVERT}",
            )
        ) from error
    # Imported here: it imports this module.
    from lamplighter.lammps_interface.foreign import mace_torch  # noqa: PLC0415

    found = mace_torch.read_bundle(content, Path(path).name)
    return found or from_file_bytes(content, name=str(path))


def from_file_bytes(content: bytes, *, name: str) -> Bundle:
    """Return the bundle in the content of an ML-IAP file; see `read`."""
    return unpack(payload_of(content, name), name=name)


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


def _metadata(payload: bytes, name: str) -> str:
    """Return the JSON text of the header in a payload (safetensors metadata)."""
    size = int.from_bytes(payload[:8], "little")
    if len(payload) < 8 + size:
        raise damaged(name, "a truncated payload")
    try:
        table = json.loads(payload[8 : 8 + size])
        text = table["__metadata__"][_HEADER_KEY]
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(name, "a payload without a header") from error
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
        raise damaged(name, f"format version {version!r}")
    if version > FORMAT_VERSION:
        raise ArtifactError(
            explain(
                f"{name} was written by a newer Lamplighter",
                got=f"format version {version}",
                wanted=f"at most {FORMAT_VERSION}",
                fix="pip install --upgrade lamplighter, or convert the model again",
            )
        )
