"""Writes ML-IAP files as mace-torch does, and what mace-torch computes with them.

Run inside an environment that has mace-torch, cuequivariance and cuequivariance-torch
(see README.md in this folder):

    python tests/oracle/make_mliap.py OUT [--only NAME ...]
"""

import argparse
import io
import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

# First: it says that torch may read whole objects, before mace-torch is imported.
import make_models
import oracle_evaluate as evaluate
import oracle_models as models
import torch
from mace.calculators.lammps_mliap_mace import LAMMPS_MLIAP_MACE
from mace.cli import create_lammps_model
from mace.modules import wrapper_ops
from oracle_recipes import RECIPES
from oracle_structures import GEOMETRIES

# The recipe of the model, the head and the type of the file; `command`: by the command
# mace_create_lammps_model, which brings in cuEquivariance, else by the class alone.
FILES: dict[str, dict[str, Any]] = {
    "class-charged": {
        "recipe": "embedding-readout",
        "head": "first",
        "inputs": {"total_charge": -2.0, "total_spin": 1.0},
    },
    "command-heads": {"recipe": "heads3-zbl", "head": "r2scan", "command": True},
    "command-float32": {
        "recipe": "reduced-agnostic",
        "head": "Default",
        "command": True,
        "dtype": "float32",
    },
}
STRUCTURES = ("rattled", "triclinic", "slab")
log = logging.getLogger("oracle")


def by_command(model: torch.nn.Module, head: str, dtype: str) -> bytes:
    """The file that ``mace_create_lammps_model --format=mliap`` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.model"
        torch.save(model, path)
        words = [str(path), "--head", head, "--dtype", dtype, "--format", "mliap"]
        with mock.patch.object(sys, "argv", ["mace_create_lammps_model", *words]):
            create_lammps_model.main()
        return path.with_name("m.model-mliap_lammps.pt").read_bytes()


def by_class(model: torch.nn.Module, head: str, inputs: dict[str, float]) -> bytes:
    """The pickle of LAMMPS_MLIAP_MACE, for a charge and spin."""
    values = {key: torch.tensor([value]) for key, value in inputs.items()}
    stream = io.BytesIO()
    torch.save(LAMMPS_MLIAP_MACE(model, head=head, **values), stream)
    return stream.getvalue()


def write(out: Path, name: str) -> None:
    """One file and its reference, computed with the model that was read back."""
    file = FILES[name]
    head, dtype = file["head"], file.get("dtype", "float64")
    options = models.complete(RECIPES[file["recipe"]])
    inputs = file.get("inputs", {})
    model = make_models._finished(file["recipe"], RECIPES[file["recipe"]])
    if file.get("command", False):
        content = by_command(model, head, dtype)
    else:
        content = by_class(model, head, inputs)
    loaded = torch.load(io.BytesIO(content), weights_only=False)
    inside = loaded.model.model
    inside.lammps_mliap = False
    torch.set_default_dtype(getattr(torch, dtype))
    shapes = {key: GEOMETRIES[key].record(options["slots"]) for key in STRUCTURES}
    results = []
    for key, structure in shapes.items():
        graph = evaluate.batch(
            inside, structure, head, inputs, options["embedding_specs"]
        )
        periodic = all(structure["pbc"])
        output = inside(graph, compute_force=True, compute_stress=periodic)
        results.append({"structure": key, **evaluate._record(output)})
    torch.set_default_dtype(torch.float64)
    reference = {
        "name": name,
        "options": {**file, "dtype": dtype},
        "written_by": make_models._versions(),
        "elements": loaded.element_types,
        "heads": list(inside.heads),
        "structures": shapes,
        "results": results,
    }
    text = json.dumps(reference, separators=(",", ":"), sort_keys=True)
    (out / f"{name}.pt.gz").write_bytes(make_models._pack(content))
    (out / f"{name}.json.gz").write_bytes(make_models._pack(text.encode()))


def main() -> int:
    """Writes the files that are asked for; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder to write into")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(FILES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only or FILES:
        if FILES[name].get("command", False) and not wrapper_ops.CUET_AVAILABLE:
            log.info("%s: left out, the command needs cuequivariance", name)
            continue
        start = time.monotonic()
        write(options.out, name)
        log.info("%s: %.1f s", name, time.monotonic() - start)
    return 0


if __name__ == "__main__":
    sys.exit(main())
