"""What a guess is worth that needs no network: a model that does not beat it has learned nothing of shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.classification.cloud_set import CloudSet, Points
from harness.classification.scores import Scores, score

#: Weight of the squared coefficients, in units of a standardised statistic's variance over the training clouds.
RIDGE = 1e-2
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Clouds worked on at once: a whole set of them takes gigabytes in float64.
_AT_ONCE = 256
Float64Array = NDArray[np.float64]


def floors(data: CloudSet, points: int) -> dict[str, Scores]:
    """On the test clouds:

    majority  the class that most training clouds have
    linear    ridge regression of the classes on ``statistics`` of a cloud of the first ``points`` points
    """
    count = len(data.classes)
    majority = np.bincount(data.train.labels, minlength=count).argmax()
    guesses = {
        "majority": np.full(len(data.test), majority),
        "linear": _linear(data.train.points[:, :points], data.train.labels, data.test.points[:, :points], count),
    }
    return {name: score(guess, data.test.labels, count) for name, guess in guesses.items()}


def statistics(points: Points) -> Float64Array:
    """Of clouds (N, M, 3), (N, 35) numbers.

    For each coordinate, and for the distance from the mean point, mean, deviation and five quantiles; the eigenvalues
    of the covariance; the third moments along the axes and that of the three together.
    """
    blocks = np.split(points, range(_AT_ONCE, len(points), _AT_ONCE))
    return np.concatenate([_statistics(block) for block in blocks])


def _statistics(points: Points) -> Float64Array:
    wide = points.astype(np.float64)
    centred = wide - wide.mean(axis=1, keepdims=True)
    tracks = np.concatenate([wide, np.linalg.norm(centred, axis=-1, keepdims=True)], axis=-1)  # (N, M, 4)
    quantiles = np.quantile(tracks, _QUANTILES, axis=1)  # (5, N, 4)
    covariance = np.einsum("nmi,nmj->nij", centred, centred) / points.shape[1]
    third = np.concatenate([(centred**3).mean(axis=1), centred.prod(axis=-1).mean(axis=1, keepdims=True)], axis=1)
    spread = np.concatenate([tracks.mean(axis=1), tracks.std(axis=1), *quantiles], axis=1)  # (N, 28)
    return np.concatenate([spread, np.linalg.eigvalsh(covariance), third], axis=1)


def _linear(train: Points, labels: NDArray[np.int64], test: Points, classes: int) -> NDArray[np.int64]:
    known, asked = statistics(train), statistics(test)
    mean, deviation = known.mean(axis=0), known.std(axis=0) + 1e-12
    known, asked = (np.column_stack([(part - mean) / deviation, np.ones(len(part))]) for part in (known, asked))
    penalty = RIDGE * len(known) * np.eye(known.shape[1])
    penalty[-1, -1] = 0.0  # the constant is free
    weights = np.linalg.solve(known.T @ known + penalty, known.T @ np.eye(classes)[labels])
    return np.asarray((asked @ weights).argmax(axis=1), dtype=np.int64)
