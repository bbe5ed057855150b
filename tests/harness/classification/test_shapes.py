"""The made task: repeatable, within the unit ball, its parts apart, and not to be solved by simple statistics."""

from __future__ import annotations

import numpy as np
import pytest

from harness.classification import shapes
from harness.classification.floors import floors


def test_a_seed_gives_the_same_clouds_and_another_one_others() -> None:
    first, again, other = (shapes.load(64, seed, (2, 1)) for seed in (3, 3, 4))
    assert first.train.digest() == again.train.digest()
    assert first.test.digest() == again.test.digest()
    assert other.train.digest() != first.train.digest()


def test_no_test_cloud_is_a_training_cloud() -> None:
    made = shapes.load(64, 0, (3, 3))
    # As the training clouds would be if they had as many points as those of the test.
    train = shapes._clouds(3, 64, (0, shapes._TRAIN))
    apart = np.abs(train.points[:, None] - made.test.points[None]).max(axis=(2, 3))
    assert apart.min() > 0.01


def test_clouds_are_in_the_unit_ball_and_classes_equally_many() -> None:
    made = shapes.load(100, 0, (4, 2))
    assert (made.train.points.shape, made.test.points.shape) == ((40, 117, 3), (20, 100, 3))
    for part, each in ((made.train, 4), (made.test, 2)):
        np.testing.assert_allclose(part.points.mean(axis=1), 0, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(part.points, axis=-1).max(axis=1), 1, rtol=1e-6)
        assert np.bincount(part.labels).tolist() == [each] * 10


def largest_variation(name: str) -> float:
    """Of the eigenvalues of a class's clouds, relative; so many points that chance in them adds about a percent."""
    clouds = [shapes.cloud(name, np.random.default_rng(seed), 10_000) for seed in range(6)]
    spreads = np.array([np.linalg.eigvalsh(np.cov(cloud.T)) for cloud in clouds])
    return float((spreads.std(axis=0) / spreads.mean(axis=0)).max())


@pytest.mark.parametrize("name", shapes.SOLIDS)
def test_proportions_differ_within_a_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stretched = largest_variation(name)
    monkeypatch.setattr(shapes, "LARGEST_STRETCH", 1.0)
    own = largest_variation(name)
    assert stretched > 0.1
    # An ellipsoid has no proportions but those of its stretch.
    assert own < 0.05 if name == "ellipsoid" else own > 0.1


def test_statistics_of_a_cloud_do_not_tell_its_class() -> None:
    found = floors(shapes.load(256, 0, (80, 40)), 256)
    assert found["majority"].overall == pytest.approx(10)
    assert 40 < found["linear"].overall < 85
