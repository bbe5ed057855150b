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


def test_several_words_are_replaced_at_once_and_the_longest_first() -> None:
    words = {"block": "blk", "block.norm": "norm1", "norm": "LN", "head": "head.1"}
    names = ["block.norm.weight", "block.mlp.norm", "subblock.norm", "head.head"]
    theirs = ["norm1.weight", "blk.mlp.LN", "subblock.LN", "head.1.head.1"]
    state = dict(zip(theirs, torch.ones(4).unbind(), strict=True))
    assert list(rename(state, names, words)) == names
    assert list(rename({"a.b": torch.ones(1)}, ["a.b"], {})) == ["a.b"]
