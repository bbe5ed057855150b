"""Training clips: every sequence's input and target side by side, cut into windows, shuffled by (seed, epoch).

A lifter that answers for one frame has that frame's target alone, and every frame of a sequence can be that frame: the
windows reach beyond its ends, which repeat, as they do when it is evaluated.

Clips are gathered and encoded when their batch comes: a set that is mapped into memory (``harness.data.array_store``)
stays there, and is shared by all processes that read it.

The order of an epoch and its flips depend on the seed and the epoch's number alone, so a run that stopped in the
middle of an epoch goes on with the very clips it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.clips import window_starts
from harness.data.normalise import TargetSpace, model_input
from harness.data.sequence import FloatArray, Sequence
from harness.data.skeleton import MIRRORED
from harness.errors import BadInput
from harness.training.share import WHOLE, Share


@dataclass(frozen=True)
class Batch:
    """``inputs`` (B, T, 17, C), ``targets`` (B, K, 17, 3) of the K frames that the lifter answers for (T or 1).

    ``whole_targets`` (B, T, 17, 3) are those of all frames, for lifters with an auxiliary output; else None.
    ``of_clips``: where these are one process's share, the number of clips in the whole batch; else None.
    """

    inputs: Tensor
    targets: Tensor
    whole_targets: Tensor | None = None
    of_clips: int | None = None

    def at(self, rows: slice) -> Batch:
        """Some of the clips."""
        whole = None if self.whole_targets is None else self.whole_targets[rows]
        return Batch(self.inputs[rows], self.targets[rows], whole)


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of T frames side by side, as ``harness.data.normalise.Frames``: ``rows`` (B, T) of one sequence each."""

    sequences: Many[Sequence]
    rows: NDArray[np.intp]

    @property
    def name(self) -> str:
        return ", ".join(dict.fromkeys(sequence.name for sequence in self.sequences))

    @cached_property
    def keypoints(self) -> FloatArray:
        return self._gathered("keypoints")

    @cached_property
    def confidence(self) -> FloatArray:
        return self._gathered("confidence")

    @cached_property
    def truth(self) -> NDArray[Any]:
        return self._gathered("truth")

    @cached_property
    def poses_mm(self) -> NDArray[Any]:
        return self._gathered("poses_mm")

    @property
    def mm_per_pixel(self) -> NDArray[Any] | None:
        """All sequences of a data set's part have it or none."""
        return None if self.sequences[0].mm_per_pixel is None else self._gathered("mm_per_pixel")

    @property
    def image_size(self) -> NDArray[np.float64]:
        return np.stack([sequence.image_size for sequence in self.sequences])[:, None]  # (B, 1, 2)

    @property
    def focal(self) -> NDArray[np.float64]:
        return np.stack([sequence.focal for sequence in self.sequences])[:, None]  # (B, 1, 2)

    def _gathered(self, field: str) -> NDArray[Any]:
        return np.stack(
            [getattr(sequence, field)[rows] for sequence, rows in zip(self.sequences, self.rows, strict=True)]
        )


class TrainingClips:
    """Windows of ``frames`` frames over ``sequences``, ``stride`` frames apart.

    ``position`` is that of the one frame a lifter answers for, None where it answers for all of them;
    ``whole_targets`` adds the targets of all frames to the batches. With ``mirrored`` every clip is there twice, plain
    and mirrored.
    """

    def __init__(
        self,
        sequences: Many[Sequence],
        frames: int,
        in_channels: int,
        space: TargetSpace,
        stride: int,
        *,
        position: int | None = None,
        whole_targets: bool = False,
        mirrored: bool = False,
    ) -> None:
        """Raises BadInput when there is no training sequence."""
        if not sequences:
            raise BadInput("the data set has no training sequences; see harness data or give other --data")
        self._sequences, self._in_channels, self._space = sequences, in_channels, space
        self._windows = _windows(sequences, frames, stride, position)  # (clips, 2)
        self._offsets = np.arange(frames)
        self._answers = slice(None) if position is None else slice(position, position + 1)
        self._whole_targets = whole_targets
        self._copies = 2 if mirrored else 1

    def __len__(self) -> int:
        return self._copies * len(self._windows)

    def epoch(
        self, seed: int, number: int, batch_size: int, flip: bool, skip_batches: int = 0, share: Share = WHOLE
    ) -> Iterator[Batch]:
        """The batches of epoch ``number``, from the ``skip_batches``-th on; a last smaller batch is left out.

        With ``flip`` a clip is mirrored by chance. Of each batch there is this process's ``share``.
        """
        generator = np.random.default_rng([seed, number])
        order = generator.permutation(len(self))
        by_chance = generator.random(len(self)) < 0.5 if flip else np.zeros(len(self), dtype=bool)
        # Those beyond the windows' number are the mirrored copies.
        flipped = by_chance ^ (np.arange(len(self)) >= len(self._windows))
        for first in range(skip_batches * batch_size, self.batches_per_epoch(batch_size) * batch_size, batch_size):
            whole = order[first : first + batch_size]
            chosen = whole[share.of_batch(len(whole))]
            batch = self._batch(chosen % len(self._windows), flipped[chosen])
            yield batch if share == WHOLE else replace(batch, of_clips=len(whole))

    def batches_per_epoch(self, batch_size: int) -> int:
        """At least one, even when the whole set is smaller than a batch."""
        return max(1, len(self) // batch_size)

    def _batch(self, chosen: NDArray[np.intp], flipped: NDArray[np.bool_]) -> Batch:
        numbers, starts = self._windows[chosen].T
        sequences = [self._sequences[number] for number in numbers]
        last = np.array([len(sequence) - 1 for sequence in sequences])[:, None]
        clips = Clips(sequences, np.clip(starts[:, None] + self._offsets, 0, last))
        inputs, targets = model_input(clips, self._in_channels), self._space.encode(clips)  # (B, T, J, C), (B, T, J, 3)
        inputs[flipped] = mirror(inputs[flipped])
        targets[flipped] = mirror(targets[flipped])
        whole = torch.from_numpy(targets)
        return Batch(torch.from_numpy(inputs), whole[:, self._answers], whole if self._whole_targets else None)


def mirror(poses: FloatArray) -> FloatArray:
    """(..., 17, C) seen in a mirror: x changes sign, left and right joints change places."""
    mirrored = poses[..., MIRRORED, :]
    mirrored[..., 0] *= -1
    return mirrored


def _windows(sequences: Many[Sequence], frames: int, stride: int, position: int | None) -> NDArray[np.int64]:
    """(clips, 2): the number of the sequence, and where in it the window starts; it may reach beyond the ends.

    Windows that answer for no valid frame are left out.
    """
    windows = []
    for number, sequence in enumerate(sequences):
        if position is None:
            starts = np.asarray(window_starts(len(sequence), frames, stride))
            answered = np.minimum(starts[:, None] + np.arange(frames), len(sequence) - 1)  # (clips, T)
        else:
            starts = np.arange(0, len(sequence), stride) - position
            answered = starts[:, None] + position  # (clips, 1)
        if sequence.valid is not None:
            starts = starts[sequence.valid[answered].any(axis=1)]
        windows.append(np.column_stack([np.full(len(starts), number), starts]))
    return np.concatenate(windows)
