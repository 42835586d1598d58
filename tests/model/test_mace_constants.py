"""Settings that no weight's shape shows: another value is refused, never ignored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamplighter.errors import ArtifactError, UnsupportedModelError
from lamplighter.model import mace_import
from lamplighter.model.inert import Record, Reference
from lamplighter.model.mace_import import import_mace
from lamplighter.model.pickle_records import (
    module_state,
    module_tensors,
    read_checkpoint,
    submodule,
)

Edit = Callable[[dict[str, Any]], object]
GATE = "interactions.0.equivariant_nonlin"
NETWORK = "interactions.0.conv_tp_weights"
PRODUCT = "products.0.symmetric_contractions.contractions"
TANH = Reference("torch", "tanh")


def set_to(**values: object) -> Edit:
    return lambda state: state.update(values)


def path_factor(place: int) -> Edit:
    """Double the factor of the first path of a map or product."""

    def edit(state: dict[str, Any]) -> None:
        first = state["instructions"][0]
        args = list(first.args)
        args[place] *= 2.0
        first.args = tuple(args)

    return edit


@pytest.fixture
def changed(
    checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str, Edit], Path]:
    """Return a function that changes one module of a checkpoint that is then read."""

    def change(name: str, module: str, edit: Edit) -> Path:
        path = checkpoint(name)
        root = read_checkpoint(path)
        edit(module_state(submodule(root, module) if module else root))
        monkeypatch.setattr(mace_import, "read_checkpoint", lambda _: root)
        return path

    return change


def without(part: str, name: str) -> Edit:
    return lambda state: state[part].pop(name)


def renamed_class(part: str, module: str, name: str) -> Edit:
    def edit(state: dict[str, Any]) -> None:
        state["_modules"][part].module = module
        state["_modules"][part].name = name

    return edit


@pytest.mark.parametrize(
    ("name", "module", "edit", "said"),
    [
        ("nonlinear-edge-first", f"{NETWORK}.net.1", set_to(eps=1e-3), r"net\.1\.eps"),
        (
            "nonlinear-edge-first",
            f"{NETWORK}.net",
            renamed_class("2", "torch.nn.modules.activation", "GELU"),
            r"conv_tp_weights\.net is .*GELU",
        ),
        ("nonlinear-edge-first", GATE, set_to(_act_gate=TANH), "_act_gate is tanh"),
        ("nonlinear-edge-first", GATE, set_to(_act_scalar=TANH), "_act_scalar is tanh"),
        ("nonlinear-edge-first", GATE, set_to(_layout_is_ir_mul=True), "ir_mul"),
        ("plain", "spherical_harmonics", set_to(normalization="norm"), "normalization"),
        ("plain", "spherical_harmonics", set_to(normalize=False), "normalize is False"),
        ("plain", f"{NETWORK}.layer0", set_to(var_in=2), r"layer0\.var_in"),
        ("plain", f"{NETWORK}.layer0.act", set_to(f=TANH), "act is tanh"),
        (
            "plain",
            "interactions.0.linear",
            path_factor(3),
            r"interactions\.0\.linear, the factor of a path",
        ),
        ("plain", "interactions.1.conv_tp", path_factor(5), r"1\.conv_tp, the factor"),
        ("plain", "interactions.0.skip_tp", path_factor(5), r"0\.skip_tp, the factor"),
        (
            "plain",
            "node_embedding",
            renamed_class("linear", "cuequivariance_torch.operations.linear", "Linear"),
            "mace_cueq_to_e3nn",
        ),
        (
            "embedding-readout",
            "joint_embedding.embedders.total_charge",
            set_to(max_norm=1.0),
            "max_norm",
        ),
        ("gaussian", "radial_embedding.bessel_fn", set_to(coeff=-1.0), "coeff -1.0"),
        ("residual-outside", "products.0", set_to(use_sc=False), "use_sc off"),
        ("bias-readout-heads", "readouts.1", set_to(num_heads=1), "for 1 heads"),
        (
            "degree-3",
            f"{PRODUCT}.1",
            without("_buffers", "U_matrix_2"),
            r"contractions\.1 with correlation",
        ),
        (
            "plain",
            "radial_embedding.cutoff_fn",
            lambda state: state["_buffers"].update(
                p=state["_buffers"]["p"].double() + 0.5
            ),
            "cutoff power 5.5",
        ),
        ("plain", "", without("_buffers", "r_max"), "no tensor r_max"),
        ("plain", "", without("_buffers", "atomic_numbers"), "no tensor atomic_numb"),
    ],
)
def test_another_constant_is_refused_by_name(
    changed: Callable[[str, str, Edit], Path],
    name: str,
    module: str,
    edit: Edit,
    said: str,
) -> None:
    path = changed(name, module, edit)
    with pytest.raises(UnsupportedModelError, match=said):
        import_mace(path)


def test_the_gate_of_e3nn_is_looked_at(
    changed: Callable[[str, str, Edit], Path],
) -> None:
    """Until mace-torch 0.3.15 the gate is e3nn's own module."""

    def act(function: str) -> Record:
        state = {"f": Reference("torch", function), "cst": 1.0, "_modules": {}}
        inner = {"0": Record("e3nn.math._normalize_activation", "m", (), state)}
        acts = Record("torch.nn", "ModuleList", (), {"_modules": inner})
        return Record("e3nn.nn", "Activation", (), {"_modules": {"acts": acts}})

    def old(gates: str) -> Edit:
        parts = {"act_scalars": act("silu"), "act_gates": act(gates)}

        def edit(state: dict[str, Any]) -> None:
            gate = Record("e3nn.nn._gate", "Gate", (), {"_modules": parts})
            state["_modules"]["equivariant_nonlin"] = gate

        return edit

    import_mace(changed("nonlinear-edge-first", "interactions.0", old("sigmoid")))
    path = changed("nonlinear-edge-first", "interactions.0", old("tanh"))
    with pytest.raises(UnsupportedModelError, match="act_gates is tanh"):
        import_mace(path)


@pytest.mark.parametrize(
    ("module", "edit"),
    [
        ("joint_embedding", set_to(specs="total_charge")),
        ("joint_embedding", set_to(specs={"total_charge": 3})),
        ("interactions.0", set_to(avg_num_neighbors="many")),
        ("interactions.0.linear_up", set_to(instructions=[None])),
        ("radial_embedding", without("_modules", "bessel_fn")),
        (
            "atomic_energies_fn",
            lambda state: state["_buffers"].update(
                atomic_energies=state["_buffers"]["atomic_energies"].flatten()[1:]
            ),
        ),
    ],
)
def test_odd_content_is_one_clean_error(
    changed: Callable[[str, str, Edit], Path], module: str, edit: Edit
) -> None:
    path = changed("embedding-readout", module, edit)
    with pytest.raises(ArtifactError, match="not their content"):
        import_mace(path)


def test_the_changed_checkpoint_is_good_without_a_change(
    changed: Callable[[str, str, Edit], Path],
) -> None:
    """What the refusals above refuse is the change and nothing else."""
    path = changed("nonlinear-edge-first", "", lambda _: None)
    imported = import_mace(path)
    tensors = module_tensors(read_checkpoint(path))
    assert imported.potential.config.cutoff == float(tensors["r_max"])
