"""Suites in child processes, in parts, killed and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from copper_suite import SUITE, contents, write_suite

from lamplighter.errors import ConfigError, DataError
from lamplighter.validation.jobs import RunOptions
from lamplighter.validation.merge import load_run, merge
from lamplighter.validation.runner import SuiteResult, run_suite
from lamplighter.validation.suite import read_suite
from lamplighter.validation.tasks import Shard


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SuiteResult]:
    """The suite as it runs undisturbed: folder of suite and run."""
    folder = tmp_path_factory.mktemp("whole")
    suite = read_suite(write_suite(folder))
    return folder, run_suite(suite, folder / "run")


def test_a_suite_needs_no_model(whole: tuple[Path, SuiteResult]) -> None:
    folder, result = whole
    assert result.exit_code == 0
    assert result.card.level_of_theory == "PBE"
    assert [r.status for r in (*result.parity, *result.results)] == ["ok"] * 3
    assert (
        "torch" not in json.loads((folder / "run/manifest.json").read_text())["suite"]
    )


def test_the_folder_says_what_was_done(whole: tuple[Path, SuiteResult]) -> None:
    folder, _ = whole
    manifest = json.loads((folder / "run/manifest.json").read_text())
    assert manifest["tasks"] == ["parity Cu", "bulk Cu one", "bulk Cu two"]
    assert manifest["about"]["versions"]["ase"]
    beat = json.loads((folder / "run/heartbeat.json").read_text())
    assert (beat["done"], beat["total"], beat["running"]) == (4, 4, {})
    record = json.loads((folder / "run/tasks/bulk_Cu_two.json").read_text())
    assert record["state"] == "done"
    assert (folder / "run" / record["file"]).is_file()


def test_a_run_is_read_back_from_its_folder(whole: tuple[Path, SuiteResult]) -> None:
    folder, result = whole
    loaded = load_run(folder / "run")
    assert loaded.missing == ()
    assert loaded.result.results == result.results
    assert loaded.result.parity == result.parity
    assert loaded.result.card == result.card
    with pytest.raises(DataError, match="is no folder of a validation run"):
        load_run(folder)


def test_child_processes_write_the_same_bytes(whole: tuple[Path, SuiteResult]) -> None:
    folder, _ = whole
    run_suite(read_suite(folder / "suite.yaml"), folder / "two", RunOptions(jobs=2))
    assert contents(folder / "two") == contents(folder / "run")


def test_any_executor_will_do(whole: tuple[Path, SuiteResult]) -> None:
    folder, _ = whole
    with ThreadPoolExecutor(3) as pool:
        options = RunOptions(executor=pool)
        run_suite(read_suite(folder / "suite.yaml"), folder / "threads", options)
        assert pool.submit(len, "open still").result() == 10
    assert contents(folder / "threads") == contents(folder / "run")


def test_a_task_that_the_executor_loses_has_crashed(
    whole: tuple[Path, SuiteResult],
) -> None:
    class Losing(ThreadPoolExecutor):
        def submit(self, *_: object, **__: object) -> Future[None]:
            future: Future[None] = Future()
            future.set_exception(MemoryError("node went away"))
            return future

    folder, _ = whole
    with Losing(1) as pool:
        result = run_suite(
            read_suite(folder / "suite.yaml"),
            folder / "lost",
            RunOptions(executor=pool),
        )
    assert result.exit_code == 1
    assert "lost the task: MemoryError" in result.parity[0].checks[0].text


def test_shards_make_the_whole(whole: tuple[Path, SuiteResult]) -> None:
    folder, result = whole
    suite = read_suite(folder / "suite.yaml")
    parts = [folder / "part1", folder / "part2"]
    for index, part in enumerate(parts, start=1):
        run_suite(suite, part, RunOptions(shard=Shard(index=index, count=2)))
    assert load_run(parts[0]).missing == ("bulk Cu one",)
    loaded = merge(parts, folder / "merged")
    assert loaded.missing == ()
    assert loaded.result.results == result.results
    assert contents(folder / "merged") == contents(folder / "run")


def test_parts_of_other_suites_are_refused(whole: tuple[Path, SuiteResult]) -> None:
    folder, _ = whole
    text = SUITE.replace("points: 7", "points: 9")
    other = read_suite(write_suite(folder / "other", text))
    run_suite(other, folder / "other/run", RunOptions(only=("parity",)))
    with pytest.raises(ConfigError, match="runs of different suites"):
        merge([folder / "run", folder / "other/run"], folder / "mixed")
    with pytest.raises(ConfigError, match="nothing to merge"):
        merge([], folder / "mixed")


# A calculator of a stranger that never ends, or dies, once its file exists.
CALCULATOR = """\
import os, pathlib, signal, time
from ase.calculators.emt import EMT

class Bad(EMT):
    def __init__(self, how="sleep", flag=""):
        super().__init__()
        self.how, self.flag = how, pathlib.Path(flag)

    def calculate(self, *args, **kwargs):
        if self.flag.exists():
            if self.how == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        super().calculate(*args, **kwargs)
"""


def bad_suite(folder: Path, how: str) -> Path:
    (folder / f"bad_{how}.py").write_text(CALCULATOR)
    # Calculators are taken from installed packages only.
    info = folder / f"bad_{how}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: bad_{how}\nVersion: 1\n"
    )
    (info / "top_level.txt").write_text(f"bad_{how}\n")
    (folder / "flag").touch()
    engine = (
        f"{{kind: ase, name: two, calculator: 'bad_{how}:Bad',"
        f" arguments: {{how: {how}, flag: '{folder / 'flag'}'}}}}"
    )
    lines = SUITE.splitlines()
    lines[2] = f"  - {engine}"
    lines[4] = "properties: {bulk: {points: 7}}"
    lines.append("geometry: own")
    return write_suite(folder, "\n".join(lines))


@pytest.mark.parametrize(
    ("how", "limit", "message"),
    [
        ("sleep", 4.0, "time limit of 4 s is over"),
        pytest.param("die", 0.0, "died, signal 9", marks=pytest.mark.slow),
    ],
)
def test_a_task_that_hangs_or_dies_is_invalid_and_says_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    limit: float,
    message: str,
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    suite = read_suite(bad_suite(tmp_path, how))
    options = RunOptions(jobs=1, time_limit=limit, engines=("two",))
    result = run_suite(suite, tmp_path / "run", options)
    (bad,) = result.results
    assert bad.status == "invalid"
    assert message in bad.checks[0].text
    assert result.exit_code == 1
    record = json.loads((tmp_path / "run/tasks/bulk_Cu_two.json").read_text())
    assert record["state"] == "failed"
    # It stays so until it is asked for again.
    (tmp_path / "flag").unlink()
    again = replace(options, jobs=0, time_limit=0.0)
    assert run_suite(suite, tmp_path / "run", again).results[0].status == "invalid"
    again = replace(again, retry_failed=True)
    assert run_suite(suite, tmp_path / "run", again).results[0].status == "ok"


def test_processes_must_be_some(tmp_path: Path) -> None:
    suite = read_suite(write_suite(tmp_path))
    with pytest.raises(ConfigError, match="number of processes; got: -1"):
        run_suite(suite, tmp_path / "run", RunOptions(jobs=-1))


# Imports once; each child is a fork, so that a kill costs no start.
DRIVER = """\
import os, random, signal, sys, time
from pathlib import Path
from lamplighter.validation.runner import run_suite
from lamplighter.validation.suite import read_suite

suite, folder, kills, seed = sys.argv[1:]
rng = random.Random(int(seed))

def child(target):
    pid = os.fork()
    if pid == 0:
        os.setsid()
        run_suite(read_suite(suite), Path(target))
        os._exit(0)
    return pid

begin = time.monotonic()
os.waitpid(child(folder + "/undisturbed"), 0)
duration = time.monotonic() - begin
killed = 0
for number in range(int(kills)):
    pid = child(folder + "/killed")
    time.sleep(rng.uniform(0.1, 0.6) * duration)
    os.killpg(pid, signal.SIGKILL)
    killed += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    if number % 4 == 3:  # start anew now and then: early kills find an empty folder
        import shutil
        shutil.rmtree(folder + "/killed", ignore_errors=True)
os.waitpid(child(folder + "/killed"), 0)
print(killed)
"""


def kill_and_resume(suite: Path, folder: Path, kills: int) -> int:
    """Kill runs of a suite at random times, let the last one end; return how many."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, str(suite), str(folder), str(kills), "3"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return int(done.stdout)


def test_three_kills_leave_no_trace(tmp_path: Path) -> None:
    killed = kill_and_resume(write_suite(tmp_path), tmp_path, 3)
    assert killed >= 1
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")


ARGON = """\
engines:
  - kind: ase
    calculator: "ase.calculators.lj:LennardJones"
    arguments: {epsilon: 0.0104, sigma: 3.4, rc: 8.0}
  - {kind: lammps, pair_style: lj/cut 8.0, pair_coeff: ["* * 0.0104 3.4"],
     commands: [pair_modify shift yes], elements: [Ar], cutoff: 8.0}
materials: [{name: Ar, structure: ar.xyz}]
properties: {parity: {directions: 1}, bulk: {points: 7}, elastic: {}}
references: []
"""


@pytest.mark.slow
def test_twenty_kills_through_lammps_leave_no_trace(tmp_path: Path) -> None:
    from ase.build import bulk

    (tmp_path / "suite.yaml").write_text(ARGON)
    bulk("Ar", a=5.25, cubic=True).write(tmp_path / "ar.xyz", format="extxyz")
    killed = kill_and_resume(tmp_path / "suite.yaml", tmp_path, 20)
    assert killed >= 15
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    parity = json.loads(next((tmp_path / "killed/results").glob("parity*")).read_text())
    assert parity["status"] == "ok"


@pytest.mark.slow
def test_children_end_with_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "flag").touch()
    suite = bad_suite(tmp_path, "sleep")
    words = ["validate", "run", str(suite), "-o", str(tmp_path / "run"), "-j", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lamplighter", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    children: list[int] = []
    limit = time.monotonic() + 60
    while not children and time.monotonic() < limit:
        time.sleep(0.2)
        path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = [int(word) for word in path.read_text().split()]
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            children += [int(w) for w in (task / "children").read_text().split()]
    assert children
    time.sleep(5.0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(3.0)
    alive = [pid for pid in children if _is_worker(pid)]
    assert not alive


def _is_worker(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"lamplighter.validation.worker" in words


@pytest.mark.slow
def test_a_local_dask_cluster_writes_the_same_bytes(
    whole: tuple[Path, SuiteResult],
) -> None:
    pytest.importorskip("distributed")
    folder, _ = whole
    # In a process of its own: Dask leaves threads and warnings behind.
    words = [
        "validate",
        "run",
        "suite.yaml",
        "-o",
        "dask",
        "--dask",
        "local",
        "-j",
        "2",
    ]
    subprocess.run(
        [sys.executable, "-m", "lamplighter", *words],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    assert contents(folder / "dask") == contents(folder / "run")


def test_results_hold_no_time_and_no_place(whole: tuple[Path, SuiteResult]) -> None:
    folder, _ = whole
    for name, content in contents(folder / "run").items():
        assert str(folder).encode() not in content, name
        values = json.loads(content)["values"]
        assert all(np.isfinite(value["value"]) for value in values.values())


def test_properties_of_the_model_alone_need_no_material(tmp_path: Path) -> None:
    text = SUITE.replace("materials: [{name: Cu, structure: cu.xyz}]", "materials: []")
    text = text.replace(
        "properties: {parity: {directions: 0, invariances: false}, bulk: {points: 7}}",
        "properties: {dimers: {n_points: 30}}\nelements: [Cu, H]",
    )
    suite = read_suite(write_suite(tmp_path, text))
    result = run_suite(suite, tmp_path / "run", RunOptions(engines=("one",)))
    (found,) = result.results
    assert (found.property, found.material) == ("dimers", "dimers")
    assert len(found.arrays["pairs"]) == 3
    assert load_run(tmp_path / "run").missing == ("dimers model two",)
