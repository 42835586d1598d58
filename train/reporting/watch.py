"""Who looks on while a run goes on: the page, the terminal, other trackers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lamplighter.console import info
from lamplighter.train.evaluation import Residual
from lamplighter.train.finetune_config import NewHead
from lamplighter.train.job import Job
from lamplighter.train.prepare import PreparedData
from lamplighter.train.ranks import Ranks
from lamplighter.train.replay import DriftGuard
from lamplighter.train.reporting.facts import HeadFacts, RunFacts
from lamplighter.train.reporting.live import LivePage
from lamplighter.train.reporting.terminal import ValidationLines
from lamplighter.train.reporting.trackers import open_trackers
from lamplighter.train.run_log import Observer


@dataclass(slots=True)
class Watch:
    """The observers of a run, and the page that is finished after it.

    Attributes:
        observers: for the `Trainer`.
        page: written at the validations; None where nobody looks.
    """

    observers: list[Observer] = field(default_factory=list)
    page: LivePage | None = None

    def finish(
        self,
        reason: str,
        judged: Mapping[str, Sequence[Residual]],
        forgetting: Path | None = None,
    ) -> Path | None:
        """Write the last page and return its path; see [`LivePage.finish`][]."""
        if self.page is None:
            return None
        self.page.finish(reason, judged, forgetting)
        return self.page.path


@contextlib.contextmanager
def watched(
    job: Job, data: PreparedData, config: Mapping[str, Any], ranks: Ranks
) -> Iterator[Watch]:
    """Yield the observers of a run, and close them at its end.

    Args:
        job: the run.
        data: its frames.
        config: the effective configuration, as plain mappings.
        ranks: the processes of the run; process 0 alone gets observers.

    Raises:
        OptionalDependencyError: a tracker that the settings name is not installed.
        RankFailedError: the same, in the other processes.
    """
    with contextlib.ExitStack() as stack:
        watch = Watch()
        with ranks.together("opening the views of the run"):
            if ranks.is_main:
                watch = _opened(job, run_facts(job, data, config), stack)
        yield watch


def _opened(job: Job, facts: RunFacts, stack: contextlib.ExitStack) -> Watch:
    """Return the observers of a run; `stack` closes them."""
    page = LivePage(facts, job.output)
    trackers = open_trackers(job.run, facts, job.output, stack)
    info(f"page of the run: {page.path}")
    stack.enter_context(page.watch())
    lines = ValidationLines([h.name for h in facts.heads])
    return Watch(observers=[lines, page, *trackers], page=page)


def run_facts(job: Job, data: PreparedData, config: Mapping[str, Any]) -> RunFacts:
    """Return what is known of a run before its first step."""
    own = {h.head.name: h for h in data.heads}
    new = {name for name, h in own.items() if isinstance(h.head, NewHead)}
    limits = job.guard.allowed() if isinstance(job.guard, DriftGuard) else {}
    heads = []
    for spec in job.potential.config.heads:
        frames = own.get(spec.name)
        force, energy = limits.get(spec.name, (None, None))
        role = "new" if spec.name in new else "kept"
        heads.append(
            HeadFacts(
                name=spec.name,
                level=spec.level_of_theory,
                role=role if new else "trained",
                n_train=len(frames.train) if frames else 0,
                n_validation=len(frames.validation) if frames else 0,
                n_test=len(frames.test) if frames else 0,
                force_limit=force,
                energy_limit=energy,
            )
        )
    return RunFacts(
        kind="Post-training" if new else "Training",
        heads=tuple(heads),
        config=config,
        files=data.hashes,
        n_weights=sum(p.numel() for p in job.potential.parameters()),
        max_steps=job.run.max_steps,
        max_minutes=job.run.max_minutes,
        validate_every=job.run.validate_every,
    )
