"""Builds one model of a recipe, with numbers that let every term matter."""

import inspect
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from e3nn import o3
from mace import modules
from oracle_recipes import DEFAULTS, EXTRAS

# Of every readout, over the rattled crystal: root mean square force in eV/Å and the
# largest mean node energy in eV that is accepted for it.
FORCE_SIZE = 1.0
LARGEST_ENERGY = 20.0
# What versions do that lack an option.
WITHOUT_OPTION = {
    "apply_cutoff": True,
    "use_reduced_cg": False,
    "use_so3": False,
    "use_agnostic_product": False,
    "use_last_readout_only": False,
    "use_embedding_readout": False,
    "edge_irreps": None,
    "use_edge_irreps_first": False,
    "heads": None,
    "embedding_specs": None,
    "readout_cls": "NonLinearReadoutBlock",
    "keep_last_layer_irreps": False,
    "pair_repulsion": False,
}


class CannotWriteError(Exception):
    """The installed mace-torch lacks an option of the recipe."""


def complete(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with everything that it leaves to the defaults."""
    unknown = recipe.keys() - DEFAULTS.keys() - EXTRAS.keys()
    if unknown:
        message = f"no such option: {sorted(unknown)}"
        raise KeyError(message)
    return {**DEFAULTS, **EXTRAS, **recipe}


def seed_of(name: str) -> int:
    """A seed that belongs to the name and to nothing else."""
    return zlib.crc32(name.encode())


def _accepted() -> set[str]:
    return set(inspect.signature(modules.MACE.__init__).parameters) - {"self"}


def _tables(options: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """E0 per head and element, scale and shift per head."""
    count = len(options["heads"] or [None])
    energies = -1.0 - 5.0 * rng.random((count, len(options["atomic_numbers"])))
    scale = (0.7 + 0.6 * rng.random(count)).tolist()
    shift = (0.6 * rng.random(count) - 0.3).tolist()
    if options["heads"] is None:
        energies = energies[0]
        scale, shift = scale[0], shift[0]
    return {
        "atomic_energies": energies,
        "atomic_inter_scale": scale,
        "atomic_inter_shift": shift,
    }


def _gate(name: str) -> Callable | None:
    return {
        "silu": torch.nn.functional.silu,
        "tanh": torch.tanh,
        "abs": torch.abs,
        "None": None,
    }[name]


def _irreps(text: str | None) -> o3.Irreps | None:
    return None if text is None else o3.Irreps(text)


def arguments(options: dict[str, Any], seed: int) -> dict[str, Any]:
    """The keyword arguments for mace-torch's constructor.

    Raises:
        CannotWriteError: The installed version lacks one of the options.
    """
    result = {key: options[key] for key in DEFAULTS if key != "model"}
    accepted = _accepted()
    for key in result.keys() - accepted:
        if result[key] != WITHOUT_OPTION[key]:
            message = f"{key}={result[key]!r}"
            raise CannotWriteError(message)
        del result[key]
    classes = modules.interaction_classes
    for key in ("interaction_cls_first", "interaction_cls"):
        if result[key] not in classes:
            raise CannotWriteError(result[key])
        result[key] = classes[result[key]]
    if "readout_cls" in result:
        result["readout_cls"] = modules.readout_classes[result["readout_cls"]]
    for key in ("hidden_irreps", "MLP_irreps", "edge_irreps"):
        if key in result:
            result[key] = _irreps(result[key])
    result["gate"] = _gate(result["gate"])
    result["num_elements"] = len(result["atomic_numbers"])
    if options["numpy_scalars"]:
        result["avg_num_neighbors"] = np.float64(result["avg_num_neighbors"])
    tables = _tables(options, np.random.default_rng(seed))
    if options["model"] == "MACE":
        tables = {"atomic_energies": tables["atomic_energies"]}
    return {**result, **tables}


@contextmanager
def _basis(options: dict[str, Any]) -> Iterator[None]:
    """Hides cuequivariance where a recipe asks for what mace-torch does without it."""
    if not options["use_reduced_cg"]:
        yield
        return
    from mace.modules import wrapper_ops

    if not wrapper_ops.CUET_AVAILABLE and not options["without_cuequivariance"]:
        message = "use_reduced_cg without the packages cuequivariance(-torch)"
        raise CannotWriteError(message)
    kept = wrapper_ops.CUET_AVAILABLE
    wrapper_ops.CUET_AVAILABLE = not options["without_cuequivariance"]
    try:
        yield
    finally:
        wrapper_ops.CUET_AVAILABLE = kept


def redraw(model: torch.nn.Module, seed: int) -> None:
    """Gives size to what an untrained model starts with (almost) switched off."""
    generator = torch.Generator().manual_seed(seed + 1)

    def normal(like: torch.Tensor) -> torch.Tensor:
        return torch.randn(like.shape, generator=generator, dtype=torch.float64)

    with torch.no_grad():
        for name, value in model.named_parameters():
            if not value.requires_grad or value.numel() == 0:
                continue
            if "source_embedding" in name or "target_embedding" in name:
                value.copy_(normal(value))
            elif "symmetric_contractions" in name:
                # As drawn, a power with many paths would vanish beside the others.
                value.copy_(normal(value) / value.shape[1] ** 0.5)
            elif name.endswith("alpha"):
                value.copy_(4.0 + 0.5 * normal(value))
            elif name.endswith("beta"):
                value.copy_(0.6 + 0.1 * normal(value))
            elif bool((value == value.flatten()[0]).all()):
                value.add_(0.3 * normal(value))


def shift_radial_buffers(model: torch.nn.Module, seed: int) -> None:
    """Moves the constants of the radial functions by about one percent."""
    generator = torch.Generator().manual_seed(seed + 2)
    moved = ("bessel_weights", "a", "q", "a_exp", "a_prefactor", "prefactor")
    for name, value in model.named_buffers():
        inside = "radial_embedding" in name or "pair_repulsion" in name
        if inside and name.rsplit(".", 1)[-1] in moved:
            noise = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            value.mul_((1.0 + 0.02 * (noise - 0.5)).to(value.dtype))


def _last_linear(readout: torch.nn.Module) -> torch.nn.Module:
    children = dict(readout.named_children())
    return children.get("linear_2", children.get("linear"))


def calibrate(
    model: torch.nn.Module,
    batch_of: Callable[[str], dict[str, torch.Tensor]],
    heads: list[str],
    *,
    derivatives: bool,
) -> None:
    """Scales every readout so that its forces are of ordinary size for every head.

    Where there is no derivative, the spread of its node energies is scaled instead.
    """
    outputs: dict[int, torch.Tensor] = {}
    hooks = [
        readout.register_forward_hook(
            lambda _module, _inputs, output, i=i: outputs.__setitem__(i, output)
        )
        for i, readout in enumerate(model.readouts)
    ]
    for column, head in enumerate(heads):
        data = batch_of(head)
        model(data, training=True, compute_force=derivatives)
        for i, readout in enumerate(model.readouts):
            energies = outputs[i][:, column]
            if derivatives:
                (slope,) = torch.autograd.grad(
                    energies.sum(), data["positions"], retain_graph=True
                )
                size = slope.pow(2).mean().sqrt() / FORCE_SIZE
                size = size.maximum(energies.detach().abs().mean() / LARGEST_ENERGY)
            else:
                size = energies.detach().std()
            weight = _last_linear(readout).weight
            with torch.no_grad():
                weight.view(-1, len(heads))[:, column] /= size
    for hook in hooks:
        hook.remove()


def construct(name: str, recipe: dict[str, Any]) -> torch.nn.Module:
    """The untrained model of a recipe, redrawn but not yet calibrated."""
    options = complete(recipe)
    seed = seed_of(name)
    torch.manual_seed(seed)
    torch.set_default_dtype(getattr(torch, options["dtype"]))
    try:
        with _basis(options):
            model = getattr(modules, options["model"])(**arguments(options, seed))
    finally:
        torch.set_default_dtype(torch.float64)
    redraw(model, seed)
    if options["shift_radial_buffers"]:
        shift_radial_buffers(model, seed)
    return model
