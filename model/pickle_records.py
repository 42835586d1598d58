"""Checkpoints of mace-torch as inert records: nothing of the file is executed.

[`read_checkpoint`][] returns the pickled `torch.nn.Module` as a [`Record`][]; the other
functions look into such records the way one looks into a module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from lamplighter.errors import ArtifactError, explain
from lamplighter.model.inert import Record, Reference, kind_of, shown
from lamplighter.model.torch_archive import read_archive, read_script

__all__ = [
    "Record",
    "Reference",
    "attribute",
    "children",
    "compiled_tensors",
    "irreps",
    "module_state",
    "module_tensors",
    "read_checkpoint",
    "submodule",
]

_MAX_MODULES: Final = 100_000
_MAX_DEPTH: Final = 100
_ABSENT: Final = object()


def read_checkpoint(path: str | os.PathLike[str]) -> Record:
    """Return the module that ``torch.save(module, path)`` wrote, as a record.

    Every class and function of the file stays a name. Tensors (on the CPU, whatever the
    device they were saved from), numbers, texts, lists, tuples, dicts (also the ordered
    ones), sets and slices become values; numbers of numpy become Python's.

    Raises:
        ArtifactError: no such file, not a checkpoint of a whole module, damaged, or of
            a size that cannot be true.
        UnsafeFileError: the file names a function or class that no checkpoint needs.
    """
    root = read_archive(path)
    if isinstance(root, Record) and isinstance(root.state, dict | tuple):
        return root
    if (
        isinstance(root, dict)
        and root
        and all(isinstance(value, Tensor) for value in root.values())
    ):
        got, fix = "tensors without their model (a state dict)", "save the whole model"
    elif isinstance(root, dict) and "optimizer" in root:
        got, fix = "a checkpoint of a training run", "use the .model file of the run"
    else:
        got, fix = kind_of(root), "name a model that mace-torch has saved"
    raise ArtifactError(
        explain(
            f"{Path(path).name} cannot be imported",
            got=got,
            wanted="a whole model: torch.save(model, path)",
            fix=fix,
        )
    )


def module_state(record: Record) -> dict[str, Any]:
    """Return the attributes of a module's record, with `_parameters`, `_modules`, ...

    Raises:
        ArtifactError: the record is not that of an object with attributes.
    """
    # Classes with __slots__ have a pair: ordinary attributes, and those in slots.
    state = (
        record.state[0]
        if isinstance(record.state, tuple) and record.state
        else (record.state)
    )
    if not isinstance(state, dict):
        raise _unfit(record, "has no attributes")
    return state


def children(record: Record) -> dict[str, Record]:
    """Return the direct submodules of a module's record, in the file's order."""
    return {
        name: child
        for name, child in _part(record, "_modules").items()
        if isinstance(child, Record)
    }


def submodule(record: Record, path: str) -> Record:
    """Return the submodule at a dotted path, for example ``"interactions.0.linear"``.

    Raises:
        ArtifactError: there is none.
    """
    for name in path.split(".") if path else ():
        inner = children(record).get(name)
        if inner is None:
            raise _unfit(record, f"has no submodule {shown(name)}")
        record = inner
    return record


def attribute(record: Record, name: str, default: Any = _ABSENT) -> Any:
    """Return an attribute of a module's record: plain, parameter, buffer or submodule.

    Args:
        record: a module's record.
        name: the attribute, without dots.
        default: what to return if there is none.

    Raises:
        ArtifactError: there is none and no `default` was given.
    """
    state = module_state(record)
    for values in (
        state,
        *(_part(record, part) for part in ("_parameters", "_buffers", "_modules")),
    ):
        if name in values:
            return values[name]
    if default is _ABSENT:
        raise _unfit(record, f"has no attribute {shown(name)}")
    return default


def irreps(record: Any) -> tuple[tuple[int, int, int], ...]:
    """Return (multiplicity, degree, parity) of each part of a recorded e3nn `Irreps`.

    Parity is 1 for even and -1 for odd. A bare text such as ``"128x0e+128x1o"``, which
    some attributes are, is not read here.

    Raises:
        ArtifactError: the record is of something else.
    """
    match record:
        case Record(name="Irreps", args=(tuple() as parts,)):
            return tuple(_irrep(part) for part in parts)
    raise _unfit(record, "is not what e3nn saves as irreps")


def _irrep(part: Any) -> tuple[int, int, int]:
    match part:
        case Record(args=((int() as count, Record(args=((int() as l, int() as p),))),)):
            return count, l, p
    raise _unfit(part, "is not what e3nn saves as a part of irreps")


def module_tensors(record: Record) -> dict[str, Tensor]:
    """Return all parameters and buffers below a module's record, by dotted name.

    The names and their order are those of ``module.state_dict()``, with the buffers
    that a state dict leaves out and without the tensors inside compiled code (see
    [`compiled_tensors`][]).

    Raises:
        ArtifactError: the record is not that of a module, one of its parameters is not
            a tensor, or the modules contain themselves.
    """
    tensors: dict[str, Tensor] = {}
    for prefix, module in _walk(record):
        for part in ("_parameters", "_buffers"):
            for name, value in _part(module, part).items():
                if isinstance(value, Tensor):
                    tensors[f"{prefix}{name}"] = value
                elif value is not None:
                    raise _unfit(module, f"has {kind_of(value)} as {shown(str(name))}")
    return tensors


def compiled_tensors(record: Record) -> dict[str, Tensor]:
    """Return the tensors inside the compiled code below a module's record.

    e3nn saves compiled code as bytes; its tensors are the coupling coefficients that
    the model was trained with, for example
    ``"interactions.0.conv_tp._compiled_main_left_right._w3j_1_1_2"``.

    Raises:
        ArtifactError: the bytes are not a TorchScript module, or see
            [`module_tensors`][].
        UnsafeFileError: they name a function or class that no checkpoint needs.
    """
    tensors: dict[str, Tensor] = {}
    for prefix, module in _walk(record):
        compiled = module_state(module).get("__codegen__")
        for name, content in compiled.items() if isinstance(compiled, dict) else ():
            if not isinstance(content, bytes):
                raise _unfit(module, f"has {kind_of(content)} as compiled code")
            script = read_script(content, f"{prefix}{name}")
            tensors.update(_script_tensors(script, f"{prefix}{name}."))
    return tensors


def _script_tensors(script: Record, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a TorchScript module, whose submodules are attributes."""
    todo = [(prefix, script)]
    for count, (path, module) in enumerate(todo):
        if count >= _MAX_MODULES or path.count(".") > _MAX_DEPTH:
            raise _unfit(script, "contains itself")
        for name, value in module_state(module).items():
            if isinstance(value, Tensor):
                yield f"{path}{name}", value
            elif isinstance(value, Record) and isinstance(value.state, dict):
                todo.append((f"{path}{name}.", value))


def _walk(record: Record) -> Iterator[tuple[str, Record]]:
    """Yield (dotted prefix, module) of a module and all below it, depth first."""
    todo = [("", record)]
    for _ in range(_MAX_MODULES):
        if not todo:
            return
        prefix, module = todo.pop()
        if prefix.count(".") > _MAX_DEPTH:
            break
        yield prefix, module
        inner = [(f"{prefix}{name}.", m) for name, m in children(module).items()]
        todo.extend(reversed(inner))
    raise _unfit(record, "contains itself, or more modules than a model has")


def _part(record: Record, name: str) -> dict[str, Any]:
    """Return `_parameters`, `_buffers` or `_modules` of a module's record."""
    part = module_state(record).get(name, {})
    if not isinstance(part, dict):
        raise _unfit(record, f"has {kind_of(part)} as {name}")
    return part


def _unfit(value: Any, what: str) -> ArtifactError:
    return ArtifactError(
        explain(
            f"the checkpoint does not fit together: {kind_of(value)} {what}",
            fix="copy or download the file again",
        )
    )
