"""Windows against the protocol: every frame scored once, the tail reached, padding never counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.clips import padded_sequences, scoring_windows, training_windows
from harness.errors import BadInput

lengths = st.integers(1, 400)
windows_of = st.integers(1, 120)


@given(lengths, windows_of)
def test_every_frame_is_scored_exactly_once(length: int, frames: int) -> None:
    windows = scoring_windows(length, frames)
    scored = np.concatenate([window.indices[window.scored] for window in windows])
    assert scored.tolist() == list(range(length))
    assert len(windows) == -(-length // frames)


@given(lengths, windows_of, st.integers(1, 150))
def test_windows_are_consecutive_frames_of_the_sequence(length: int, frames: int, stride: int) -> None:
    for window in [*scoring_windows(length, frames), *training_windows(length, frames, stride)]:
        assert window.indices.shape == window.scored.shape == (frames,)
        real = min(length, frames)
        assert np.diff(window.indices[:real]).tolist() == [1] * (real - 1)
        assert (window.indices[real:] == length - 1).all()
        assert not window.scored[real:].any()


@given(lengths, windows_of, st.integers(1, 150))
def test_training_windows_step_by_the_stride_and_reach_the_tail(length: int, frames: int, stride: int) -> None:
    windows = training_windows(length, frames, stride)
    starts = [int(window.indices[0]) for window in windows]
    assert starts[0] == 0
    assert windows[-1].indices[-1] == length - 1
    assert all(step == stride for step in np.diff(starts[:-1]))
    assert all(0 < step <= stride for step in np.diff(starts))
    if stride <= frames:
        seen = np.concatenate([window.indices[window.scored] for window in windows])
        assert set(seen.tolist()) == set(range(length))


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
        training_windows(length, frames, stride)
