"""The stock `lmp` of this environment, with small models in place of files."""

import functools
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ase.build import bulk
from lint_texts import BASE, DATA

from lamplighter.lammps_interface.lint import lint

TOY = Path(__file__).parent / "toy"


@pytest.fixture(scope="session")
def toy():
    """The module of toy models, for reference values."""
    sys.path.insert(0, str(TOY))
    try:
        return importlib.import_module("toy_models")
    finally:
        sys.path.remove(str(TOY))


class Outcome:
    """What a run of `lmp` left: its status and everything that it printed."""

    def __init__(self, status, text):
        self.status = status
        self.text = text

    def numbers(self, label):
        """Return the numbers of each line `print` wrote that starts with `label:`."""
        lines = [x for x in self.text.splitlines() if x.startswith(f"{label}:")]
        return [[float(word) for word in line.split()[1:]] for line in lines]


def launch(folder, script, *, ranks=1, timeout=120, program=None, **variables):
    """Run a script in `lmp`, on one rank or more, with `folder` as working folder."""
    (folder / "in.lammps").write_text(script)
    here = Path(sys.executable).parent
    command = [str(here / "mpiexec"), "-n", str(ranks)] if ranks > 1 else []
    command += program or [str(here / "lmp")]
    command += ["-in", "in.lammps", "-log", "none", "-echo", "none"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(TOY), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            text, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # The command is a script whose child is LAMMPS: both have to go.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return Outcome(process.returncode, text)


@pytest.fixture
def lmp(tmp_path):
    """`launch` in the folder of the test."""
    return functools.partial(launch, tmp_path)


@pytest.fixture(scope="module")
def lmp_in():
    """`launch`, for fixtures that outlive a test."""
    return launch


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """The shipped potential for MgO, converted."""
    from lamplighter.lammps_interface.convert import convert
    from lamplighter.resources import base_model

    folder = tmp_path_factory.mktemp("model")
    return convert(base_model(), "pbe", ["Mg", "O"], folder / "mgo.pt")


@pytest.fixture
def mgo(tmp_path):
    """A file with the conventional cell of MgO."""
    file = tmp_path / "mgo.xyz"
    bulk("MgO", "rocksalt", a=4.25, cubic=True).write(file)
    return file


@pytest.fixture
def check(tmp_path):
    """Lint a script beside a data file; return the rules with their severities."""

    def check_text(script=BASE, data=DATA, options=()):
        (tmp_path / "mgo.data").write_text(data)
        path = tmp_path / "in.lammps"
        path.write_text(script)
        report = lint(path, options=options)
        assert all(one.what and one.fix and one.why for one in report.findings)
        return {(one.rule, one.severity): one for one in report.findings}

    return check_text
