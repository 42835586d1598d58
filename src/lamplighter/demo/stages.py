"""The stages of the demo, each a call into one room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lamplighter import resources
from lamplighter.demo.config import (
    ELEMENTS,
    HEAD,
    LEFT_OUT,
    NEW_DATA,
    NEW_HEAD,
    NEW_LEVEL,
    REPLAY_DATA,
    DemoConfig,
)
from lamplighter.errors import EngineError, explain
from lamplighter.files import atomic_path
from lamplighter.lammps_interface.convert import convert
from lamplighter.lammps_interface.runner import run_lammps
from lamplighter.model import read_header
from lamplighter.train import FinetuneConfig, HeadData, TrainResult, finetune
from lamplighter.train.config import OptimizerSettings, RunSettings, SplitSettings
from lamplighter.train.finetune_config import NewHead, ReplaySettings
from lamplighter.validation.runner import SuiteResult, run_suite
from lamplighter.validation.suite import (
    EngineSpec,
    ModelSpec,
    SuiteConfig,
    default_settings,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostTraining:
    """What was asked of the post-training, and what it left.

    Attributes:
        settings: its configuration.
        base: the potential that it started from.
        result: its files.
    """

    settings: FinetuneConfig
    base: Path
    result: TrainResult


def post_train(output: Path, config: DemoConfig) -> PostTraining:
    """Add the new head to the base model by multi-head replay, within the budget."""
    base = config.base or resources.base_model()
    heads = {head.name: head for head in read_header(base).config.heads}
    replay = tuple(
        HeadData(
            name=name,
            level=heads[name].level_of_theory,
            files=tuple(map(resources.dataset, datasets)),
            exclude=LEFT_OUT.get(name, ()),
        )
        for name, datasets in REPLAY_DATA.items()
        if name in heads
    )
    new = NewHead(
        name=NEW_HEAD,
        level=NEW_LEVEL,
        files=(resources.dataset(NEW_DATA),),
        start_from=HEAD,
        licence="CC-BY-4.0",
        source="GPAW, PBEsol, data/README.md",
    )
    settings = FinetuneConfig(
        base=base,
        output=output,
        heads=(new,),
        replay_heads=replay,
        # Enough to hold the old heads for the minute that this takes.
        replay=ReplaySettings(fraction=0.6, max_frames=config.replay_frames),
        # That of the base model: what it held out stays held out.
        split=SplitSettings(min_stratum=3),
        run=RunSettings(
            max_steps=config.max_steps,
            max_minutes=config.training_minutes,
            validate_every=20,
            checkpoint_every=100,
            selection="last",
            threads=1,
        ),
        # For some ten to some hundred steps, whatever the machine does in the time.
        optimizer=OptimizerSettings(
            learning_rate=5e-4, warmup_steps=10, ema_decay=0.95, follow_clock=True
        ),
    )
    return PostTraining(settings=settings, base=base, result=finetune(settings))


def convert_model(model: Path, folder: Path) -> tuple[Path, Path]:
    """Write the ML-IAP files of the head and the elements that LAMMPS runs.

    Returns:
        One in double precision, for the validation, and one in single precision, for
        the dynamics, which runs about twice as fast.
    """
    exact, fast = folder / "mgo-pbe.pt", folder / "mgo-pbe-float32.pt"
    convert(model, HEAD, list(ELEMENTS), exact, dtype="float64")
    convert(model, HEAD, list(ELEMENTS), fast, dtype="float32")
    return exact, fast


SCRIPT: Final = """\
# {n_atoms} atoms of MgO at {temperature} K, 2 fs steps
units           metal
atom_style      atomic
boundary        p p p
lattice         custom {edge} &
                a1 1 0 0  a2 0 1 0  a3 0 0 1 &
                basis 0 0 0    basis 0 0.5 0.5  basis 0.5 0 0.5  basis 0.5 0.5 0 &
                basis 0.5 0 0  basis 0 0.5 0    basis 0 0 0.5    basis 0.5 0.5 0.5
region          box block 0 {repeats} 0 {repeats} 0 {repeats}
create_box      2 box
create_atoms    1 box basis 5 2 basis 6 2 basis 7 2 basis 8 2
mass            1 24.305
mass            2 15.999
pair_style      mliap unified "{artifact}" 0
pair_coeff      * * Mg O
# A perfect crystal takes up half of the kinetic energy: start at twice the temperature.
velocity        all create {start} 12345 mom yes dist gaussian loop geom
fix             1 all nvt temp {temperature} {temperature} 0.1
timestep        0.002
thermo_style    custom step temp pe etotal press
thermo          5
run             {steps}
"""


def run_dynamics(artifact: Path, folder: Path, config: DemoConfig) -> dict[str, Any]:
    """Run NVT molecular dynamics in ``lmp`` and return it as the report plots it.

    Raises:
        EngineError: LAMMPS failed, or its output has no complete run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "in.lammps"
    with atomic_path(script) as target:
        target.write_text(
            SCRIPT.format(
                n_atoms=config.n_atoms,
                temperature=config.temperature,
                start=2 * config.temperature,
                edge=4.26,
                repeats=config.repeats,
                artifact=artifact.resolve(),
                steps=config.dynamics_steps,
            ),
            encoding="utf-8",
        )
    run = run_lammps(script, ranks=config.n_ranks, timeout_s=1200.0)
    thermo = run.thermo[-1] if run.thermo else {}
    if len(thermo.get("Step", ())) == 0 or thermo["Step"][-1] != config.dynamics_steps:
        raise EngineError(
            explain(
                "the molecular dynamics is not complete",
                wanted=f"{config.dynamics_steps} steps in the log",
                fix=f"see {run.log}",
            )
        )
    return {
        "time_ps": (0.002 * thermo["Step"]).tolist(),
        "temperature_K": thermo["Temp"].tolist(),
        "potential_eV": thermo["PotEng"].tolist(),
        "n_atoms": config.n_atoms,
        "target_K": config.temperature,
        "note": (
            f"{config.n_atoms} atoms of MgO, single precision, "
            f"{config.dynamics_steps} steps of 2 fs on "
            f"{config.n_ranks} MPI {'rank' if config.n_ranks == 1 else 'ranks'} in "
            f"{run.wall_s:.0f} s, the start of LAMMPS included."
        ),
    }


def validate(
    model: Path, artifact: Path, folder: Path, config: DemoConfig
) -> SuiteResult:
    """Validate the head that LAMMPS runs, on MgO, through both engines."""
    suite = SuiteConfig(
        model=ModelSpec(file=model, head=HEAD),
        engines=(EngineSpec(kind="ase"), EngineSpec(kind="lammps", artifact=artifact)),
        properties={name: default_settings(name) for name in config.properties},
    )
    return run_suite(suite, folder)
