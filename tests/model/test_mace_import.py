"""Checkpoints of mace-torch: exact algebra, and refusals that name the feature.

That imported models give mace-torch's numbers is shown in tests/oracle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from lamplighter.errors import UnsupportedModelError
from lamplighter.model import Calculator, mace_import
from lamplighter.model.inert import Record, Reference
from lamplighter.model.mace_import import import_mace
from lamplighter.model.mace_product import collapse
from lamplighter.model.mace_source import parse_irreps, uniform
from lamplighter.model.pickle_records import (
    compiled_tensors,
    module_state,
    module_tensors,
    read_checkpoint,
    submodule,
)
from lamplighter.model.product import SymmetricProduct

Edit = Callable[[Record], None]


def state(record: Record, path: str) -> dict[str, Any]:
    return module_state(submodule(record, path) if path else record)


def renamed(path: str, name: str) -> Edit:
    def edit(root: Record) -> None:
        (submodule(root, path) if path else root).name = name

    return edit


def attribute(path: str, name: str, value: object) -> Edit:
    def edit(root: Record) -> None:
        state(root, path)[name] = value

    return edit


def tensor(path: str, part: str, name: str, change: Callable[..., Any]) -> Edit:
    def edit(root: Record) -> None:
        values = state(root, path)[part]
        values[name] = change(values.get(name))

    return edit


def removed(path: str, part: str, name: str) -> Edit:
    def edit(root: Record) -> None:
        del state(root, path)[part][name]

    return edit


BESSEL = "radial_embedding.bessel_fn"
CONTRACTION = "products.0.symmetric_contractions.contractions.0"


@pytest.mark.parametrize(
    ("name", "edit", "said"),
    [
        ("v0.3.13-heads3-zbl", renamed("", "AtomicDipolesMACE"), "AtomicDipolesMACE"),
        ("v0.3.13-heads3-zbl", attribute("", "use_so3", value=True), "use_so3"),
        (
            "v0.3.13-heads3-zbl",
            renamed("interactions.1", "RealAgnosticAttResidualInteractionBlock"),
            "RealAgnosticAttResidualInteractionBlock",
        ),
        (
            "v0.3.13-heads3-zbl",
            renamed("readouts.1", "GeneralNonLinearBiasReadoutBlock"),
            "GeneralNonLinearBiasReadoutBlock",
        ),
        ("v0.3.13-heads3-zbl", renamed(BESSEL, "SplineBasis"), "SplineBasis"),
        (
            "v0.3.13-heads3-zbl",
            removed("products.0.symmetric_contractions", "_modules", "contractions"),
            "cuEquivariance",
        ),
        (
            "v0.3.13-heads3-zbl",
            tensor("readouts.0", "_parameters", "lora_A", lambda _: torch.ones(2)),
            r"weights readouts\.0\.lora_A",
        ),
        (
            "v0.3.13-heads3-zbl",
            tensor(BESSEL, "_buffers", "bessel_weights", lambda t: 1.01 * t),
            "bessel_weights .* differs from the usual",
        ),
        (
            "v0.3.13-heads3-zbl",
            tensor("pair_repulsion_fn", "_buffers", "c", lambda t: t + 0.1),
            r"pair_repulsion_fn\.c",
        ),
        (
            "v0.3.13-heads3-zbl",
            tensor("pair_repulsion_fn", "_buffers", "p", lambda t: t + 1),
            r"pair_repulsion_fn\.p",
        ),
        (
            "v0.3.13-heads3-zbl",
            tensor("pair_repulsion_fn", "_buffers", "covalent_radii", lambda t: 2 * t),
            "other covalent radii",
        ),
        ("v0.3.13-heads3-zbl", attribute("", "heads", ["a", "b"]), "E0 of 3 heads"),
        (
            "v0.3.13-heads3-zbl",
            tensor("scale_shift", "_buffers", "scale", lambda _: torch.ones(2)),
            "scale of 2 heads",
        ),
        (
            "v0.3.13-heads3-zbl",
            attribute("interactions.1", "avg_num_neighbors", 2.0),
            "differs between layers",
        ),
        (
            "v0.3.13-heads3-zbl",
            attribute("interactions.1", "node_feats_irreps", "8x0e+8x0o"),
            "8x0e\\+8x0o",
        ),
        (
            "v0.3.13-heads3-zbl",
            tensor(
                "interactions.0.linear_up", "_parameters", "weight", lambda t: t[1:]
            ),
            "linear_up",
        ),
        (
            "v0.3.13-heads3-zbl",
            removed("node_embedding.linear", "_parameters", "weight"),
            r"no tensor node_embedding\.linear\.weight",
        ),
        (
            "v0.3.13-heads3-zbl",
            tensor(CONTRACTION, "_buffers", "U_matrix_2", torch.randn_like),
            "not spanned by symmetric couplings",
        ),
        (
            "v0.3.13-heads3-zbl",
            attribute(
                "readouts.1.non_linearity.acts.0",
                "f",
                Reference("torch.nn.functional", "gelu"),
            ),
            "activation gelu",
        ),
        (
            "embedding-readout",
            attribute(
                "joint_embedding",
                "specs",
                {"total_charge": {"type": "continuous", "per": "node", "emb_dim": 4}},
            ),
            "not one number per structure",
        ),
        (
            "v0.3.10-density-residual",
            tensor(
                "radial_embedding.distance_transform", "_buffers", "a", lambda t: t + 1
            ),
            r"distance_transform\.a",
        ),
        (
            "v0.3.10-density-residual",
            attribute("products.0", "use_agnostic_product", value=True),
            "contradicts itself",
        ),
    ],
)
def test_what_is_not_known_is_refused_by_name(
    checkpoint: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    edit: Edit,
    said: str,
) -> None:
    path = checkpoint(name)
    record = read_checkpoint(path)
    edit(record)
    monkeypatch.setattr(mace_import, "read_checkpoint", lambda _: record)
    with pytest.raises(UnsupportedModelError, match=said):
        import_mace(path)


@pytest.mark.parametrize("text", ["8x0e+", "8y0e", "8x1", ""])
def test_odd_irreps_are_refused(text: str) -> None:
    with pytest.raises(UnsupportedModelError, match="not written as irreps"):
        parse_irreps(text)


@pytest.mark.parametrize("text", ["4x0e+8x1o", "4x0e+4x2e", "4x0e+4x1e", "4x1o"])
def test_irreps_with_gaps_are_refused(text: str) -> None:
    with pytest.raises(UnsupportedModelError, match="gaps, or pseudo-tensors"):
        uniform(parse_irreps(text), "features")
    assert uniform(parse_irreps("4x0e + 4x1o+4x2e"), "features") == (4, 2)


@pytest.mark.parametrize(("l_out", "full", "reduced"), [(0, 28, 13), (1, 58, 16)])
def test_collapsed_product_is_the_full_one(
    checkpoint: Callable[[str], Path], l_out: int, full: int, reduced: int
) -> None:
    """Trained weights of the full basis, l <= 3, powers to 3, against plain sums."""
    tensors = module_tensors(read_checkpoint(checkpoint("mh1-narrow-old")))
    path = f"products.0.symmetric_contractions.contractions.{l_out}"
    torch.manual_seed(0)
    features = torch.randn(5, 16, 6, dtype=torch.float64)
    product = SymmetricProduct(6, 3, l_out, 3).double()
    expected = torch.zeros(5, 2 * l_out + 1, 6, dtype=torch.float64)
    counts = [0, 0]
    for power in (1, 2, 3):
        table = tensors[f"{path}.U_matrix_{power}"].double()
        table = table.reshape(2 * l_out + 1, *[16] * power, -1)
        weight = torch.randn(table.shape[-1], 6, dtype=torch.float64)
        letters = "abc"[:power]
        inputs = ",".join(f"n{letter}x" for letter in letters)
        rule = f"m{letters}k,kx,{inputs}->nmx"
        expected += torch.einsum(rule, table, weight, *[features] * power)
        matrix = torch.from_numpy(collapse(table, 3, l_out, power))
        product.weights[f"{l_out}_{power}"].data = (matrix @ weight)[None]
        counts = [counts[0] + matrix.shape[1], counts[1] + matrix.shape[0]]
    found = product(features, torch.zeros(5, dtype=torch.int64))[l_out]
    assert counts == [full, reduced]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-11)


def test_other_coupling_coefficients_are_refused(
    checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = checkpoint("residual-outside")
    tables = compiled_tensors(read_checkpoint(path))
    checked = [name for name in tables if "conv_tp" in name and "_w3j_" in name]
    assert any(name.endswith("_w3j_1_1_2") for name in checked)
    for name in checked:
        changed = {**tables, name: -tables[name]}
        monkeypatch.setattr(
            "lamplighter.model.pickle_records.compiled_tensors",
            lambda _, found=changed: found,
        )
        with pytest.raises(UnsupportedModelError, match=name.replace(".", r"\.")):
            import_mace(path)


def test_elements_in_another_order(
    checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose elements do not ascend gives the same numbers under their names."""
    path = checkpoint("gaussian")
    plain = import_mace(path).potential
    record = read_checkpoint(path)
    numbers = state(record, "")["_buffers"]["atomic_numbers"]
    state(record, "")["_buffers"]["atomic_numbers"] = numbers.flip(0)
    monkeypatch.setattr(mace_import, "read_checkpoint", lambda _: record)
    flipped = import_mace(path).potential
    assert flipped.config.elements == plain.config.elements
    # the weights stayed, so the elements have exchanged their parts
    renamed_atoms = {"H": "Mg", "O": "O", "Mg": "H"}
    symbols = ["Mg", "O", "H", "O"]
    positions = [[0, 0, 0], [1.9, 0, 0.1], [2.5, 0.8, 0], [0, 2.0, 0.3]]
    atoms = Atoms(symbols, positions)
    swapped = Atoms([renamed_atoms[s] for s in symbols], positions)
    atoms.calc, swapped.calc = Calculator(plain), Calculator(flipped)
    np.testing.assert_allclose(
        swapped.get_potential_energies(), atoms.get_potential_energies(), atol=1e-12
    )


def test_heads_without_training_are_noted(
    checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = checkpoint("v0.3.13-heads3-zbl")
    record = read_checkpoint(path)
    energies = state(record, "atomic_energies_fn")["_buffers"]["atomic_energies"]
    energies[1, 0] = 0.0
    monkeypatch.setattr(mace_import, "read_checkpoint", lambda _: record)
    imported = import_mace(path)
    head = imported.potential.config.heads[1].name
    assert any(f"{head!r} has E0 = 0 for H" in note for note in imported.notes)


def test_a_file_without_the_attribute_of_the_first_layer(
    checkpoint: Callable[[str], Path],
) -> None:
    """The published MH-1 lacks `use_edge_irreps_first`; its edges tell."""
    path = checkpoint("mh1-narrow-old")
    assert "use_edge_irreps_first" not in module_state(read_checkpoint(path))
    config = import_mace(path).potential.config
    assert config.edge_channels == 8
    assert config.channels == 16
    assert len(config.heads) == 6
    assert dataclasses.asdict(config)["interaction"] == "nonlinear_residual"
