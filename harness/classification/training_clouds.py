"""Training clouds: shuffled, sampled and changed by chance anew in every epoch, by (seed, epoch, batch) alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.random import Generator

from harness.classification.cloud_set import CloudSet, Points
from harness.training.batches import Batch
from harness.training.share import WHOLE, Share

#: The published ranges (datasets/data_transforms.py in xhanxu/Mamba3D at b519a9c): factors for each axis, a shift.
LEAST_SCALE, LARGEST_SCALE, LARGEST_SHIFT = 2 / 3, 3 / 2, 0.2


class TrainingClouds:
    """Clouds of ``points`` points, drawn from those that the set keeps of each; ``harness.training.loop.Examples``.

    What changes them is the set's augmentation. A run that stopped in the middle of an epoch goes on with the very
    clouds that it would have seen.
    """

    def __init__(self, data: CloudSet, points: int) -> None:
        self._clouds, self._augmentation, self._points = data.train, data.augmentation, points

    def __len__(self) -> int:
        return len(self._clouds)

    def batches_per_epoch(self, batch_size: int) -> int:
        """At least one, even when the whole set is smaller than a batch; a last smaller batch is left out."""
        return max(1, len(self) // batch_size)

    def epoch(
        self, seed: int, number: int, batch_size: int, flip: bool, skip_batches: int = 0, share: Share = WHOLE
    ) -> Iterator[Batch]:
        """Batches of clouds (B, P, 3) and labels (B,), from the ``skip_batches``-th on; nothing is ever flipped.

        Of each batch there is this process's ``share``.
        """
        # The third number tells the streams apart: a seed's trailing zeros change nothing.
        order = np.random.default_rng([seed, number, 0]).permutation(len(self))
        for batch in range(skip_batches, self.batches_per_epoch(batch_size)):
            chosen = order[batch * batch_size : (batch + 1) * batch_size]
            generator = np.random.default_rng([seed, number, 1 + batch])
            points = self._changed(self._drawn(self._clouds.points[chosen], generator), generator)
            own = share.of_batch(len(chosen))
            labels = torch.from_numpy(self._clouds.labels[chosen[own]])
            yield Batch(torch.from_numpy(points[own]), labels, of_clips=None if share == WHOLE else len(chosen))

    def _drawn(self, points: Points, generator: Generator) -> Points:
        """P of the points of each cloud (B, M, 3), in random order: the first point is where models begin."""
        order = generator.random(points.shape[:2]).argsort(axis=1)[:, : self._points]
        return np.take_along_axis(points, order[..., None], axis=1)

    def _changed(self, points: Points, generator: Generator) -> Points:
        clouds = len(points)
        if self._augmentation == "rotate-y":
            angle = generator.uniform(0, 2 * np.pi, clouds)
            cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros(clouds), np.ones(clouds)
            turns = np.array([[cos, zero, sin], [zero, one, zero], [-sin, zero, cos]]).transpose(2, 0, 1)  # (B, 3, 3)
            return np.asarray(points @ turns, dtype=np.float32)
        if self._augmentation == "scale+shift":
            scale = generator.uniform(LEAST_SCALE, LARGEST_SCALE, (clouds, 1, 3))
            shift = generator.uniform(-LARGEST_SHIFT, LARGEST_SHIFT, (clouds, 1, 3))
            return np.asarray(points * scale + shift, dtype=np.float32)
        return points
