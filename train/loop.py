"""The training loop: draw a batch, step, average, validate, remember."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lamplighter.console import progress
from lamplighter.errors import ConfigError, explain
from lamplighter.train.checkpoint import (
    Checkpoint,
    load_checkpoint,
    pack_module,
    pack_optimizer,
    save_checkpoint,
    unpack_module,
    unpack_optimizer,
)
from lamplighter.train.data.dataset import Item, make_batch
from lamplighter.train.evaluation import by_head, item_residuals, table_of
from lamplighter.train.job import Job, Outcome, State
from lamplighter.train.loss import LossTerms, compute_loss
from lamplighter.train.optim import (
    MovingAverage,
    Plateau,
    clip_gradients,
    make_optimizer,
    rate_factor,
)
from lamplighter.train.run_log import Observer, RunLog
from lamplighter.train.sampler import FrameCost, HeadSampler
from lamplighter.train.selection import head_score, total_score
from lamplighter.train.stopping import (
    StopFlag,
    TrainingDivergedError,
    TrainingInterruptedError,
)

LOG_EVERY = 10
CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"


class Trainer:
    """Runs a job, from the beginning or from its checkpoint."""

    def __init__(self, job: Job, observers: Iterable[Observer] = ()) -> None:
        """Set up optimiser, averages and sampler, and resume where possible.

        Args:
            job: everything that the run needs.
            observers: are told what the run logs.

        Raises:
            ConfigError: nothing to validate on although the selection needs it, or a
                checkpoint of another configuration or of other data.
            ArtifactError: an unusable checkpoint.
        """
        scored = [i for i in job.validation if _counts(job, i.frame.head)]
        if not scored and job.run.selection != "last":
            raise ConfigError(
                explain(
                    "no frame is held out for validation of "
                    f"{', '.join(sorted(job.scored)) or 'any head'}",
                    wanted=f"some for run.selection = {job.run.selection!r}",
                    fix="raise split.validation_fraction, name validation_files, or "
                    "set run.selection: last",
                )
            )
        self.job = job
        self.state = State()
        self.plateau = Plateau()
        self.potential = job.potential
        self.parameters = [p for p in self.potential.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(self.parameters, job.optimizer)
        self.average = MovingAverage(
            copy.deepcopy(job.potential), job.optimizer.ema_decay
        )
        self.best = copy.deepcopy(self.average.module)
        self.sampler = HeadSampler(
            [_cost(item) for item in job.train],
            job.sampling,
            quotas=dict(job.quotas),
            seed=job.run.seed,
        )
        self.log = RunLog(job.output / LOG)
        self._recent: list[Tensor] = []
        self._started = time.monotonic()
        self._resume()
        self.log.observers.extend(observers)

    def run(self, stop: StopFlag) -> Outcome:
        """Train until the steps, the time, the guard or `stop` say so.

        Raises:
            TrainingInterruptedError: `stop` was set; a checkpoint is written.
            TrainingDivergedError: the loss is not finite.
        """
        state = self.state
        self._started = time.monotonic() - state.seconds
        batches = self._batches()
        with progress(
            self.job.run.max_steps, self.job.label, done=state.step
        ) as advance:
            if state.step == 0:
                self._validate()
            while not (reason := self._end_reason()):
                self._step(next(batches))
                advance(1, self._note())
                self._housekeeping(stop)
        self._finish(reason)
        return Outcome(
            potential=self.best, state=state, reason=reason, log=self.log.path
        )

    def _batches(self) -> Iterator[list[int]]:
        """Yield batches without end, from where the run is."""
        state = self.state
        while True:
            batches = self.sampler.epoch(state.epoch)
            while state.position < len(batches):
                state.position += 1
                yield batches[state.position - 1]
            state.epoch, state.position = state.epoch + 1, 0

    def _step(self, indices: Sequence[int]) -> None:
        """One optimiser step."""
        settings, state = self.job.optimizer, self.state
        rate = settings.learning_rate * rate_factor(
            settings,
            step=state.step,
            progress=self._progress(),
            plateau=self.plateau,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = make_batch([self.job.train[k] for k in indices])
        self.optimizer.zero_grad(set_to_none=True)
        loss = compute_loss(self.potential, batch, self.job.loss)
        loss.total.backward()
        norm = clip_gradients(self.parameters, settings.clip_norm)
        self._check_finite(loss, norm)
        self.optimizer.step()
        state.step += 1
        self.average.update(self.potential, state.step)
        self._record(loss, norm, rate)

    def _progress(self) -> float:
        run = self.job.run
        done = self.state.step / run.max_steps
        if self.job.optimizer.follow_clock and run.max_minutes > 0:
            done = max(done, self._seconds() / (60.0 * run.max_minutes))
        return done

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _end_reason(self) -> str:
        run = self.job.run
        if self.state.step >= run.max_steps:
            return "steps"
        if run.max_minutes > 0 and self._seconds() >= 60.0 * run.max_minutes:
            return "time"
        guard = self.job.guard
        return guard.name if self.state.refused >= guard.patience else ""

    def _check_finite(self, loss: LossTerms, norm: Tensor) -> None:
        if torch.isfinite(loss.total) and torch.isfinite(norm):
            return
        raise TrainingDivergedError(
            explain(
                f"the loss is not finite at step {self.state.step}",
                got=f"energy {loss.energy.item():g}, forces {loss.forces.item():g}, "
                f"stress {loss.stress.item():g}, gradient {norm.item():g}",
                fix="lower optimizer.learning_rate or optimizer.clip_norm and run "
                f"again; {self.job.output / CHECKPOINT} holds the last good state",
            )
        )

    def _record(self, loss: LossTerms, norm: Tensor, rate: float) -> None:
        terms = (loss.total, loss.energy, loss.forces, loss.stress, norm)
        self._recent.append(torch.stack([t.detach().double() for t in terms]))
        if self.state.step % LOG_EVERY:
            return
        mean = torch.stack(self._recent).mean(dim=0).tolist()
        self._recent.clear()
        names = ("loss", "energy", "forces", "stress", "gradient_norm")
        self.log.write(
            "train",
            step=self.state.step,
            epoch=self.state.epoch,
            **dict(zip(names, mean, strict=True)),
            learning_rate=rate,
            seconds=round(self._seconds(), 1),
        )

    def _note(self) -> str:
        score = self.state.best_score
        return f"best score {score:.3g}" if math.isfinite(score) else ""

    def _housekeeping(self, stop: StopFlag) -> None:
        """Validate and save when it is time to; end when asked to."""
        run, step = self.job.run, self.state.step
        if step % run.validate_every == 0 or step == run.max_steps:
            self._validate()
        if stop.reason:
            self.save()
            raise TrainingInterruptedError(
                explain(
                    f"stopped by {stop.reason} after step {step}",
                    fix=f"the same command resumes from {self.job.output / CHECKPOINT}",
                )
            )
        if step % run.checkpoint_every == 0:
            self.save()

    def _validate(self) -> None:
        """Judge the averaged weights and keep them when they are the best."""
        run, state = self.job.run, self.state
        if not self.job.validation:
            self._keep(math.nan)
            return
        found = item_residuals(self.average.module, self.job.validation)
        self.log.judged(state.step, found)
        rows = by_head(table_of(found))
        scored = {h: row for h, row in rows.items() if _counts(self.job, h)}
        score = total_score(scored, run) if scored else math.nan
        self.plateau.update(score, self.job.optimizer)
        accepted = self.job.guard.accepts(rows)
        state.refused = 0 if accepted else state.refused + 1
        self.log.write(
            "validation",
            step=state.step,
            score=score,
            accepted=accepted,
            heads={
                name: {"score": head_score(row, run), **dataclasses.asdict(row)}
                for name, row in rows.items()
            },
            seconds=round(self._seconds(), 1),
        )
        if accepted and (score < state.best_score or run.selection == "last"):
            self._keep(score)

    def _keep(self, score: float) -> None:
        self.best.load_state_dict(self.average.module.state_dict())
        self.state.best_score, self.state.best_step = score, self.state.step

    def _finish(self, reason: str) -> None:
        if self.state.step % self.job.run.validate_every and reason != "steps":
            self._validate()
        self.save()
        self.log.write(
            "end",
            step=self.state.step,
            reason=reason,
            best_step=self.state.best_step,
            best_score=self.state.best_score,
            seconds=round(self._seconds(), 1),
        )

    def save(self) -> None:
        """Write the checkpoint."""
        self.state.seconds = self._seconds()
        tensors = {
            **pack_module("model", self.potential),
            **pack_module("average", self.average.module),
            **pack_module("best", self.best),
            **pack_optimizer(self.optimizer),
        }
        if self._recent:
            tensors["recent"] = torch.stack(self._recent)
        note = {
            "fingerprint": self.job.fingerprint,
            "state": _strict(dataclasses.asdict(self.state)),
            "plateau": _strict(dataclasses.asdict(self.plateau)),
        }
        save_checkpoint(
            self.job.output / CHECKPOINT, Checkpoint(tensors=tensors, note=note)
        )

    def _resume(self) -> None:
        path = self.job.output / CHECKPOINT
        if not path.is_file():
            self.log.clear()
            return
        checkpoint = load_checkpoint(path)
        if checkpoint.note["fingerprint"] != self.job.fingerprint:
            raise ConfigError(
                explain(
                    "the settings or the data changed since the checkpoint was written",
                    got=path,
                    fix=f"remove {path} to train from the beginning, choose another "
                    "output folder, or restore what changed",
                )
            )
        for name, module in (
            ("model", self.potential),
            ("average", self.average.module),
            ("best", self.best),
        ):
            unpack_module(name, module, checkpoint.tensors)
        unpack_optimizer(self.optimizer, checkpoint.tensors)
        self._recent = list(checkpoint.tensors.get("recent", torch.empty(0, 5)))
        self.state = State(**_loose(checkpoint.note["state"]))
        self.plateau = Plateau(**_loose(checkpoint.note["plateau"]))
        self.log.rewind(self.state.step)


def _counts(job: Job, head: str) -> bool:
    """Whether a head takes part in the choice of the weights."""
    return not job.scored or head in job.scored


def _cost(item: Item) -> FrameCost:
    return FrameCost(
        head=item.frame.head,
        n_atoms=item.frame.n_atoms,
        n_pairs=item.n_pairs,
        label=item.frame.source,
    )


def _strict(values: dict[str, float]) -> dict[str, float | str]:
    """Numbers as JSON can hold them; those that are not finite as text."""
    return {
        k: v if isinstance(v, int) or math.isfinite(v) else str(v)
        for k, v in values.items()
    }


def _loose(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `_strict`."""
    return {k: float(v) if isinstance(v, str) else v for k, v in values.items()}
