"""The log says what was trained, every step once, and changes nothing else."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import config, run
from harness.cli.root import cli
from harness.config import RunConfig
from harness.errors import BadInput, Interrupted
from harness.training import loop
from harness.training.budget import Budget
from harness.training.tensorboard_log import TensorBoardLog
from harness.training.training import Progress

pytest.importorskip("tensorboard")

CHOICES = {
    "model": "m",
    "frames": 9,
    "flip_test": True,
    "budget": {"steps": 6, "seconds": None},
    "options": {"dim": 16, "depths": [1, 2]},
}
DATA = "synthetic:train_minutes=0.2,test_minutes=0.1"
Points = list[tuple[int, float]]


pytestmark = pytest.mark.usefixtures("whole_runs")


def scalars(folder: Path) -> dict[str, Points]:
    """Every scalar in every file of the log, as TensorBoard's own reader finds it, with nothing purged."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    found: dict[str, Points] = {}
    for path in sorted(folder.iterdir()):
        for event in LegacyEventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def steps(folder: Path, tag: str = "train/loss") -> list[int]:
    return [step for step, _ in scalars(folder).get(tag, [])]


def log_in(folder: Path, said: list[str] | None = None) -> TensorBoardLog:
    return TensorBoardLog(folder, CHOICES, (said if said is not None else []).append)


def test_every_step_is_there_with_loss_and_learning_rate(tmp_path: Path) -> None:
    log = log_in(tmp_path / "log")
    for step in (1, 2, 3):
        log.step(step, 1 / step, 0.5 * step)
    log.scores(3, {"accuracy/p1_mm": 61.25, "accuracy/p2_mm": None})
    assert scalars(tmp_path / "log") == {
        "train/loss": [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))],
        "train/learning_rate": [(1, 0.5), (2, 1.0), (3, 1.5)],
        "accuracy/p1_mm": [(3, 61.25)],
    }


def test_tensorboard_itself_shows_it(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    log = log_in(tmp_path)
    log.step(1, 2.0, 0.1)
    log.step(2, 1.5, 0.2)
    shown = EventAccumulator(str(tmp_path))
    shown.Reload()
    assert sorted(shown.Tags()["scalars"]) == ["train/learning_rate", "train/loss"]
    assert [(event.step, event.value) for event in shown.Scalars("train/loss")] == [(1, 2.0), (2, 1.5)]
    content = shown.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    choices = metadata.parse_session_start_info_plugin_data(content).hparams
    assert choices["model"].string_value == "m"
    assert choices["options.dim"].number_value == 16
    assert choices["options.depths"].string_value == "[1, 2]"
    assert choices["flip_test"].bool_value is True
    assert "budget.seconds" not in choices


def test_a_training_that_goes_on_from_a_checkpoint_has_no_step_twice(tmp_path: Path) -> None:
    killed = log_in(tmp_path)
    for step in range(1, 8):
        killed.step(step, 100.0 + step, 0.1)
    resumed = log_in(tmp_path)
    for step in range(5, 10):
        resumed.step(step, 200.0 + step, 0.2)
    expected = [(step, 100.0 + step) for step in range(1, 5)] + [(step, 200.0 + step) for step in range(5, 10)]
    assert scalars(tmp_path)["train/loss"] == expected
    again = log_in(tmp_path)
    again.step(1, 300.0, 0.3)
    assert scalars(tmp_path)["train/loss"] == [(1, 300.0)]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_log_cut_short_in_the_middle_is_gone_on_with(tmp_path: Path) -> None:
    killed = log_in(tmp_path)
    for step in (1, 2, 3):
        killed.step(step, 1.0, 0.1)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    said: list[str] = []
    log_in(tmp_path, said).step(4, 1.0, 0.1)
    assert steps(tmp_path) == [1, 2, 4]
    assert said == []


def test_two_files_left_by_a_kill_in_between_become_one(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    log.step(1, 1.0, 0.1)
    log.step(2, 1.0, 0.1)
    (path,) = tmp_path.iterdir()
    path.with_suffix(".000007").write_bytes(path.read_bytes())
    log_in(tmp_path).step(3, 1.0, 0.1)
    assert steps(tmp_path) == [1, 2, 3]
    assert [left.suffix for left in tmp_path.iterdir()] == [".000008"]


def test_scores_alone_keep_the_steps_of_a_training_that_had_ended_before(tmp_path: Path) -> None:
    first = log_in(tmp_path)
    first.step(1, 1.0, 0.1)
    first.step(2, 1.0, 0.1)
    log_in(tmp_path).scores(2, {"accuracy/p1_mm": 50.0})
    assert steps(tmp_path) == [1, 2]
    assert scalars(tmp_path)["accuracy/p1_mm"] == [(2, 50.0)]


def test_a_log_that_cannot_be_written_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    said: list[str] = []
    log = log_in(tmp_path / "log", said)
    for step in (1, 2, 3):
        log.step(step, 1.0, 0.1)
    log.scores(3, {"accuracy/p1_mm": 50.0})
    assert len(said) == 1
    assert str(tmp_path / "log") in said[0]


def test_a_disk_that_fills_up_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []
    log = log_in(tmp_path, said)
    log.step(1, 1.0, 0.1)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.symlink_to("/dev/full")
    log.step(2, 1.0, 0.1)
    log.step(3, 1.0, 0.1)
    assert len(said) == 1
    assert "No space left" in said[0]


def tiny(**changes: object) -> RunConfig:
    given: dict[str, Any] = {"options": {"dim": 16, "depth": 1, "drop_path": 0.3}, "frames": 9, "data": DATA}
    return config.resolve("posemamba-xs", budget=Budget(steps=6), threads=1, batch_size=2, **{**given, **changes})


def random_numbers() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(1))  # noqa: NPY002


def of_the_training(record: dict[str, Any]) -> dict[str, Any]:
    """What of a record depends on no clock."""
    measured = {"started", "finished", "cost", "training", "warnings"}
    curve = [{**point, "seconds": None} for point in record["training"]["curve"]]
    rest = {name: entry for name, entry in record.items() if name not in measured}
    said = [warning for warning in record["warnings"] if "measure again" not in warning]
    return {**rest, "curve": curve, "names": [sorted(record), sorted(record["training"])], "said": said}


def test_a_run_is_bit_by_bit_the_same_with_and_without(tmp_path: Path) -> None:
    records, drawn = [], []
    for tensorboard in (False, True):
        records.append(run.run(tiny(), tmp_path / str(tensorboard), lambda line: None, tensorboard=tensorboard))
        drawn.append(random_numbers())
    plain, logged = records
    assert of_the_training(plain) == of_the_training(logged)
    assert drawn[0] == drawn[1]
    folders = [tmp_path / name / "runs" / plain["id"] for name in ("False", "True")]
    assert [(folder / "tensorboard").is_dir() for folder in folders] == [False, True]
    weights = [(folder / "weights.pt").read_bytes() for folder in folders]
    assert weights[0] == weights[1]
    found = scalars(folders[1] / "tensorboard")
    assert [step for step, _ in found["train/loss"]] == [1, 2, 3, 4, 5, 6]
    losses = {point["step"]: point for point in logged["training"]["curve"]}
    assert found["train/loss"] == [(step, pytest.approx(point["loss"], rel=1e-6)) for step, point in losses.items()]
    rates = [(step, pytest.approx(point["learning_rate"], rel=1e-6)) for step, point in losses.items()]
    assert found["train/learning_rate"] == rates
    assert found["accuracy/p1_mm"] == [(6, pytest.approx(logged["accuracy"]["p1_mm"], rel=1e-6))]
    assert found["accuracy/p2_mm"] == [(6, pytest.approx(logged["accuracy"]["p2_mm"], rel=1e-6))]


def test_an_interrupted_run_has_every_step_once_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    advance = loop._advance

    def interrupted(progress: Progress, per_epoch: int) -> None:
        advance(progress, per_epoch)
        if progress.step == 5:
            raise Interrupted("a kill after the checkpoint of step 3")

    monkeypatch.setenv("HARNESS_SAVE_EVERY_S", "0")
    monkeypatch.setattr(loop, "_advance", interrupted)
    # Checkpoints of the first three steps alone, so that step 4 is made and logged twice.
    saved: list[int] = []

    def save(*given: Any) -> None:
        if given[-1].step <= 3:
            saved.append(given[-1].step)
            real_save(*given)

    real_save = loop._save
    monkeypatch.setattr(loop, "_save", save)
    with pytest.raises(Interrupted):
        run.run(tiny(), tmp_path, lambda line: None, tensorboard=True)
    assert saved == [1, 2, 3]
    folder = tmp_path / "runs" / tiny().run_id() / "tensorboard"
    assert steps(folder) == [1, 2, 3, 4]
    monkeypatch.setattr(loop, "_advance", advance)
    monkeypatch.setattr(loop, "_save", real_save)
    run.run(tiny(), tmp_path, lambda line: None, tensorboard=True)
    assert steps(folder) == [1, 2, 3, 4, 5, 6]
    assert steps(folder, "accuracy/p1_mm") == [6]


def test_a_log_that_fails_does_not_fail_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / tiny().run_id()
    folder.mkdir(parents=True)
    (folder / "tensorboard").write_text("in the way")
    said: list[str] = []
    record = run.run(tiny(), tmp_path, said.append, tensorboard=True)
    assert record["status"] == "ok"
    assert sum("TensorBoard's log" in line for line in said) == 1


def test_without_tensorboard_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tensorboard.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    message = r"--tensorboard needs tensorboard.*pip install tensorboard"
    with pytest.raises(BadInput, match=message):
        run.run(tiny(), tmp_path / "a", lambda line: None, tensorboard=True)
    words = ["run", "--model", "posemamba-xs", "--data", DATA, "--tensorboard", "--results", str(tmp_path / "b")]
    with pytest.raises(BadInput, match=message):
        cli.main(args=words, standalone_mode=False)
    assert list(tmp_path.iterdir()) == []
