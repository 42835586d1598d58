"""The processes of a run: one, or several that torchrun or SLURM started.

Several processes compute parts of the same batches. What they share is little: sums of
gradients and numbers, and the news that one of them has failed. Lightning Fabric, which
knows launchers, clusters and devices, is only needed for several.
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, distributed

from lamplighter.console import mute
from lamplighter.errors import (
    ConfigError,
    LamplighterError,
    OptionalDependencyError,
    explain,
)

T = TypeVar("T")


class RankFailedError(LamplighterError):
    """Another process of the run has failed or is gone; this one ends with it."""

    exit_code: ClassVar[int] = 1


class Ranks:
    """A run of one process: sums are what they are, and nobody has to be told.

    Attributes:
        rank: number of this process.
        size: number of processes.
        device: torch device of this process.
    """

    rank = 0
    size = 1

    def __init__(self, device: str = "cpu") -> None:
        """Run on `device`."""
        self.device = device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def gather(self, value: T) -> list[T]:
        """Return the `value` of every process, in their order."""
        return [value]

    def sum_numbers(self, values: Sequence[float]) -> list[float]:
        """Return the sums over the processes; every process gets the same bits."""
        return list(values)

    def sum_tensor(self, values: Tensor) -> None:
        """Replace a tensor on `device` by its sum over the processes."""

    @contextlib.contextmanager
    def together(self, what: str) -> Iterator[None]:
        """Let all processes fail in the block, or none.

        Args:
            what: what the block does, for the message.

        Raises:
            RankFailedError: the block failed in another process.
        """
        del what
        yield

    def from_main(self, function: Callable[[], T]) -> T:
        """Call `function` in process 0 alone and return its value in all.

        Raises:
            RankFailedError: it failed in process 0 (which raises the error itself).
        """
        return function()


class SeveralRanks(Ranks):
    """Processes that torchrun or SLURM started, joined by Lightning Fabric."""

    def __init__(self, fabric: Any, control: Any) -> None:
        """Take a launched Fabric, and a gloo group for news between the processes."""
        super().__init__(str(fabric.device))
        self.rank = int(fabric.global_rank)
        self.size = int(fabric.world_size)
        self._fabric = fabric
        self._control = control

    def gather(self, value: T) -> list[T]:
        """Return the `value` of every process, in their order.

        Raises:
            RankFailedError: a process is gone.
        """
        found: list[Any] = [None] * self.size
        try:
            distributed.all_gather_object(found, value, group=self._control)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise self._lost(error) from error
        return found

    def sum_numbers(self, values: Sequence[float]) -> list[float]:
        """Return the sums over the processes; every process gets the same bits.

        Raises:
            RankFailedError: a process is gone.
        """
        total = torch.tensor(values, dtype=torch.float64)
        try:
            distributed.all_reduce(total, group=self._control)
        except RuntimeError as error:
            raise self._lost(error) from error
        return list(total.tolist())

    def sum_tensor(self, values: Tensor) -> None:
        """Replace a tensor on `device` by its sum over the processes.

        Raises:
            RankFailedError: a process is gone.
        """
        try:
            self._fabric.all_reduce(values, reduce_op="sum")
        except RuntimeError as error:
            raise self._lost(error) from error

    @contextlib.contextmanager
    def together(self, what: str) -> Iterator[None]:
        """Let all processes fail in the block, or none; see [`Ranks`][]."""
        problem = f"{what} was left early"
        try:
            yield
            problem = ""
        except LamplighterError as error:
            problem = str(error)
            raise
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise
        finally:
            failed = self._failures(problem)
            if failed and not problem:
                raise RankFailedError(failed)

    def _failures(self, problem: str) -> str:
        """Tell the others about a problem and return theirs as a message."""
        if problem:
            # Nothing may hide the error that is on its way up.
            with contextlib.suppress(RankFailedError):
                self.sum_numbers([1.0])
                self.gather(problem)
            return problem
        if self.sum_numbers([0.0]) == [0.0]:
            return ""
        texts: list[str] = self.gather(problem)
        rank = next(k for k, text in enumerate(texts) if text)
        return explain(
            f"process {rank} of {self.size} has failed, so process {self.rank} ends",
            got=texts[rank],
            fix="remove the cause there and run the same command again",
        )

    def from_main(self, function: Callable[[], T]) -> T:
        """Call `function` in process 0 alone and return its value in all."""
        value: T | None = None
        with self.together("the work of process 0"):
            if self.is_main:
                value = function()
        return self.gather(value)[0]  # type: ignore[return-value]

    def _lost(self, error: Exception) -> RankFailedError:
        return RankFailedError(
            explain(
                f"process {self.rank} of {self.size} has lost the others: one has "
                "ended, was killed, or cannot be reached",
                got=str(error).strip().partition("\n")[0],
                fix="look for the first error above, then run the same command again: "
                "it resumes from the last checkpoint",
            )
        )


@contextlib.contextmanager
def join_ranks(device: str) -> Iterator[Ranks]:
    """Yield the processes of this run: one, unless torchrun or srun started several.

    Args:
        device: torch device; "cuda" gives each process of a node a GPU of its own.

    Raises:
        OptionalDependencyError: several processes without Lightning Fabric.
        ConfigError: several processes that another launcher started, or more processes
            on a node than GPUs.
    """
    launcher = _launcher(os.environ)
    if launcher is None:
        yield Ranks(device)
        return
    from lamplighter.train.fabric_ranks import launch  # noqa: PLC0415  (an extra)

    with launch(launcher, device) as (fabric, control):
        ranks = SeveralRanks(fabric, control)
        if not ranks.is_main:
            mute()
        yield ranks


def mute_others() -> None:
    """Let only process 0 speak, before the processes have joined."""
    names = {"torchrun": "RANK", "slurm": "SLURM_PROCID", None: ""}
    if os.environ.get(names[_launcher(os.environ)], "0") != "0":
        mute()


def _launcher(environment: Mapping[str, str]) -> str | None:
    """Return "torchrun", "slurm", or None for a single process.

    Raises:
        ConfigError: mpiexec has started several processes, which would not know of each
            other and write into the same folder.
    """

    def number(name: str) -> int:
        return int(environment.get(name) or 1)

    if "RANK" in environment and number("WORLD_SIZE") > 1:
        return "torchrun"
    # Set by srun alone; SLURM_NTASKS is also set in a batch script.
    if "SLURM_PROCID" in environment and number("SLURM_STEP_NUM_TASKS") > 1:
        return "slurm"
    if max(number("OMPI_COMM_WORLD_SIZE"), number("PMI_SIZE")) > 1:
        raise ConfigError(
            explain(
                "several processes were started by mpiexec",
                wanted="torchrun, or srun of SLURM",
                fix="torchrun --standalone --nproc-per-node N -m lamplighter train "
                "CONFIG",
            )
        )
    return None


def missing_fabric(error: ImportError) -> OptionalDependencyError:
    """Return the error that names the command which installs Lightning Fabric."""
    return OptionalDependencyError(
        explain(
            "training in several processes needs Lightning Fabric",
            got=error,
            fix="pip install 'lamplighter[distributed]'",
        )
    )
