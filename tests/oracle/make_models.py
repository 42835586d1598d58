"""Writes small random models of mace-torch and what mace-torch computes with them.

Run inside an environment that has mace-torch (see README.md in this folder):

    python tests/oracle/make_models.py OUT [--only NAME ...] [--full] [--list]
"""

import argparse
import gzip
import hashlib
import io
import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

# The file of constants that e3nn 0.4 ships needs the reader of before torch 2.6.
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
warnings.filterwarnings("ignore")

import e3nn  # noqa: E402
import mace  # noqa: E402
import numpy as np  # noqa: E402
import oracle_evaluate as evaluate  # noqa: E402
import oracle_models as models  # noqa: E402
import torch  # noqa: E402
from oracle_recipes import RECIPES  # noqa: E402
from oracle_structures import GEOMETRIES  # noqa: E402

FULL_PARAMETERS = 6_439_878  # MACE-MH-1 as published
log = logging.getLogger("oracle")


def _structures(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    slots = tuple(options["slots"])
    return {name: shape.record(slots) for name, shape in GEOMETRIES.items()}


def _finished(name: str, recipe: dict[str, Any]) -> torch.nn.Module:
    options = models.complete(recipe)
    model = models.construct(name, recipe)
    # The scales are found in float64, whatever the file keeps.
    model.double()
    rattled = _structures(options)["rattled"]
    inputs, specs = options["inputs"][0], options["embedding_specs"]
    models.calibrate(
        model,
        lambda head: evaluate.batch(model, rattled, head, inputs, specs),
        list(getattr(model, "heads", ["Default"])),
        derivatives=options["derivatives"],
    )
    model.to(getattr(torch, options["dtype"]))
    for attribute in options["delete"]:
        delattr(model, attribute)
    return model


def _exact_constants(
    name: str, recipe: dict[str, Any], saved: torch.nn.Module
) -> torch.nn.Module:
    """The weights of a float32 file in a model whose coupling tables are float64."""
    exact = models.construct(name, {**recipe, "dtype": "float64"})
    state = {
        key: value.double() if value.is_floating_point() else value
        for key, value in saved.state_dict().items()
        if "U_matrix" not in key and "_w3j" not in key
    }
    exact.load_state_dict(state, strict=False)
    return exact


def _pack(raw: bytes) -> bytes:
    return gzip.compress(raw, compresslevel=9, mtime=0)


def _versions() -> dict[str, str]:
    return {
        "mace_torch": mace.__version__,
        "torch": torch.__version__.split("+")[0],
        "e3nn": e3nn.__version__,
        "numpy": np.__version__,
    }


def write(out: Path, file_name: str, name: str) -> None:
    """One model and one reference file, computed with the model that was read back."""
    recipe = RECIPES[name]
    options = models.complete(recipe)
    buffer = io.BytesIO()
    torch.save(_finished(name, recipe), buffer)
    if options["refused"]:
        (out / f"{file_name}.refused.gz").write_bytes(_pack(buffer.getvalue()))
        return
    model = torch.load(io.BytesIO(buffer.getvalue()), map_location="cpu")
    parameters = sum(p.numel() for p in model.parameters())
    if options["full"] and parameters != FULL_PARAMETERS:
        message = f"{name}: {parameters} parameters, not {FULL_PARAMETERS}"
        raise ValueError(message)
    structures = _structures(options)
    reference: dict[str, Any] = {
        "name": file_name,
        "options": {k: v for k, v in options.items() if k != "full"},
        "written_by": _versions(),
        "parameters": parameters,
        "heads": list(getattr(model, "heads", ["Default"])),
        "structures": structures,
    }
    if options["dtype"] == "float32":
        exact = _exact_constants(name, recipe, model)
        reference["results"], reference["features"] = evaluate.results(
            exact, structures, options
        )
        reference["results_cast"], _ = evaluate.results(
            model.double(), structures, options
        )
    else:
        reference["results"], reference["features"] = evaluate.results(
            model, structures, options
        )
    # A file of one's own that stays below a minute: not for the full width.
    if not options["full"]:
        reference["silent_parameters"] = evaluate.silent_parameters(
            model.double(), structures, options
        )
    text = json.dumps(reference, separators=(",", ":"), sort_keys=True)
    (out / f"{file_name}.model.gz").write_bytes(_pack(buffer.getvalue()))
    (out / f"{file_name}.json.gz").write_bytes(_pack(text.encode()))


def write_manifest(out: Path) -> None:
    """Which models lie in a folder, their options, sizes and check sums."""
    manifest = {}
    for path in sorted(out.glob("*.json.gz")):
        name = path.name.removesuffix(".json.gz")
        raw = path.read_bytes()
        reference = json.loads(gzip.decompress(raw))
        model = (out / f"{name}.model.gz").read_bytes()
        manifest[name] = {
            "model_bytes": len(model),
            "model_sha256": hashlib.sha256(model).hexdigest(),
            "reference_bytes": len(raw),
            "reference_sha256": hashlib.sha256(raw).hexdigest(),
            "parameters": reference["parameters"],
            "written_by": reference["written_by"],
            "options": reference["options"],
        }
    for path in sorted(out.glob("*.refused.gz")):
        name = path.name.removesuffix(".refused.gz")
        manifest[name] = {
            "model_bytes": path.stat().st_size,
            "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "refused": RECIPES[name]["refused"],
            "written_by": _versions(),
            "options": models.complete(RECIPES[name]),
        }
    text = json.dumps(manifest, indent=1, sort_keys=True)
    (out / "manifest.json").write_text(text + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", help="folder to write into")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(RECIPES))
    parser.add_argument("--full", action="store_true", help="also the full width")
    parser.add_argument("--list", action="store_true", help="name the models and stop")
    parser.add_argument("--version-tag", default="", help="prefix of the file names")
    options = parser.parse_args()
    if options.out is None and not options.list:
        parser.error("OUT is missing")
    return options


def main() -> int:
    """Writes the models that are asked for; the exit status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    options = _arguments()
    names = options.only or [
        name
        for name, recipe in RECIPES.items()
        if options.full or not recipe.get("full", False)
    ]
    if options.list:
        for name in names:
            log.info("%s %s", name, json.dumps(RECIPES[name]))
        return 0
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        start = time.monotonic()
        file_name = f"{options.version_tag}-{name}" if options.version_tag else name
        try:
            write(options.out, file_name, name)
        except models.CannotWriteError as error:
            log.info("%s: left out, this mace-torch has no %s", name, error)
        else:
            log.info("%s: %.1f s", name, time.monotonic() - start)
    write_manifest(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
