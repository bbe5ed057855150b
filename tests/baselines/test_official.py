"""Official names to ours."""

from __future__ import annotations

import pytest
import torch

from baselines.official import complete_options, rename


def test_words_are_replaced_whole_and_unknown_entries_stay() -> None:
    words = {"representation": "rep_logit.fc", "block": "blk"}
    one, two, three = torch.ones(3).unbind()
    state = {"rep_logit.fc.weight": one, "blk.0.blocked": two, "surplus": three}
    renamed = rename(state, ["representation.weight", "block.0.blocked", "block.1.blocked"], words)
    assert renamed == {"representation.weight": one, "block.0.blocked": two, "surplus": three}


def test_options_are_completed() -> None:
    assert complete_options({"a": 1}, {"b": 2, "c": 3}, required=("a",)) == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(ValueError, match="missing option: a"):
        complete_options({"b": 1}, {"b": 2}, required=("a",))
    with pytest.raises(ValueError, match=r"unknown option 'frame'\. Did you mean: frames"):
        complete_options({"frame": 1}, {"frames": 2})
