"""What every test starts from: fixed seeds, and the folder of the checkout."""

import os
import random
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

# Two threads of many small tensors are slower than one, here and in the programs that
# tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Plots are written to files, never shown.
os.environ["MPLBACKEND"] = "agg"


def _seed_of(request: pytest.FixtureRequest) -> int:
    """A number that depends on the test's name alone."""
    return zlib.crc32(request.node.name.encode())


@pytest.fixture(autouse=True)
def _fixed_seeds(request: pytest.FixtureRequest) -> None:
    """Every generator with a global state starts the same for the same test."""
    seed = _seed_of(request)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (ase and phonopy still draw from it)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A random generator whose seed is the test's name."""
    return np.random.default_rng(_seed_of(request))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root folder of the checkout."""
    return Path(__file__).resolve().parent.parent
