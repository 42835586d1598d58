"""The configuration of a mace-torch checkpoint, read from its records.

Every number is read from the object that uses it and compared with the shapes of the
weights; an option that is not known is refused by name.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from ase.data import chemical_symbols, covalent_radii
from torch import Tensor

from lamplighter.errors import UnsupportedModelError
from lamplighter.model import pickle_records as records
from lamplighter.model.config import PotentialConfig
from lamplighter.model.heads import HeadSpec
from lamplighter.model.mace_constants import check_constants
from lamplighter.model.mace_layers import (
    read_conditions,
    read_interactions,
    read_products,
    read_readouts,
)
from lamplighter.model.mace_source import Source, known, unsupported
from lamplighter.model.wigner import wigner_3j

MODELS = ("MACE", "ScaleShiftMACE")
RADIAL_BASIS_OF = {
    "BesselBasis": "bessel",
    "GaussianBasis": "gaussian",
    "ChebychevBasis": "chebyshev",
}
TRANSFORM_OF = {"AgnesiTransform": "agnesi", "SoftTransform": "soft"}


def read_settings(source: Source) -> PotentialConfig:
    """Return the configuration of a checkpoint.

    Raises:
        UnsupportedModelError: an option that is not known; the message names it.
    """
    known(source.root, dict.fromkeys(MODELS, ""), "the model")
    if source.get("", "use_so3", default=False):
        raise UnsupportedModelError(unsupported("use_so3", "has irreps without parity"))
    numbers = [int(z) for z in source.tensors["atomic_numbers"].tolist()]
    n_layers = len(source.children("interactions"))
    check_constants(source)
    _check_couplings(source)
    settings: dict[str, Any] = {
        "elements": tuple(chemical_symbols[z] for z in sorted(numbers)),
        "heads": read_heads(source, numbers),
        "n_layers": n_layers,
        **_radial(source, numbers),
        **read_interactions(source, n_layers),
        **read_products(source, n_layers, len(numbers)),
        **read_readouts(source, n_layers),
        **read_conditions(source),
    }
    return PotentialConfig(**settings)


def _check_couplings(source: Source) -> None:
    """Compare the coupling coefficients of the neighbour sums with ours.

    Releases of e3nn differ in the sign of coefficients with odd l1 + l2 + l3, which
    natural parity never needs; a file that differs nevertheless is not guessed at.
    """
    for name, table in records.compiled_tensors(source.root).items():
        match = re.search(r"conv_tp\..*_w3j_(\d)_(\d)_(\d)$", name)
        if match is None:
            continue
        l1, l2, l3 = (int(l) for l in match.groups())
        ours = torch.from_numpy(wigner_3j(l1, l2, l3))
        if not torch.allclose(table.double(), ours, rtol=0.0, atol=1e-6):
            why = "has other signs or another order than e3nn's"
            raise UnsupportedModelError(unsupported(f"the couplings {name}", why))


def read_heads(source: Source, numbers: list[int]) -> tuple[HeadSpec, ...]:
    """Return the heads with their E0, scale and shift."""
    names = source.head_names
    table = source.tensors["atomic_energies_fn.atomic_energies"]
    energies = source.take("atomic_energies_fn.atomic_energies", table.numel()).reshape(
        -1, len(numbers)
    )
    if len(energies) != len(names):
        raise UnsupportedModelError(
            unsupported(
                f"E0 of {len(energies)} heads", f"does not fit the heads {list(names)}"
            )
        )
    per_head = {"scale": [1.0] * len(names), "shift": [0.0] * len(names)}
    for field in per_head if "scale_shift" in source.children("") else ():
        values = source.tensors[f"scale_shift.{field}"].double().flatten().tolist()
        per_head[field] = values * len(names) if len(values) == 1 else values
        if len(per_head[field]) != len(names):
            raise UnsupportedModelError(
                unsupported(f"{field} of {len(values)} heads", "is of other heads")
            )
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    return tuple(
        HeadSpec(
            name=name,
            level_of_theory="unknown",
            dispersion="unknown",
            reference_energies={
                chemical_symbols[numbers[k]]: float(energies[h, k]) for k in order
            },
            scale=per_head["scale"][h],
            shift=per_head["shift"][h],
        )
        for h, name in enumerate(names)
    )


def _radial(source: Source, numbers: list[int]) -> dict[str, Any]:
    """Return cutoff, radial basis and transform, with their constants checked."""
    path = "radial_embedding"
    parts = source.children(path)
    cutoff = float(source.tensors["r_max"])
    power = float(source.tensors[f"{path}.cutoff_fn.p"])
    if not power.is_integer():
        raise UnsupportedModelError(
            unsupported(f"cutoff power {power}", "is no whole number")
        )
    n_radial = int(source.get(path, "out_dim"))
    basis = known(parts["bessel_fn"], RADIAL_BASIS_OF, "the radial basis")
    _check_basis(source, basis, cutoff, n_radial)
    transform = "none"
    if "distance_transform" in parts:
        record = parts["distance_transform"]
        transform = known(record, TRANSFORM_OF, "the distance transform")
        constants = {"agnesi": {"a": 1.0805, "q": 0.9183, "p": 4.5791}}
        for name, value in constants.get(transform, {"alpha": 4.0}).items():
            source.constant(f"{path}.distance_transform.{name}", torch.tensor(value))
        _check_radii(source, f"{path}.distance_transform.covalent_radii", numbers)
    zbl = "pair_repulsion_fn" in source.children("")
    if zbl:
        _check_zbl(source, power, numbers)
    return {
        "cutoff": cutoff,
        "cutoff_power": int(power),
        "cutoff_inside": bool(source.get(path, "apply_cutoff", default=True)),
        "radial_basis": basis,
        "n_radial": n_radial,
        "distance_transform": transform,
        "zbl": zbl,
    }


def _check_basis(source: Source, basis: str, cutoff: float, n_radial: int) -> None:
    """Refuse a radial basis whose numbers are not the usual ones."""
    path = "radial_embedding.bessel_fn"
    counts = torch.arange(1, n_radial + 1, dtype=torch.float64)
    if basis == "bessel":
        source.constant(f"{path}.bessel_weights", counts * math.pi / cutoff)
        source.constant(f"{path}.prefactor", torch.tensor(math.sqrt(2.0 / cutoff)))
    elif basis == "gaussian":
        centers = torch.linspace(0.0, cutoff, n_radial, dtype=torch.float64)
        source.constant(f"{path}.gaussian_weights", centers)
        width = float(source.get(path, "coeff"))
        wanted = -0.5 * ((n_radial - 1) / cutoff) ** 2
        if not math.isclose(width, wanted, rel_tol=2e-6):
            why = f"differs from the usual {wanted}"
            raise UnsupportedModelError(unsupported(f"{path}.coeff {width}", why))
    else:
        source.constant(f"{path}.n", counts[None])
    source.constant("radial_embedding.cutoff_fn.r_max", torch.tensor(cutoff))


def _check_zbl(source: Source, power: float, numbers: list[int]) -> None:
    """Refuse a core repulsion that is not the usual one."""
    path = "pair_repulsion_fn"
    source.constant(f"{path}.c", torch.tensor([0.1818, 0.5099, 0.2802, 0.02817]))
    source.constant(f"{path}.a_exp", torch.tensor(0.300))
    source.constant(f"{path}.a_prefactor", torch.tensor(0.4543))
    source.constant(f"{path}.p", torch.tensor(power))
    _check_radii(source, f"{path}.covalent_radii", numbers)


def _check_radii(source: Source, name: str, numbers: list[int]) -> None:
    """Compare the covalent radii of the elements of the model."""
    found = source.tensors[name][numbers].double()
    expected: Tensor = torch.tensor([covalent_radii[z] for z in numbers]).double()
    if not torch.allclose(found, expected, rtol=1e-6, atol=0.0):
        raise UnsupportedModelError(
            unsupported(name, "has other covalent radii than ASE")
        )
