"""Settings of a checkpoint's modules that no shape of a weight shows.

mace-torch writes one value of each, and the conversion of the weights counts on it: a
file with another one would be imported without a word and give other numbers.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from lamplighter.errors import UnsupportedModelError
from lamplighter.model.inert import Record
from lamplighter.model.mace_source import Source, unsupported
from lamplighter.model.pickle_records import children, irreps, module_state

ATTRIBUTES: dict[str, dict[str, Any]] = {
    "LayerNorm": {"eps": 1e-5, "elementwise_affine": True},
    "Embedding": {"max_norm": None},
    "_Layer": {"var_in": 1.0, "var_out": 1.0},
    "SphericalHarmonics": {"normalize": True, "normalization": "component"},
    "GatedEquivariantBlock": {"_layout_is_ir_mul": False},
}
"""What the modules of a class must say, where they say it."""

FUNCTIONS: dict[str, dict[str, str]] = {
    "_Layer": {"act": "silu"},
    "Gate": {"act_scalars": "silu", "act_gates": "sigmoid"},
    "GatedEquivariantBlock": {"_act_scalar": "silu", "_act_gate": "sigmoid"},
}
"""The functions of a class, bare or inside e3nn's modules."""

SEQUENCES: dict[str, tuple[str, ...]] = {
    "RadialMLP": ("Linear", "LayerNorm", "SiLU"),
    "GenericJointEmbedding": ("Linear", "SiLU"),
}
"""The classes of the layers in the sequence of a class, again and again."""

_KERNELS = ("cuequivariance", "openequivariance")
_PRODUCTS = ("TensorProduct", "FullyConnectedTensorProduct")


def check_constants(source: Source) -> None:
    """Refuse a checkpoint whose modules have other constants than mace-torch writes.

    Raises:
        UnsupportedModelError: it names the module and the constant.
    """
    for path, record in _modules(source.root, ""):
        if record.module.startswith(_KERNELS):
            why = "is of other kernels; convert with mace_cueq_to_e3nn"
            raise UnsupportedModelError(unsupported(f"{path}: {record.name}", why))
        for name, wanted in ATTRIBUTES.get(record.name, {}).items():
            _same(f"{path}.{name}", module_state(record).get(name, wanted), wanted)
        for name, wanted in FUNCTIONS.get(record.name, {}).items():
            for found in _functions(record, name):
                _same(f"{path}.{name}", found, wanted)
        _check_sequence(path, record)
        if record.name == "Linear" and record.module.startswith("e3nn."):
            _check_linear(path, record)
        elif record.name in _PRODUCTS and record.module.startswith("e3nn."):
            _check_product(path, record)


def _modules(record: Record, path: str) -> Iterator[tuple[str, Record]]:
    """Yield every module with its dotted path."""
    yield path, record
    for name, child in children(record).items():
        yield from _modules(child, f"{path}.{name}" if path else name)


def _same(name: str, found: Any, wanted: Any) -> None:
    if isinstance(found, float) and isinstance(wanted, float):
        equal = math.isclose(found, wanted, rel_tol=1e-6)
    else:
        equal = found == wanted
    if not equal:
        why = f"differs from the usual {wanted}"
        raise UnsupportedModelError(unsupported(f"{name} is {found}", why))


def _functions(record: Record, name: str) -> Iterator[str]:
    """Yield the names of the functions of an attribute or submodule called `name`."""
    inner = children(record).get(name)
    if inner is None:
        value = module_state(record).get(name)
        if value is not None:
            yield getattr(value, "name", str(value))
        return
    acts = children(inner).get("acts")
    for act in [inner] if acts is None else children(acts).values():
        function = module_state(act).get("f")
        yield getattr(function, "name", str(function))


def _check_sequence(path: str, record: Record) -> None:
    """Refuse networks whose layers are of other classes."""
    if record.name not in SEQUENCES:
        return
    name = "net" if record.name == "RadialMLP" else "project"
    found = [layer.name for layer in children(children(record)[name]).values()]
    cycle = SEQUENCES[record.name]
    wanted = [cycle[k % len(cycle)] for k in range(len(found))]
    _same(f"{path}.{name}", " ".join(found), " ".join(wanted))


def _check_linear(path: str, record: Record) -> None:
    """Refuse a linear map that does not divide by the root of its fan-in."""
    paths = [path.args for path in module_state(record)["instructions"]]
    weighted = [(out, shape, factor) for i, out, shape, factor in paths if i >= 0]
    fan_in: dict[int, int] = defaultdict(int)
    for out, shape, _ in weighted:
        fan_in[out] += shape[0]
    for out, _, found in weighted:
        wanted = 1.0 / math.sqrt(fan_in[out]) if fan_in[out] else found
        _same(f"{path}, the factor of a path,", float(found), float(wanted))


def _check_product(path: str, record: Record) -> None:
    """Refuse a tensor product that is not normalised by component and element."""
    paths = [path.args for path in module_state(record)["instructions"]]
    results = irreps(module_state(record)["irreps_out"])
    fan_in: dict[int, int] = defaultdict(int)
    for _, _, out, mode, _, _, shape in paths:  # shape: channels of both factors
        fan_in[out] += shape[1] * (shape[0] if mode == "uvw" else 1)
    for _, _, out, _, _, found, _ in paths:
        wanted = math.sqrt((2 * results[out][1] + 1) / fan_in[out])
        _same(f"{path}, the factor of a path,", float(found), wanted)
