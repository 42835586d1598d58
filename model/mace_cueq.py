"""Models saved with cuEquivariance's kernels, seen as e3nn would have saved them.

mace-torch replaces linear maps, tensor products and symmetric contractions by modules
of cuEquivariance, and carries the weights over by name. Such a module keeps its formula
in the file, as a polynomial: which numbers are multiplied with each other, and by what
factor. The formula is read, compared with that of e3nn, and the module replaced by what
the importer knows; a formula that differs is refused. cuEquivariance is not needed.

Source: the attributes that cuequivariance 0.13 pickles, and mace-torch's
`convert_e3nn_cueq`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from lamplighter.arrays import Floats
from lamplighter.errors import UnsupportedModelError
from lamplighter.model.coupling import clebsch_gordan
from lamplighter.model.inert import Record, Reference
from lamplighter.model.mace_source import unsupported
from lamplighter.model.pickle_records import attribute, children, module_state

_KERNELS: Final = "cuequivariance_torch."
_GROUP: Final = "mace.tools.cg.O3_e3nn"
_TOLERANCE: Final = 2e-6
_LARGEST: Final = 2**18  # 16 components (degree 3) to the power 4, and room

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Formula:
    """One product of a polynomial: ``out += factor * a * b * ...`` for every path.

    Attributes:
        buffers: numbers of the operands, the inputs first, the result last.
        subscripts: letters of the axes of each operand's segments.
        segments: shapes of the segments of each operand.
        paths: for every term the segment of each operand, and the factor.
    """

    buffers: tuple[int, ...]
    subscripts: tuple[str, ...]
    segments: tuple[tuple[Shape, ...], ...]
    paths: tuple[tuple[tuple[int, ...], Floats], ...]


def without_kernels(root: Record) -> Record:
    """Return the record of a model with every module of cuEquivariance replaced.

    A model without such modules comes back as it is.

    Raises:
        UnsupportedModelError: a module of another kind, or a formula that is not the
            one of e3nn; the message names the module.
    """
    if not any(_is_kernel(module) for _, module in _walk(root, "")):
        return root
    return _replaced(root, "")


def _walk(record: Record, path: str) -> Any:
    yield path, record
    if isinstance(record.state, dict | tuple):
        for name, child in children(record).items():
            yield from _walk(child, f"{path}.{name}" if path else name)


def _is_kernel(record: Record) -> bool:
    return record.module.startswith(_KERNELS)


def _replaced(record: Record, path: str) -> Record:
    """Return a copy of a module whose kernels are replaced."""
    if _is_kernel(record):
        known = _CONVERTERS.get(record.name)
        if known is None:
            raise _odd(path, f"the module {record.class_name}")
        return known(record, path)
    state = dict(module_state(record))
    modules = {
        name: _replaced(child, f"{path}.{name}" if path else name)
        for name, child in children(record).items()
        if not (_is_kernel(child) and child.name == "TransposeIrrepsLayout")
    }
    state["_modules"] = modules
    if record.name == "GatedEquivariantBlock":
        # The order of components and channels inside is no part of the model.
        state["_layout_is_ir_mul"] = False
    return dataclasses.replace(record, state=state)


def _module(
    name: str,
    parameters: dict[str, Tensor] | None = None,
    buffers: dict[str, Tensor] | None = None,
    modules: dict[str, Record] | None = None,
) -> Record:
    """Return the record of a module that the importer finds weights in."""
    state = {
        "_parameters": parameters or {},
        "_buffers": buffers or {},
        "_modules": modules or {},
    }
    return Record("lamplighter.model.mace_cueq", name, state=state)


# What replaces a kernel.


def _linear(record: Record, path: str) -> Record:
    """Weights ``[in, out]`` of every degree, divided by the root of the fan-in."""
    (formula,) = _formulas(record, path, ["uv,iu,iv"])
    weight, _, out = formula.segments
    fan_in: dict[int, int] = defaultdict(int)
    for (w, _, o), _ in formula.paths:
        fan_in[o] += weight[w][0]
    for (_, i, o), factor in formula.paths:
        _same(path, factor, 1.0 / math.sqrt(fan_in[o]))
        if formula.segments[1][i][0] != out[o][0]:
            raise _odd(path, "a linear map between degrees")
    _check_order(path, formula, ascending=(1, 2))
    return _module("Linear", {"weight": _weight(record, path, formula)})


def _fully_connected(record: Record, path: str) -> Record:
    """Weights ``[in, element, out]`` of every degree; the second factor is a scalar."""
    (formula,) = _formulas(record, path, ["uvw,iu,jv,kw"])
    weight = formula.segments[0]
    fan_in: dict[int, int] = defaultdict(int)
    for (w, _, _, o), _ in formula.paths:
        fan_in[o] += weight[w][0] * weight[w][1]
    for (_, _, second, o), factor in formula.paths:
        size = formula.segments[3][o][0]
        if formula.segments[2][second][0] != 1:
            raise _odd(path, "a product with vectors")
        wanted = np.eye(size).reshape(size, 1, size) / math.sqrt(fan_in[o])
        _same(path, factor, wanted)
    _check_order(path, formula, ascending=(1, 2, 3))
    weights = {"weight": _weight(record, path, formula)}
    return _module("FullyConnectedTensorProduct", weights)


def _channel_wise(record: Record, path: str) -> Record:
    """The neighbour sum: paths sorted by the degree of the result, no weights."""
    (formula,) = _formulas(record, path, ["uv,iu,jv,kuv"])
    found = []
    for (w, i, j, k), factor in sorted(formula.paths, key=lambda term: term[0][0]):
        sizes = [formula.segments[n][s][0] for n, s in ((1, i), (2, j), (3, k))]
        l1, l2, l3 = ((size - 1) // 2 for size in sizes)
        _same(
            f"{path}, the coupling {l1} {l2} {l3},", factor, clebsch_gordan(l1, l2, l3)
        )
        found.append((w, (l1, l2, l3), i, j))
    if [w for w, *_ in found] != list(range(len(formula.segments[0]))):
        raise _odd(path, "a weight that is used twice or never")
    degrees = [(l3, l1, l2) for _, (l1, l2, l3), *_ in found]
    if degrees != sorted(set(degrees)):
        raise _odd(path, "paths in another order")
    return _module("TensorProduct")


def _symmetric(record: Record, path: str) -> Record:
    """The product of the features with themselves, as coupling tensors and weights."""
    group = {_irrep_class(record, name) for name in ("irreps_in", "irreps_out")}
    if group != {_GROUP}:
        raise _odd(path, f"components of {', '.join(sorted(group))}")
    power_max = int(attribute(record, "contraction_degree"))
    formulas = _formulas(record, path, None)
    segments = formulas[0].segments
    size, l_out = len(segments[1]), math.isqrt(len(segments[-1])) - 1
    if (l_out + 1) ** 2 != len(segments[-1]) or math.isqrt(size) ** 2 != size:
        raise _odd(path, "features with gaps between the degrees")
    if size**power_max > _LARGEST:
        raise _odd(path, f"couplings of {size} components to the power {power_max}")
    weights = _projected(record, path, len(segments[0]))
    tables = _Couplings(path, size, l_out, power_max)
    for formula in formulas:
        tables.add(formula)
    contractions = {
        str(l): _contraction(tables, weights, l, power_max) for l in range(l_out + 1)
    }
    return _module(
        "SymmetricContraction",
        modules={"contractions": _module("ModuleDict", modules=contractions)},
    )


def _contraction(tables: _Couplings, weights: Tensor, l: int, power_max: int) -> Record:
    """Return what mace-torch keeps for one degree: tables and weights of all powers."""
    columns = {p: tables.columns(l, p) for p in range(1, power_max + 1)}
    lower = {
        # mace-torch counts the lower powers down from the highest
        str(power_max - 1 - p): weights[:, columns[p]]
        for p in range(1, power_max)
    }
    return _module(
        "Contraction",
        {"weights_max": weights[:, columns[power_max]]},
        {f"U_matrix_{p}": tables.table(l, p) for p in columns},
        {"weights": _module("ParameterList", lower)},
    )


class _Couplings:
    """Coupling tensors of a symmetric contraction, collected from its formulas."""

    def __init__(self, path: str, size: int, l_out: int, power_max: int) -> None:
        self._path = path
        self._size = size
        self._power_max = power_max
        self._terms: dict[tuple[int, int], list[tuple[int, int, int, float]]] = {
            (l, p): [] for l in range(l_out + 1) for p in range(1, power_max + 1)
        }

    def add(self, formula: Formula) -> None:
        """Take the terms ``out[o] += factor * w[k] * x[i] * x[j] * ...``."""
        power = len(formula.buffers) - 2
        if formula.buffers != (0, *[1] * power, 2) or not 1 <= power <= self._power_max:
            raise _odd(self._path, f"a product of the operands {formula.buffers}")
        if len(set(formula.subscripts)) != 1 or formula.subscripts[0] != "u":
            raise _odd(self._path, "a contraction that mixes channels")
        for (weight, *factors, out), factor in formula.paths:
            l = math.isqrt(out)
            place = 0
            for index in factors:
                place = place * self._size + index
            row = out - l * l
            self._terms[l, power].append((row, place, weight, float(factor)))

    def columns(self, l: int, power: int) -> list[int]:
        """Return the weights that count for one degree and power."""
        return sorted({weight for _, _, weight, _ in self._terms[l, power]})

    def table(self, l: int, power: int) -> Tensor:
        """Return U ``[2 l + 1, size^power, n_weights]``."""
        columns = {weight: k for k, weight in enumerate(self.columns(l, power))}
        table = torch.zeros(
            2 * l + 1, self._size**power, len(columns), dtype=torch.float64
        )
        for row, place, weight, factor in self._terms[l, power]:
            table[row, place, columns[weight]] += factor
        return table.reshape(2 * l + 1, *[self._size] * power, len(columns))


def _projected(record: Record, path: str, n_weights: int) -> Tensor:
    """Return the weights ``[elements, n_weights, channels]`` of the formula's basis."""
    weight = attribute(record, "weight")
    projection = attribute(record, "projection", default=None)
    if not isinstance(weight, Tensor) or weight.ndim != 3:
        raise _odd(path, "weights of another shape")
    if projection is not None:
        if weight.shape[1] != len(projection):
            raise _odd(path, f"{weight.shape[1]} weights to project")
        weight = torch.einsum("zau,ab->zbu", weight.double(), projection.double())
    if weight.shape[1] != n_weights:
        raise _odd(path, f"{weight.shape[1]} weights for {n_weights} couplings")
    return weight


# How cuEquivariance writes a polynomial.


def _formulas(record: Record, path: str, wanted: list[str] | None) -> list[Formula]:
    """Return the products of a module's polynomial.

    Raises:
        UnsupportedModelError: the module keeps none, or not those that are `wanted`.
    """
    module = children(record).get("f")
    if module is None or not module.args or not isinstance(module.args[0], Record):
        raise _odd(path, "no polynomial (an early cuEquivariance)")
    operations = module_state(module.args[0]).get("operations")
    if not isinstance(operations, tuple | list) or not operations:
        raise _odd(path, "an empty polynomial")
    formulas = [_formula(one[0], one[1], path) for one in operations]
    found = [",".join(formula.subscripts) for formula in formulas]
    if wanted is not None and found != wanted:
        raise _odd(path, f"the products {found}")
    return formulas


def _formula(operation: Record, product: Record, path: str) -> Formula:
    state = module_state(product)
    operands = state["operands_and_subscripts"]
    return Formula(
        buffers=tuple(module_state(operation)["buffers"]),
        subscripts=tuple(str(letters) for _, letters in operands),
        segments=tuple(
            tuple(tuple(s) for s in module_state(operand)["segments"])
            for operand, _ in operands
        ),
        paths=tuple(
            (
                tuple(module_state(one)["indices"]),
                _array(module_state(one)["coefficients"], path),
            )
            for one in state["paths"]
        ),
    )


def _array(value: Any, path: str) -> Floats:
    """Return a float64 array that numpy has pickled."""
    match value:
        case Record(
            name="_reconstruct",
            state=(
                _,
                tuple() as shape,
                Record(args=("f8", *_)),
                bool() as by_columns,
                bytes() as raw,
            ),
        ) if len(raw) == 8 * math.prod(shape):
            flat: Floats = np.frombuffer(raw, dtype="<f8")
            return flat.reshape(shape, order="F" if by_columns else "C")
    raise _odd(path, "a coefficient that is no array of float64")


def _irrep_class(record: Record, name: str) -> str:
    kind = module_state(attribute(record, name)).get("irrep_class")
    return kind.class_name if isinstance(kind, Reference) else str(kind)


def _weight(record: Record, path: str, formula: Formula) -> Tensor:
    """Return the flat weights of a module, as many as its formula takes."""
    weight = attribute(record, "weight")
    count = sum(math.prod(shape) for shape in formula.segments[0])
    if not isinstance(weight, Tensor) or weight.numel() != count:
        raise _odd(path, f"weights that are not the {count} of its formula")
    return weight.flatten()


def _check_order(path: str, formula: Formula, ascending: tuple[int, ...]) -> None:
    """Refuse weights whose blocks are not in the order of their operands."""
    terms = sorted(indices for indices, _ in formula.paths)
    if [term[0] for term in terms] != list(range(len(formula.segments[0]))):
        raise _odd(path, "a weight that is used twice or never")
    order = [tuple(term[n] for n in ascending) for term in terms]
    if any(a >= b for a, b in itertools.pairwise(order)):
        raise _odd(path, "weights in another order")


def _same(path: str, found: Floats, wanted: Floats | float) -> None:
    wanted = np.asarray(wanted)
    if found.shape != wanted.shape or np.abs(found - wanted).max() > _TOLERANCE:
        raise _odd(path, "factors that differ from those of e3nn")


def _odd(path: str, what: str) -> UnsupportedModelError:
    why = "is not how e3nn does it; convert with mace_cueq_to_e3nn"
    return UnsupportedModelError(
        unsupported(f"{path} of cuEquivariance has {what}", why)
    )


_CONVERTERS: Final[dict[str, Callable[[Record, str], Record]]] = {
    "Linear": _linear,
    "FullyConnectedTensorProduct": _fully_connected,
    "ChannelWiseTensorProduct": _channel_wise,
    "SymmetricContraction": _symmetric,
}
