"""The page of a lifter against what is known of it."""

from __future__ import annotations

import pytest

from harness import model_card
from harness.errors import BadInput
from harness.model_card import WIDTH


def line_of(card: str, label: str) -> str:
    (line,) = [line for line in card.splitlines() if line.strip().startswith(label)]
    return line


def test_counts_contract_recipe_and_sources() -> None:
    card = model_card.card("motionagformer-xs")
    assert "2,241,531" in line_of(card, "parameters")
    assert line_of(card, "frames ").split() == ["frames", "27"]
    assert "image space of MotionBERT" in line_of(card, "trained on")
    assert "--recipe motionagformer" in card
    assert "[motionagformer-readme] TaatiTeam/MotionAGFormer" in card
    assert max(map(len, card.splitlines())) <= WIDTH


def test_figures_of_the_same_network_under_another_name() -> None:
    assert "PoseMamba-S, T = 243, Human3.6M, SH: MPJPE 41.8 mm" in model_card.card("posemamba", frames=9)


def test_a_centre_frame_lifter_at_another_t_and_option() -> None:
    card = model_card.card("poseformerv2", 27, options={"kept_frames": "1"})
    assert "one window a frame" in line_of(card, "answers for")
    assert line_of(card, "kept_frames").split() == ["kept_frames", "1"]
    assert "T = 27, 2 channels" in card


def test_a_size_of_ours_has_nothing_published() -> None:
    card = model_card.card("posemamba-xs", frames=9)
    assert "nothing on file" in card
    assert "--recipe common" in card


def test_an_unknown_lifter() -> None:
    with pytest.raises(BadInput, match="Did you mean: mixste"):
        model_card.card("mixte")
