"""Models with cuEquivariance's kernels: the same weights, or a refusal by name.

That such a model gives mace-torch's numbers is shown in tests/lammps_interface.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamplighter.errors import UnsupportedModelError
from lamplighter.model.inert import Record, Reference
from lamplighter.model.mace_cueq import without_kernels
from lamplighter.model.mace_import import import_record, model_in
from lamplighter.model.pickle_records import children, module_state, submodule
from lamplighter.model.torch_archive import read_archive, read_archive_bytes

ORACLE = Path(__file__).parents[1] / "oracle"
CHANNELS = 6


def model_of(name: str) -> Record:
    content = gzip.decompress((ORACLE / "mliap" / f"{name}.pt.gz").read_bytes())
    return model_in(read_archive_bytes(content, name), name)


@pytest.fixture
def model() -> Record:
    """Two residual layers, three heads, products in the full basis."""
    return model_of("command-heads")


def modules(record: Record) -> list[Record]:
    return [record, *(m for c in children(record).values() for m in modules(c))]


def test_no_kernel_is_left(model: Record) -> None:
    assert any(m.module.startswith("cuequivariance") for m in walk(model))
    assert not any(
        m.module.startswith("cuequivariance") for m in modules(without_kernels(model))
    )


def walk(record: Record) -> list[Record]:
    if not isinstance(record.state, dict):
        return [record]
    return [record, *(m for c in children(record).values() for m in walk(c))]


def test_a_model_without_kernels_comes_back_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "m.model"
    packed = ORACLE / "fixtures" / "one-layer.model.gz"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    root = read_archive(path)
    assert without_kernels(root) is root


def test_the_kernels_hold_the_weights_of_the_original(model: Record) -> None:
    flat = module_state(submodule(model, "interactions.1.linear"))["_parameters"]
    seen = submodule(without_kernels(model), "interactions.1.linear")
    found = module_state(seen)["_parameters"]["weight"]
    assert torch.equal(found, flat["weight"].flatten())


def test_tables_and_weights_are_the_polynomial(model: Record) -> None:
    """The product of random features, once by the formula and once by the tables."""
    before = submodule(model, "products.0.symmetric_contractions")
    after = submodule(without_kernels(model), "products.0.symmetric_contractions")
    state = module_state(before)
    weights = torch.einsum(
        "zau,ab->zbu",
        state["_parameters"]["weight"],
        state["_buffers"]["projection"],
    )[1].numpy()
    rng = np.random.default_rng(3)
    x = rng.standard_normal((9, CHANNELS))
    wanted = np.zeros((4, CHANNELS))
    for _, product in polynomial(before)["operations"]:
        for path in module_state(product)["paths"]:
            w, *factors, out = module_state(path)["indices"]
            c = np.frombuffer(module_state(path)["coefficients"].state[4], "<f8")[0]
            term = c * weights[w]
            for factor in factors:
                term = term * x[factor]
            wanted[out] += term
    found = []
    for l in range(2):
        part = submodule(after, f"contractions.{l}")
        buffers = module_state(part)["_buffers"]
        highest = module_state(part)["_parameters"]["weights_max"][1].numpy()
        lower = module_state(submodule(part, "weights"))["_parameters"]["0"][1].numpy()
        u1, u2 = buffers["U_matrix_1"].numpy(), buffers["U_matrix_2"].numpy()
        found.append(
            np.einsum("mik,kc,ic->mc", u1, lower, x)
            + np.einsum("mijk,kc,ic,jc->mc", u2, highest, x, x)
        )
    np.testing.assert_allclose(np.concatenate(found), wanted, rtol=0, atol=1e-13)


def polynomial(module: Record) -> dict[str, Any]:
    return module_state(children(module)["f"].args[0])


def product(module: Record) -> dict[str, Any]:
    """Return the state of the last product of a module's polynomial."""
    return module_state(polynomial(module)["operations"][-1][1])


def scaled(path: Record) -> None:
    state = module_state(path)
    header, raw = state["coefficients"].state[:4], state["coefficients"].state[4]
    changed = (np.frombuffer(raw, "<f8") * 1.01).tobytes()
    state["coefficients"].state = (*header, changed)


def swapped(module: Record) -> None:
    """Let the first two weights change places."""
    a, b, *_ = sorted(product(module)["paths"], key=lambda p: p.state["indices"][0])
    a.state["indices"] = (1, *a.state["indices"][1:])
    b.state["indices"] = (0, *b.state["indices"][1:])


def repeated(module: Record) -> None:
    paths = product(module)["paths"]
    indices = paths[0].state["indices"]
    paths[-1].state["indices"] = (indices[0], *paths[-1].state["indices"][1:])


def with_letters(letters: str) -> Callable[[Record], None]:
    def edit(module: Record) -> None:
        state = product(module)
        state["operands_and_subscripts"] = tuple(
            (operand, letters) for operand, _ in state["operands_and_subscripts"]
        )

    return edit


def without_polynomial(module: Record) -> None:
    del module_state(module)["_modules"]["f"]


def empty(module: Record) -> None:
    polynomial(module)["operations"] = ()


def of_text(module: Record) -> None:
    module_state(product(module)["paths"][0])["coefficients"] = "1.0"


def in_another_group(module: Record) -> None:
    irreps = module_state(module)["irreps_in"]
    module_state(irreps)["irrep_class"] = Reference("cuequivariance", "O3")


def of_another_power(module: Record) -> None:
    module_state(module)["contraction_degree"] = 1


def of_too_high_a_power(module: Record) -> None:
    module_state(module)["contraction_degree"] = 9


def with_fewer_weights(module: Record) -> None:
    parameters = module_state(module)["_parameters"]
    parameters["weight"] = parameters["weight"][:, :-1]


def with_other_projection(module: Record) -> None:
    buffers = module_state(module)["_buffers"]
    buffers["projection"] = buffers["projection"][:, :-1]


def with_gaps(module: Record) -> None:
    operand, _ = product(module)["operands_and_subscripts"][-1]
    for one in polynomial(module)["operations"]:
        last, _ = module_state(one[1])["operands_and_subscripts"][-1]
        last.state["segments"] = operand.state["segments"][:3]


LINEAR, SKIP = "interactions.1.linear", "interactions.1.skip_tp"
SUM, PRODUCT = "interactions.1.conv_tp", "products.0.symmetric_contractions"


@pytest.mark.parametrize(
    ("path", "edit", "message"),
    [
        (LINEAR, lambda m: scaled(product(m)["paths"][0]), "factors that differ"),
        (LINEAR, swapped, "weights in another order"),
        (LINEAR, repeated, "used twice or never"),
        (LINEAR, with_letters("uv"), r"the products \['uv,uv,uv'\]"),
        (LINEAR, with_fewer_weights, "weights that are not the 252"),
        (LINEAR, without_polynomial, "no polynomial"),
        (LINEAR, empty, "an empty polynomial"),
        (LINEAR, of_text, "no array of float64"),
        (SKIP, lambda m: scaled(product(m)["paths"][0]), "factors that differ"),
        (SUM, lambda m: scaled(product(m)["paths"][5]), "coupling 1 1 2, of"),
        (SUM, swapped, "paths in another order"),
        (SUM, repeated, "used twice or never"),
        (PRODUCT, in_another_group, r"components of cuequivariance\.O3"),
        (PRODUCT, of_another_power, "a product of the operands"),
        (PRODUCT, of_too_high_a_power, "to the power 9"),
        (PRODUCT, with_letters("v"), "mixes channels"),
        (PRODUCT, with_fewer_weights, "8 weights to project"),
        (PRODUCT, with_other_projection, "6 weights for 7 couplings"),
        (PRODUCT, with_gaps, "gaps between the degrees"),
    ],
)
def test_a_formula_that_is_not_that_of_e3nn_is_refused(
    model: Record, path: str, edit: Callable[[Record], None], message: str
) -> None:
    edit(submodule(model, path))
    with pytest.raises(UnsupportedModelError, match=message) as caught:
        without_kernels(model)
    assert path in str(caught.value)


def test_an_unknown_kernel_is_refused(model: Record) -> None:
    submodule(model, LINEAR).name = "FasterLinear"
    with pytest.raises(UnsupportedModelError, match="FasterLinear"):
        import_record(model, "m.pt", "0")
