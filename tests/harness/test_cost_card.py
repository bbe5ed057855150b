"""The page of counts: it fits a terminal, carries the figures, and says what is left out."""

from __future__ import annotations

import json

import pytest
from torch import Tensor, nn

from harness import cost_card
from harness.errors import BadInput
from harness.measurement.counts import CONVENTIONS
from harness.reporting.grid import WIDTH


class Third(nn.Module):
    def __init__(self, frames: int, in_channels: int, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(in_channels, width), nn.GroupNorm(1, 17), nn.Linear(width, 3))

    def forward(self, clip: Tensor) -> Tensor:
        if clip.abs().max().item() > 100:
            raise ValueError("not normalised")
        return self.layers(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])


def lines_of(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


def test_a_page_that_fits() -> None:
    counted = cost_card.count("motionagformer-xxs", 9)
    page = cost_card.text("motionagformer-xxs", counted)
    assert max(map(len, page.splitlines())) <= WIDTH
    assert page.startswith("motionagformer-xxs: one clip of T = 9, 3 channels, answers for 9 frames")
    for name in CONVENTIONS:
        if counted[name]:
            assert f"{counted[name]:,}" in lines_of(page, name)[0]
    assert not lines_of(page, "flops_9bldn")
    for start in ("attention", "training step", "not in macs_fvcore"):
        assert lines_of(page, start)
    assert not lines_of(page, "counted on")


def test_options_and_one_answered_frame() -> None:
    counted = cost_card.count("poseformerv2", 27, 2, {"depth": "1"})
    page = cost_card.text("poseformerv2", counted)
    assert page.startswith("poseformerv2 depth=1: one clip of T = 27, 2 channels, answers for 1 frame\n")
    assert counted["options"] == {"depth": 1}
    assert counted["per_frame"]["macs_thop"] == counted["macs_thop"]


def test_the_scan_has_its_own_convention_and_torch_its_own_gradient() -> None:
    page = cost_card.text("posemamba-xs", cost_card.count("posemamba-xs", 9, given={"depth": 1}))
    assert lines_of(page, "flops_9bldn")
    assert "gradient of a grouped one for that of a dense one" in " ".join(page.split())


def test_a_lifter_of_somebody_elses() -> None:
    name = f"{__name__}:Third"
    counted = cost_card.count(name, given={"width": "6"})
    page = cost_card.text(name, counted)
    assert (counted["frames"], counted["in_channels"]) == (27, 3)
    assert counted["by_operator"]["macs_fvcore"]["linear"] == 27 * 17 * (3 * 6 + 6 * 3)
    assert "not among the latter: 34 of GroupNorm" in page
    assert lines_of(page, "counted on: cpu")
    assert max(map(len, page.splitlines())) <= WIDTH


def test_the_whole_is_json() -> None:
    counted = cost_card.count("martinez")
    assert json.loads(json.dumps(counted)) == counted
    assert counted["model"] == "martinez"


def test_an_unknown_lifter() -> None:
    with pytest.raises(BadInput, match="Did you mean: mixste"):
        cost_card.count("mixte")
