"""The mechanism study: does learning several theories help the main one, and keep?

    python benchmarks/mechanism/run.py --output runs/mechanism

Writes the frames and the configurations, trains what is missing (an interrupted
training resumes from its checkpoint), judges every potential on frames that no head has
seen, and writes `benchmarks/results/mechanism.json`. The protocol and what came out:
`docs/mechanism.md`. Three seeds of seven trainings take about 50 minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from mechanism_data import write_data
from mechanism_judge import collect
from mechanism_numbers import RESULTS
from mechanism_recipes import ARMS, SHIPPED_ARMS, Size, recipe

from lamplighter.files import atomic_path

ALL = (*ARMS, *SHIPPED_ARMS)

log = logging.getLogger(__name__)


def main(words: Sequence[str] | None = None) -> int:
    """Run what is missing and collect; return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    arguments = _arguments(words)
    output = arguments.output.resolve()
    size = Size(
        channels=arguments.channels,
        steps=arguments.steps,
        new_steps=arguments.new_steps,
        shipped_steps=arguments.shipped_steps,
    )
    counts = write_data(output / "data")
    for seed in arguments.seeds:
        for arm in arguments.arms:
            _train(arm, seed, size, output)
    if arguments.train_only:
        return 0
    result = collect(output, seeds=arguments.seeds, size=size, counts=counts)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(arguments.results) as path:
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    log.info("wrote %s", arguments.results)
    return 0


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Size()
    parser.add_argument("--output", type=Path, required=True, help="working folder")
    parser.add_argument("--results", type=Path, default=RESULTS, help="JSON to write")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--arms", nargs="+", choices=ALL, default=ALL)
    parser.add_argument("--train-only", action="store_true", help="judge nothing")
    parser.add_argument("--steps", type=int, default=default.steps)
    parser.add_argument("--new-steps", type=int, default=default.new_steps)
    parser.add_argument("--shipped-steps", type=int, default=default.shipped_steps)
    parser.add_argument("--channels", type=int, default=default.channels)
    return parser.parse_args(words)


def _train(arm: str, seed: int, size: Size, output: Path) -> None:
    """Train unless it is done; the command resumes from its own checkpoint.

    What was trained with another configuration is removed.
    """
    folder = output / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"{arm}.yaml"
    content = recipe(arm, seed=seed, size=size, data=output / "data", folder=folder)
    text = yaml.safe_dump(content, sort_keys=False)
    same = config.is_file() and config.read_text("utf-8") == text
    if same and (folder / arm / "errors.json").is_file():
        log.info("seed %d %s: done before", seed, arm)
        return
    if not same and (folder / arm).is_dir():
        shutil.rmtree(folder / arm)
    with atomic_path(config) as path:
        path.write_text(text, encoding="utf-8")
    log.info("seed %d %s: starts", seed, arm)
    command = "finetune" if "base" in content else "train"
    with (folder / f"{arm}.log").open("w", encoding="utf-8") as record:
        subprocess.run(
            [sys.executable, "-m", "lamplighter", command, str(config)],
            check=True,
            stdout=record,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    log.info("seed %d %s: done", seed, arm)


if __name__ == "__main__":
    sys.exit(main())
