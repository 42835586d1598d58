"""The page of a run: one file, small, true to the log, harmless when it fails."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from lamplighter.errors import OptionalDependencyError
from lamplighter.model import load_potential
from lamplighter.train import FinetuneConfig, NewHead, finetune, results, train
from lamplighter.train.config import RunSettings, SamplingSettings
from lamplighter.train.data.frame import Frame
from lamplighter.train.evaluation import Predicted, Residual
from lamplighter.train.finetune_config import ReplaySettings
from lamplighter.train.reporting import live, run_page
from lamplighter.train.reporting.axes import Scale, scale_of
from lamplighter.train.reporting.chart import Series, line_chart, thinned
from lamplighter.train.reporting.curves import kept_record, learning_charts
from lamplighter.train.reporting.facts import HeadFacts, RunFacts
from lamplighter.train.reporting.live import LivePage
from lamplighter.train.reporting.page import SIZE_LIMIT
from lamplighter.train.reporting.parity import chosen_points
from lamplighter.train.reporting.run_page import RunState, remaining, run_html
from lamplighter.train.reporting.terminal import ValidationLines
from lamplighter.train.reporting.trackers import open_trackers, scalars
from lamplighter.train.run_log import RunLog, read_log
from lamplighter.train.stopping import TrainingDivergedError


@pytest.fixture
def _no_picture(monkeypatch):
    """The PNG of the learning curve takes most of the time of a short run."""
    monkeypatch.setattr(results, "plot_learning_curve", lambda *_: None)


VOID = {"meta", "br", "link", "input"}


class Checker(HTMLParser):
    """Finds elements that are not closed, and everything that points elsewhere."""

    def __init__(self):
        super().__init__()
        self.open, self.bad, self.elsewhere = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href"} and not (value or "").startswith("#"):
                self.elsewhere.append(value)

    def handle_startendtag(self, tag, attrs):
        """An element of SVG that holds nothing."""

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.bad.append(tag)


def _checked(html):
    parser = Checker()
    parser.feed(html)
    assert parser.open == parser.bad == parser.elsewhere == []
    assert not re.search(r"https?://|@import|url\(", html)
    assert "nan" not in "".join(re.findall(r' d="([^"]*)"', html)).lower()
    assert len(html.encode()) < SIZE_LIMIT
    return html


def _errors(force, energy, stress=None):
    return {"force_percent": force, "energy_rmse": energy, "stress_rmse": stress}


def _validation(step, score, heads, *, accepted=True):
    return {
        "event": "validation",
        "step": step,
        "score": score,
        "accepted": accepted,
        "heads": heads,
        "seconds": float(step),
    }


FACTS = RunFacts(
    kind="Post-training",
    heads=(
        HeadFacts(
            name="pbe", level="PBE", role="kept", force_limit=5.0, energy_limit=9.0
        ),
        HeadFacts(name="new <b>", level="X", role="new"),
    ),
    config={"run": {"selection": "mean"}, "output": "run"},
    files={"pbe.xyz": "0" * 64},
    max_steps=100,
)

RECORDS = [
    _validation(0, 4.0, {"pbe": _errors(4.0, 8.0), "new <b>": _errors(20.0, 50.0)}),
    *(
        {"event": "train", "step": s, "loss": 1 / s, "forces": 1 / s, "energy": None,
         "learning_rate": 1e-3, "gradient_norm": 2.0, "seconds": float(s)}
        for s in (10, 20, 30)
    ),
    _validation(20, 2.0, {"pbe": _errors(4.5, 8.5), "new <b>": _errors(9.0, None)}),
    _validation(30, 1.0, {"pbe": _errors(6.0, 8.0), "new <b>": _errors(8.0, 9.0)},
                accepted=False),
]  # fmt: skip


def _residuals(n, n_atoms=4, kinds=3):
    rng = np.random.default_rng(0)
    found = []
    for k in range(n):
        frame = Frame(
            numbers=np.full(n_atoms, 8),
            positions=rng.uniform(0, 4, (n_atoms, 3)),
            cell=4.0 * np.eye(3),
            pbc=(True, True, True),
            energy=float(rng.normal()),
            forces=rng.normal(size=(n_atoms, 3)),
            stress=rng.normal(size=(3, 3)),
            head="pbe",
            level="PBE",
            config_type=f"kind {k % kinds} <&>",
            uid=str(k),
            source=str(k),
        )
        said = Predicted(
            head="pbe",
            free_atoms=-1.0,
            energy=frame.energy + 0.1,
            forces=frame.forces + rng.normal(size=(n_atoms, 3)),
            stress=frame.stress + 0.01,
        )
        found.append(
            Residual(
                frame=frame,
                energy=0.1 / n_atoms,
                forces=said.forces - frame.forces,
                stress=said.stress - frame.stress,
                predicted=said,
            )
        )
    return found


def test_a_page_of_a_run_that_goes_on():
    state = RunState(
        name="mine", refresh=7, judged={"validation": _residuals(9)}, judged_step=30
    )
    html = _checked(run_html(FACTS, RECORDS, state))
    assert '<meta http-equiv="refresh" content="7">' in html
    assert "Running, step 30 of 100" in html
    assert "new &lt;b&gt;" in html
    assert "new <b>" not in html
    assert "The weights of step 20 would be kept now, score 2." in html
    assert "beyond limit" in html
    assert "1 validations were beyond a drift limit" in html


def test_a_finished_page_does_not_load_again():
    end = {"event": "end", "step": 30, "best_step": 20, "seconds": 31.0}
    report = {
        "heads": {"pbe": {"before": _errors(4.0, 8.0), "after": _errors(4.6, 9.5)}},
        "unguarded_heads": ["rpbe"],
        "without_labels": {"pbe": {"n_frames": 3, "wells_before": 1, "wells_after": 2}},
    }
    state = RunState(
        name="mine",
        state="done",
        headline="Finished.",
        judged={"test": _residuals(3)},
        forgetting=report,
    )
    html = _checked(run_html(FACTS, [*RECORDS, end], state))
    assert "http-equiv" not in html
    assert "31 s of training" in html
    assert "not judged: rpbe" in html
    kept = html[html.index("Kept heads on all frames") :]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", kept)[:11]
    assert cells == ["kept", "4.00", "4.60", "5.00", "8.00", "9.50", "9.00", "–", "–",
                     "beyond", cells[-1]]  # fmt: skip


def test_a_page_that_goes_on_says_how_old_it_may_be():
    html = _checked(run_html(FACTS, RECORDS, RunState(name="mine", due=90)))
    made = re.search(r'id="age" data-made="([^"]+)" data-due="90">Last update 20', html)
    age = datetime.now(UTC) - datetime.fromisoformat(made[1])
    assert 0 <= age.total_seconds() < 60
    over = run_html(FACTS, RECORDS, RunState(name="mine", state="done"))
    assert 'id="age"' not in over


@pytest.mark.skipif(shutil.which("node") is None, reason="runs the script of the page")
def test_an_old_page_says_so_in_the_browser():
    html = run_html(FACTS, RECORDS, RunState(name="mine", due=90))
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    browser = """
      const [made, due, now] = JSON.parse(process.argv[1]);
      const classes = new Set(["state", "running"]);
      const heading = { textContent: "Running, step 30 of 100" };
      const toggle = (name, on) => on ? classes.add(name) : classes.delete(name);
      const section = { querySelector: () => heading, classList: { toggle } };
      const line = { dataset: { made, due }, textContent: "", parentNode: section };
      globalThis.document = { getElementById: () => line, querySelectorAll: () => [] };
      globalThis.setInterval = () => 0;
      Date.now = () => now;
    """
    end = "console.log(JSON.stringify([heading, line].map(x => x.textContent)"
    end += ".concat([[...classes]])));"
    made = "2026-01-02T03:04:05+00:00"
    start = datetime.fromisoformat(made).timestamp()

    def after(seconds):
        values = json.dumps([made, 90, 1e3 * (start + seconds)])
        source = browser + script + end
        command = ["node", "-e", source, "--", values]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    running, said, classes = after(75)
    assert (running, said) == ("Running, step 30 of 100", "Last update 1 min 15 s ago.")
    assert "bad" not in classes
    title, said, classes = after(7380)
    assert title == "No news. Before: Running, step 30 of 100"
    assert said.startswith("Last update 2 h 03 min ago, expected within 1 min 30 s.")
    assert "may have been killed" in said
    assert "bad" in classes
    assert after(-20)[1] == "Last update 0 s ago."


def test_a_killed_run_leaves_a_page_that_grows_old(tmp_path, monkeypatch):
    """The time between two pages, and what drawing costs, say when the next is due."""
    times = iter([100, 100.5, 110, 110, 110.5, 200, 200, 208, 209, 209, 209, 9, 9, 9])
    monkeypatch.setattr(live.time, "monotonic", lambda: next(times))
    page = LivePage(FACTS, tmp_path)

    def due():
        page._draw("running")
        return int(re.search(r'data-due="(\d+)"', page.path.read_text())[1])

    assert due() == 3600  # written at 100, in 0.5 s
    assert due() == 60  # 9.5 s later
    assert due() == round(3 * 89.5)  # and it took 8 s to draw
    assert due() == 3 * 8 * 20
    page._draw("bad", "Ended by an error.")
    assert 'id="age"' not in page.path.read_text()


def test_a_page_before_the_first_validation_and_without_frames():
    html = _checked(run_html(FACTS, [], RunState(name="mine")))
    assert "Running, step 0 of 100" in html
    assert "Learning curves" not in html


def test_a_large_run_stays_small():
    heads = tuple(HeadFacts(name=f"head {k}", level="PBE") for k in range(12))
    facts = dataclasses.replace(FACTS, heads=heads)
    errors = {h.name: _errors(3.0, 2.0, 1.0) for h in heads}
    records = [
        record
        for step in range(0, 12_000, 20)
        for record in (
            {"event": "train", "step": step, "loss": 1.0, "seconds": 1.0 * step},
            _validation(step, 1.0, errors),
        )
    ]
    found = _residuals(400, n_atoms=12, kinds=40)
    state = RunState(name="mine", judged={"validation": found, "train": found})
    html = _checked(run_html(facts, records, state))
    assert html.count("points, the largest errors among them") >= 1


def test_a_page_that_would_be_too_large_shows_fewer_points(monkeypatch):
    state = RunState(name="mine", judged={"validation": _residuals(90, n_atoms=12)})
    whole = run_html(FACTS, RECORDS, state)
    monkeypatch.setattr(run_page, "SIZE_LIMIT", len(whole) - 20_000)
    assert len(run_html(FACTS, RECORDS, state)) < len(whole) - 20_000


def test_the_kept_weights_follow_the_rule():
    assert kept_record(RECORDS, "mean")["step"] == 20
    assert kept_record(RECORDS, "last")["step"] == 20
    end = {"event": "end", "step": 30, "best_step": 0}
    assert kept_record([*RECORDS, end], "mean")["step"] == 0
    assert kept_record([], "mean") is None


def test_every_head_has_a_line_and_every_guarded_one_a_limit():
    force, energy, *_ = learning_charts(FACTS, RECORDS, RECORDS[0])
    assert force["svg"].count('class="limit s0"') == 1
    assert force["svg"].count('class="line') == 2
    assert 'class="best"' in force["svg"]
    gap = re.search(r'class="line s1" d="([^"]*)"', energy["svg"]).group(1)
    assert gap.count("M") == 2  # the missing value leaves a gap


def test_lines_are_thinned_to_their_extremes():
    values = [float(k % 7) for k in range(10_000)]
    values[4321] = 99.0
    x, y = thinned(list(range(10_000)), values, 200)
    assert len(x) <= 202
    assert max(y) == 99.0
    assert x == sorted(x)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[1e-5, 2e3], [3.0], [0.0, 0.0], [], [2.0, 2.1]])
def test_scales_show_their_values_and_have_ticks(values, log):
    scale = scale_of(values, 10.0, 110.0, log=log)
    assert len(scale.ticks()) >= 1
    assert all(scale.low <= t <= scale.high * (1 + 1e-12) for t in scale.ticks())
    assert all(10.0 <= scale(v) <= 110.0 for v in values)


def test_a_logarithmic_scale_is_logarithmic():
    scale = Scale(1.0, 100.0, 0.0, 1.0, log=True)
    assert scale(10.0) == pytest.approx(0.5)
    assert scale(0.0) == 0.0


def test_a_chart_says_what_it_is():
    one = Series(name='a "b"', x=[0, 1], y=[1.0, None], limit=2.0)
    svg = line_chart([one], title="x < y", y_label="z & w")
    assert 'aria-label="x &lt; y"' in svg
    assert "z &amp; w" in svg


def test_the_worst_points_are_always_shown():
    rng = np.random.default_rng(0)
    labels = rng.normal(size=5000)
    predictions = labels + 0.01 * rng.normal(size=5000)
    worst = [7, 1234, 4999]
    predictions[worst] += 5.0
    keep = chosen_points(labels, predictions, 100)
    assert set(worst) <= set(keep)
    assert len(keep) <= 100
    assert keep == chosen_points(labels, predictions, 100)
    assert chosen_points(labels[:3], predictions[:3], 100) == [0, 1, 2]


def test_the_time_that_is_left():
    assert remaining(FACTS, RECORDS) == pytest.approx(70.0)
    limited = dataclasses.replace(FACTS, max_minutes=1.0)
    assert remaining(limited, RECORDS) == pytest.approx(30.0)
    assert remaining(FACTS, RECORDS[:1]) is None


class Broken:
    """An observer that cannot observe."""

    def __init__(self):
        self.calls = 0

    def logged(self, _):
        self.calls += 1
        msg = "no space"
        raise OSError(msg)

    def judged(self, *_):
        raise ValueError


def test_an_observer_that_fails_is_dismissed_once(tmp_path, capfd):
    log = RunLog(tmp_path / "log.jsonl")
    bad = Broken()
    log.observers.append(bad)
    for step in (1, 2, 3):
        log.write("train", step=step)
    log.judged(3, [])
    assert bad.calls == 1
    assert len(read_log(log.path)) == 3
    err = capfd.readouterr().err
    assert err.count("warning: Broken failed") == 1
    assert "OSError: no space" in " ".join(err.split())


@pytest.mark.usefixtures("_no_picture")
def test_a_run_that_is_watched_takes_the_same_steps(tiny_config, tmp_path, monkeypatch):
    run = dataclasses.replace(tiny_config.run, max_steps=4, validate_every=2)
    tiny_config = dataclasses.replace(tiny_config, run=run)
    watched = train(tiny_config)
    html = _checked(watched.page.read_text())
    assert watched.page == tiny_config.output / "report.html"
    assert "Finished, ended by steps." in html
    assert "config_type" in html
    assert html.count("<h3>By element</h3>") == 2  # validation and train
    monkeypatch.setattr(LivePage, "logged", Broken().logged)
    monkeypatch.setattr(LivePage, "_write", Broken().logged)
    alone = train(dataclasses.replace(tiny_config, output=tmp_path / "alone"))
    old, new = (load_potential(r.model).state_dict() for r in (watched, alone))
    assert all(torch.equal(old[k], new[k]) for k in old)
    assert not alone.page.exists()


@pytest.mark.usefixtures("_no_picture")
def test_the_page_of_a_post_training_tells_before_and_after(
    base, base_config, data_file, tmp_path
):
    new = data_file("new.xyz", head="new", level="NEW", scale=1.2, n=6)
    config = FinetuneConfig(
        base=base,
        output=tmp_path / "tuned",
        heads=(NewHead(name="new", level="NEW", files=(new,), start_from="pbe"),),
        replay_heads=base_config.heads,
        replay=ReplaySettings(drift_limit=10.0, energy_drift_limit=100.0),
        sampling=SamplingSettings(batch_frames=4),
        run=dataclasses.replace(base_config.run, max_steps=4, validate_every=2),
    )
    html = _checked(finetune(config).page.read_text())
    assert "Before and after" in html
    assert "Without labels: how far the predictions moved" in html
    assert 'class="limit s0"' in html
    for name in ("new.xyz", "pbe.xyz", "torch", "cores"):
        assert f"<dt>{name}</dt>" in html


def test_an_error_ends_the_page_too(tiny_config):
    wild = dataclasses.replace(
        tiny_config,
        optimizer=dataclasses.replace(tiny_config.optimizer, learning_rate=1e12),
        run=dataclasses.replace(tiny_config.run, dtype="float32"),
    )
    with pytest.raises(TrainingDivergedError):
        train(wild)
    html = _checked((wild.output / "report.html").read_text())
    assert "Ended by an error: the loss is not finite" in html
    assert "http-equiv" not in html


def test_lines_for_a_terminal():
    lines = ValidationLines(["pbe", "new <b>"])
    first, second, third = (
        lines.line(r) for r in RECORDS if r["event"] == "validation"
    )
    assert first.split() == ["0", "4", "*", "4.00", "8.00", "20.00", "50.00"]
    assert second.split() == ["20", "2", "*", "4.50", "8.50", "9.00", "-"]
    assert third.split()[2] == "!"


def test_trackers_get_numbers_with_names():
    found = scalars(RECORDS[0])
    assert found["pbe/force_percent"] == 4.0
    assert found["validation/score"] == 4.0
    assert not any("accepted" in name for name in found)
    assert "train/energy" not in scalars(RECORDS[1])
    assert scalars({"event": "end", "step": 3}) == {}


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_tracker_that_is_not_installed_is_named(tiny_config, name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    run = dataclasses.replace(tiny_config.run, logging=(name,))
    with pytest.raises(
        OptionalDependencyError, match=rf"pip install 'lamplighter\[{name}\]'"
    ):
        train(dataclasses.replace(tiny_config, run=run))


def test_nothing_is_tracked_by_default():
    assert RunSettings().logging == ()
    assert RunSettings().wandb_online is False


@pytest.mark.usefixtures("_no_picture")
def test_tensorboard_gets_what_the_log_has(tiny_config):
    from tensorboard.backend.event_processing import event_accumulator as accumulator

    run = dataclasses.replace(
        tiny_config.run, max_steps=10, validate_every=5, logging=("tensorboard",)
    )
    result = train(dataclasses.replace(tiny_config, run=run))
    events = accumulator.EventAccumulator(str(tiny_config.output / "tensorboard"))
    events.Reload()
    written = {e.step: e.value for e in events.Scalars("pbe/force_rmse")}
    logged = {
        r["step"]: r["heads"]["pbe"]["force_rmse"]
        for r in read_log(result.log)
        if r["event"] == "validation"
    }
    assert written == pytest.approx(logged, rel=1e-6)
    assert [e.step for e in events.Scalars("train/loss")] == [10]


class FakeRun:
    """Remembers what it was told."""

    def __init__(self, **settings):
        self.settings, self.logged, self.finished = settings, [], False

    def log(self, numbers):
        self.logged.append(numbers)

    def finish(self):
        self.finished = True


@pytest.mark.parametrize(("online", "mode"), [(False, "offline"), (True, "online")])
def test_wandb_stays_offline_unless_asked(tmp_path, monkeypatch, online, mode):
    made = []

    class FakeWandb:
        @staticmethod
        def init(**settings):
            made.append(FakeRun(**settings))
            return made[-1]

    monkeypatch.setitem(sys.modules, "wandb", FakeWandb)
    run = RunSettings(logging=("wandb",), wandb_online=online)
    with contextlib.ExitStack() as stack:
        (tracker,) = open_trackers(run, FACTS, tmp_path, stack)
        tracker.logged(RECORDS[0])
        tracker.logged({"event": "end", "step": 30})
    (one,) = made
    assert one.settings["mode"] == mode
    assert one.settings["dir"] == str(tmp_path)
    assert [numbers["step"] for numbers in one.logged] == [0]
    assert one.finished
