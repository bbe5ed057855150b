"""Which clips of a batch a process takes, in how many steps: the batch is what all processes together see.

A batch is cut into ``accumulate`` parts, one after the other, and each part into one piece for each process. All that
is said of a batch, its size above all, is said of the whole one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadInput


@dataclass(frozen=True)
class Piece:
    """The clips ``rows`` of the process's own, out of a part of ``whole`` clips in which they begin at ``first``."""

    rows: slice
    first: int
    whole: int

    @property
    def clips(self) -> int:
        return int(self.rows.stop - self.rows.start)


@dataclass(frozen=True)
class Share:
    """That of process ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1
    accumulate: int = 1

    def require_enough(self, clips: int) -> None:
        """Raises BadInput unless every process has a clip in every part of a batch of ``clips``."""
        if clips < self.size * self.accumulate:
            raise BadInput(
                f"a batch of {clips} clips is less than one for each of {self.size} processes and {self.accumulate} "
                "accumulated parts; take a larger --batch-size, or fewer --devices or --accumulate"
            )

    def of_batch(self, clips: int) -> NDArray[np.intp]:
        """Places of this process's clips in a batch of ``clips``, part after part."""
        cut = self._cut(clips)
        return np.concatenate([np.arange(part.start + own.start, part.start + own.stop) for part, own in cut])

    def pieces(self, clips: int) -> list[Piece]:
        """Of its clips, in that order, those of each part of a batch of ``clips``."""
        pieces, taken = [], 0
        for part, own in self._cut(clips):
            count = own.stop - own.start
            pieces.append(Piece(slice(taken, taken + count), own.start, part.stop - part.start))
            taken += count
        return pieces

    def _cut(self, clips: int) -> Iterator[tuple[slice, slice]]:
        for part in _cut(clips, self.accumulate):
            yield part, _cut(part.stop - part.start, self.size)[self.rank]


#: All of it, in one step.
WHOLE = Share()


def _cut(count: int, pieces: int) -> list[slice]:
    """As even as can be."""
    ends = [count * number // pieces for number in range(pieces + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]
