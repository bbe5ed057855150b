"""All conventions together: what the dictionary holds, how they hang together, and that the model is left alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import models
from harness.measurement import counts
from harness.measurement.counts import BY_KIND, CONVENTIONS
from harness.measurement.kind import KINDS

FRAMES = 9


def counted(name: str = "posemamba-xs", frames: int = FRAMES, **options: Any) -> dict[str, Any]:
    return counts.count(models.build(name, frames, 2, **options), frames, 2)


@pytest.fixture(scope="module")
def posemamba() -> dict[str, Any]:
    return counted(depth=1)


def test_a_linear_layer_by_every_convention() -> None:
    products, numbers = FRAMES * 17 * 2 * 3, FRAMES * 17 * 3
    found = counts.count(nn.Sequential(nn.Linear(2, 3)), FRAMES, 2, training=False)
    assert found["params_total"] == found["params_thop"] == 9
    assert found["macs_thop"] == found["macs_fvcore"] == products
    assert found["flops_torch"] == 2 * products
    assert 2 * products <= found["flops_exact"] <= 2 * products + numbers  # the bias
    assert found["transcendentals"] == found["flops_9bldn"] == 0
    assert found["training_step"] is None
    assert found["bytes"] == 4 * (FRAMES * 17 * 2 + 9 + numbers)


def test_kinds_sum_up_to_the_whole(posemamba: dict[str, Any]) -> None:
    for name in BY_KIND:
        assert tuple(posemamba["by_kind"][name]) == tuple(KINDS)
        assert sum(posemamba["by_kind"][name].values()) == posemamba[name]
    for name in ("macs_fvcore", "flops_exact"):
        assert sum(posemamba["by_operator"][name].values()) == posemamba[name]
    step = posemamba["training_step"]
    for name in ("flops_torch", "flops_exact"):
        assert sum(step["by_kind"][name].values()) == step[name]


def test_all_conventions_agree_on_what_they_all_see(posemamba: dict[str, Any]) -> None:
    by_kind = posemamba["by_kind"]
    assert 2 * by_kind["macs_fvcore"]["projection"] == by_kind["flops_torch"]["projection"]
    assert 2 * by_kind["macs_fvcore"]["scan"] == by_kind["flops_torch"]["scan"]
    assert 2 * by_kind["macs_fvcore"]["convolution"] == by_kind["flops_torch"]["convolution"]
    assert by_kind["flops_torch"]["projection"] <= by_kind["flops_exact"]["projection"]
    assert by_kind["macs_thop"]["scan"] == 0 < by_kind["macs_fvcore"]["scan"]
    assert posemamba["params_thop"] + sum(posemamba["unseen_by_thop"].values()) == posemamba["params_total"]


@pytest.mark.parametrize(
    "name", ["motionagformer-xxs", "motionbert-lite", "stcformer", "ktpformer", "tcpformer", "poseformerv2", "mhformer"]
)
def test_what_is_attention_is_so_in_every_convention(name: str) -> None:
    """The traced graph and the ledger tell it in two ways."""
    frames = min(models.entry(name).frames)
    with torch.device("meta"):
        model = models.build(name, frames, 2, depth=1)
    by_kind = counts.count(model, frames, 2, training=False)["by_kind"]
    for kind in ("projection", "attention", "convolution"):
        assert 2 * by_kind["macs_fvcore"][kind] == by_kind["flops_torch"][kind], kind


def test_an_output_frame(posemamba: dict[str, Any]) -> None:
    assert posemamba["output_frames"] == FRAMES
    assert posemamba["per_frame"] == {name: posemamba[name] / FRAMES for name in CONVENTIONS}


def test_a_centre_frame_model_pays_one_forward_a_frame() -> None:
    class Centre(nn.Linear):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(clip)[:, clip.shape[1] // 2, None]

    found = counts.count(Centre(2, 3), 9, 2)
    assert found["output_frames"] == 1
    assert found["per_frame"]["macs_fvcore"] == found["macs_fvcore"] == 9 * 17 * 2 * 3


def test_a_training_step_costs_about_three_forwards() -> None:
    found = counted("mixste", depth=1, dim=32, heads=2)
    assert found["training_step"]["flops_torch"] == pytest.approx(3 * found["flops_torch"], rel=0.05)
    assert "optimiser" in found["training_step"]["what"]


def test_a_batch_norm_in_front_of_a_single_answer_trains() -> None:
    assert counted("pstmo", 27, depth=1)["training_step"]["flops_exact"] > 0


def test_it_is_json(posemamba: dict[str, Any]) -> None:
    assert json.loads(json.dumps(posemamba)) == posemamba
    assert all(isinstance(posemamba[name], int) for name in CONVENTIONS)


def test_the_model_is_left_as_it_was() -> None:
    model: Any = models.build("posemamba-xs", FRAMES, 2, depth=1).train()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    counts.count(model, FRAMES, 2)
    assert model.training
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name])
        assert parameter.grad is None
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_what_nobody_has_a_formula_for() -> None:
    class Odd(nn.Linear):
        def forward(self, clip: Tensor) -> Tensor:
            return torch.special.bessel_j0(super().forward(clip))

    found = counts.count(Odd(2, 3), FRAMES, 2, training=False)
    assert any("special_bessel_j0" in name for name in counts.without_formula(found))
    assert counts.without_formula(counts.count(nn.Linear(2, 3), FRAMES, 2, training=False)) == []


def test_ten_thousand_frames() -> None:
    """In proportion to T, every convention, for nothing of a PoseMamba looks from every frame at every other."""
    short, long = (counted(frames=frames, depth=1) for frames in (100, 10_000))
    for name in ("macs_thop", "macs_fvcore", "flops_torch", "flops_exact", "flops_9bldn"):
        assert long["per_frame"][name] == pytest.approx(short["per_frame"][name], rel=1e-3)


class Untrainable(nn.Module):
    def forward(self, clip: Tensor) -> Tensor:
        with torch.no_grad():
            return clip @ torch.ones(2, 3, device=clip.device)


def test_what_cannot_be_trained_is_counted_all_the_same() -> None:
    found = counts.count(Untrainable(), FRAMES, 2)
    assert found["macs_fvcore"] == FRAMES * 17 * 2 * 3
    assert found["training_step"] is None
    assert "grad" in found["no_training_step"]


def test_an_example_of_another_shape_costs_what_it_costs() -> None:
    products = 64 * 3 * 5
    found = counts.count_on(nn.Sequential(nn.Linear(3, 5)), (64, 3))
    assert found["macs_thop"] == found["macs_fvcore"] == products
    assert found["flops_torch"] == 2 * products
    # The weight's gradient alone: nobody asks for that of the cloud.
    assert found["training_step"]["flops_torch"] == 2 * 2 * products
    assert "per_frame" not in found
    as_clip = counts.count(nn.Sequential(nn.Linear(3, 5)), 1, 3, 64)
    assert {name: as_clip[name] for name in CONVENTIONS} == {name: found[name] for name in CONVENTIONS}
