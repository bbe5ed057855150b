"""The space that weights are scored in, from who made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint_file import Loaded
from harness.contract import Contract
from harness.evaluating import _space_of


@pytest.mark.parametrize(
    ("extra", "stated", "space"),
    [
        ({"config": {"recipe": "posemamba"}}, "camera", "image"),
        ({"config": {"recipe": "common"}}, "image", "camera"),
        ({}, "image", "image"),
        ({}, "camera", "camera"),
        ({"config": {"dim": 3}}, "image", "image"),
    ],
)
def test_the_space_is_that_of_the_run_else_of_the_authors(extra: dict[str, Any], stated: str, space: str) -> None:
    loaded = Loaded(Path("w.pt"), "", "model", False, extra)
    assert _space_of(loaded, Contract(target_space=stated)) == space
