"""Windows of T frames over a sequence, and which of their outputs count.

A lifter reads T frames at once, so a sequence of another length has to be cut. Four ways to cut score every frame of
the sequence exactly once, whatever the lifter answers for:

    overlap-last    for all T frames: windows side by side; the last one is aligned to the sequence's end and overlaps
                    the one before it, and only the frames not scored yet count. A sequence shorter than T is padded by
                    its last frame, and the padding does not count.
    sliding-centre  for the frame in the middle (``sliding-last``: at the end) of the window: one window a frame, the
                    sequence padded at its ends by its first and last frame, as all centre-frame lifters publish it
    the same, run   for each position of a longer clip (valid convolutions): the same figures from far fewer windows
    whole           not cut: the sequence is one clip, for lifters that take any number of frames. For one that sees no
                    later frame this is what it answers as a stream

Two more cut as published evaluations do, to the letter (harness.evaluation.protocol):

    split           MotionBERT's lineage: windows side by side, what is left at the end of a video is dropped; a video
                    shorter than T is resampled to T frames, and dropped whole where it is the last one
    repeated        MixSTE: as overlap-last, but what is read twice is scored twice, padding too
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadInput

#: Fewest frames that a window of ``run`` answers for: below it the frames read twice would outweigh those answered.
_RUN_FRAMES = 128


@dataclass(frozen=True, eq=False)
class Window:
    """One clip of a sequence.

    indices (N,) frames of the sequence to read, ascending; the first and the last one repeat where there are no more
    answers (K,) frames that the lifter's K outputs are for
    scored  (K,) True where the output is used
    """

    indices: NDArray[np.intp]
    answers: NDArray[np.intp]
    scored: NDArray[np.bool_]


@dataclass(frozen=True)
class Cutting:
    """How sequences are cut: ``name`` as in the signature, the windows of a sequence of so many frames, their number.

    All windows of one cutting read equally many frames, unless ``alone``: then none can share a batch with another.
    ``windows`` raises BadInput for a length below one frame. ``once``: every frame is scored once; otherwise each
    window's answers stand for themselves.
    """

    name: str
    windows: Callable[[int], Iterable[Window]]
    count: Callable[[int], int]
    once: bool = True
    alone: bool = False


def overlap_last(frames: int) -> Cutting:
    """Windows side by side for a lifter that answers for all ``frames`` frames. Raises BadInput for fewer than one."""
    _require_sizes(window=frames)
    return Cutting("overlap-last", lambda length: scoring_windows(length, frames), lambda length: -(-length // frames))


def sliding(
    frames: int, position: int, outputs: Literal["position", "all", "run"] = "position", name: str = "sliding-centre"
) -> Cutting:
    """One scored frame a window, the one at ``position`` of the ``frames`` frames read.

    ``outputs`` says what the lifter puts out: that frame alone, ``all`` frames, or a ``run`` of frames, one for each
    position of a longer clip. Raises BadInput for fewer than one frame.
    """
    _require_sizes(window=frames)
    if outputs == "run":
        run = max(frames, _RUN_FRAMES)
        return Cutting(name, lambda length: _runs(length, frames, position, run), lambda length: -(-length // run))
    return Cutting(name, lambda length: _slides(length, frames, position, outputs == "all"), lambda length: length)


def whole() -> Cutting:
    """Every sequence as one clip, whatever its length."""
    return Cutting("whole", lambda length: scoring_windows(length, length), lambda length: 1, alone=True)


def split(frames: int) -> Cutting:
    """Clips of ``frames`` frames side by side as MotionBERT's lineage evaluates them; see ``split_videos``."""
    _require_sizes(window=frames)
    return Cutting(
        "split",
        lambda length: [_whole(clip) for clip in _video_clips(length, frames, frames)],
        lambda length: max(length // frames, 1),
        once=False,
    )


def repeated(frames: int) -> Cutting:
    """Windows side by side of which every answer counts, those read twice or padded too (MixSTE)."""
    _require_sizes(window=frames)

    def windows(length: int) -> list[Window]:
        starts = window_starts(length, frames, stride=frames)
        return [_whole(np.minimum(np.arange(start, start + frames), length - 1)) for start in starts]

    return Cutting("repeated", windows, lambda length: -(-length // frames), once=False)


def split_videos(
    lengths: Many[int], frames: int, stride: int, random: np.random.RandomState | None = None
) -> list[list[NDArray[np.intp]]]:
    """The published clips of videos of these lengths (MotionBERT's ``split_clips``): for each, indices of its frames.

    Clips of ``frames`` frames begin every ``stride`` frames as long as they fit; the rest of a video is in none. A
    video shorter than that is resampled to ``frames`` frames, the last one of the list dropped instead. The published
    code resamples by chance, so that its test set depends on the seed: so does this with ``random``; without, places
    between two frames take the earlier one.
    """
    _require_sizes(window=frames, stride=stride, **({"video": min(lengths)} if lengths else {}))
    clips = [_video_clips(length, frames, stride, random) for length in lengths[:-1]]
    return [*clips, _video_clips(lengths[-1], frames, stride) if lengths[-1] >= frames else []] if lengths else []


def _video_clips(
    length: int, frames: int, stride: int, random: np.random.RandomState | None = None
) -> list[NDArray[np.intp]]:
    if length >= frames:
        return [np.arange(start, start + frames) for start in range(0, length - frames + 1, stride)]
    places = np.linspace(0, length, num=frames, endpoint=False)
    if random is None:
        return [places.astype(np.intp)]
    earlier = random.randint(2, size=frames)
    chosen = np.sort(earlier * np.floor(places) + (1 - earlier) * np.ceil(places))
    return [np.clip(chosen, 0, length - 1).astype(np.intp)]


def _whole(indices: NDArray[np.intp]) -> Window:
    return Window(indices, indices, np.ones(len(indices), dtype=bool))


def _slides(length: int, frames: int, position: int, all_come_out: bool) -> Iterator[Window]:
    _require_sizes(sequence=length)
    only = np.arange(frames) == position
    for frame in range(length):
        indices = np.clip(np.arange(frames) + (frame - position), 0, length - 1)
        if all_come_out:
            yield Window(indices, indices, only)
        else:
            yield Window(indices, indices[only], np.ones(1, dtype=bool))


def _runs(length: int, frames: int, position: int, run: int) -> Iterator[Window]:
    _require_sizes(sequence=length)
    for first in range(0, length, run):
        indices = np.clip(np.arange(frames + run - 1) + (first - position), 0, length - 1)
        answers = np.arange(first, first + run)
        yield Window(indices, np.minimum(answers, length - 1), answers < length)


def scoring_windows(length: int, frames: int) -> list[Window]:
    """Windows of ``frames`` frames over ``length`` frames; ``scored`` holds every frame of the sequence once.

    Raises BadInput for a length or window below one frame.
    """
    windows = []
    first_unscored = 0
    for start in window_starts(length, frames, stride=frames):
        positions = np.arange(start, start + frames)
        scored = (positions >= first_unscored) & (positions < length)
        indices = np.minimum(positions, length - 1)
        windows.append(Window(indices, indices, scored))
        first_unscored = start + frames
    return windows


def window_starts(length: int, frames: int, stride: int) -> list[int]:
    """Where windows of ``frames`` frames begin: every ``stride`` frames, the last one aligned to the end.

    With ``stride`` <= ``frames`` every frame is in at least one window. Raises BadInput for a length, window or stride
    below one frame.
    """
    _require_sizes(sequence=length, window=frames, stride=stride)
    last = max(length - frames, 0)
    starts = list(range(0, last + 1, stride))
    return starts if starts[-1] == last else [*starts, last]


def padded_sequences(lengths: Iterable[int], frames: int) -> int:
    """How many sequences are shorter than a window and so evaluated with edge padding; part of the signature."""
    return sum(length < frames for length in lengths)


def _require_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        if value < 1:
            raise BadInput(f"a {name} of {value} frames cannot be used to cut clips; it must be at least 1")
