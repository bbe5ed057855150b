"""Floors against what they are by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.classification import floors as floors_module
from harness.classification.cloud_set import Clouds, CloudSet, Points
from harness.classification.floors import Float64Array, floors, statistics


def cloud_set(train: Clouds, test: Clouds) -> CloudSet:
    return CloudSet("made", ("thin", "round", "none"), train, test, "ball", "area", "none")


def clouds(labels: list[int], seed: int) -> Clouds:
    points = np.random.default_rng(seed).normal(size=(len(labels), 50, 3)).astype(np.float32)
    points[np.array(labels) == 0, :, 2] *= 0.01
    return Clouds(points, np.array(labels))


def test_the_majority_is_that_of_the_training_clouds() -> None:
    data = cloud_set(clouds([1, 1, 0, 1], 0), clouds([0, 0, 0, 1], 1))
    assert floors(data, 50)["majority"].overall == 25.0


def test_flat_clouds_are_told_from_round_ones_by_their_statistics() -> None:
    data = cloud_set(clouds([0, 1] * 20, 0), clouds([0, 1] * 10, 1))
    assert floors(data, 50)["linear"].overall == 100.0


def test_statistics_of_a_cloud() -> None:
    points = np.array([[[0, 0, 0], [2, 0, 0]]], dtype=np.float32)
    found = statistics(points)[0]
    assert found.shape == (35,)
    np.testing.assert_allclose(found[:8], [1, 0, 0, 1, 1, 0, 0, 0])  # means, then deviations, of x, y, z, distance
    np.testing.assert_allclose(found[28:31], [0, 0, 1], atol=1e-12)  # eigenvalues of the covariance
    np.testing.assert_allclose(found[31:], 0, atol=1e-12)


def test_clouds_are_worked_on_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    points, blocks, whole = clouds([0] * 8, 0).points, list[int](), floors_module._statistics
    expected = whole(points)

    def counting(block: Points) -> Float64Array:
        blocks.append(len(block))
        return whole(block)

    monkeypatch.setattr(floors_module, "_AT_ONCE", 3)
    monkeypatch.setattr(floors_module, "_statistics", counting)
    np.testing.assert_array_equal(statistics(points), expected)
    assert blocks == [3, 3, 2]


def test_the_order_of_points_does_not_matter() -> None:
    points = clouds([0, 1], 0).points
    np.testing.assert_allclose(statistics(points), statistics(points[:, ::-1]), atol=1e-12)
