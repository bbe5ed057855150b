"""Accuracies, their interval and the signature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from harness.classification import shapes
from harness.classification.scores import score, signature, wilson


def test_overall_and_class_mean_by_hand() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    predicted = np.array([0, 0, 0, 1, 1, 2])
    found = score(predicted, labels, 3)
    assert found.overall == pytest.approx(100 * 4 / 6)
    assert found.class_mean == pytest.approx(100 * (3 / 4 + 1 / 2) / 2)  # the third class has no test cloud
    assert found.confusion.tolist() == [[3, 1, 0], [0, 1, 1], [0, 0, 0]]
    stored = found.as_dict(["a", "b", "c"])
    assert stored["per_class"] == {"a": {"percent": 75.0, "clouds": 4}, "b": {"percent": 50.0, "clouds": 2}}
    assert stored["low_percent"] < stored["overall_percent"] < stored["high_percent"]


@pytest.mark.parametrize(("right", "n"), [(0, 5), (3, 7), (640, 800), (800, 800)])
def test_the_interval_is_wilsons(right: int, n: int) -> None:
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert wilson(right, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_signature_names_what_decides_the_figure() -> None:
    made = shapes.load(64, 0, (1, 2))
    assert signature(made, 64) == "OA|data:shapes|points:64|test:20|sample:area|norm:ball|votes:1|v:1"
