"""Ctrl-C and the scheduler's SIGTERM, in every stage of a run, once and twice."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.store.store import Store
from harness.training import checkpoint
from tests.faults import injections, life


def stopped(results: Path, text: str, *numbers: int) -> life.Ended:
    """A run that gets these signals when its line of progress says ``text``."""
    return life.train(results, fault=injections.signals_at, text=text, numbers=numbers)


def step_of(results: Path) -> int:
    """Of the checkpoint that is there."""
    (folder,) = (results / "runs").iterdir()
    found = checkpoint.load(folder)
    assert found is not None
    return int(found["progress"]["step"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_finishes_the_step_and_saves(tmp_path: Path, number: signal.Signals) -> None:
    ended = stopped(tmp_path, "step 3 ", number)
    assert (ended.code, ended.out) == (130, "")
    assert "stopped after step 3; the same command goes on from there" in ended.err
    assert step_of(tmp_path) == 3
    (record,) = Store(tmp_path).records()
    assert record["status"] == "interrupted"
    assert "accuracy" not in record


def test_twice_is_at_once(tmp_path: Path) -> None:
    """The second comes while the step is being reported, before it is saved."""
    ended = stopped(tmp_path, "step 3 ", signal.SIGINT, signal.SIGINT)
    assert ended.code == 130, ended
    assert step_of(tmp_path) == 2
    assert Store(tmp_path).records()[0]["status"] == "interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_in_the_evaluation_the_training_is_kept(tmp_path: Path, number: signal.Signals) -> None:
    ended = stopped(tmp_path, "evaluating", number)
    assert (ended.code, ended.err.splitlines()[-1]) == (130, "harness: interrupted")
    assert step_of(tmp_path) == 6
    assert Store(tmp_path).records()[0]["status"] == "interrupted"
    ended = life.train(tmp_path)
    assert ended.code == 0, ended
    assert [record["status"] for record in Store(tmp_path).records()] == ["interrupted", "ok"]
    assert "step 6" not in ended.err, "it was trained again"


def test_an_evaluation_that_is_interrupted_takes_nothing_from_a_finished_one(tmp_path: Path) -> None:
    assert life.train(tmp_path).code == 0
    (trained,) = Store(tmp_path).records()
    words = (
        "evaluate",
        "--run",
        trained["id"],
        "--model",
        life.HERE + "plain",
        "--threads",
        "1",
        "--results",
        tmp_path,
    )
    interrupt = {"fault": injections.signals_at, "text": "evaluating", "numbers": [signal.SIGTERM]}
    codes, kept = [], []
    for fault in (interrupt, {}, interrupt):
        codes.append(life.live(*words, **fault).code)
        kept.append([record["status"] for record in Store(tmp_path).records()[1:]])
    assert codes == [130, 0, 130]
    assert kept == [["interrupted"], ["interrupted", "ok"], ["interrupted", "ok"]]


@pytest.mark.parametrize("fault", [injections.signal_in_preparation, injections.signal_in_append])
def test_sigterm_outside_of_the_work_itself(tmp_path: Path, fault: Callable[..., None]) -> None:
    """While the data are loaded, and while the record of the finished run is appended."""
    ended = life.train(tmp_path, fault=fault, number=signal.SIGTERM)
    assert (ended.code, ended.err.splitlines()[-1]) == (130, "harness: interrupted")
    ended = life.train(tmp_path)
    assert ended.code == 0, ended
    assert [record["status"] for record in Store(tmp_path).records()] == ["ok"]


def test_what_finished_before_an_interruption_is_shown(tmp_path: Path) -> None:
    interrupt = {"fault": injections.signal_while_at_work, "name": "wide", "number": signal.SIGTERM}
    ended = life.train(tmp_path, "plain", "wide", "drawing", steps=400, **interrupt)
    assert ended.code == 130, ended
    assert "plain" in ended.out
    found = {record["config"]["model"].removeprefix(life.HERE): record["status"] for record in Store(tmp_path).latest()}
    assert found == {"plain": "ok", "wide": "interrupted"}
