"""A whole run: what it records, how it ends, and that it goes on where it was stopped."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.classification import config, cost, run, shapes, source
from harness.classification.config import ClassificationConfig
from harness.errors import BadInput, RunFailed
from harness.measurement.timing import Protocol
from harness.store.classification import CLASSIFICATIONS
from harness.store.store import Store
from harness.training import loop
from harness.training.batches import Batch
from harness.training.budget import Budget
from harness.training.training import Progress, Training
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


@pytest.mark.parametrize("name", ["beside", "beside_first"])
def test_answers_that_depend_on_the_batch_are_said(name: str, tmp_path: Path) -> None:
    record = run.run(planned(name), tmp_path, silent)
    assert any("depends on which clouds are beside it" in warning for warning in record["warnings"])


def test_points_that_a_model_does_not_take_have_a_reason(tmp_path: Path) -> None:
    record = run.run(planned("patched"), tmp_path, silent)
    assert record["cost"]["by_points"][0] == {"points": 32, "error": "32 points are fewer than patches=64"}
    assert "one cloud of 32 points: 32 points are fewer than patches=64" in record["warnings"]
    with pytest.raises(BadInput, match="cannot be run on clouds of 48 points: 48 points are fewer"):
        run.run(planned("patched", points=48), tmp_path, silent)


@pytest.mark.parametrize(
    ("name", "points", "error"),
    [("asserting", 32, "P % 64 == 0"), ("alone", 64, "one cloud is no batch"), ("uncounted", 64, "'no numbers'")],
)
def test_a_trained_models_accuracy_is_kept_whatever_its_measurement_raises(
    name: str, points: int, error: str, tmp_path: Path
) -> None:
    run.run(planned(name), tmp_path, silent)
    (record,) = records(tmp_path)
    assert record["status"] == "ok"
    assert record["accuracy"]["clouds"] == 40
    (row,) = [row for row in record["cost"]["by_points"] if row["points"] == points]
    assert row["error"] == error
    assert f"one cloud of {points} points: {error}" in record["warnings"]
    assert record["cost"]["params_total"] > 0
    assert record["cost"]["train_clouds_per_s"] > 0
    # What can be measured is.
    assert ("latency_ms" in row) == (name == "uncounted")
    assert ("one cloud alone cannot be classified: one cloud is no batch" in record["warnings"]) == (name == "alone")


def test_the_accuracy_is_in_the_record_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cost, "measure", stopped)
    with pytest.raises(KeyboardInterrupt):
        run.run(planned(), tmp_path, silent)
    (record,) = records(tmp_path)
    assert record["status"] == "interrupted"
    assert {"signature", "accuracy", "floors", "beats_floors"} <= record.keys()


def test_a_model_that_changes_its_input_does_not_change_the_data(tmp_path: Path) -> None:
    data = source.load("shapes", 64, 0, None)
    digests = data.train.digest(), data.test.digest()
    run.run(planned("changing"), tmp_path, silent, load=lambda *_: data)
    assert (data.train.digest(), data.test.digest()) == digests


def test_what_the_data_leave_in_doubt_is_in_the_record(tmp_path: Path) -> None:
    data = dataclasses.replace(source.load("shapes", 64, 0, None), doubts=("copies",))
    assert "copies" in run.run(planned(), tmp_path, silent, load=lambda *_: data)["warnings"]


def test_the_choices_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Started(Exception):
        pass

    made: list[Training] = []

    def start(model: nn.Module, clouds: Any, training: Training) -> None:
        made.append(training)
        raise Started

    monkeypatch.setattr(run, "train", start)
    with pytest.raises(Started):
        run.run(planned(learning_rate=0.02, weight_decay=0.3, label_smoothing=0.2, batch_size=7), tmp_path, silent)
    (training,) = made
    recipe = training.recipe
    assert (training.batch_size, training.seed, training.budget) == (7, 0, Budget(steps=6))
    assert (recipe.optimizer, recipe.learning_rate, recipe.weight_decay) == ("adamw", 0.02, 0.3)
    assert (recipe.schedule, recipe.warmup_steps, recipe.gradient_clip, recipe.flip) == ("cosine", 30, 10.0, "none")
    assert (recipe.squared_loss, recipe.norm_momentum, recipe.drop_path) == (False, None, None)
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(5, 4, generator=generator), torch.tensor([0, 3, 1, 1, 2])
    # The wanted distribution is 0.8 on the label and 0.2 spread over all four classes.
    wanted = 0.8 * torch.eye(4)[labels] + 0.2 / 4
    expected = -(wanted * (logits - logits.exp().sum(1, keepdim=True).log())).sum(1).mean()
    assert training.objective is not None
    torch.testing.assert_close(training.objective(nn.Identity(), Batch(logits, labels)), expected)


def test_the_published_choices_are_the_defaults() -> None:
    config_ = planned()
    assert (config_.batch_size, config_.learning_rate, config_.weight_decay) == (32, 1e-3, 0.05)
    assert config_.label_smoothing == 0.1


def test_where_cost_is_measured_makes_no_other_run(tmp_path: Path) -> None:
    first = run.run(planned(), tmp_path, silent)
    said: list[str] = []
    again = run.run(planned(cost_points=(32, 256)), tmp_path, said.append)
    assert again["finished"] == first["finished"]
    assert said[-1] == "its cost was not measured at 256 points; that needs --again"
    assert planned(seed=1).digest() != planned().digest()


def test_files_have_no_seed_of_the_data() -> None:
    assert planned(data="modelnet40:there", data_seed=3).data_seed == 0
    assert planned(data_seed=3).data_seed == 3


def test_a_model_that_answers_something_else(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"returned \(2, 64, 10\); the contract is .* = \(2, 10\)"):
        run.run(planned("misshapen"), tmp_path, silent)
    assert records(tmp_path) == []


def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run.run(planned(), tmp_path / "whole", silent)
    note = loop._note

    def stopping(progress: Progress, share: float, loss: float, rate: float) -> None:
        note(progress, share, loss, rate)
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "_note", stopping)
    with pytest.raises(loop.Interrupted, match="stopped after step 3"):
        run.run(planned(), tmp_path / "broken", silent)
    drawn: list[int] = []

    def noting(progress: Progress, share: float, loss: float, rate: float) -> None:
        drawn.append(progress.step)
        note(progress, share, loss, rate)

    monkeypatch.setattr(loop, "_note", noting)
    resumed = run.run(planned(), tmp_path / "broken", silent)
    assert [record["status"] for record in records(tmp_path / "broken")] == ["interrupted", "ok"]
    assert drawn == [4, 5, 6]
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
