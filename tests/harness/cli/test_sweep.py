"""``harness sweep``: what it refuses before anything starts, the points of a grid, what it says, and its exit codes.

Real processes are in tests/faults/test_sweeps.py; here a point is a record that is simply there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from harness.cli import sweep, sweep_points
from harness.cli.measure import measure_command, requested
from harness.cli.run import configs_of, run_command
from harness.errors import BadInput
from harness.measurement.survey import Environments, Survey
from harness.store.measurement import MEASUREMENTS
from harness.store.store import Store
from harness.sweep import finished, forecast, local, slurm_script
from harness.sweep.point import Point
from harness.sweep.task import Outcome, Task
from tests.harness.cli.command import harness, require_refused
from tests.harness.reporting import records

Capture = pytest.CaptureFixture[str]
GRID = """model = ["posemamba-xs", "motionagformer-xs"]
frames = 27
seed = [0, 1]
steps = 3
device = "cpu"
threads = 1
"""


def grid(tmp_path: Path, text: str = GRID) -> Path:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return path


def planned(tmp_path: Path, text: str, elsewhere: bool = False) -> list[Point]:
    return sweep_points.planned(grid(tmp_path, text), elsewhere)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """The tasks that were started here. Each finishes at once with a record, or fails if its seed is 1."""
    tasks: list[Task] = []

    class Instant:
        def __init__(self, task: Task, environment: Mapping[str, str] | None = None) -> None:
            self.task, self._works = task, "--seed 1" not in " ".join(task.words)
            tasks.append(task)

        def poll(self) -> Outcome:
            if self._works and self.task.words[0] == "run":
                Store(str(self.task.results)).append({**records.record(self.task.words[2]), "id": self.task.id})
            return Outcome(self.task.id, "ended", 0 if self._works else 1, "" if self._works else "it does not work")

    monkeypatch.setattr(local, "Running", Instant)
    return tasks


# What is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('modle = "a"', "grid.toml: unknown key 'modle'. Did you mean: model"),
        ('model = "posemaba"', "grid.toml: Unknown model 'posemaba'. Did you mean: posemamba"),
        ('model = "posemamba-xs"\n[[also]]\nmodel = "posemaba"', "grid.toml, [[also]] 1: Unknown model"),
        ('model = "nopkg.x:Y"', "Cannot import 'nopkg.x'"),
        ('model = "posemamba-xs"\nsteps = 1\nepochs = 1', "grid.toml: a budget is one of"),
        ('model = "posemamba-xs"\nframes = [27, 0]', "grid.toml: --frames 0 is out of range"),
        ('model = "posemamba-xs"\n[options]\ndephth = 2', "grid.toml: no such option 'dephth'"),
        ('model = "posemamba-xs"\ndevice = "cuda:1"', "which GPU is the engine's to choose"),
        ('model = "posemamba-xs"\n[measure]\nprecision = "int8"', "grid.toml, [measure]: --precision int8"),
        ('model = "posemamba-xs"\n[measure]\ncompile = "maybe"', "'maybe' is not one of 'no', 'yes'"),
        ('model = "posemamba-xs"\n[[also]]\nmodel = "posemamba-xs"', "grid.toml, [[also]] 1: posemamba-xs-t27-s0-"),
        ('model = "posemamba-xs"\nagain = true', "again is no key of a grid: it would do a finished point again"),
        (
            'model = "posemamba-xs"\ntimeout = 5',
            "timeout is no key of a grid: it is of all points: harness",
        ),
        ('model = "posemamba-xs"\n[measure]\ntimeout = 5', "[measure]: timeout is no key of a grid"),
        ('model = "posemamba-xs"\ndevices = 0', "grid.toml: --devices 0 is out of range"),
        ('model = "posemamba-xs"\ndevices = 2\nmax-restarts = -1', "grid.toml: --max-restarts -1 is out of range"),
    ],
)
def test_what_a_grid_says_wrongly_is_refused(text: str, message: str, tmp_path: Path, capsys: Capture) -> None:
    require_refused(["sweep", str(grid(tmp_path, text)), "--results", str(tmp_path / "r")], message, capsys)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--executor", "slurm", "--jobs", "2"], "--jobs is of --executor local"),
        (["--address", "auto"], "--address is of --executor ray"),
        (["--print"], "--print is of --executor slurm"),
        (["--slurm", "partition=gpu"], "--slurm is of --executor slurm"),
        (["--executor", "kubernetes"], "'kubernetes' is not one of"),
        (["--retries", "-1"], "-1 is not in the range"),
        (["--timeout", "0"], "0.0 is not in the range"),
        (["--timeout", "nan"], "--timeout nan is no number of minutes"),
        (["--executor", "slurm", "--print", "--retries", "1"], "--retries has no effect on a script"),
    ],
)
def test_what_the_command_says_wrongly_is_refused(
    words: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    require_refused(["sweep", str(grid(tmp_path)), *words, "--results", str(tmp_path / "r")], message, capsys)


def test_elsewhere_the_device_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"grid.toml: no device, and the machines that will work need not be like this"):
        planned(tmp_path, 'model = "posemamba-xs"', elsewhere=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('device = "cdua"', "grid.toml: device cdua: Did you mean: cuda"),
        ('device = "mps"\n[measure]', "grid.toml: device mps: Machines elsewhere have cpu or cuda"),
        ('device = "cuda"\ncore-minutes = 1', "grid.toml: --core-minutes counts processor time"),
    ],
)
def test_elsewhere_a_device_is_checked_as_far_as_that_goes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        planned(tmp_path, 'model = "posemamba-xs"\n' + text, elsewhere=True)


# The points


def parsed(command: click.Command, words: Sequence[str]) -> dict[str, Any]:
    left_out = ("devices", "max_restarts", "timeout_minutes", "tensorboard", "dry_run", "results")
    given = command.make_context("x", list(words[1:])).params
    return {name: value for name, value in given.items() if name not in left_out}


def test_a_run_is_the_one_that_its_words_come_to(tmp_path: Path) -> None:
    text = (
        GRID.replace('device = "cpu"\nthreads = 1\n', "")
        + "flip = false\nlearning-rate = 1e-3\n[options.posemamba-xs]\ndepth = 2"
    )
    points = planned(tmp_path, text)
    assert [(point.model, point.config and point.config.seed) for point in points] == [
        ("posemamba-xs", 0),
        ("motionagformer-xs", 0),
        ("posemamba-xs", 1),
        ("motionagformer-xs", 1),
    ]
    for point in points:
        given = parsed(run_command, point.words)
        del given["again"]
        (config,) = configs_of(given.pop("names"), given.pop("seeds"), **{**given, "data": "synthetic"})
        assert (config, config.run_id()) == (point.config, point.id)
        assert {"--threads", "--device"} <= set(point.words), "another machine has others of its own"
        assert (point.cores, point.gpus, point.exclusive) == (config.threads, 0, False)
    assert points[0].config is not None
    assert (points[0].config.options["depth"], points[0].config.flip_test) == (2, False)


def test_a_measurement_is_a_point_by_itself(tmp_path: Path) -> None:
    *_, nine, more = planned(tmp_path, GRID + "[measure]\nframes = [9, 27]\nquick = true")
    for point, frames in ((nine, 9), (more, 27)):
        assert point.request == requested(**parsed(measure_command, point.words)).resolved()
        assert (point.request.frames, point.request.models) == ((frames,), ("motionagformer-xs",))
        assert (point.exclusive, point.cores, point.gpus) == (True, 1, 0)
        assert point.id.startswith(f"measure-motionagformer-xs-t{frames}-")
    (_, alone) = planned(tmp_path, 'model = "posemamba-xs"\nthreads = 1\n[measure]')
    assert alone.request is not None
    assert alone.request.frames == (27,), "as the run beside it"


def test_a_sweep_for_gpus_is_started_where_there_is_none(tmp_path: Path) -> None:
    text = 'model = "posemamba-xs"\ndevice = "cuda"\nthreads = 4\ndevices = 2\nprecision = "fp16"\n[measure]'
    run, measurement = planned(tmp_path, text, elsewhere=True)
    assert run.config is not None
    assert (run.config.device, run.cores, run.gpus) == ("cuda", 4, 2)
    assert run.config.run_id() == run.id
    assert measurement.request is not None
    assert (measurement.request.device, measurement.gpus) == ("cuda", 1)


# What is done


def test_all_that_can_be_done_is_shown_and_one_failure_is_exit_code_1(
    tmp_path: Path, started: list[Task], capsys: Capture
) -> None:
    words = ("sweep", grid(tmp_path), "--results", tmp_path / "r", "--retries", "0", "--timeout", "2.5")
    code, out, err = harness(*words, capsys=capsys)
    assert code == 1
    assert ("posemamba-xs" in out, "motionagformer-xs" in out, "failed" in out) == (True, True, False)
    assert "4 points, 0 of them finished" in err
    failed = [task.id for task in started if "-s1-" in task.id]
    assert err.endswith("harness: 2 of 4 points failed; the same command tries them again\n")
    assert [line for line in err.splitlines() if line.startswith("  ")] == [
        f"  {id}: it does not work" for id in failed
    ]
    assert {task.timeout_s for task in started} == {150.0}
    assert {task.results for task in started} == {str(tmp_path / "r")}
    del started[:]
    code, _, err = harness(*words, capsys=capsys)
    assert (code, sorted(task.id for task in started)) == (1, sorted(failed)), "what is finished is done again"
    assert "4 points, 2 of them finished" in err


def test_nothing_to_do(tmp_path: Path, started: list[Task], capsys: Capture) -> None:
    words = ("sweep", grid(tmp_path, GRID.replace("[0, 1]", "0")), "--results", tmp_path / "r")
    assert harness(*words, capsys=capsys)[0] == 0
    del started[:]
    code, out, err = harness(*words, capsys=capsys)
    assert (code, started, err) == (0, [], "2 points, 2 of them finished\n")
    assert "motionagformer-xs" in out


def test_jobs_are_points_at_once(
    tmp_path: Path, started: list[Task], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    made: list[tuple[int, tuple[str, ...], int | None]] = []

    class Seen(local.Local):
        def __init__(self, cores: int, gpus: Sequence[str] = (), at_once: int | None = None) -> None:
            made.append((cores, tuple(gpus), at_once))
            super().__init__(cores, gpus, at_once)

    monkeypatch.setattr(local, "Local", Seen)
    monkeypatch.setattr(sweep, "_cores", lambda: 6)
    harness("sweep", grid(tmp_path), "--jobs", "3", "--results", tmp_path / "r", "--retries", "0", capsys=capsys)
    assert made == [(6, (), 3)]


@pytest.mark.parametrize(("threads", "cores", "slots"), [(1, 6, 6), (4, 6, 1), (8, 6, 1), (2, 6, 3)])
def test_slots_of_this_machine(threads: int, cores: int, slots: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_cores", lambda: cores)
    assert sweep._slots("local", [Point("a", ("run",), cores=threads)], None, ()) == slots
    monkeypatch.setenv(local.VISIBLE, "0,2,5,7")
    assert sweep._slots("local", [Point("a", ("run",), cores=threads, gpus=2)], None, ()) == 2


@pytest.mark.parametrize(("pairs", "slots"), [((), None), (("partition=gpu",), None), (("at_once=8",), 8)])
def test_slots_of_slurm_are_known_only_where_they_are_asked_for(pairs: tuple[str, ...], slots: int | None) -> None:
    assert sweep._slots("slurm", [Point("a", ("run",))], None, pairs) == slots


def test_a_dry_run_forecasts_what_is_left(
    tmp_path: Path, started: list[Task], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    words = ("sweep", grid(tmp_path), "--results", tmp_path / "r")
    harness(*words, "--retries", "0", capsys=capsys)
    del started[:]
    asked: list[tuple[int, str, int, int]] = []

    def say_plan(points: Any, executor: str, slots: int, results: Path, say: Any, *, skipped: Any) -> None:
        asked.append((len(points), executor, slots, len(skipped)))

    monkeypatch.setattr(forecast, "say_plan", say_plan)
    monkeypatch.setattr(sweep, "_cores", lambda: 2)
    assert harness(*words, "--dry-run", capsys=capsys)[0] == 0
    assert (asked, started) == ([(4, "local", 2, 2)], [])


def test_the_longest_points_may_start_first(tmp_path: Path, started: list[Task], capsys: Capture) -> None:
    text = """model = "posemamba-xs"
data = "synthetic:train_minutes=0.1,test_minutes=0.05"
frames = 3
minutes = [10, 30, 20]
device = "cpu"
threads = 1
[options]
depth = 1
"""
    words = ("sweep", grid(tmp_path, text), "--results", tmp_path / "r", "--jobs", "1")
    assert harness(*words, "--longest-first", capsys=capsys)[0] == 0
    assert [task.words[task.words.index("--minutes") + 1] for task in started] == ["30", "20", "10"]


def test_a_script_for_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("sweep", grid(tmp_path), "--executor", "slurm", "--print", "--slurm", "partition=long", "--timeout", "60")
    code, out, err = harness(*words, "--results", "r", capsys=capsys)
    assert (code, err) == (0, "")
    assert out.startswith("#!/bin/bash\n# 4 points")
    assert "--partition=long" in out
    assert f"--seed 1 --frames 27 --steps 3 --device cpu --threads 1 --results {os.getcwd()}/r\n" in out
    assert slurm_script.__doc__


# What is finished


def measured(point: Point, results: Path, environment: Mapping[str, Any], rounds: int = 1) -> None:
    """Rows as ``harness measure`` would store them, of this machine or of one with another ``environment``."""
    assert point.request is not None

    def run_task(task: Mapping[str, Any]) -> dict[str, Any]:
        return {"status": "ok"}

    here = Environments()
    store = Store(results, MEASUREMENTS)
    store.preflight()
    survey = Survey(point.request, store, print, run_task, lambda model: {**here(model), **environment})
    survey.measure()


def test_a_measurement_is_finished_where_it_was_made(tmp_path: Path) -> None:
    *_, point = planned(tmp_path, GRID + "[measure]\nquick = true")

    def has(elsewhere: bool) -> bool:
        return point.id in finished.finished([point], tmp_path / "r", print, elsewhere)

    assert not has(elsewhere=True)
    measured(point, tmp_path / "r", {"processor": "another"})
    assert (has(elsewhere=True), has(elsewhere=False)) == (True, False)
    measured(point, tmp_path / "r", {})
    assert (has(elsewhere=True), has(elsewhere=False)) == (True, True)


def test_a_measurement_of_other_code_is_none(tmp_path: Path) -> None:
    *_, point = planned(tmp_path, GRID + "[measure]\nquick = true")
    measured(point, tmp_path / "r", {"model_code": "older"})
    assert finished.finished([point], tmp_path / "r", print, elsewhere=True) == set()
