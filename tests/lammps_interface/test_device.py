"""Which GPU a rank takes, and what is said where there is none."""

import pytest
import torch

from lamplighter.errors import ConfigError
from lamplighter.lammps_interface.device import LOCAL_RANK, VARIABLE, choose

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "environment", "wanted"),
    [
        (None, {}, "cpu"),
        ("cpu", {VARIABLE: "cuda"}, "cpu"),
        (None, {VARIABLE: "cuda:1"}, "cuda:1"),
        ("cuda", {}, "cuda:0"),
        ("cuda:3", {"MPI_LOCALRANKID": "1"}, "cuda:3"),
        ("cuda", {"MPI_LOCALRANKID": "3"}, "cuda:3"),
        ("cuda", {"MPI_LOCALRANKID": "6"}, "cuda:2"),  # ranks take turns
        ("cuda", {"OMPI_COMM_WORLD_LOCAL_RANK": "1"}, "cuda:1"),
        ("cuda", {"SLURM_LOCALID": "2"}, "cuda:2"),
        ("cuda", {"SLURM_LOCALID": "?"}, "cuda:0"),
    ],
)
def test_the_device_of_a_rank(name, environment, wanted):
    found = choose(name, environment=environment, n_gpus=4)
    assert found == torch.device(wanted)


def test_replicas_on_one_machine_share_its_gpus():
    """Partitions have a rank 0 each, but different numbers on the machine."""
    found = [
        choose("cuda", environment={LOCAL_RANK[0]: str(k)}, n_gpus=2) for k in range(4)
    ]
    assert [one.index for one in found] == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("name", "n_gpus", "message"),
    [
        ("gpu", 4, "unknown device.*gpu.*cpu, cuda or cuda:N"),
        ("cuda:x", 4, "unknown device"),
        ("cuda", 0, r"no GPU for device cuda.*0 GPU\(s\)"),
        ("cuda:4", 4, r"no GPU for device cuda:4.*4 GPU\(s\)"),
    ],
)
def test_devices_that_are_refused(name, n_gpus, message):
    with pytest.raises(ConfigError, match=message):
        choose(name, environment={}, n_gpus=n_gpus)
