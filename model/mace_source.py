"""A mace-torch checkpoint as a place to take things from, and refusals by name."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

from lamplighter.errors import UnsupportedModelError, explain
from lamplighter.model import pickle_records as records
from lamplighter.model.pickle_records import Record

Irreps = tuple[tuple[int, int, int], ...]
_ABSENT = object()


class _Tensors(dict[str, Tensor]):
    """Tensors by name; one that is missing is refused by name."""

    def __missing__(self, name: str) -> NoReturn:
        raise UnsupportedModelError(unsupported(f"no tensor {name}", "is missing"))


class Source:
    """The modules and tensors of a checkpoint; notes which parameters were taken.

    Tensors come in float64. What is not taken in the end was not understood.
    """

    def __init__(self, root: Record) -> None:
        """Look into the record of a whole model."""
        self.root = root
        self.tensors = _Tensors(records.module_tensors(root))
        self.parameters = _parameter_names(root)
        self.taken: set[str] = set()

    @property
    def n_parameters(self) -> int:
        """Return the number of weights in the file."""
        return sum(self.tensors[name].numel() for name in self.parameters)

    def module(self, path: str) -> Record:
        """Return the record of a submodule."""
        return records.submodule(self.root, path)

    def children(self, path: str) -> dict[str, Record]:
        """Return the submodules of a submodule, none if it does not exist."""
        record = self.root
        for name in path.split(".") if path else ():
            inner = records.children(record)
            if name not in inner:
                return {}
            record = inner[name]
        return records.children(record)

    def get(self, path: str, name: str, default: Any = _ABSENT) -> Any:
        """Return an attribute of the submodule at `path`.

        Raises:
            UnsupportedModelError: it has none and there is no `default`.
        """
        value = records.attribute(self.module(path), name, default)
        if value is _ABSENT:
            raise UnsupportedModelError(
                unsupported(f"{path} has no attribute {name}", "is missing")
            )
        return value

    @property
    def head_names(self) -> tuple[str, ...]:
        """Return the names of the heads; files without names have one."""
        names = self.get("", "heads", default=None) or ["Default"]
        return tuple(str(name) for name in names)

    def irreps(self, path: str, name: str) -> Irreps:
        """Return irreps that are saved as such or as text."""
        value = self.get(path, name)
        return parse_irreps(value) if isinstance(value, str) else records.irreps(value)

    def take(self, name: str, *shape: int) -> Tensor:
        """Return the tensor called `name`, float64, in `shape`.

        Raises:
            UnsupportedModelError: there is none, or it has another number of entries.
        """
        tensor = self.tensors[name].detach()
        self.taken.add(name)
        if tensor.numel() != math.prod(shape):
            raise UnsupportedModelError(
                unsupported(
                    f"{name} has shape {tuple(tensor.shape)}",
                    f"does not fit the shape {shape} that the file's settings need",
                )
            )
        return tensor.to(torch.float64).reshape(shape)

    def blocks(self, name: str, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
        """Return a flat tensor cut into consecutive blocks of `shapes`."""
        sizes = [math.prod(shape) for shape in shapes]
        flat = self.take(name, sum(sizes)).split(sizes)
        return [part.reshape(s) for part, s in zip(flat, shapes, strict=True)]

    def constant(self, name: str, expected: Tensor) -> None:
        """Compare a table of the file with what it must hold, to float32 rounding.

        Raises:
            UnsupportedModelError: it holds something else, or was trained.
        """
        expected = expected.to(torch.float64)
        found = self.take(name, *expected.shape)
        if not torch.allclose(found, expected, rtol=2e-6, atol=1e-7):
            raise UnsupportedModelError(
                unsupported(
                    f"{name} is {found.flatten()[:4].tolist()} ...",
                    f"differs from the usual {expected.flatten()[:4].tolist()} ...",
                )
            )

    def check_all_taken(self) -> None:
        """Refuse a file some of whose weights have not been used.

        Raises:
            UnsupportedModelError: it names them.
        """
        left = sorted(
            name
            for name in self.parameters - self.taken
            if self.tensors[name].numel() > 0
        )
        if left:
            shown = ", ".join(left[:5]) + (" ..." if len(left) > 5 else "")
            raise UnsupportedModelError(
                unsupported(f"weights {shown}", "belong to no part that is known")
            )


def unsupported(got: str, why: str) -> str:
    """Return the text of the error for a feature that cannot be imported."""
    return explain(
        "the checkpoint has a feature that cannot be imported",
        got=got,
        wanted="the energy models of mace-torch 0.3",
        fix=f"the feature {why}; nothing was written",
    )


def known(record: Record, names: dict[str, str], what: str) -> str:
    """Return the value for the class of `record`.

    Raises:
        UnsupportedModelError: a class that is not known.
    """
    if not record.module.startswith("mace.") or record.name not in names:
        got, why = f"{what} {record.class_name}", "is not one of " + ", ".join(names)
        raise UnsupportedModelError(unsupported(got, why))
    return names[record.name]


def parse_irreps(text: str) -> Irreps:
    """Return (multiplicity, degree, parity) of each part of ``"128x0e+128x1o"``."""
    parts = []
    for part in text.replace(" ", "").split("+"):
        match = re.fullmatch(r"(?:(\d+)x)?(\d+)([eo])", part)
        if match is None:
            raise UnsupportedModelError(
                unsupported(f"irreps {text!r}", "is not written as irreps are")
            )
        count, l, parity = match.groups()
        parts.append((int(count or 1), int(l), 1 if parity == "e" else -1))
    return tuple(parts)


def uniform(irreps: Irreps, what: str) -> tuple[int, int]:
    """Return (channels, highest degree) of ``n x 0e + n x 1o + n x 2e ...``.

    Raises:
        UnsupportedModelError: gaps, parities or numbers of channels are others.
    """
    channels = irreps[0][0] if irreps else 0
    wanted = tuple((channels, l, (-1) ** l) for l in range(len(irreps)))
    if irreps != wanted or channels < 1:
        shown = "+".join(f"{n}x{l}{'e' if p == 1 else 'o'}" for n, l, p in irreps)
        raise UnsupportedModelError(
            unsupported(
                f"{what} {shown}",
                "has several numbers of channels, gaps, or pseudo-tensors",
            )
        )
    return channels, len(irreps) - 1


def _parameter_names(root: Record) -> set[str]:
    """Return the dotted names of all parameters."""
    names, todo = set(), [("", root)]
    while todo:
        prefix, record = todo.pop()
        own = records.attribute(record, "_parameters", {})
        names |= {prefix + name for name, value in own.items() if value is not None}
        inner = records.children(record).items()
        todo += [(f"{prefix}{name}.", child) for name, child in inner]
    return names
