"""What the demo adds to a suite's report: training, dynamics, and the new head."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from ase.eos import EquationOfState

from lamplighter.demo.config import HEAD, NEW_DATA, NEW_HEAD, NEW_LEVEL
from lamplighter.demo.stages import PostTraining
from lamplighter.errors import CheckFailedError
from lamplighter.metrics import rmse
from lamplighter.model import Calculator, HeadSpec, load_potential
from lamplighter.resources import dataset
from lamplighter.train import Frame, read_frames
from lamplighter.train.errors_table import ErrorRow
from lamplighter.train.evaluation import Residual, by_head, residuals, table_of
from lamplighter.train.prepare import prepare
from lamplighter.train.run_log import read_log
from lamplighter.validation.engines import AseEngine
from lamplighter.validation.materials import structure_of
from lamplighter.validation.report import write_report
from lamplighter.validation.report.collect import suite_document
from lamplighter.validation.runner import SuiteResult, relaxed_start

__all__ = ["demo_document", "write_report"]

EOS_TYPE: Final = "mgo_b1_eos"
_SHOWN_HEADS: Final = 6


def demo_document(
    suite: SuiteResult, trained: PostTraining, dynamics: dict[str, Any]
) -> dict[str, Any]:
    """Return the report document of the demo.

    Args:
        suite: validation of the post-trained model.
        trained: the post-training.
        dynamics: the molecular dynamics, as the report plots it.
    """
    document = suite_document(
        suite, title="Lamplighter demo: MgO from base model to LAMMPS"
    )
    held_out = held_out_frames(trained)
    after = residuals(load_potential(trained.result.model), held_out)
    document["training"] = training_table(trained, after)
    document["plots"] = {
        "learning_curve": learning_curve(trained),
        "force_parity": force_parity(after),
        "dynamics": dynamics,
        **document["plots"],
    }
    document["notes"] = [new_head_note(trained)]
    return document


def held_out_frames(trained: PostTraining) -> list[Frame]:
    """Return the frames of every head that the post-training did not learn from."""
    settings = trained.settings
    heads = (*settings.heads, *settings.replay_heads)
    data = prepare(heads, settings.split, settings.limits)
    return [*data.frames("validation"), *data.frames("test")]


def training_table(trained: PostTraining, after: Sequence[Residual]) -> dict[str, Any]:
    """Return the errors on held-out frames of every head, before and after."""
    rows = by_head(table_of(after))
    heads = load_potential(trained.result.model).config.heads
    before = before_training(trained)
    log = read_log(trained.result.log)
    end = log[-1] if log else {}
    return {
        "text": (
            f"Multi-head replay: {end.get('step', 0)} steps in "
            f"{end.get('seconds', 0):.0f} s, ended by {trained.result.reason}; "
            f"the weights of step {end.get('best_step', 0)} are kept. Errors "
            "on frames that were not learnt from; a head without any shares its "
            "structures with heads that learn from them."
        ),
        "rows": [_row(head, rows.get(head.name), before) for head in heads],
    }


def _row(
    head: HeadSpec, after: ErrorRow | None, before: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row of the training table; `after` is None without held-out frames."""
    errors = None
    if after is not None:
        errors = {"energy_rmse": after.energy_rmse, "force_rmse": after.force_rmse}
    return {
        "head": head.name,
        "level": head.level_of_theory,
        "n_frames": 0 if after is None else after.n_frames,
        "before": before.get(head.name),
        "after": errors,
    }


def before_training(trained: PostTraining) -> dict[str, dict[str, float | None]]:
    """Return the errors of the old heads before the post-training."""
    if trained.result.forgetting is None:
        return {}
    content = json.loads(trained.result.forgetting.read_text(encoding="utf-8"))
    return {
        name: {key: entry["before"][key] for key in ("energy_rmse", "force_rmse")}
        for name, entry in content["heads"].items()
    }


def learning_curve(trained: PostTraining) -> dict[str, Any]:
    """Return the validation errors of every head over the steps."""
    heads: dict[str, dict[str, list[float]]] = {}
    for record in read_log(trained.result.log):
        if record["event"] != "validation":
            continue
        for name, errors in record["heads"].items():
            if errors["force_rmse"] is not None:
                curve = heads.setdefault(name, {"steps": [], "force_rmse": []})
                curve["steps"].append(record["step"])
                curve["force_rmse"].append(errors["force_rmse"])
    return {"heads": heads, "new_head": NEW_HEAD, "x_label": "optimiser step"}


def force_parity(found: Sequence[Residual]) -> dict[str, Any]:
    """Return labelled and predicted force components of every head."""
    heads: dict[str, dict[str, Any]] = {}
    for residual in found:
        frame = residual.frame
        if residual.forces is None or frame.forces is None or frame.n_atoms == 1:
            continue
        panel = heads.setdefault(frame.head, {"reference": [], "predicted": []})
        panel["reference"] += frame.forces.ravel().round(4).tolist()
        panel["predicted"] += (frame.forces + residual.forces).ravel().round(4).tolist()
    for panel in heads.values():
        difference = np.subtract(panel["predicted"], panel["reference"])
        panel["rmse"] = 1000 * rmse(difference)
    order = [HEAD, NEW_HEAD, *(name for name in heads if name not in {HEAD, NEW_HEAD})]
    shown = [name for name in order if name in heads][:_SHOWN_HEADS]
    return {"heads": {name: heads[name] for name in shown}}


def new_head_note(trained: PostTraining) -> dict[str, str]:
    """Return one line about the new head: its lattice constant beside its own DFT."""
    potential = load_potential(trained.result.model)
    engine = AseEngine(Calculator(potential, head=NEW_HEAD))
    title = f"The new head, {NEW_HEAD}"
    try:
        crystal = relaxed_start(structure_of("MgO"), engine)
    except CheckFailedError as error:
        return {"title": title, "text": str(error)}
    model = float(crystal.cell.lengths()[0])
    reference = dft_lattice_constant()
    off = 100 * (model / reference - 1)
    return {
        "title": title,
        "text": (
            f"Lattice constant of MgO {model:.4f} Å; the minimum of the {NEW_LEVEL} "
            f"energies that it was trained on is at {reference:.4f} Å ({off:+.2f} %). "
            "Most of these frames were in its training: this tells what the head took "
            "up in that time, not how it does elsewhere."
        ),
    }


def dft_lattice_constant() -> float:
    """Return the lattice constant, Å, at the minimum of the new set's E(V) frames."""
    frames = [
        frame
        for frame in read_frames(dataset(NEW_DATA))
        if frame.config_type == EOS_TYPE and frame.n_atoms > 1
    ]
    # Å^3 and eV for one formula unit, whatever the cell of the frame.
    units = np.array([frame.n_atoms / 2 for frame in frames])
    volumes = np.array([abs(np.linalg.det(frame.cell)) for frame in frames]) / units
    energies = np.array([frame.energy for frame in frames]) / units
    volume, _, _ = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    return float((4 * volume) ** (1 / 3))
