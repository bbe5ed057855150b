"""Windows of T frames over a sequence, and which of their outputs count.

A lifter reads T frames at once and answers for all T, so a sequence of another length has to be cut.
``scoring_windows`` is the protocol ``all``: every frame is scored exactly once, whatever the length. The last window
is aligned to the sequence's end and overlaps the one before it; only the frames not scored yet count. A sequence
shorter than T is padded by its last frame (edge padding), and the padding does not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadInput


@dataclass(frozen=True, eq=False)
class Window:
    """One clip of a sequence.

    indices (T,) frames of the sequence to read, ascending; the last one repeats where the sequence is too short
    scored  (T,) True where the output is used
    """

    indices: NDArray[np.intp]
    scored: NDArray[np.bool_]


def scoring_windows(length: int, frames: int) -> list[Window]:
    """Windows of ``frames`` frames over ``length`` frames; ``scored`` holds every frame of the sequence once.

    Raises BadInput for a length or window below one frame.
    """
    windows = []
    first_unscored = 0
    for start in _starts(length, frames, stride=frames):
        positions = np.arange(start, start + frames)
        scored = (positions >= first_unscored) & (positions < length)
        windows.append(Window(np.minimum(positions, length - 1), scored))
        first_unscored = start + frames
    return windows


def training_windows(length: int, frames: int, stride: int) -> list[Window]:
    """Windows of ``frames`` frames that begin every ``stride`` frames, the last one aligned to the end.

    With ``stride`` <= ``frames`` every frame is in at least one window. ``scored`` is False on padding alone.
    Raises BadInput for a length, window or stride below one frame.
    """
    windows = []
    for start in _starts(length, frames, stride):
        positions = np.arange(start, start + frames)
        windows.append(Window(np.minimum(positions, length - 1), positions < length))
    return windows


def padded_sequences(lengths: Iterable[int], frames: int) -> int:
    """How many sequences are shorter than a window and so evaluated with edge padding; part of the signature."""
    return sum(length < frames for length in lengths)


def _starts(length: int, frames: int, stride: int) -> list[int]:
    for name, value in (("sequence", length), ("window", frames), ("stride", stride)):
        if value < 1:
            raise BadInput(f"a {name} of {value} frames cannot be used to cut clips; it must be at least 1")
    last = max(length - frames, 0)
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]
