"""Functions run in several processes that are joined as torchrun joins them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import traceback
from collections.abc import Callable
from typing import Any

PRELOAD = ["lamplighter.train.training", "lightning_fabric"]


def context() -> Any:
    """Processes that begin with torch and Lamplighter imported."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOAD)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def torchrun_variables(rank: int, size: int, port: int) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def slurm_variables(rank: int, size: int, port: int) -> dict[str, str]:
    return {
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_NODEID": "0",
        "SLURM_NTASKS": str(size),
        "SLURM_NTASKS_PER_NODE": str(size),
        "SLURM_STEP_NUM_TASKS": str(size),
        "SLURM_NNODES": "1",
        "SLURM_JOB_ID": "4711",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def _child(pipe: Any, variables: dict[str, str], function: Any, args: Any) -> None:
    import torch

    os.environ.update(variables)
    torch.set_num_threads(1)
    try:
        answer = ("value", function(*args))
    except Exception as error:  # noqa: BLE001  (the parent judges it)
        answer = ("error", f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    pipe.send_bytes(pickle.dumps(answer))


def in_processes(
    function: Callable[..., Any],
    *args: Any,
    size: int = 2,
    variables: Callable[[int, int, int], dict[str, str]] = torchrun_variables,
    timeout: float = 240.0,
) -> list[tuple[str, Any]]:
    """Call a function of an importable module in `size` processes.

    Returns:
        For each process ("value", what it returned), ("error", the text of the error),
        or ("gone", exit code); a process that hangs is killed: ("hangs", None).
    """
    port = free_port()
    started = []
    for rank in range(size):
        ours, theirs = context().Pipe()
        process = context().Process(
            target=_child, args=(theirs, variables(rank, size, port), function, args)
        )
        process.start()
        theirs.close()
        started.append((process, ours))
    return [_answer(process, pipe, timeout) for process, pipe in started]


def _answer(process: Any, pipe: Any, timeout: float) -> tuple[str, Any]:
    found: tuple[str, Any] = ("hangs", None)
    if pipe.poll(timeout):
        try:
            found = pickle.loads(pipe.recv_bytes())
        except EOFError:
            process.join()
            found = ("gone", process.exitcode)
    if found[0] == "hangs":
        process.kill()
    process.join()
    return found
