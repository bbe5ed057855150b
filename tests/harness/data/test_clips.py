"""Windows against the protocol: every frame scored once, the tail reached, padding never counted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.clips import Cutting, overlap_last, padded_sequences, scoring_windows, sliding, window_starts
from harness.errors import BadInput

lengths = st.integers(1, 400)
windows_of = st.integers(1, 120)


@given(lengths, windows_of)
def test_every_frame_is_scored_exactly_once(length: int, frames: int) -> None:
    windows = scoring_windows(length, frames)
    scored = np.concatenate([window.indices[window.scored] for window in windows])
    assert scored.tolist() == list(range(length))
    assert len(windows) == -(-length // frames)


@given(lengths, windows_of)
def test_windows_are_consecutive_frames_of_the_sequence(length: int, frames: int) -> None:
    for window in scoring_windows(length, frames):
        assert window.indices.shape == window.scored.shape == (frames,)
        real = min(length, frames)
        assert np.diff(window.indices[:real]).tolist() == [1] * (real - 1)
        assert (window.indices[real:] == length - 1).all()
        assert not window.scored[real:].any()


@given(lengths, windows_of, st.integers(1, 150))
def test_training_windows_step_by_the_stride_and_reach_the_tail(length: int, frames: int, stride: int) -> None:
    starts = window_starts(length, frames, stride)
    assert starts[0] == 0
    assert starts[-1] == max(length - frames, 0)
    assert all(step == stride for step in np.diff(starts[:-1]))
    assert all(0 < step <= stride for step in np.diff(starts))


@given(lengths, windows_of, st.data())
def test_however_it_is_cut_every_frame_is_answered_for_once(length: int, frames: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, frames - 1))
    for cutting in (
        overlap_last(frames),
        sliding(frames, position),
        sliding(frames, position, "all"),
        sliding(frames, position, "run"),
    ):
        windows = list(cutting.windows(length))
        assert len(windows) == cutting.count(length)
        assert len({len(window.indices) for window in windows}) == 1
        answered = np.concatenate([window.answers[window.scored] for window in windows])
        assert answered.tolist() == list(range(length))


@given(lengths, windows_of, st.data())
def test_a_sliding_window_holds_the_frames_around_its_own(length: int, frames: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, frames - 1))
    around = np.arange(frames) - position
    for cutting in (sliding(frames, position), sliding(frames, position, "all")):
        for window in cutting.windows(length):
            (frame,) = window.answers[window.scored]
            assert window.indices.tolist() == np.clip(frame + around, 0, length - 1).tolist()
    for window in sliding(frames, position, "run").windows(length):
        for k, frame in enumerate(window.answers[window.scored]):
            assert window.indices[k : k + frames].tolist() == np.clip(frame + around, 0, length - 1).tolist()


def test_the_last_window_overlaps_and_only_new_frames_count() -> None:
    first, second, last = scoring_windows(8, 3)
    assert [window.indices.tolist() for window in (first, second, last)] == [[0, 1, 2], [3, 4, 5], [5, 6, 7]]
    assert first.scored.all()
    assert second.scored.all()
    assert last.scored.tolist() == [False, True, True]


def test_a_short_sequence_is_padded_by_its_last_frame() -> None:
    (window,) = scoring_windows(2, 5)
    assert window.indices.tolist() == [0, 1, 1, 1, 1]
    assert window.scored.tolist() == [True, True, False, False, False]


def test_padded_sequences_are_counted() -> None:
    assert padded_sequences([26, 27, 28, 1], frames=27) == 2


@pytest.mark.parametrize(("length", "frames", "stride"), [(0, 3, 1), (5, 0, 1), (5, 3, 0)])
def test_sizes_below_one_are_refused(length: int, frames: int, stride: int) -> None:
    with pytest.raises(BadInput, match="at least 1"):
        window_starts(length, frames, stride)


@pytest.mark.parametrize("cut", [overlap_last, lambda frames: sliding(frames, 0)])
def test_windows_of_nothing_are_refused(cut: Callable[[int], Cutting]) -> None:
    with pytest.raises(BadInput, match="a window of 0 frames"):
        cut(0)
    with pytest.raises(BadInput, match="a sequence of 0 frames"):
        list(cut(3).windows(0))
