"""What a run writes down so that it can go on later, bit for bit."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lamplighter.errors import ConfigError, explain
from lamplighter.train.checkpoint import Checkpoint, pack_module, unpack_module
from lamplighter.train.job import State
from lamplighter.train.optim import Optimizers, Plateau
from lamplighter.train.ranks import Ranks


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that a run remembers.

    Attributes:
        modules: weights, averages and best weights by name.
        optimizers: their moments.
        state: counters.
        plateau: memory of the schedule.
        recent: [n, m] or None, values of the steps since the last record of the log.
    """

    modules: Mapping[str, nn.Module]
    optimizers: Optimizers
    state: State
    plateau: Plateau
    recent: Tensor | None = None

    def pack(self, fingerprint: str) -> Checkpoint:
        """Return it as a checkpoint."""
        tensors = self.optimizers.pack()
        for name, module in self.modules.items():
            tensors |= pack_module(name, module)
        if self.recent is not None:
            tensors["recent"] = self.recent
        note = {
            "fingerprint": fingerprint,
            "state": _strict(dataclasses.asdict(self.state)),
            "plateau": _strict(dataclasses.asdict(self.plateau)),
        }
        return Checkpoint(tensors=tensors, note=note)

    def unpack(self, checkpoint: Checkpoint) -> Memory:
        """Load the modules and the optimiser in place; return all as it was.

        Raises:
            ArtifactError: the checkpoint belongs to a potential of another shape.
        """
        for name, module in self.modules.items():
            unpack_module(name, module, checkpoint.tensors)
        self.optimizers.unpack(checkpoint.tensors)
        return dataclasses.replace(
            self,
            state=State(**_loose(checkpoint.note["state"])),
            plateau=Plateau(**_loose(checkpoint.note["plateau"])),
            recent=checkpoint.tensors.get("recent"),
        )


def check_fingerprint(checkpoint: Checkpoint, fingerprint: str, path: Path) -> None:
    """Refuse a checkpoint of other settings or data.

    Raises:
        ConfigError: as above.
    """
    if checkpoint.note["fingerprint"] != fingerprint:
        raise ConfigError(
            explain(
                "the settings or the data changed since the checkpoint was written",
                got=path,
                fix=f"remove {path} and those beside it to train from the beginning, "
                "choose another output folder, or restore what changed",
            )
        )


def check_alike(fingerprint: str, ranks: Ranks) -> None:
    """Refuse processes that have read other settings or data than each other.

    Raises:
        ConfigError: as above, in every process.
    """
    found = ranks.gather(fingerprint)
    others = [rank for rank, one in enumerate(found) if one != found[0]]
    if others:
        raise ConfigError(
            explain(
                "the processes of the run have different settings or data",
                got=f"processes {', '.join(map(str, others))} differ from process 0",
                fix="give every node the same files",
            )
        )


@contextlib.contextmanager
def alone(folder: Path, ranks: Ranks) -> Iterator[None]:
    """Let no other run read or write a folder, which is made, while the block runs.

    Raises:
        ConfigError: another run is writing into the folder.
        RankFailedError: the same, in the other processes of this run.
    """
    with contextlib.ExitStack() as stack:
        ranks.from_main(lambda: stack.enter_context(_only_run(folder)))
        yield


@contextlib.contextmanager
def _only_run(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder.

    The lock ends with the process, however that ends. File systems without locks are
    trusted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
                raise ConfigError(
                    explain(
                        "another run is writing into this folder",
                        got=folder,
                        fix="wait for it, end it, or choose another output folder; "
                        "several processes of one run are started by torchrun or srun",
                    )
                ) from error
        yield


def _strict(values: dict[str, Any]) -> dict[str, Any]:
    """Numbers as JSON can hold them; those that are not finite as text."""
    return {
        k: str(v) if isinstance(v, float) and not math.isfinite(v) else v
        for k, v in values.items()
    }


def _loose(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `_strict`."""
    return {k: float(v) if isinstance(v, str) else v for k, v in values.items()}
