"""Counts against hand counts, and against the authors' own models counted by fvcore (tests/goldens, posemamba-tiny)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness import models
from harness.measurement import flops

GOLDENS = Path(__file__).resolve().parents[2] / "goldens"


class OneOperator(nn.Module):
    """A lifter whose only work beside slicing is ``operator`` on the clip (B, T, J, C)."""

    def __init__(self, operator: Any) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, clip: Tensor) -> Tensor:
        return self.operator(clip)


def count(operator: Any, frames: int = 5, in_channels: int = 8) -> dict[str, Any]:
    return flops.count(OneOperator(operator), frames, in_channels)


def test_linear_by_hand() -> None:
    assert count(nn.Linear(8, 3))["macs_by_operator"] == {"linear": 5 * 17 * 8 * 3}


def test_attention_by_hand() -> None:
    """QK^T and AV over 17 tokens of width 8 for each of 5 frames; the softmax is named, not counted."""
    counted = count(lambda clip: F.scaled_dot_product_attention(clip, clip, clip))
    assert counted["macs_by_operator"] == {"attention": 2 * 5 * 17 * 17 * 8}
    assert counted["uncounted_operators"] == {"softmax (inside attention)": 1}


def test_attention_across_unequal_lengths_by_hand() -> None:
    def cross(clip: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(clip[:, :, :3], clip, clip[..., :2])

    assert count(cross)["macs_by_operator"] == {"attention": 5 * 3 * 17 * (8 + 2)}


@pytest.mark.parametrize(
    ("product", "macs"),
    [
        (lambda clip: clip @ clip.transpose(-1, -2), 5 * 17 * 8 * 17),
        (lambda clip: torch.ones(17, 17, device=clip.device) @ clip, 5 * 17 * 17 * 8),
        (lambda clip: clip @ torch.ones(8, device=clip.device), 5 * 17 * 8),
    ],
    ids=["batched", "first factor broadcast", "matrix by vector"],
)
def test_matmul_by_hand(product: Any, macs: int) -> None:
    assert count(product)["macs_by_operator"] == {"matmul": macs}


def test_einsum_of_two_by_hand() -> None:
    """1 x 5 x 17 x 8 x 17: a size whose count fvcore's own handler rounds to four digits."""
    counted = count(lambda clip: torch.einsum("btic,btjc->btij", clip, clip), frames=7, in_channels=13)
    assert counted["macs_by_operator"] == {"einsum": 7 * 17 * 17 * 13}


def test_same_convolution_by_hand() -> None:
    convolution = nn.Conv2d(4, 4, 3, padding="same", groups=4)
    assert count(convolution, frames=4)["macs_by_operator"] == {"conv": 4 * 3 * 3 * 17 * 8}


def scan(clip: Tensor, states: int, skip: bool) -> Tensor:
    from posemamba.scan import selective_scan

    tokens = clip[0].permute(0, 2, 1)  # (T, C, J) stands for (B, K*D, L)
    batch, channels, length = tokens.shape
    decay = -torch.ones(channels, states, device=clip.device)
    mixing = torch.ones(batch, 2, states, length, device=clip.device)
    return selective_scan(
        tokens, tokens, decay, mixing, mixing, torch.ones(channels, device=clip.device) if skip else None
    )


@pytest.mark.parametrize("skip", [True, False])
def test_scan_by_hand(skip: bool) -> None:
    counted = count(lambda clip: scan(clip, states=6, skip=skip))
    elements = 5 * 8 * 17 * 6
    assert counted["macs_by_operator"] == {"scan": 3 * elements + skip * 5 * 8 * 17}
    assert counted["scan_flops_9bldn"] == 9 * elements
    assert counted["uncounted_operators"]["exp and softplus (inside scan)"] == 1


def test_what_is_not_counted_is_listed_with_the_reason() -> None:
    def operator(clip: Tensor) -> Tensor:
        nearest = (clip.sin() + clip).topk(3, dim=-1).values
        return torch.special.bessel_j0(nearest).sum(dim=0, keepdim=True)

    counted = count(operator)
    assert counted["macs_fvcore"] == 0
    assert counted["uncounted_operators"] == {
        "add (elementwise)": 1,
        "sin (elementwise)": 1,
        "special_bessel_j0 (no formula)": 1,
        "sum (reduction)": 1,
        "topk (selection)": 1,
    }
    assert flops.without_formula(counted) == ["special_bessel_j0 (no formula)"]


def test_the_encoder_of_torch_is_seen_through() -> None:
    """Projections 4 x 8 x 8, MLP 2 x 8 x 32 a token; attention over T = 5 tokens for 17 joints."""

    class Temporal(nn.TransformerEncoderLayer):
        def forward(self, clip: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(clip[0].transpose(0, 1)).transpose(0, 1)[None]  # (B, T, J, C)

    counted = flops.count(Temporal(8, 2, dim_feedforward=32, batch_first=True), 5, 8)
    assert counted["macs_by_operator"]["linear"] == 5 * 17 * (4 * 8 * 8 + 2 * 8 * 32)
    assert counted["macs_by_operator"]["attention"] == 17 * 2 * 5 * 5 * 8
    assert flops.without_formula(counted) == []


def test_a_centre_frame_model_pays_one_forward_a_frame() -> None:
    class Centre(nn.Linear):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(clip)[:, clip.shape[1] // 2, None]

    counted = flops.count(Centre(2, 3), 9, 2)
    assert counted["output_frames"] == 1
    assert counted["macs_fvcore_per_frame"] == counted["macs_fvcore"] == 9 * 17 * 2 * 3


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 3)).train()
    counted = flops.count(model, 9, 2)
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert counted["params_total"] == 2 * 4 + 4 + 4 * 3 + 3


def golden(name: str) -> dict[str, Any]:
    path = GOLDENS / f"{name}.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the test goldens")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["posemamba-tiny", "posemamba-tiny-conf", "posemamba-tiny-deep", "posemamba-s"])
def test_posemamba_costs_what_the_authors_model_costs(name: str) -> None:
    """Operator by operator against fvcore on the authors' code.

    Theirs projects by einsum, printed rounded by fvcore, so the exact count of models.md stands in for it; the scan is
    opaque to fvcore, so the analytic count of the golden does.
    """
    from posemamba import build, official_config

    expected = golden(name)
    counted = flops.count(build(official_config(expected["config"])), expected["frames"], expected["in_channels"])
    ours, theirs, analytic = (
        counted["macs_by_operator"],
        expected["macs"]["fvcore_by_operator"],
        expected["macs"]["analytic"],
    )
    assert ours["layer_norm"] == theirs["layer_norm"]
    assert ours["conv"] == theirs["conv"]
    projections = sum(ours.get(operator, 0) for operator in ("linear", "matmul", "einsum", "bmm"))
    assert projections == theirs["linear"] + analytic["einsum_x_proj_dt_proj"]
    assert ours["scan"] == analytic["scan_macs_at_3_per_element_plus_skip"]
    assert counted["scan_flops_9bldn"] == 9 * analytic["scan_elements_KDLN"]
    assert flops.without_formula(counted) == []


@pytest.mark.parametrize("name", ["motionagformer-tiny", "motionagformer-xs"])
def test_motionagformer_costs_what_the_authors_model_costs(name: str) -> None:
    """Operator by operator against fvcore on the authors' code, which writes attention as two matmuls.

    Theirs scales the rows and columns of each adjacency by dense products with diagonal matrices, which fvcore counts
    as bmm: L^3 for each side of each graph. Ours scales elementwise and has none of it.
    """
    from baselines.motionagformer import build, official_config

    expected = golden(name)
    frames, joints, layers = expected["frames"], 17, expected["config"]["n_layers"]
    counted = flops.count(build(official_config(expected["config"])), frames, expected["in_channels"])
    ours, theirs = counted["macs_by_operator"], expected["macs"]["fvcore_by_operator"]
    for operator in ("linear", "layer_norm", "batch_norm"):
        assert ours[operator] == theirs[operator]
    assert ours["attention"] + ours["matmul"] == theirs["matmul"]
    assert theirs["bmm"] == 2 * layers * (frames * joints**3 + joints * frames**3)
    assert flops.without_formula(counted) == []


def test_the_count_does_not_depend_on_the_scan_backend() -> None:
    counts = [
        flops.count(models.build("posemamba-xs", frames=9, in_channels=2, depth=1, scan_backend=backend), 9, 2)
        for backend in ("auto", "reference", "chunked")
    ]
    assert counts[0] == counts[1] == counts[2]
    assert counts[0]["macs_by_operator"]["scan"] > 0
