"""Shape of the kept states."""

from __future__ import annotations

import pytest

from posemamba.scan import checkpoint


@pytest.mark.parametrize(("length", "count"), [(1, 1), (64, 1), (65, 2), (4131, 65)])
def test_one_checkpoint_for_every_started_chunk(length: int, count: int) -> None:
    assert checkpoint.shape(2, 12, 16, length) == (2, count, 16, 12)
