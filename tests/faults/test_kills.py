"""kill -9: at every kind of moment of a run, and in the middle of a checkpoint and of a record."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.measurement import fresh_process, worker
from harness.store.store import Store
from harness.training import checkpoint
from tests.faults import injections, life

#: Where the lives of one run end, in the order in which they come to it.
DEATHS: list[dict[str, Any]] = [
    {"fault": injections.kill_at_replacement, "name": "config.json", "when": "before"},
    {"fault": injections.kill_at_replacement, "name": "step-00000002.pt", "when": "before"},
    {"fault": injections.kill_at_replacement, "name": "step-00000004.pt", "when": "after"},
    {"fault": injections.kill_at_replacement, "name": "checkpoint.json", "when": "after"},
    {"fault": injections.kill_at_replacement, "name": "step-00000006.pt", "when": "after"},
    {"fault": injections.kill_at_replacement, "name": "weights.pt", "when": "before"},
    {"fault": injections.kill_at_replacement, "name": "weights.pt", "when": "after"},
    {"fault": injections.kill_at_replacement, "name": "traces.npz", "when": "before"},
    {"fault": injections.kill_in_append, "share": 0.5},
]


def records(results: Path) -> list[dict[str, Any]]:
    """What the store holds; a torn line is dropped with a warning, which is tested with the store."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Store(results).records()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The record of a run that nobody killed."""
    results = tmp_path_factory.mktemp("whole")
    assert life.train(results, "drawing").code == 0
    return records(results)[0]


def require_as_if_never_killed(found: dict[str, Any], whole: dict[str, Any]) -> None:
    assert found["weights"]["sha256"] == whole["weights"]["sha256"]
    assert found["traces"]["sha256"] == whole["traces"]["sha256"]
    assert found["accuracy"] == whole["accuracy"]
    losses = [[stretch["loss"] for stretch in record["training"]["curve"]] for record in (found, whole)]
    assert losses[0] == losses[1]


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_never_was(tmp_path: Path, whole: dict[str, Any]) -> None:
    for death in DEATHS:
        assert life.train(tmp_path, "drawing", **death).code is None, f"it did not come to {death}"
        assert records(tmp_path) == [], death
    assert life.remains(tmp_path), "the killed processes left nothing, so that nothing is proved by its absence"
    assert life.train(tmp_path, "drawing").code == 0
    (found,) = records(tmp_path)
    require_as_if_never_killed(found, whole)
    assert life.remains(tmp_path) == []


def test_a_record_that_is_written_is_finished_whatever_comes_after(tmp_path: Path, whole: dict[str, Any]) -> None:
    assert life.train(tmp_path, "drawing", fault=injections.kill_in_append, share=1.0).code is None
    (found,) = records(tmp_path)
    require_as_if_never_killed(found, whole)
    ended = life.train(tmp_path, "drawing")
    assert (ended.code, "is already finished" in ended.err) == (0, True)
    assert len(records(tmp_path)) == 1
    assert life.remains(tmp_path) == []


@pytest.mark.parametrize("words", [(), ("--again",)], ids=["without --again", "with --again"])
def test_a_repetition_that_is_killed_goes_on_and_the_finished_run_stays_until_it_ends(
    tmp_path: Path, whole: dict[str, Any], words: tuple[str, ...]
) -> None:
    assert life.train(tmp_path, "drawing").code == 0
    first = records(tmp_path)
    for name, again in (("step-00000004.pt", ("--again",)), ("weights.pt", words)):
        death = {"fault": injections.kill_at_replacement, "name": name, "when": "before"}
        assert life.train(tmp_path, "drawing", words=again, **death).code is None, name
        assert records(tmp_path) == first
        assert checkpoint.file_digest(tmp_path / first[0]["weights"]["path"]) == first[0]["weights"]["sha256"]
    # The checkpoint of the last step is there: a training from the start would write the others again.
    death = {"fault": injections.kill_at_replacement, "name": "step-00000002.pt", "when": "before"}
    ended = life.train(tmp_path, "drawing", words=words, **death)
    assert (ended.code, "going on with the repetition" in ended.err) == (0, True), ended
    old, new = records(tmp_path)
    assert (old, new["status"]) == (first[0], "ok")
    require_as_if_never_killed(new, whole)
    assert life.remains(tmp_path) == []
    ended = life.train(tmp_path, "drawing")
    assert (ended.code, "is already finished" in ended.err) == (0, True)


def test_a_repetition_that_fails_leaves_what_was_finished(tmp_path: Path) -> None:
    assert life.train(tmp_path, "failing_where_asked").code == 0
    first = records(tmp_path)
    paths = [tmp_path / first[0][name]["path"] for name in ("weights", "traces")]
    files = [path.stat().st_mtime_ns for path in paths]
    fault = {"fault": injections.environment, "name": "FAIL", "value": "1"}
    ended = life.train(tmp_path, "failing_where_asked", words=("--again",), **fault)
    assert (ended.code, "no longer" in ended.err) == (1, True)
    assert records(tmp_path) == first
    assert [path.stat().st_mtime_ns for path in paths] == files, "they are not the finished run's any more"
    ended = life.train(tmp_path, "failing_where_asked")
    assert (ended.code, "is already finished" in ended.err) == (0, True)
    assert life.remains(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "when", "step"),
    [
        ("step-00000002.pt", "before", 1),
        ("step-00000002.pt", "after", 1),
        ("checkpoint.json", "before", 1),
        ("checkpoint.json", "after", 2),
    ],
)
def test_a_death_while_a_checkpoint_is_written_leaves_a_whole_one(
    tmp_path: Path, name: str, when: str, step: int
) -> None:
    checkpoint.save(tmp_path, 1, {"step": 1, "model": torch.zeros(1000)})
    found = fresh_process.call(
        save_and_die, {"folder": tmp_path, "name": name, "when": when}, timeout_s=60.0, preload=worker.PRELOAD
    )
    assert fresh_process.was_killed(found), found
    left = checkpoint.load(tmp_path)
    assert left is not None
    assert left["step"] == step
    checkpoint.save(tmp_path, 3, {"step": 3})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.json", "step-00000003.pt"]


def save_and_die(task: dict[str, Any]) -> dict[str, Any]:
    injections.kill_at_replacement(task["name"], task["when"])
    checkpoint.save(task["folder"], 2, {"step": 2, "model": torch.ones(1000)})
    return {"status": "ok"}
