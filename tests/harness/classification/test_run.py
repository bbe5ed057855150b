"""A whole run: what it records, how it ends, and that it goes on where it was stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.classification import config, cost, run, shapes
from harness.classification.config import ClassificationConfig
from harness.errors import BadInput, RunFailed
from harness.measurement.timing import Protocol
from harness.store.classification import CLASSIFICATIONS
from harness.store.store import Store
from harness.training import loop
from harness.training.budget import Budget
from tests.harness.classification import point_models

ROOT = Path(__file__).resolve().parents[3]
SHORT = Protocol(
    rounds=1, min_samples=6, min_seconds=0, max_seconds=1, warm_up_calls=1, warm_up_seconds=0, block_seconds=0
)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "TRAIN_CLOUDS_PER_CLASS", 8)
    monkeypatch.setattr(shapes, "TEST_CLOUDS_PER_CLASS", 4)
    monkeypatch.setattr(cost, "PROTOCOL", SHORT)


def planned(name: str = "tiny", **changes: Any) -> ClassificationConfig:
    given: dict[str, Any] = {"budget": Budget(steps=6), "points": 64, "threads": 1, "cost_points": (32, 128)}
    return config.resolve(f"{point_models.MODULE}:{name}", **{**given, **changes})


def records(results: Path) -> list[dict[str, Any]]:
    return Store(results, CLASSIFICATIONS).records()


def silent(line: str) -> None:
    return None


def test_the_record_of_a_run(tmp_path: Path) -> None:
    run.run(planned(options={"width": "16"}), tmp_path, silent)
    (record,) = records(tmp_path)
    assert record["status"] == "ok"
    assert record["config"]["options"] == {"width": 16}
    assert record["signature"] == "OA|data:shapes|points:64|test:40|sample:area|norm:ball|votes:1|v:1"
    assert record["accuracy"]["clouds"] == sum(map(sum, record["accuracy"]["confusion"])) == 40
    assert record["floors"]["majority"]["overall_percent"] == 10.0
    assert (record["training"]["steps"], record["training"]["epochs"]) == (6, 3.0)
    # 3 x 16, 16 x 32 for each of the 64 points, 32 x 16 and 16 x 10 once.
    assert record["cost"]["macs_fvcore"] == 64 * (3 * 16 + 16 * 32) + 32 * 16 + 16 * 10
    assert [row["points"] for row in record["cost"]["by_points"]] == [32, 64, 128]
    assert all(row["latency_ms"] > 0 for row in record["cost"]["by_points"])
    assert record["cost"]["train_clouds_per_s"] > 0
    assert (tmp_path / record["weights"]["path"]).is_file()


def test_equal_steps_give_equal_weights_and_another_seed_others(tmp_path: Path) -> None:
    weights = [
        run.run(planned(seed=seed), tmp_path / folder, silent)["weights"]["sha256"]
        for seed, folder in ((0, "a"), (0, "b"), (1, "c"))
    ]
    assert weights[0] == weights[1] != weights[2]


def test_a_finished_run_is_not_repeated_unless_asked(tmp_path: Path) -> None:
    first = run.run(planned(), tmp_path, silent)
    said: list[str] = []
    assert run.run(planned(), tmp_path, said.append)["finished"] == first["finished"]
    assert any("already finished" in line for line in said)
    run.run(planned(), tmp_path, silent, again=True)
    assert len(records(tmp_path)) == 2


def test_a_finished_run_on_other_data_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run.run(planned(), tmp_path, silent)
    monkeypatch.setattr(shapes, "TEST_CLOUDS_PER_CLASS", 5)
    with pytest.raises(BadInput, match="has changed since; repeat it with --again"):
        run.run(planned(), tmp_path, silent)


def test_logits_that_are_no_numbers_are_no_accuracy(tmp_path: Path) -> None:
    with pytest.raises(
        RunFailed, match=r"point_models:broken: the logits of test cloud 0 \(ellipsoid\) are not finite"
    ):
        run.run(planned("broken"), tmp_path, silent)
    (record,) = records(tmp_path)
    assert record["status"] == "failed"
    assert "accuracy" not in record


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="the loss is"):
        run.run(planned(learning_rate=1e18, budget=Budget(steps=200)), tmp_path, silent)
    assert records(tmp_path)[0]["status"] == "failed"


def test_answers_that_depend_on_the_batch_are_said(tmp_path: Path) -> None:
    record = run.run(planned("beside"), tmp_path, silent)
    assert any("depends on which clouds are beside it" in warning for warning in record["warnings"])


def test_points_that_a_model_does_not_take_have_a_reason(tmp_path: Path) -> None:
    record = run.run(planned("patched"), tmp_path, silent)
    assert record["cost"]["by_points"][0] == {"points": 32, "error": "32 points are fewer than patches=64"}
    assert "one cloud of 32 points: 32 points are fewer than patches=64" in record["warnings"]
    with pytest.raises(BadInput, match="cannot be run on clouds of 48 points: 48 points are fewer"):
        run.run(planned("patched", points=48), tmp_path, silent)


def test_a_model_that_answers_something_else(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"returned \(2, 64, 10\); the contract is .* = \(2, 10\)"):
        run.run(planned("misshapen"), tmp_path, silent)
    assert records(tmp_path) == []


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run.run(planned(), tmp_path / "whole", silent)
    note = loop._note

    def stopping(progress: loop.Progress, share: float, loss: float, rate: float) -> None:
        note(progress, share, loss, rate)
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "_note", stopping)
    with pytest.raises(loop.Interrupted, match="stopped after step 3"):
        run.run(planned(), tmp_path / "broken", silent)
    monkeypatch.setattr(loop, "_note", note)
    resumed = run.run(planned(), tmp_path / "broken", silent)
    assert [record["status"] for record in records(tmp_path / "broken")] == ["interrupted", "ok"]
    assert resumed["weights"]["sha256"] == whole["weights"]["sha256"]
    assert resumed["accuracy"] == whole["accuracy"]


def test_after_sigkill_the_same_command_goes_on(tmp_path: Path) -> None:
    words = [
        sys.executable, "-m", "harness", "classify", "--model", f"{point_models.MODULE}:tiny", "--points", "32",
        "--steps", "200", "--threads", "1", "--cost-points", "32", "--results", str(tmp_path),
    ]  # fmt: skip
    environment = {**os.environ, "HARNESS_SAVE_EVERY_S": "0"}
    dying = subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/*/checkpoint.json")):
        assert dying.poll() is None, dying.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.01)
    dying.kill()
    dying.communicate()
    assert records(tmp_path) == []
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (record,) = records(tmp_path)
    assert (record["status"], record["training"]["steps"]) == ("ok", 200)
    assert "OA|data:shapes|points:32" in done.stdout
