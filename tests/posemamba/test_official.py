"""The authors' parameter names, in both directions; the authors' side comes from the goldens' lists of their state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from posemamba import PRESETS, build, official_config
from posemamba.official import official_name
from tests.goldens import synth

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"


def authors_names(depth: int) -> set[str]:
    """Names in the authors' state of this depth: those of their S, with the block numbers of block 0 counted on."""
    names = [name for name, _, _ in synth.load(GOLDENS / "posemamba-s.json")["state"]]
    outside = {name for name in names if not re.match("[ST]TEblocks", name)}
    inside = [name for name in names if re.match(r"[ST]TEblocks\.0\.", name)]
    return outside | {name.replace(".0.", f".{index}.", 1) for name in inside for index in range(depth)}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_name_goes_there_and_back(preset: str) -> None:
    with torch.device("meta"):
        model = build(PRESETS[preset])
    ours = model.state_dict()
    theirs = {official_name(name): value for name, value in ours.items()}
    without_positions = set() if PRESETS[preset].temporal_position else {"Temporal_pos_embed"}
    assert theirs.keys() == authors_names(PRESETS[preset].depth) - without_positions
    back = model.official_state(theirs)
    assert back.keys() == ours.keys()
    assert all(back[name] is theirs[official_name(name)] for name in ours)


@pytest.mark.parametrize("preset", ["tiny", "tiny-conf", "tiny-deep", "s"])
def test_shapes_are_the_authors(preset: str) -> None:
    golden = synth.load(GOLDENS / f"posemamba-{preset}.json")
    with torch.device("meta"):
        model = build(official_config(golden["config"]))
    theirs = {name: torch.empty(shape, device="meta") for name, shape, _ in golden["state"]}
    ours = model.official_state(theirs)
    assert {name: value.shape for name, value in ours.items()} == {
        name: value.shape for name, value in model.state_dict().items()
    }


def test_unknown_entries_keep_their_name() -> None:
    model = build(official_config({"num_frame": 3, "embed_dim_ratio": 16, "depth": 1}))
    value = torch.zeros(1)
    state = {"STEblocks.1.norm.weight": value, "head.2.weight": value, "head.1.bias": value}
    assert model.official_state(state).keys() == {"STEblocks.1.norm.weight", "head.2.weight", "head.bias"}


def test_our_own_names_pass_unchanged() -> None:
    model = build(official_config({"num_frame": 3, "embed_dim_ratio": 16, "depth": 1}))
    assert model.official_state(model.state_dict()).keys() == model.state_dict().keys()


@pytest.mark.parametrize("name", ["spatial_blocks.0.attention.weight", "nothing", "STEblocks.0.norm.weight"])
def test_a_name_that_is_not_ours_has_no_official_one(name: str) -> None:
    with pytest.raises(KeyError):
        official_name(name)
