"""Training clips: every sequence's input and target side by side, cut into windows, shuffled by (seed, epoch).

The order of an epoch and its flips depend on the seed and the epoch's number alone, so a run that stopped in the
middle of an epoch goes on with the very clips it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.clips import training_windows
from harness.data.normalise import TargetSpace, model_input
from harness.data.sequence import FloatArray, Sequence
from harness.data.skeleton import MIRRORED
from harness.errors import BadInput


@dataclass(frozen=True)
class Batch:
    """``inputs`` (B, T, 17, C) and ``targets`` (B, T, 17, 3)."""

    inputs: Tensor
    targets: Tensor


class TrainingClips:
    """Windows of ``frames`` frames over ``sequences``, ``stride`` frames apart; memory is that of the frames once."""

    def __init__(
        self, sequences: Many[Sequence], frames: int, in_channels: int, space: TargetSpace, stride: int
    ) -> None:
        """Raises BadInput when there is no training sequence."""
        if not sequences:
            raise BadInput("the data set has no training sequences; see harness data or give other --data")
        self._inputs = np.concatenate([model_input(sequence, in_channels) for sequence in sequences])  # (F, J, C)
        self._targets = np.concatenate([space.encode(sequence) for sequence in sequences])  # (F, J, 3)
        self._windows = _window_rows(sequences, frames, stride)  # (clips, T)

    def __len__(self) -> int:
        return len(self._windows)

    def epoch(self, seed: int, number: int, batch_size: int, flip: bool, skip_batches: int = 0) -> Iterator[Batch]:
        """The batches of epoch ``number``, from the ``skip_batches``-th on; a last smaller batch is left out."""
        generator = np.random.default_rng([seed, number])
        order = generator.permutation(len(self._windows))
        flipped = generator.random(len(self._windows)) < 0.5 if flip else np.zeros(len(self._windows), dtype=bool)
        for first in range(skip_batches * batch_size, self.batches_per_epoch(batch_size) * batch_size, batch_size):
            chosen = order[first : first + batch_size]
            yield self._batch(chosen, flipped[chosen])

    def batches_per_epoch(self, batch_size: int) -> int:
        """At least one, even when the whole set is smaller than a batch."""
        return max(1, len(self._windows) // batch_size)

    def _batch(self, chosen: NDArray[np.intp], flipped: NDArray[np.bool_]) -> Batch:
        rows = self._windows[chosen]  # (B, T)
        inputs, targets = self._inputs[rows], self._targets[rows]  # (B, T, J, C), (B, T, J, 3)
        inputs[flipped] = mirror(inputs[flipped])
        targets[flipped] = mirror(targets[flipped])
        return Batch(torch.from_numpy(inputs), torch.from_numpy(targets))


def mirror(poses: FloatArray) -> FloatArray:
    """(..., 17, C) seen in a mirror: x changes sign, left and right joints change places."""
    mirrored = poses[..., MIRRORED, :]
    mirrored[..., 0] *= -1
    return mirrored


def _window_rows(sequences: Many[Sequence], frames: int, stride: int) -> NDArray[np.int64]:
    starts = np.cumsum([0, *(len(sequence) for sequence in sequences)])
    return np.concatenate(
        [
            np.stack([start + window.indices for window in training_windows(len(sequence), frames, stride)])
            for start, sequence in zip(starts, sequences, strict=False)
        ]
    )
