"""Makes the checkpoints of this folder with mace-torch, and what must be read of them.

Run with a Python that has mace-torch 0.3.16:

    python tests/model/mace_files/make_files.py

Each checkpoint comes with the names, types, shapes and digests of its tensors, as
``model.state_dict()`` gives them.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
from pathlib import Path

import numpy as np
import torch

# e3nn 0.4.4 reads its constants with torch.load.
torch.serialization.add_safe_globals([slice])

from e3nn import o3  # noqa: E402
from mace import modules  # noqa: E402

FOLDER = Path(__file__).parent


def make_model(block: str, dtype: torch.dtype, **changes: object) -> torch.nn.Module:
    """Return a small random model that uses the interaction block called `block`."""
    torch.set_default_dtype(dtype)
    torch.manual_seed(7)
    settings = {
        "r_max": 4.0,
        "num_bessel": 3,
        "num_polynomial_cutoff": 5,
        "max_ell": 1,
        "interaction_cls": modules.interaction_classes[block],
        "interaction_cls_first": modules.interaction_classes[block],
        "num_interactions": 2,
        "num_elements": 2,
        "hidden_irreps": o3.Irreps("2x0e+2x1o"),
        "MLP_irreps": o3.Irreps("2x0e"),
        "atomic_energies": np.array([-1.0, -3.0]),
        "avg_num_neighbors": np.float64(7.5),
        "atomic_numbers": [1, 8],
        "correlation": 2,
        "gate": torch.nn.functional.silu,
        "radial_MLP": [4],
        "atomic_inter_scale": 1.3,
        "atomic_inter_shift": 0.2,
    }
    return modules.ScaleShiftMACE(**{**settings, **changes})


def digest(tensor: torch.Tensor) -> list[object]:
    """Return the type, shape and SHA-256 of the numbers of `tensor`."""
    content = tensor.detach().contiguous().numpy().tobytes()
    return [
        str(tensor.dtype),
        list(tensor.shape),
        hashlib.sha256(content).hexdigest()[:16],
    ]


def write(name: str, model: torch.nn.Module) -> None:
    """Write the checkpoint and the digests of its tensors."""
    stream = io.BytesIO()
    torch.save(model, stream)
    packed = lzma.compress(stream.getvalue(), preset=9 | lzma.PRESET_EXTREME)
    (FOLDER / f"{name}.model.xz").write_bytes(packed)
    expected = {key: digest(value) for key, value in model.state_dict().items()}
    text = json.dumps(expected, indent=0, separators=(",", ":"))
    (FOLDER / f"{name}.json").write_text(text + "\n")


def main() -> None:
    """Write all files."""
    write(
        "two_heads",
        make_model(
            "RealAgnosticResidualInteractionBlock",
            torch.float64,
            heads=["low", "high"],
            atomic_energies=np.array([[-1.0, -3.0], [-1.5, -3.5]]),
            atomic_inter_scale=[1.3, 0.9],
            atomic_inter_shift=[0.2, -0.1],
            pair_repulsion=True,
            distance_transform="Agnesi",
            correlation=[2, 1],
        ),
    )
    write(
        "nonlinear",
        make_model(
            "RealAgnosticResidualNonLinearInteractionBlock",
            torch.float32,
            num_interactions=1,
            correlation=1,
            hidden_irreps=o3.Irreps("2x0e"),
        ),
    )


if __name__ == "__main__":
    main()
