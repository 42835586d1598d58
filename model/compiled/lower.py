"""Lowering: from a potential of one head to the tables of a compiled one.

Every factor that is known beforehand is folded into the matrices: the roots of
fan-ins, the second map of ``by_element`` messages, the features of the elements before
the first layer. Nothing is fitted; only functions of the distance are interpolated.
"""

from __future__ import annotations

from typing import Final, cast

import torch
from torch import nn

from lamplighter.arrays import Floats, Integers
from lamplighter.errors import ConfigError, UnsupportedModelError, explain
from lamplighter.model.compiled.layer_tables import PARTS, layer_tables
from lamplighter.model.compiled.radial_tables import FIRST_KNOT, Knots, radial_tables
from lamplighter.model.compiled.repeatable import repeatable
from lamplighter.model.compiled.tables import Tables, flat, flat_integers, padded
from lamplighter.model.potential import Layer, Potential
from lamplighter.model.reference_bias import NoReferenceBias

MOST_BYTES: Final = 2 * 2**30
"""Tables of functions of the distance (float64) beyond this size are refused."""


def lower(potential: Potential, knots: Knots) -> Tables:
    """Return all tables of a potential; see [`lower_maps`][], [`lower_radial`][]."""
    return lower_maps(potential).joined(lower_radial(potential, knots))


@repeatable()
def lower_maps(potential: Potential) -> Tables:
    """Return the tables that do not depend on the knots.

    Args:
        potential: float64, on the CPU, one head, no conditions: what
            [`select`][lamplighter.model.select] returns.

    Raises:
        ConfigError: several heads, conditions that are not fixed, another dtype.
        UnsupportedModelError: a part that the compiled potential does not have.
    """
    _refuse_whole(potential)
    numbers: dict[str, Floats] = {}
    integers: dict[str, Integers] = {}
    numbers["charges"] = flat(potential.config.atomic_numbers)
    numbers["radii"] = flat(potential.geometry.radii.tolist())
    for t in range(potential.config.n_layers):
        _refuse_unknown_parts(potential.layers[t], f"layer {t}")
        _refuse_unknown_parts(potential.readouts[t], f"the readout of layer {t}")
        tables = layer_tables(potential, t)
        numbers |= {f"layer{t}.{key}": x for key, x in tables.numbers.items()}
        integers |= {f"layer{t}.{key}": x for key, x in tables.integers.items()}
    return Tables(numbers, integers)


@repeatable()
def lower_radial(potential: Potential, knots: Knots) -> Tables:
    """Return the tables of functions of the distance, and where their knots are.

    Raises:
        ConfigError: more elements than reasonable memory holds.
    """
    _refuse_large(potential, knots)
    config, head = potential.config, potential.config.heads[0]
    numbers = {
        "numbers": flat(
            [config.cutoff, head.scale, head.shift, FIRST_KNOT, knots.spacing]
        )
    }
    for t in range(config.n_layers):
        radial, density = radial_tables(potential, t, knots)
        numbers[f"layer{t}.radial"] = flat(radial)
        if density is not None:
            numbers[f"layer{t}.density"] = flat(density)
    shape = [
        len(config.elements),
        config.n_layers,
        config.l_max,
        padded(config.channels),
        int(config.zbl),
        config.cutoff_power,
        knots.count,
        knots.order,
    ]
    return Tables(numbers, {"shape": flat_integers(shape)})


def _refuse_whole(potential: Potential) -> None:
    """Refuse a potential that is not selected, folded and in float64 yet."""
    config = potential.config
    problems = {
        "several heads": len(config.heads) != 1,
        "conditions": bool(config.conditions) or config.condition_readout,
        "a correction of E0": type(potential.reference_bias) is not NoReferenceBias,
        f"dtype {potential.dtype}": potential.dtype != torch.float64,
    }
    found = [what for what, there in problems.items() if there]
    if found:
        raise ConfigError(
            explain(
                "only the potential of one head can be lowered",
                got=", ".join(found),
                wanted="what `select` returns, in float64",
            )
        )


def _refuse_unknown_parts(module: nn.Module, where: str) -> None:
    """Refuse modules that lowering has never heard of, such as adapted ones."""
    for name, part in module.named_modules():
        if type(part) not in PARTS:
            raise UnsupportedModelError(
                explain(
                    f"{where} has a part that the compiled potential lacks",
                    got=f"{type(part).__name__} {name}".rstrip(),
                    fix="use the reference backend",
                )
            )


def _refuse_large(potential: Potential, knots: Knots) -> None:
    """Refuse tables that would fill the memory."""
    config = potential.config
    interactions = [cast("Layer", layer).interaction for layer in potential.layers]
    per_knot = sum(len(x.paths) * padded(x.edge_channels) for x in interactions)
    n_pairs = len(config.elements) ** 2
    size = 8 * per_knot * n_pairs * knots.count * knots.order
    if size > MOST_BYTES:
        raise ConfigError(
            explain(
                f"the tables of {len(config.elements)} elements are too large",
                got=f"{size / 2**30:.1f} GiB for {knots.count} knots",
                wanted=f"at most {MOST_BYTES / 2**30:.1f} GiB",
                fix="compile for the elements in use only; or use the reference"
                " backend",
            )
        )
