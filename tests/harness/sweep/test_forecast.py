"""The text of a dry run and what it rests on, for made-up stores; and that nothing is left behind."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.config import RunConfig
from harness.measurement import plan
from harness.measurement.request import Request
from harness.store.store import Store
from harness.sweep import forecast
from harness.sweep.estimate import SOURCES
from harness.sweep.point import Point
from harness.sweep.workload import Workload
from harness.training.budget import Budget
from tests.harness.sweep import stored


class Made:
    """Workloads by hand; ``uncountable`` names the models whose operations cannot be counted."""

    def __init__(self, uncountable: str = "") -> None:
        self._uncountable = uncountable

    def of(self, config: RunConfig) -> Workload:
        return Workload(steps_per_epoch=50, clips_per_step=4, forwards=100)

    def step_operations(self, config: RunConfig) -> float | None:
        return None if config.model == self._uncountable else 1e9


def run(
    model: str = "posemamba-xs", frames: int = 27, minutes: float | None = 60, seed: int = 0, **fields: Any
) -> Point:
    budget = Budget(steps=100) if minutes is None else Budget(seconds=60 * minutes)
    config = RunConfig(model, frames=frames, budget=budget, seed=seed)
    return Point(config.run_id(), ("run", "--model", model), config=config, **fields)


def measurement(model: str = "posemamba-xs", frames: int = 27, device: str = "cpu") -> Point:
    request = Request((model,), frames=(frames,), quick=True, threads=(1,), device="cpu").resolved()
    request = dataclasses.replace(request, device=device)  # which need not be here
    return Point(f"measure-{model}-t{frames}", ("measure", "--model", model), request=request)


def said(results: Path, points: list[Point], executor: str = "slurm", slots: int | None = 2, **given: Any) -> list[str]:
    lines: list[str] = []
    made: Mapping[str, Any] = {"workloads": Made(), "product_rate": lambda device: 3e9, "skipped": (), **given}
    forecast.say_plan(points, executor, slots, results, lines.append, **made)
    return lines


def foreseen(results: Path, points: list[Point], executor: str = "slurm", slots: int = 2, **given: Any) -> Any:
    made: Mapping[str, Any] = {"workloads": Made(), "product_rate": lambda device: 3e9, "skipped": (), **given}
    (found,) = forecast.say_plan(points, executor, slots, results, lambda line: None, **made)
    return found


def test_a_whole_plan_reads_so(tmp_path: Path) -> None:
    """Of each run: 20 s, and 100 clips of a third of the second that a training step takes by its operations."""
    points = [
        run("mixste", 81, minutes=120),
        run("posemamba-xs", 27, minutes=60),
        run("posemamba-xs", 81, minutes=60),
        run("posemamba-xs", 81, minutes=60, seed=1),
    ]
    assert said(tmp_path, points) == [
        "4 runs, 0 finished, 4 to do",
        "  time        5.1 hours of device time",
        "              5.0 hours of training, 3.6 minutes of evaluation, loading and measurement",
        "  by model    posemamba-xs: 3.0 hours, 60%, 3 points",
        "              mixste: 2.0 hours, 40%, 1 point",
        "  by T        81: 4.0 hours, 80%, 3 points",
        "              27: 60.9 minutes, 20%, 1 point",
        f"  longest     {points[0].id}: 2:00:53",
        f"              {points[1].id}: 1:00:53",
        f"              {points[2].id}: 1:00:53",
        f"              {points[3].id}: 1:00:53",
        "  known from  the budget in minutes: 4 points",
        "  end         after 3.0 hours on 2 slots of slurm, which are busy 83% of the time",
        "              3.0 hours with the longest first (--longest-first), no order: less than 2.5 hours",
        "              beyond 3 slots the longest point decides",
        "nothing was run or stored",
    ]
    assert list(tmp_path.iterdir()) == []


def test_what_is_finished_is_not_counted_again(tmp_path: Path) -> None:
    points = [run(seed=seed) for seed in range(3)]
    lines = said(tmp_path, points, skipped={points[1].id})
    assert lines[0] == "3 runs, 1 finished, 2 to do"
    assert not any(points[1].id in line for line in lines)


def test_the_store_says_itself_what_is_finished(tmp_path: Path) -> None:
    points = [run(seed=seed, minutes=None) for seed in range(3)]
    config = points[0].config
    assert config is not None
    Store(tmp_path).append(stored.finished(config, 2.0))
    lines = said(tmp_path, points, skipped=None)
    assert lines[0] == "3 runs, 1 finished, 2 to do"
    assert f"  known from  {SOURCES['trained']}: 2 points" in lines
    assert f"  timed on    {stored.PROCESSOR}; elsewhere it takes another time" in lines


def test_nothing_to_do_is_said_and_no_more(tmp_path: Path) -> None:
    point = run()
    assert said(tmp_path, [point], skipped={point.id}) == [
        "1 run, 1 finished, 0 to do",
        "nothing was run or stored",
    ]


def test_what_is_unknown_is_in_no_figure_and_named(tmp_path: Path) -> None:
    points = [run(minutes=60), *(run("mixste", minutes=None, seed=seed) for seed in range(7))]
    lines = said(tmp_path, points, workloads=Made("mixste"))
    assert lines[1] == "  time        60.9 minutes of device time, without 7 points of unknown duration"
    assert f"              {SOURCES['unknown']}: 7 points" in lines
    (named,) = [line for line in lines if line.startswith("  unknown")]
    assert points[1].id in named
    assert named.endswith(f"{points[5].id} and 2 more")


def test_only_unknown_points_have_no_end(tmp_path: Path) -> None:
    lines = said(tmp_path, [run("mixste", minutes=None)], workloads=Made("mixste"))
    assert not any(line.startswith(("  time", "  end", "  by", "  longest")) for line in lines)


@pytest.fixture
def measured_in_600_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def planned(request: Request, results: Path, say: Any) -> plan.Plan:
        say("lines that nobody asked for")
        return plan.Plan(to_do=2, stored=0, seconds=600.0, unknown=int(request.models == ("mixste",)))

    monkeypatch.setattr(plan, "plan", planned)


@pytest.mark.usefixtures("measured_in_600_s")
def test_a_measurement_stops_everything_else_on_this_machine(tmp_path: Path) -> None:
    points = [measurement(), run(minutes=60), run(minutes=60, seed=1)]
    here, there = (foreseen(tmp_path, points, executor) for executor in ("local", "slurm"))
    run_s = here.estimates[points[1].id].seconds
    assert here.in_order.makespan_s == pytest.approx(run_s + 600)
    assert here.in_order.utilisation == pytest.approx(1.0)
    assert there.in_order.makespan_s == pytest.approx(run_s + 600)  # the second run waits for it
    assert there.sorted.makespan_s == pytest.approx(run_s + 600)
    lines = said(tmp_path, points, "local")
    assert lines[0] == "2 runs and 1 measurement, 0 finished, 3 to do"
    assert lines[-2] == "              measurements are counted at the end, one at a time"
    assert f"              {SOURCES['survey']}: 1 point" in lines


def test_a_run_that_processes_share_is_estimated_so(tmp_path: Path) -> None:
    points = [run(minutes=None), run("mixste", minutes=None, cores=4)]
    found = foreseen(tmp_path, points).estimates
    alone_s, shared_s = (found[point.id].training_s for point in points)
    assert shared_s == pytest.approx((alone_s or 0) / 4)
    note = "              where no run of several devices was seen, they are taken to be as many times as fast"
    assert note in said(tmp_path, points)
    assert note not in said(tmp_path, points[:1])


@pytest.mark.usefixtures("measured_in_600_s")
def test_a_measurement_of_unknown_duration_is_none(tmp_path: Path) -> None:
    estimates = foreseen(tmp_path, [measurement("mixste"), measurement()]).estimates
    assert [estimate.seconds for estimate in estimates.values()] == [None, 600.0]


@pytest.mark.usefixtures("measured_in_600_s")
def test_a_measurement_of_a_third_partys_model_is_not_planned_since_that_builds_it(tmp_path: Path) -> None:
    (estimate,) = foreseen(tmp_path, [measurement("os:abort")]).estimates.values()
    assert (estimate.seconds, estimate.source) == (None, "unknown")


@pytest.mark.usefixtures("measured_in_600_s")
def test_points_for_a_gpu_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("harness.measurement.machine.product_rate", {"cpu": 3e9}.__getitem__)
    here, there = run(minutes=None), run(minutes=None, seed=1)
    assert there.config is not None
    there = dataclasses.replace(there, config=dataclasses.replace(there.config, device="cuda"), gpus=1)
    points = [here, there, measurement(device="cuda")]
    estimates = foreseen(tmp_path, points, product_rate=None).estimates
    assert [estimates[point.id].source for point in points] == ["product", "unknown", "unknown"]


@pytest.mark.usefixtures("measured_in_600_s")
def test_points_are_not_compared_each_with_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compare(one: Point, other: object) -> bool:
        raise AssertionError

    points = [measurement(), run()]
    monkeypatch.setattr(Point, "__eq__", compare)
    assert foreseen(tmp_path, points, "local").in_order.makespan_s > 600


def test_a_point_of_several_gpus_takes_as_many_slots(tmp_path: Path) -> None:
    points = [run(gpus=4), run(seed=1, gpus=4), run(seed=2, gpus=16)]
    eight, four = (foreseen(tmp_path, points[:2], slots=slots).in_order.makespan_s for slots in (8, 4))
    assert four == pytest.approx(2 * eight)
    assert foreseen(tmp_path, points, slots=8).in_order.makespan_s == pytest.approx(2 * eight)


def test_an_engine_of_unknown_size_has_an_end_for_several(tmp_path: Path) -> None:
    lines = said(tmp_path, [run(seed=seed) for seed in range(16)], "ray", slots=None)
    ends = [line for line in lines if " of ray, " in line]
    assert [line.partition("after")[2].partition(",")[0] for line in ends] == [
        " 2.0 hours on 8 slots of ray",
        " 60.9 minutes on 64 slots of ray",
        " 60.9 minutes on 512 slots of ray",
    ]


def test_the_longest_come_first_after_those_of_unknown_duration(tmp_path: Path) -> None:
    points = [run(minutes=10), run(minutes=30), run("mixste", minutes=None), run(minutes=20)]
    found = forecast.longest_first(
        points, "slurm", tmp_path, print, workloads=Made("mixste"), product_rate=lambda device: 3e9
    )
    assert found == [points[2], points[1], points[3], points[0]]


def test_durations_of_this_machine_count_alone_here_and_all_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "_this_machine", lambda: [stored.PROCESSOR])
    point = run(minutes=None)
    assert point.config is not None
    for seed, machine, clip_s in ((1, stored.PROCESSOR, 1.0), (2, stored.OTHER, 3.0)):
        config = dataclasses.replace(point.config, seed=seed)
        Store(tmp_path).append(stored.finished(config, clip_s, machine=machine))
    assert foreseen(tmp_path, [point], "local").estimates[point.id].training_s == pytest.approx(400)
    assert foreseen(tmp_path, [point], "ray").estimates[point.id].training_s == pytest.approx(800)


def test_this_machine_has_a_name() -> None:
    processor, gpu = forecast._this_machine()
    assert processor
    assert gpu


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (99.4, "99 s"),
        (99.6, "1.7 minutes"),
        (5969, "99.5 minutes"),
        (5971, "1.7 hours"),
        (4e6, "1,111 hours"),
    ],
)
def test_durations_are_in_the_unit_that_reads_best(seconds: float, text: str) -> None:
    assert forecast._hours(seconds) == text


def test_by_itself_it_counts_loads_and_measures_a_product(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = RunConfig(
        "posemamba-xs",
        frames=9,
        options={"depth": 1},
        data="synthetic:train_minutes=0.2,test_minutes=0.1",
        budget=Budget(epochs=1),
    )
    point = Point(config.run_id(), ("run", "--model", "posemamba-xs"), config=config)
    results = tmp_path / "results"
    (found,) = forecast.say_plan([point], "local", 1, results, lambda line: None)
    assert found.estimates[point.id].source == "product"
    assert 0 < found.in_order.makespan_s < 3600
    assert "estimating" in capsys.readouterr().err
    assert not results.exists(), "nothing was stored"
    assert forecast.longest_first([point], "local", results, print) == [point]
    assert [path.name for path in results.iterdir()] == ["cache"], "what the run to come will want is"
