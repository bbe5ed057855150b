"""The benchmark of a sweep's overhead on a few points, without an engine that has to be started."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import sweep_overhead
from benchmarks.sweep_overhead import AtOnce, Engine
from harness.store.record import RUNS
from harness.sweep.task import Outcome, Task


def test_every_point_is_finished_and_its_record_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.json"
    assert sweep_overhead.main(["--engines", "conductor", "--points", "5", "--json", str(file)]) == 0
    (found,) = json.loads(file.read_text())
    assert (found["engine"], found["points"], found["slots"]) == ("conductor", 5, 1)
    assert found["slot_s"] == pytest.approx(found["all_s"] / 5)
    assert capsys.readouterr().out.splitlines()[1].startswith("conductor            5     1 ")


def test_a_process_of_each_point_starts_and_ends() -> None:
    found = sweep_overhead.measure("local", sweep_overhead.engines()["local"], 2)
    assert found.slot_s == pytest.approx(found.all_s * found.slots / 2)
    assert found.all_s > 0.05  # Python does not start in less


def test_a_record_that_came_back_is_a_whole_one(tmp_path: Path) -> None:
    record = sweep_overhead._record()
    RUNS.validate(record)
    away = sweep_overhead.nothing(record, Task("a", ()))
    assert away.records[RUNS.file_name] == [{**record, "id": "a"}]
    here = sweep_overhead.nothing(record, Task("b", (), results=str(tmp_path)))
    assert here.records == {}
    assert json.loads((tmp_path / RUNS.file_name).read_text())["id"] == "b"


def test_points_that_do_not_finish_are_no_measurement() -> None:
    def failing(task: Task) -> Outcome:
        return Outcome(task.id, "ended", 2, "no")

    engine = Engine(lambda folder, run, slots: AtOnce(failing), 1)
    with pytest.raises(RuntimeError, match="0 of 3 points finished"):
        sweep_overhead.measure("failing", engine, 3)


def test_an_engine_that_takes_too_long_is_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(name: str, engine: Any, count: int) -> sweep_overhead.Overhead:
        return dataclasses.replace(measured(name, engine, count), slot_s=3.1)

    measured = functools.partial(sweep_overhead.measure)
    monkeypatch.setattr(sweep_overhead, "measure", slow)
    assert sweep_overhead.main(["--engines", "conductor", "--points", "1"]) == 1
