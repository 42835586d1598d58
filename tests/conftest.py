"""What every test starts from: fixed seeds, and the folder of the checkout."""

import gzip
import os
import random
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

# Two threads of many small tensors are slower than one, here and in the programs that
# tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests that compare to 1e-12 are about the reference; those of the compiled potential
# and of the default ask for it (tests/model/compiled).
os.environ["LAMPLIGHTER_BACKEND"] = "reference"
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


@pytest.fixture(scope="session")
def checkpoint(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Return a function that unpacks a checkpoint of mace-torch into a new folder."""
    fixtures = root / "tests" / "oracle" / "fixtures"

    def unpack(name: str, folder: Path = fixtures) -> Path:
        path = tmp_path_factory.mktemp("checkpoint") / f"{name}.model"
        packed = (folder / f"{name}.model.gz").read_bytes()
        path.write_bytes(gzip.decompress(packed))
        return path

    return unpack
