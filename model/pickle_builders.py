"""The few calls in a torch checkpoint that become values: tensors and containers.

Each builder is given the arguments that the file wants passed to a well-known function
and makes the value itself; the function of that name is never called. A builder that
does not recognise the arguments returns `NotImplemented`, and the call stays a record.

Source: torch/_utils.py, torch/storage.py and numpy's `__reduce__` methods say which
arguments are written.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from lamplighter.model.inert import (
    Record,
    Reference,
    fail,
    hashable,
    kind_of,
)
from lamplighter.model.pickle_machine import Builder

_MAX_DIMENSIONS: Final = 25
_MAX_ELEMENTS: Final = 2**48

STORAGES: Final = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "UntypedStorage": torch.uint8,
}
CONSTANTS: Final = {
    ("torch", str(dtype).removeprefix("torch.")): dtype for dtype in STORAGES.values()
}


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """The numbers that one or several tensors view.

    Attributes:
        values: tensor of one dimension.
    """

    values: Tensor


def view(values: Tensor, offset: Any, size: Any, stride: Any) -> Tensor:
    """Return the tensor that views `values` as a file says.

    Args:
        values: tensor of one dimension.
        offset: position of the first element.
        size: length along each dimension.
        stride: distance of neighbours along each dimension, in elements.

    Raises:
        MalformedPickleError: the view leaves `values`, or two of its elements are the
            same one (so that no view is larger than the file).
    """
    sizes, strides = _whole_numbers(size), _whole_numbers(stride)
    (start,) = _whole_numbers((offset,))
    if len(sizes) != len(strides) or len(sizes) > _MAX_DIMENSIONS:
        fail(f"a tensor of {len(sizes)} dimensions with {len(strides)} strides")
    if math.prod(max(n, 1) for n in sizes) > _MAX_ELEMENTS:
        fail("a tensor that is larger than any memory")
    if 0 in sizes:
        return torch.empty(sizes, dtype=values.dtype)
    reach = 0
    for step, n in sorted(zip(strides, sizes, strict=True)):
        if n > 1 and step <= reach:
            fail("a tensor whose elements overlap")
        reach += (n - 1) * step
    if start + reach >= values.numel():
        fail(
            f"a tensor that needs {start + reach + 1} numbers where the file has "
            f"{values.numel()}"
        )
    return values.as_strided(sizes, strides, start)


def _whole_numbers(values: Any) -> tuple[int, ...]:
    """Return non-negative integers that fit into 64 bits."""
    if not isinstance(values, tuple | list):
        fail(f"a shape that is {kind_of(values)}")
    for value in values:
        if type(value) is not int or not 0 <= value < 2**62:
            fail(f"a tensor with {kind_of(value)} in its shape")
    return tuple(values)


def _tensor(args: tuple[Any, ...]) -> Any:
    """(storage, offset, size, stride, requires_grad, hooks[, metadata])."""
    match args:
        case (Storage() as storage, offset, size, stride, *rest):
            if len(rest) > 2 and rest[2] is not None and rest[2] != {}:
                fail("a conjugated or negated tensor")
            return view(storage.values, offset, size, stride)
    return fail("a tensor without a storage")


def _tensor_of_dtype(args: tuple[Any, ...]) -> Any:
    """(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])."""
    match args:
        case (Storage() as storage, *where, _, _, torch.dtype() as dtype):
            values = storage.values
            if values.numel() * values.element_size() % dtype.itemsize:
                fail("a storage that ends within a number")
            return _tensor((Storage(values.view(dtype)), *where))
    return fail("a tensor without a storage or a type")


def _parameter(args: tuple[Any, ...]) -> Any:
    """(tensor, requires_grad, hooks[, state])."""
    match args:
        case (Tensor() as data, *_):
            return data
    return fail("a parameter without a tensor")


def _subclass(args: tuple[Any, ...]) -> Any:
    """(function, type, its arguments, state): a tensor with Python attributes."""
    match args:
        case (Reference() as function, Reference() as kind, tuple() as inner, _):
            builder = _TENSORS.get((function.module, function.name))
            if builder is not None and kind.class_name in _TENSOR_TYPES:
                return builder(inner)
    return NotImplemented


def _mapping(args: tuple[Any, ...]) -> Any:
    match args:
        case ():
            return {}
        case (list() as items,) if all(
            isinstance(item, list | tuple) and len(item) == 2 for item in items
        ):
            return {hashable(key): value for key, value in items}
    return NotImplemented


def _default_mapping(args: tuple[Any, ...]) -> Any:
    return {} if len(args) <= 1 else NotImplemented


def _set(args: tuple[Any, ...]) -> Any:
    match args:
        case () | (list() | tuple(),):
            return {hashable(value) for values in args for value in values}
    return NotImplemented


def _frozenset(args: tuple[Any, ...]) -> Any:
    made = _set(args)
    return made if made is NotImplemented else frozenset(made)


def _tuple(args: tuple[Any, ...]) -> Any:
    match args:
        case () | (list() | tuple(),):
            return tuple(value for values in args for value in values)
    return NotImplemented


def _size(args: tuple[Any, ...]) -> Any:
    return _tuple((_whole_numbers(args[0]),)) if len(args) == 1 else NotImplemented


def _slice(args: tuple[Any, ...]) -> Any:
    plain = all(value is None or type(value) is int for value in args)
    return slice(*args) if plain and 1 <= len(args) <= 3 else NotImplemented


def _complex(args: tuple[Any, ...]) -> Any:
    match args:
        case (float() as real, float() as imaginary):
            return complex(real, imaginary)
    return NotImplemented


def _bytes(args: tuple[Any, ...]) -> Any:
    return b"" if args == () else NotImplemented


def _encode(args: tuple[Any, ...]) -> Any:
    """Bytes, as protocol 2 writes them: a text in Latin-1."""
    match args:
        case (str() as text, "latin1"):
            try:
                return text.encode("latin-1")
            except UnicodeEncodeError:
                fail("bytes beyond 255")
    return fail("a text that is to be encoded")


def _numpy_scalar(args: tuple[Any, ...]) -> Any:
    """(dtype, bytes): a number or a text of numpy, as Python's own."""
    match args:
        case (
            Record(module="numpy", name="dtype", args=(str() as code, *_)) as record,
            bytes() as data,
        ) if re.fullmatch(r"[biufcSU]\d{1,4}", code):
            order = record.state[1] if _is_dtype_state(record.state) else "="
            try:
                dtype = np.dtype(order.replace("|", "=") + code)
                return np.frombuffer(data, dtype, count=1)[0].item()
            except (TypeError, ValueError):
                fail("a damaged number of numpy")
    return NotImplemented


def _is_dtype_state(state: Any) -> bool:
    return (
        isinstance(state, tuple)
        and len(state) > 1
        and isinstance(state[1], str)
        and state[1] in {"<", ">", "=", "|"}
    )


def _new(args: tuple[Any, ...]) -> Any:
    """(class, *arguments)."""
    match args:
        case (Reference(module=module, name=name), *rest):
            return Record(module, name, tuple(rest))
    return NotImplemented


def _reconstructed(args: tuple[Any, ...]) -> Any:
    """(class, base, content of the base)."""
    match args:
        case (Reference(module=module, name=name), _, content):
            return Record(module, name, () if content is None else (content,))
    return NotImplemented


def _graph_module(args: tuple[Any, ...]) -> Any:
    """(attributes, imports): the attributes become the state, as in any module."""
    match args:
        case (dict() as attributes, str() as imports):
            return Record(
                "torch.fx.graph_module", "GraphModule", (imports,), attributes
            )
    return NotImplemented


def _builtin_method(args: tuple[Any, ...]) -> Any:
    """(class that holds torch's built-in functions, name): how pickle writes those.

    The name becomes a reference; nothing is looked up. Of anything else than torch's
    own table, getattr is refused.
    """
    match args:
        case (Reference(module="torch._C", name="_VariableFunctionsClass"), str(name)):
            return Reference("torch", name)
    return fail("builtins.getattr on something else than torch's functions")


_TENSOR_TYPES: Final = {
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
}
_TENSORS: Final[dict[tuple[str, str], Builder]] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_dtype,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
}
BUILDERS: Final[dict[tuple[str, str], Builder]] = {
    **_TENSORS,
    ("torch._tensor", "_rebuild_from_type_v2"): _subclass,
    ("torch.fx.graph_module", "reduce_graph_module"): _graph_module,
    ("torch", "Size"): _size,
    ("collections", "OrderedDict"): _mapping,
    ("collections", "defaultdict"): _default_mapping,
    ("builtins", "getattr"): _builtin_method,
    ("builtins", "dict"): _mapping,
    ("builtins", "set"): _set,
    ("builtins", "frozenset"): _frozenset,
    ("builtins", "tuple"): _tuple,
    ("builtins", "slice"): _slice,
    ("builtins", "complex"): _complex,
    ("builtins", "bytes"): _bytes,
    ("_codecs", "encode"): _encode,
    ("copyreg", "__newobj__"): _new,
    ("copyreg", "_reconstructor"): _reconstructed,
    ("numpy.core.multiarray", "scalar"): _numpy_scalar,
    ("numpy._core.multiarray", "scalar"): _numpy_scalar,
}
