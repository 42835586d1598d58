"""The scripts for SLURM run to their end, with an srun that is mpiexec."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import code_blocks

PROGRAMS = Path(sys.executable).parent
SRUN = f"""#!/bin/bash
echo "srun $* on ${{LAMPLIGHTER_DEVICE:-cpu}}" >> calls
while [[ $1 == --* ]]; do shift; done
[ "$1" = lmp ] || exec "$@"
unset LAMPLIGHTER_DEVICE              # no GPU here
exec "{PROGRAMS}/mpiexec" -n 2 "$@"
"""
RECORDER = """#!/bin/bash
echo "lamplighter $*" >> calls
"""


@pytest.fixture
def job(root: Path, tmp_path: Path):
    """Return a function that runs the script whose text has a word, in a folder."""
    text = (root / "docs" / "tutorials" / "cluster.md").read_text()
    blocks = code_blocks(text)
    home, tools = tmp_path / "home", tmp_path / "tools"
    activate = home / "lamplighter" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text(f'PATH="{tools}:{PROGRAMS}:$PATH"\n')
    tools.mkdir()
    for name, content in (("srun", SRUN), ("lamplighter", RECORDER)):
        (tools / name).write_text(content)
        (tools / name).chmod(0o755)
    folder = tmp_path / "job"
    folder.mkdir()
    shutil.copy(root / "examples" / "mgo-nvt" / "mgo-pbe.pt", folder / "mgo.pt")
    shutil.copy(root / "examples" / "phonons" / "mgo.data", folder)
    (folder / "in.continue").write_text(
        next(text for kind, text in blocks if kind == "lammps")
        .replace("100000 upto", "6 upto")
        .replace("10000 restart", "2 restart")
    )
    (folder / "in.lammps").write_text(
        "units metal\natom_modify map array\nread_data mgo.data\n"
        "pair_style mliap unified mgo.pt 0\npair_coeff * * Mg O\n"
        "velocity all create 300 1\nfix e all nve\n"
        "restart 2 restart.1 restart.2\nrun 4\n"
    )

    def run(word: str, **variables: str) -> str:
        (script,) = [x for kind, x in blocks if kind == "bash" and word in x]
        done = subprocess.run(
            ["bash", "-eu"],
            input=script,
            cwd=folder,
            env={**os.environ, "HOME": str(home), **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
        return (folder / "calls").read_text()

    run.folder = folder
    return run


@pytest.mark.slow
@pytest.mark.mpi
def test_dynamics_on_ranks(job) -> None:
    assert job("--ntasks-per-node=64") == "srun --mpi=pmi2 lmp -in in.lammps on cpu\n"
    assert "on 2 procs for 4 steps" in (job.folder / "log.lammps").read_text()


@pytest.mark.slow
@pytest.mark.mpi
def test_dynamics_on_gpus_asks_for_them(job) -> None:
    assert job("gpus-per-node=4\n#SBATCH --cpus").endswith("on cuda\n")


@pytest.mark.slow
@pytest.mark.mpi
def test_a_job_goes_on_from_the_newest_restart_file(job) -> None:
    job("$newest")
    said = job("$newest")
    assert "-in in.continue -var restart restart." in said
    log = (job.folder / "log.lammps").read_text()
    assert "on 2 procs for 2 steps" in log  # from 4 up to 6


def test_the_other_jobs_call_the_program_once(job) -> None:
    job("lamplighter certify mgo.pt")
    job("lamplighter finetune finetune.yaml")
    said = job("SBATCH --array", SLURM_ARRAY_TASK_ID="3")
    assert said.splitlines() == [
        "lamplighter certify mgo.pt --ranks 1 2 4 --json certificate.json",
        "srun --kill-on-bad-exit=1 lamplighter finetune finetune.yaml on cpu",
        "lamplighter finetune finetune.yaml",
        "lamplighter validate run suite.yaml --output run-3 --shard 3/16 -j 2",
    ]
