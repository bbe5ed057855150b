"""Batches depend on seed, epoch and number alone, and clouds change as the set says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.classification import shapes
from harness.classification.cloud_set import Augmentation, Clouds, CloudSet
from harness.classification.training_clouds import TrainingClouds


def clouds_of(augmentation: Augmentation, clouds: int = 10, points: int = 20) -> CloudSet:
    made = Clouds(
        np.random.default_rng(0).normal(size=(clouds, points, 3)).astype(np.float32), np.arange(clouds, dtype=np.int64)
    )
    return CloudSet("made", tuple("abcdefghij"), made, made, "ball", "area", augmentation)


def test_an_epoch_may_be_entered_anywhere() -> None:
    training = TrainingClouds(shapes.load(32, 0, (2, 1)), 32)
    whole = list(training.epoch(5, 1, 4, False))
    rest = list(training.epoch(5, 1, 4, False, skip_batches=2))
    assert len(whole) == training.batches_per_epoch(4) == 5
    for one, other in zip(whole[2:], rest, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets, other.targets)
    assert not torch.equal(next(training.epoch(5, 2, 4, False)).inputs, whole[0].inputs)


def test_order_and_batches_are_drawn_from_streams_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    training, seeds = TrainingClouds(clouds_of("none"), 20), list[list[int]]()
    default_rng = np.random.default_rng

    def noting(seed: list[int]) -> np.random.Generator:
        seeds.append(seed)
        return default_rng(seed)

    monkeypatch.setattr(np.random, "default_rng", noting)
    list(training.epoch(5, 1, 3, False))
    assert len({default_rng(seed).random() for seed in seeds}) == len(seeds) == 4


def test_every_cloud_comes_once_an_epoch_with_its_label() -> None:
    data = clouds_of("none")
    batches = list(TrainingClouds(data, 20).epoch(0, 0, 3, False))
    seen = torch.cat([batch.targets for batch in batches]).tolist()
    assert len(set(seen)) == len(seen) == 9  # a last smaller batch is left out
    for cloud, label in zip(torch.cat([batch.inputs for batch in batches]).numpy(), seen, strict=True):
        assert {tuple(point) for point in cloud} == {tuple(point) for point in data.train.points[label]}


def test_points_are_drawn_anew_and_none_twice() -> None:
    training = TrainingClouds(clouds_of("none"), 12)
    drawn = [
        {tuple(point) for point in batch.inputs[batch.targets.tolist().index(3)].numpy()}
        for number in range(2)
        for batch in training.epoch(0, number, 10, False)
    ]
    assert [len(points) for points in drawn] == [12, 12]
    assert drawn[0] != drawn[1]


def test_scale_and_shift_are_of_the_whole_cloud_and_in_range() -> None:
    data = clouds_of("scale+shift", clouds=200)
    batch = next(TrainingClouds(data, 20).epoch(0, 0, 200, False))
    before, after = data.train.points[batch.targets.numpy()].astype(float), batch.inputs.numpy().astype(float)
    scale = after.std(axis=1) / before.std(axis=1)
    shift = after.mean(axis=1) - scale * before.mean(axis=1)
    assert np.abs(scale[:, 0] - scale[:, 2]).max() > 0.3  # each axis by itself
    assert 2 / 3 - 1e-4 < scale.min() < 0.7
    assert 1.45 < scale.max() < 1.5 + 1e-4
    assert -0.2 - 1e-4 < shift.min() < -0.18
    assert 0.18 < shift.max() < 0.2 + 1e-4


def test_changes_are_others_in_every_epoch() -> None:
    data = clouds_of("scale+shift")
    data.train.points[:] = data.train.points[0]
    first, second = (next(TrainingClouds(data, 20).epoch(0, number, 10, False)).inputs for number in (0, 1))
    assert torch.equal(first, next(TrainingClouds(data, 20).epoch(0, 0, 10, False)).inputs)
    spreads = [np.sort(batch.std(dim=1)[:, 0].numpy()) for batch in (first, second)]
    assert np.abs(spreads[0] - spreads[1]).max() > 0.01


def test_turns_are_about_the_y_axis() -> None:
    data = clouds_of("rotate-y")
    batch = next(TrainingClouds(data, 20).epoch(0, 0, 10, False))
    before, after = np.sort(data.train.points[batch.targets.numpy()], axis=1), np.sort(batch.inputs.numpy(), axis=1)
    np.testing.assert_allclose(after[..., 1], before[..., 1], rtol=1e-6)
    assert np.abs(after[..., 0] - before[..., 0]).max() > 0.1
    lengths = [
        np.sort(np.linalg.norm(points, axis=-1), axis=1)
        for points in (data.train.points[batch.targets.numpy()], batch.inputs.numpy())
    ]
    np.testing.assert_allclose(*lengths, rtol=1e-5)
