"""Accuracy of predicted classes, with how sure it is, and the protocol that it was made by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.classification.cloud_set import CloudSet

#: Quantile of the normal distribution for 95 %.
_Z = 1.959963984540054
VERSION = 1


@dataclass(frozen=True)
class Scores:
    """Accuracies as percentages of the test clouds.

    overall         OA, of all clouds; ``low`` to ``high`` is Wilson's 95 % interval of it over clouds, so for other
                    clouds of the kind and not for another training seed
    class_mean      mAcc, mean of the classes' own accuracies, of those that have test clouds
    confusion       (K, K): row is the class, column the prediction
    """

    overall: float
    low: float
    high: float
    class_mean: float
    clouds: int
    confusion: NDArray[np.int64]

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Plain JSON, as stored under ``accuracy``."""
        totals = self.confusion.sum(axis=1)
        return {
            "overall_percent": self.overall,
            "low_percent": self.low,
            "high_percent": self.high,
            "class_mean_percent": self.class_mean,
            "clouds": self.clouds,
            "per_class": {
                name: {"percent": 100 * int(self.confusion[index, index]) / int(totals[index]),
                       "clouds": int(totals[index])}
                for index, name in enumerate(classes)
                if totals[index]
            },
            "confusion": self.confusion.tolist(),
        }  # fmt: skip


def score(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> Scores:
    """Of predictions and labels (N,), N at least 1."""
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
    right, totals = np.diag(confusion), confusion.sum(axis=1)
    there = totals > 0
    low, high = wilson(int(right.sum()), len(labels))
    return Scores(
        overall=100 * int(right.sum()) / len(labels),
        low=100 * low,
        high=100 * high,
        class_mean=float(100 * (right[there] / totals[there]).mean()),
        clouds=len(labels),
        confusion=confusion,
    )


def wilson(right: int, n: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson, JASA 22, 1927): holds near 0 and 1, where the normal one fails."""
    share, weight = right / n, _Z**2 / n
    centre = (share + weight / 2) / (1 + weight)
    half = _Z * math.sqrt(share * (1 - share) / n + weight / (4 * n)) / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)


def signature(data: CloudSet, points: int) -> str:
    """Figures may be ranked against each other where this line is the same, and the digest of the test clouds.

    Such as ``OA|data:shapes|points:1024|test:800|sample:area|norm:ball|votes:1|v:1``. ``sample`` says how the points of
    a cloud were chosen, ``norm`` how it was normalised, ``votes`` over how many changed copies of a cloud the answer is
    averaged.
    """
    fields = {
        "data": data.name, "points": points, "test": len(data.test), "sample": data.sampled, "norm": data.normalised,
        "votes": 1, "v": VERSION,
    }  # fmt: skip
    return "|".join(["OA", *(f"{name}:{value}" for name, value in fields.items())])
