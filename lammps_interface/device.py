"""Where a rank evaluates its atoms: on the CPU, or on a GPU of its machine.

Features of ghost atoms travel through host memory in either case, so that MPI need not
know of GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import torch

from lamplighter.errors import ConfigError, explain
from lamplighter.lammps_interface.keywords import DEVICES

VARIABLE: Final = "LAMPLIGHTER_DEVICE"
"""Environment variable in place of the keyword ``device``."""

LOCAL_RANK: Final = (
    "MPI_LOCALRANKID",  # MPICH, Intel MPI
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MV2_COMM_WORLD_LOCAL_RANK",
    "PALS_LOCAL_RANKID",
    "SLURM_LOCALID",
    "FLUX_TASK_LOCAL_ID",
)
"""Environment variables in which launchers say a rank's number on its machine."""


def choose(
    name: str | None,
    *,
    environment: Mapping[str, str] | None = None,
    n_gpus: int | None = None,
) -> torch.device:
    """Return the device of this rank.

    The ranks of a machine share its GPUs evenly, whatever the partition or replica they
    belong to.

    Args:
        name: ``cpu``, ``cuda`` (the GPUs of the machine in turn, by the number of the
            rank on it) or ``cuda:N``; None: what `VARIABLE` says, else ``cpu``.
        environment: of the process, by default.
        n_gpus: that torch sees, by default.

    Raises:
        ConfigError: another name, or a GPU that is not there.
    """
    variables = os.environ if environment is None else environment
    wanted = name or variables.get(VARIABLE) or "cpu"
    if not DEVICES.fullmatch(wanted):
        raise ConfigError(
            explain("unknown device", got=wanted, wanted="cpu, cuda or cuda:N")
        )
    if wanted == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if n_gpus is None else n_gpus
    number = int(wanted[5:]) if ":" in wanted else local_rank(variables) % max(count, 1)
    if number >= count:
        raise ConfigError(
            explain(
                f"this machine has no GPU for device {wanted}",
                got=f"{count} GPU(s) that torch {torch.__version__} can use",
                wanted="a GPU, its driver, and a build of torch for it",
                fix="leave the keyword device out, or look at: lamplighter doctor",
            )
        )
    return torch.device("cuda", number)


def local_rank(variables: Mapping[str, str]) -> int:
    """Return the number of this rank on its machine; 0 if the launcher is silent."""
    for variable in LOCAL_RANK:
        if variables.get(variable, "").isdigit():
            return int(variables[variable])
    return 0
