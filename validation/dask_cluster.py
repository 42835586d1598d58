"""Tasks on a Dask cluster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

from lamplighter.errors import EngineError, OptionalDependencyError, explain


@contextlib.contextmanager
def dask_executor(address: str, jobs: int = 0) -> Iterator[Executor]:
    """Open the executor of a Dask cluster for the length of the block.

    Its workers need this package and the run folder under the same path.

    Args:
        address: of the scheduler, ``tcp://host:8786``, or ``local`` for a cluster of
            processes on this machine.
        jobs: processes of a local cluster; 0 leaves the number to Dask.

    Raises:
        OptionalDependencyError: Dask is not installed.
        EngineError: no scheduler answers.
    """
    try:
        from distributed import Client, LocalCluster  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise OptionalDependencyError(
            explain(
                "tasks on a Dask cluster need the package distributed",
                fix="pip install 'lamplighter[dask]'",
            )
        ) from error
    with contextlib.ExitStack() as stack:
        if address == "local":
            address = stack.enter_context(
                LocalCluster(
                    n_workers=jobs or None,
                    threads_per_worker=1,
                    dashboard_address=None,
                )
            ).scheduler_address
        try:
            client = stack.enter_context(Client(address, timeout=30))
        except (OSError, ValueError) as error:
            raise EngineError(
                explain(
                    "no Dask scheduler answers",
                    got=f"{address}: {error}",
                    wanted="tcp://host:8786, or local",
                )
            ) from error
        # A task is not run twice elsewhere, and has no other result when it is.
        yield client.get_executor(pure=False)
