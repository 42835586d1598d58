"""The training loop: draw a batch, step, average, validate, remember."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterable, Sequence

from lamplighter.console import progress
from lamplighter.errors import explain
from lamplighter.train.best_models import keep_best
from lamplighter.train.checkpoint import (
    load_newest,
    pack_module,
    remove_leftovers,
    save_checkpoint,
    unpack_module,
)
from lamplighter.train.data.dataset import Item
from lamplighter.train.dealing import deal_parts
from lamplighter.train.evaluation import by_head, table_of
from lamplighter.train.job import Job, Outcome, State
from lamplighter.train.judging import shared_residuals
from lamplighter.train.optim import MovingAverage, Plateau, rate_factor
from lamplighter.train.ranks import Ranks
from lamplighter.train.reading import Drawn, ReadAhead, draw
from lamplighter.train.restart import Memory, check_alike, check_fingerprint
from lamplighter.train.run_log import Observer, RunLog
from lamplighter.train.sampler import HeadSampler
from lamplighter.train.selection import check_scores, total_score
from lamplighter.train.step_log import StepLog, check_finite
from lamplighter.train.stepping import Stepper, check_same_weights
from lamplighter.train.stopping import StopFlag, TrainingInterruptedError

LOG_EVERY = 10
CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"


class Trainer:
    """Runs a job, from the beginning or from its checkpoint.

    Attributes:
        job: what to do.
        ranks: the processes that do it together.
        state: counters.
        stepper: weights, optimiser and average.
        best: the chosen weights so far.
    """

    def __init__(
        self,
        job: Job,
        observers: Iterable[Observer] = (),
        ranks: Ranks | None = None,
    ) -> None:
        """Set up optimiser, averages and sampler, and resume where possible.

        Nothing is written yet; [`alone`][lamplighter.train.restart] keeps others out.

        Args:
            job: everything that the run needs; the same in every process.
            observers: see `watch`.
            ranks: the processes of the run; None: one.

        Raises:
            ConfigError: nothing to validate on although the selection needs it, or
                settings or data unlike those of the checkpoint or other processes.
            ArtifactError: an unusable checkpoint.
        """
        job.check_selection()
        self.job = job
        self.ranks = ranks or Ranks(job.run.device)
        self.state = State()
        self.plateau = Plateau()
        # Started alike by each process; alike to the last bit from here on.
        start = self.ranks.from_main(lambda: pack_module("start", job.potential))
        unpack_module("start", job.potential, start)
        mixed = job.run.dtype == "mixed"
        self.stepper = Stepper(
            *(job.potential, job.loss, job.optimizer),
            mixed=mixed,
            ranks=self.ranks,
            edge_chunk=job.run.edge_chunk,
        )
        self.best = copy.deepcopy(job.potential)
        self._judged = copy.deepcopy(job.potential) if mixed else self.average.module
        self.sampler = HeadSampler(
            job.frame_costs(),
            job.sampling,
            quotas=dict(job.quotas),
            seed=job.run.seed,
        )
        self.log = RunLog(job.output / LOG)
        self._steps = StepLog()
        self._started = time.monotonic()
        self._clock = 0.0
        self._resume()
        self.watch(observers)

    def watch(self, observers: Iterable[Observer]) -> None:
        """Let `observers` be told what the run logs, in process 0."""
        self.log.observers.extend(observers if self.ranks.is_main else ())

    @property
    def average(self) -> MovingAverage:
        """The running average of the weights."""
        return self.stepper.average

    def run(self, stop: StopFlag) -> Outcome:
        """Train until the steps, the time, the guard or `stop` say so.

        Raises:
            TrainingInterruptedError: `stop` was set; a checkpoint is written.
            TrainingDivergedError: the loss is not finite.
            RankFailedError: another process of the run has failed.
        """
        self.ranks.from_main(self._tidy)
        reason = self._run(stop)
        return Outcome(
            potential=self.best, state=self.state, reason=reason, log=self.log.path
        )

    def _run(self, stop: StopFlag) -> str:
        """Return why the run has ended."""
        state = self.state
        self._clock = state.seconds
        self._started = time.monotonic() - state.seconds
        batches = draw(self.sampler, state.epoch, state.window, state.position)
        total, label = self.job.run.max_steps, self.job.label
        with (
            progress(total, label, done=state.step) as advance,
            ReadAhead(batches, self._read) as ahead,
        ):
            if state.step == 0:
                self._validate()
            while not (reason := self._end_reason()):
                self._step(*ahead.take())
                advance(1, self._note())
                self._housekeeping(stop)
        self._finish(reason)
        return reason

    def _share(self, batch: Sequence[int]) -> list[list[int]]:
        """Return what this process computes of a batch, in parts."""
        pairs = self.sampler.costs.n_pairs[batch].tolist()
        n_parts = self.ranks.size * self.job.run.accumulate
        return deal_parts(batch, pairs, n_parts)[self.ranks.rank :: self.ranks.size]

    def _read(self, batch: Sequence[int]) -> list[list[Item]]:
        """Return the part of a batch that this process computes, in parts."""
        return [[self.job.train[k] for k in part] for part in self._share(batch)]

    def _step(self, drawn: Drawn, read: Callable[[], list[list[Item]]]) -> None:
        """One optimiser step."""
        settings, state, batch = self.job.optimizer, self.state, drawn.batch
        state.epoch, state.window, state.position = drawn.place
        rate = settings.learning_rate * rate_factor(
            settings,
            step=state.step,
            progress=self._progress(),
            plateau=self.plateau,
        )
        with self.ranks.together("reading a batch"):
            parts = read()
        record = self.stepper.compute(parts)
        check_finite(
            record,
            step=state.step,
            frames=lambda: [self.sampler.costs.label(k) for k in batch],
            kept=self.job.output / CHECKPOINT,
        )
        state.step += 1
        self.stepper.move(rate, state.step)
        self._steps.add(record)
        if state.step % LOG_EVERY == 0:
            self._log(
                "train",
                step=state.step,
                epoch=state.epoch,
                **self._steps.mean(),
                learning_rate=rate,
                seconds=round(self._seconds(), 1),
            )

    def _progress(self) -> float:
        run = self.job.run
        done = self.state.step / run.max_steps
        if self.job.optimizer.follow_clock and run.max_minutes > 0:
            done = max(done, self._clock / (60.0 * run.max_minutes))
        return done

    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _end_reason(self) -> str:
        run = self.job.run
        if self.state.step >= run.max_steps:
            return "steps"
        if run.max_minutes > 0 and self._clock >= 60.0 * run.max_minutes:
            return "time"
        guard = self.job.guard
        return guard.name if self.state.refused >= guard.patience else ""

    def _log(self, event: str, **values: object) -> None:
        with self.ranks.together("writing the log"):
            if self.ranks.is_main:
                self.log.write(event, **values)

    def _note(self) -> str:
        score = self.state.best_score
        return f"best score {score:.3g}" if math.isfinite(score) else ""

    def _housekeeping(self, stop: StopFlag) -> None:
        """Validate and save when it is time to; end when asked to."""
        run, step = self.job.run, self.state.step
        if step % run.validate_every == 0 or step == run.max_steps:
            self._validate()
        reason = stop.reason
        seconds = self._seconds() if self.ranks.is_main else 0.0
        asked, self._clock = self.ranks.sum_numbers([float(bool(reason)), seconds])
        if asked:
            self.save()
            raise TrainingInterruptedError(
                explain(
                    f"stopped by {reason or 'another process'} after step {step}",
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
        if self._judged is not self.average.module:
            self._judged.load_state_dict(self.average.module.state_dict())
        found = shared_residuals(
            self._judged, self.job.validation, self.ranks, edge_chunk=run.edge_chunk
        )
        if self.ranks.is_main:
            self.log.judged(state.step, found)
        rows = by_head(table_of(found))
        scores = self.job.head_scores(rows)
        counted = {h: x for h, x in scores.items() if self.job.counts(h)}
        check_scores(counted, step=state.step, kept=self.job.output / CHECKPOINT)
        score = total_score(counted, run) if counted else math.nan
        self.plateau.update(score, self.job.optimizer)
        accepted = self.job.guard.accepts(rows)
        state.refused = 0 if accepted else state.refused + 1
        self._log(
            "validation",
            step=state.step,
            score=score,
            accepted=accepted,
            heads={
                name: {"score": scores[name], **dataclasses.asdict(row)}
                for name, row in rows.items()
            },
            seconds=round(self._seconds(), 1),
        )
        if accepted and (score < state.best_score or run.selection == "last"):
            self._keep(score)

    def _keep(self, score: float) -> None:
        state, limit = self.state, self.job.run.keep_best
        self.best.load_state_dict(self.average.module.state_dict())
        state.best_score, state.best_step = score, state.step
        if limit:
            state.kept = self.ranks.from_main(
                lambda: keep_best(
                    self.job.output,
                    self.best,
                    state.kept,
                    score=score,
                    step=state.step,
                    limit=limit,
                )
            )

    def _finish(self, reason: str) -> None:
        if self.state.step % self.job.run.validate_every and reason != "steps":
            self._validate()
        self.save()
        self._log(
            "end",
            step=self.state.step,
            reason=reason,
            best_step=self.state.best_step,
            best_score=self.state.best_score,
            seconds=round(self._seconds(), 1),
        )

    def _memory(self) -> Memory:
        return Memory(
            modules={
                "model": self.stepper.weights,
                "average": self.average.module,
                "best": self.best,
            },
            optimizers=self.stepper.optimizers,
            state=self.state,
            plateau=self.plateau,
            recent=self._steps.pack(),
        )

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            LamplighterError: the disk is full or the folder cannot be written.
            CheckFailedError: the processes do not have the same weights any more.
        """
        self.state.seconds = self._seconds()
        check_same_weights(self.stepper.weights, self.ranks, self.state.step)
        path = self.job.output / CHECKPOINT

        def write() -> None:
            checkpoint = self._memory().pack(self.job.fingerprint)
            save_checkpoint(path, checkpoint, keep=self.job.run.keep_checkpoints)

        self.ranks.from_main(write)

    def _resume(self) -> None:
        path = self.job.output / CHECKPOINT
        check_alike(self.job.fingerprint, self.ranks)
        checkpoint = self.ranks.from_main(lambda: load_newest(path))
        if checkpoint is None:
            return
        check_fingerprint(checkpoint, self.job.fingerprint, path)
        memory = self._memory().unpack(checkpoint)
        self.state, self.plateau = memory.state, memory.plateau
        self._steps = StepLog([] if memory.recent is None else list(memory.recent))
        self.stepper.sync_potential()

    def _tidy(self) -> None:
        """Let the folder hold what had happened until the step where the run is."""
        remove_leftovers(self.job.output / CHECKPOINT)
        if self.state.step:
            self.log.rewind(self.state.step)
        else:
            self.log.clear()
