"""Joining the processes that torchrun or SLURM started, by Lightning Fabric."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import torch
from torch import distributed

from lamplighter.errors import ConfigError, explain
from lamplighter.train.ranks import missing_fabric

JOINING = timedelta(minutes=10)
"""How long processes wait for each other at the start, and for sums of gradients."""

PATIENCE = timedelta(days=2)
"""How long processes wait for process 0, which reads, judges and writes alone."""


@contextlib.contextmanager
def launch(launcher: str, device: str) -> Iterator[tuple[Any, Any]]:
    """Yield a launched Fabric and a gloo group over all its processes.

    Args:
        launcher: "torchrun" or "slurm".
        device: "cpu" or "cuda".

    Raises:
        OptionalDependencyError: Lightning Fabric is not installed.
        ConfigError: a device with a number, or fewer GPUs than processes on this node.
    """
    try:
        from lightning_fabric import Fabric  # noqa: PLC0415  (an extra)
        from lightning_fabric.plugins.environments import (  # noqa: PLC0415
            SLURMEnvironment,
            TorchElasticEnvironment,
        )
        from lightning_fabric.strategies import DDPStrategy  # noqa: PLC0415
    except ImportError as error:
        raise missing_fabric(error) from error
    kinds = {"torchrun": TorchElasticEnvironment, "slurm": SLURMEnvironment}
    environment = kinds[launcher]()
    local, nodes = _shape(launcher)
    _check_device(device, local)
    # DDP's hooks are not used: gradients are summed, not averaged, by SeveralRanks.
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=nodes,
        strategy=DDPStrategy(
            cluster_environment=environment,
            process_group_backend="nccl" if device == "cuda" else "gloo",
            timeout=JOINING,
        ),
    )
    fabric.launch()
    control = distributed.new_group(backend="gloo", timeout=PATIENCE)
    try:
        yield fabric, control
    finally:
        distributed.destroy_process_group()


def _shape(launcher: str) -> tuple[int, int]:
    """Return processes per node and nodes."""
    if launcher == "torchrun":
        size = int(os.environ["WORLD_SIZE"])
        local = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        return local, size // local
    nodes = int(os.environ.get("SLURM_NNODES", "1"))
    return int(os.environ["SLURM_NTASKS"]) // nodes, nodes


def _check_device(device: str, local: int) -> None:
    if device not in {"cpu", "cuda"}:
        raise ConfigError(
            explain(
                "several processes cannot share a device by number",
                got=f"run.device = {device!r}",
                wanted="'cuda' (each process takes a GPU of its own) or 'cpu'",
            )
        )
    if device == "cuda" and torch.cuda.device_count() < local:
        raise ConfigError(
            explain(
                "there are fewer GPUs than processes on this node",
                got=f"{torch.cuda.device_count()} GPUs, {local} processes",
                fix="start one process for each GPU (torchrun --nproc-per-node, "
                "srun --ntasks-per-node)",
            )
        )
