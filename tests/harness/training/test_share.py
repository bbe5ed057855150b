"""Shares of a batch: every clip once, whoever takes it and in how many parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from harness.errors import BadInput
from harness.training.share import WHOLE, Share


@pytest.mark.parametrize(("clips", "size", "accumulate"), [*itertools.product((4, 7, 16), (1, 2, 3), (1, 2))])
def test_every_clip_is_taken_once(clips: int, size: int, accumulate: int) -> None:
    if clips < size * accumulate:
        return
    shares = [Share(rank, size, accumulate) for rank in range(size)]
    taken = [share.of_batch(clips) for share in shares]
    assert sorted(np.concatenate(taken).tolist()) == list(range(clips))
    assert max(map(len, taken)) - min(map(len, taken)) <= accumulate
    for share, places in zip(shares, taken, strict=True):
        pieces = share.pieces(clips)
        assert len(pieces) == accumulate
        assert sum(piece.clips for piece in pieces) == len(places)
        for piece in pieces:
            first = places[piece.rows][0] - piece.first
            assert places[piece.rows].tolist() == list(range(first + piece.first, first + piece.first + piece.clips))
    for part in zip(*(share.pieces(clips) for share in shares), strict=True):
        assert {piece.whole for piece in part} == {sum(piece.clips for piece in part)}


def test_alone_and_at_once_it_is_the_batch_as_it_is() -> None:
    assert WHOLE.of_batch(5).tolist() == [0, 1, 2, 3, 4]


def test_a_batch_that_leaves_a_process_without_a_clip_is_refused() -> None:
    Share(0, 2, 3).require_enough(6)
    with pytest.raises(BadInput, match="5 clips is less than one for each of 2 processes and 3"):
        Share(0, 2, 3).require_enough(5)
