"""The model file: tensors in safetensors, everything else in a JSON header.

Nothing in it is executed. The header holds an integer format version, the
configuration with all heads, a fingerprint of the coupling basis, the provenance, and a
SHA-256 of the tensors.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

import lamplighter
from lamplighter.errors import ArtifactError, ConfigError, explain
from lamplighter.files import atomic_path, sha256_bytes
from lamplighter.model.config import PotentialConfig
from lamplighter.model.coupling import fingerprint
from lamplighter.model.head_rows import fold_reference_bias
from lamplighter.model.potential import Potential
from lamplighter.model.upgrade import FORMAT_VERSION, upgrade, upgrade_tensors

_KEY = "lamplighter"
_KIND = "lamplighter potential"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a model file says about itself.

    Attributes:
        format_version: integer version of the file format.
        config: heads and hyperparameters.
        coupling: fingerprint of the coupling basis.
        provenance: where the weights come from; free-form JSON.
        tensors_sha256: digest of the tensor section.
        lamplighter_version: version of the writer.
        dtype: precision of the stored weights.
        n_parameters: number of stored weights.
    """

    format_version: int
    config: PotentialConfig
    coupling: list[float]
    provenance: dict[str, Any]
    tensors_sha256: str
    lamplighter_version: str
    dtype: str
    n_parameters: int


def potential_to_bytes(
    potential: Potential, provenance: Mapping[str, Any] | None = None
) -> bytes:
    """Return the content of a model file; a trained bias of E0 is added to E0."""
    potential = fold_reference_bias(potential)
    tensors = {
        k: v.detach().cpu().contiguous() for k, v in potential.state_dict().items()
    }
    header = {
        "kind": _KIND,
        "format_version": FORMAT_VERSION,
        "config": potential.config.to_dict(),
        "coupling": _fingerprint(potential.config),
        "provenance": dict(provenance or {}),
        "tensors_sha256": _digest(save_tensors(tensors)),
        "lamplighter_version": lamplighter.__version__,
    }
    text = json.dumps(header, sort_keys=True, allow_nan=False)
    return save_tensors(tensors, metadata={_KEY: text})


def save_potential(
    potential: Potential,
    path: str | os.PathLike[str],
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a model file; it is either whole or absent.

    Raises:
        ConfigError: the folder does not exist.
    """
    content = potential_to_bytes(potential, provenance)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Return the header of a model file; see [`load_potential`][] for errors."""
    return _parse(_read(path), str(path))


def load_potential(
    path: str | os.PathLike[str], dtype: str = "float64", device: str = "cpu"
) -> Potential:
    """Return the potential in a model file, ready for evaluation.

    Args:
        path: a file written by [`save_potential`][].
        dtype: ``"float32"`` or ``"float64"``.
        device: as torch names it.

    Raises:
        ArtifactError: no such file, not a model file, truncated, altered, or written by
            a newer version.
        ConfigError: `dtype` is neither of the two.
    """
    return potential_from_bytes(_read(path), dtype, device, name=str(path))


def potential_from_bytes(
    content: bytes, dtype: str = "float64", device: str = "cpu", name: str = "the model"
) -> Potential:
    """Return the potential of a model file's content; see [`load_potential`][]."""
    header = _parse(content, name)
    potential = Potential(header.config).to(torch_dtype(dtype))
    try:
        tensors = upgrade_tensors(load_tensors(content), header.format_version)
        potential.load_state_dict(tensors)
    except (RuntimeError, SafetensorError) as error:
        raise ArtifactError(
            explain(f"the tensors of {name} do not fit its configuration", got=error)
        ) from error
    return potential.requires_grad_(requires_grad=False).to(device).eval()


def torch_dtype(name: str) -> torch.dtype:
    """Return the torch dtype called `name`.

    Raises:
        ConfigError: neither ``"float32"`` nor ``"float64"``.
    """
    known = {"float32": torch.float32, "float64": torch.float64}
    if name not in known:
        raise ConfigError(
            explain("unknown dtype", got=repr(name), wanted="float32 or float64")
        )
    return known[name]


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ArtifactError(
            explain(
                "the model file cannot be read",
                got=f"{path}: {error.strerror}",
                wanted="a file written by lamplighter train, finetune or import",
            )
        ) from error


def _parse(content: bytes, name: str) -> Header:
    """Return the checked header of `content`."""
    header = upgrade(_raw_header(content, name), name)
    if header.get("tensors_sha256") != _digest(content):
        raise ArtifactError(
            explain(
                f"{name} is damaged: its tensors differ from what was written",
                fix="copy the file again",
            )
        )
    try:
        config = PotentialConfig.from_dict(header["config"])
        parsed = Header(
            format_version=int(header["format_version"]),
            config=config,
            coupling=[float(x) for x in header["coupling"]],
            provenance=dict(header["provenance"]),
            tensors_sha256=str(header["tensors_sha256"]),
            lamplighter_version=str(header["lamplighter_version"]),
            **_tensor_facts(content),
        )
    except (KeyError, TypeError, ConfigError) as error:
        raise ArtifactError(
            explain(f"the header of {name} is incomplete", got=error)
        ) from error
    _check_couplings(parsed, name)
    return parsed


def _check_couplings(header: Header, name: str) -> None:
    """Refuse weights that were trained in another coupling basis."""
    expected = _fingerprint(header.config)
    if len(expected) != len(header.coupling) or not np.allclose(
        expected, header.coupling, rtol=0.0, atol=1e-7
    ):
        raise ArtifactError(
            explain(
                f"{name} was written with other coupling coefficients",
                got=f"lamplighter {header.lamplighter_version}",
                wanted="the basis that this installation computes",
                fix=f"use lamplighter {header.lamplighter_version}",
            )
        )


def _fingerprint(config: PotentialConfig) -> list[float]:
    correlation = max(layer.correlation for layer in config.layers)
    return fingerprint(config.l_max, config.hidden_l_max, correlation)


def _raw_header(content: bytes, name: str) -> dict[str, Any]:
    """Return the JSON header, without trusting anything in `content`."""
    try:
        (length,) = struct.unpack("<Q", content[:8])
        outer = json.loads(content[8 : 8 + length])
        header = json.loads(outer["__metadata__"][_KEY])
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactError(
            explain(
                f"{name} is not a lamplighter model file",
                got=_guess(content),
                wanted="safetensors with a lamplighter header",
                fix="train a model, or make one of a file of mace-torch: "
                f"lamplighter import {name} -o MODEL.safetensors",
            )
        ) from error
    if not isinstance(header, dict) or header.get("kind") != _KIND:
        kind = header.get("kind") if isinstance(header, dict) else header
        raise ArtifactError(
            explain(f"{name} holds something else", got=kind, wanted=_KIND)
        )
    if _expected_size(outer, length) != len(content):
        raise ArtifactError(
            explain(
                f"{name} is truncated or has something appended",
                got=f"{len(content)} bytes",
                wanted=f"{_expected_size(outer, length)} bytes",
                fix="copy the file again",
            )
        )
    return header


def _expected_size(outer: dict[str, Any], length: int) -> int:
    ends = [v["data_offsets"][1] for k, v in outer.items() if k != "__metadata__"]
    return int(8 + length + max(ends, default=0))


def _tensor_facts(content: bytes) -> dict[str, Any]:
    """Return precision and number of the weights in safetensors bytes."""
    (length,) = struct.unpack("<Q", content[:8])
    outer = json.loads(content[8 : 8 + length])
    entries = [value for key, value in outer.items() if key != "__metadata__"]
    widest = max((entry["dtype"] for entry in entries), default="F32")
    return {
        "dtype": {"F32": "float32", "F64": "float64"}.get(widest, widest),
        "n_parameters": sum(math.prod(entry["shape"]) for entry in entries),
    }


def _guess(content: bytes) -> str:
    """Return what `content` looks like."""
    if not content:
        return "an empty file"
    if content[:2] == b"PK":
        return "a zip archive (a torch checkpoint, or a converted ML-IAP file)"
    if content[:1] == b"\x80":
        return "a Python pickle"
    return f"{len(content)} bytes of another format"


def _digest(content: bytes) -> str:
    """Return the SHA-256 of the tensor section of safetensors bytes."""
    (length,) = struct.unpack("<Q", content[:8])
    return sha256_bytes(content[8 + length :])
