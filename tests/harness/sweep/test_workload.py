"""Workloads against what a run prepares and what its evaluation reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness import config, models, run
from harness.assessment import cutting
from harness.config import RunConfig
from harness.data.normalise import model_input
from harness.errors import BadInput
from harness.evaluation import predict
from harness.measurement import counts
from harness.sweep import workload
from harness.sweep.workload import Counted
from harness.training.budget import Budget

DATA = "synthetic:train_minutes=0.2,test_minutes=0.1"


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "cache", said.append)


said: list[str] = []


def configured(model: str, frames: int, **given: Any) -> RunConfig:
    return config.resolve(model, budget=Budget(epochs=1), data=DATA, frames=frames, threads=1, device="cpu", **given)


def answered(planned: RunConfig, prepared: run.Prepared) -> int:
    """Frames that the lifter reads in the evaluation."""
    read: list[int] = []

    class Reader(nn.Module):
        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            read.append(clips.shape[0] * clips.shape[1])
            return prepared.model(clips)

    reader = Reader()
    predict.predict(
        reader,
        list(prepared.dataset.test),
        cutting=cutting(prepared.model, planned),
        inputs=lambda sequence: model_input(sequence, planned.in_channels),
        decode=prepared.space.decode,
        flip=planned.flip_test,
        device="cpu",
        progress=lambda done, total: None,
    )
    return sum(read)


@pytest.mark.parametrize(
    ("model", "frames", "options", "given"),
    [
        ("posemamba-xs", 9, {"depth": 1}, {}),
        ("posemamba-xs", 27, {"depth": 1}, {"recipe_name": "motionbert", "flip_test": False, "batch_size": 10_000}),
        ("videopose3d", 27, {"dim": 8}, {"recipe_name": "published", "batch_size": 7}),
    ],
)
def test_it_is_what_a_run_does(
    counted: Counted, tmp_path: Path, model: str, frames: int, options: dict[str, Any], given: dict[str, Any]
) -> None:
    planned = configured(model, frames, options=options, **given)
    prepared = run.prepare(planned, tmp_path, said.append)
    found = counted.of(planned)
    assert found is not None
    assert found.steps_per_epoch == prepared.clips.batches_per_epoch(planned.batch_size)
    assert found.clips_per_step == min(planned.batch_size, len(prepared.clips))
    assert found.forwards == pytest.approx(answered(planned, prepared) / frames)


def test_operations_are_those_of_the_count() -> None:
    planned = configured("posemamba-xs", 9, options={"depth": 1})
    built = models.build("posemamba-xs", 9, planned.in_channels, depth=1, drop_path=0.0)
    step = counts.count(built, 9, planned.in_channels)["training_step"]
    assert Counted(Path("unused"), said.append).step_operations(planned) == pytest.approx(step["flops_exact"], abs=1)


def test_a_third_partys_model_is_not_built() -> None:
    planned = dataclasses.replace(configured("posemamba-xs", 9), model=f"{__name__}:built", options={})
    counted = Counted(None, said.append)
    assert (counted.of(planned), counted.step_operations(planned)) == (None, None)
    assert calls == []


calls: list[dict[str, Any]] = []


def built(**given: Any) -> nn.Module:
    calls.append(given)
    return nn.Linear(3, 3)


def test_a_model_that_fails_cannot_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(planned: RunConfig) -> nn.Module:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(workload, "_model", fail)
    assert Counted(None, said.append).step_operations(configured("posemamba-xs", 9)) is None


def test_data_and_counts_are_looked_at_once_for_all_seeds(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    build = workload._model

    def noted(planned: RunConfig) -> nn.Module:
        built.append(planned.model)
        return build(planned)

    monkeypatch.setattr(workload, "_model", noted)
    for seed in range(3):
        planned = configured("posemamba-xs", 9, options={"depth": 1}, seed=seed)
        counted.of(planned)
        counted.step_operations(planned)
    assert built == ["posemamba-xs"] * 2  # once for its clips, once for its operations


def test_data_that_are_not_there_are_said(counted: Counted) -> None:
    with pytest.raises(BadInput):
        counted.of(dataclasses.replace(configured("posemamba-xs", 9), data="motion:nowhere"))
