"""MACs against hand counts, and against the authors' own models counted by fvcore (tests/goldens, posemamba-tiny)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness import models
from harness.measurement import fvcore
from harness.measurement.fvcore import MacCount
from harness.measurement.kind import KINDS

GOLDENS = Path(__file__).resolve().parents[2] / "goldens"


class OneOperator(nn.Module):
    """A lifter whose only work beside slicing is ``operator`` on the clip (B, T, J, C)."""

    def __init__(self, operator: Any) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, clip: Tensor) -> Tensor:
        return self.operator(clip)


def count(operator: Any, frames: int = 5, in_channels: int = 8) -> MacCount:
    return fvcore.count(OneOperator(operator), frames, in_channels)


def by_kind(counted: MacCount) -> dict[str, int]:
    assert tuple(counted.by_kind) == tuple(KINDS)
    assert sum(counted.by_kind.values()) == counted.macs == sum(counted.by_operator.values())
    return {kind: macs for kind, macs in counted.by_kind.items() if macs}


def test_linear_by_hand() -> None:
    assert count(nn.Linear(8, 3)).by_operator == {"linear": 5 * 17 * 8 * 3}


def test_attention_by_hand() -> None:
    """QK^T and AV over 17 tokens of width 8 for each of 5 frames; the softmax is named, not counted."""
    counted = count(lambda clip: F.scaled_dot_product_attention(clip, clip, clip))
    assert counted.by_operator == {"attention": 2 * 5 * 17 * 17 * 8}
    assert counted.uncounted == {"softmax (inside attention)": 1}


def test_attention_across_unequal_lengths_by_hand() -> None:
    def cross(clip: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(clip[:, :, :3], clip, clip[..., :2])

    assert count(cross).by_operator == {"attention": 5 * 3 * 17 * (8 + 2)}


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
    assert count(product).by_operator == {"matmul": macs}


def test_einsum_of_two_by_hand() -> None:
    """1 x 5 x 17 x 8 x 17: a size whose count fvcore's own handler rounds to four digits."""
    counted = count(lambda clip: torch.einsum("btic,btjc->btij", clip, clip), frames=7, in_channels=13)
    assert counted.by_operator == {"einsum": 7 * 17 * 17 * 13}


def test_same_convolution_by_hand() -> None:
    convolution = nn.Conv2d(4, 4, 3, padding="same", groups=4)
    assert count(convolution, frames=4).by_operator == {"conv": 4 * 3 * 3 * 17 * 8}


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
    assert counted.by_operator == {"scan": 3 * elements + skip * 5 * 8 * 17}
    assert counted.flops_9bldn == 9 * elements
    assert counted.uncounted["exp and softplus (inside scan)"] == 1


def test_what_is_not_counted_is_listed_with_the_reason() -> None:
    def operator(clip: Tensor) -> Tensor:
        nearest = (clip.sin() + clip).topk(3, dim=-1).values
        return torch.special.bessel_j0(nearest).sum(dim=0, keepdim=True)

    counted = count(operator)
    assert counted.macs == 0
    assert counted.uncounted == {
        "add (elementwise)": 1,
        "sin (elementwise)": 1,
        "special_bessel_j0 (no formula)": 1,
        "sum (reduction)": 1,
        "topk (selection)": 1,
    }
    assert fvcore.without_formula(counted.uncounted) == ["special_bessel_j0 (no formula)"]


def test_the_encoder_of_torch_is_seen_through() -> None:
    """Projections 4 x 8 x 8, MLP 2 x 8 x 32 a token; attention over T = 5 tokens for 17 joints."""

    class Temporal(nn.TransformerEncoderLayer):
        def forward(self, clip: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(clip[0].transpose(0, 1)).transpose(0, 1)[None]  # (B, T, J, C)

    counted = fvcore.count(Temporal(8, 2, dim_feedforward=32, batch_first=True), 5, 8)
    assert counted.by_operator["linear"] == 5 * 17 * (4 * 8 * 8 + 2 * 8 * 32)
    assert counted.by_operator["attention"] == 17 * 2 * 5 * 5 * 8
    assert fvcore.without_formula(counted.uncounted) == []


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 3)).train()
    counted = fvcore.count(model, 9, 2)
    assert model.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert counted.macs == 9 * 17 * (2 * 4 + 4 * 3)


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
    counted = fvcore.count(build(official_config(expected["config"])), expected["frames"], expected["in_channels"])
    ours, theirs, analytic = (
        counted.by_operator,
        expected["macs"]["fvcore_by_operator"],
        expected["macs"]["analytic"],
    )
    assert ours["layer_norm"] == theirs["layer_norm"]
    assert ours["conv"] == theirs["conv"]
    projections = sum(ours.get(operator, 0) for operator in ("linear", "matmul", "einsum", "bmm"))
    assert projections == theirs["linear"] + analytic["einsum_x_proj_dt_proj"]
    assert ours["scan"] == analytic["scan_macs_at_3_per_element_plus_skip"]
    assert counted.flops_9bldn == 9 * analytic["scan_elements_KDLN"]
    assert fvcore.without_formula(counted.uncounted) == []


@pytest.mark.parametrize("name", ["motionagformer-tiny", "motionagformer-xs"])
def test_motionagformer_costs_what_the_authors_model_costs(name: str) -> None:
    """Operator by operator against fvcore on the authors' code, which writes attention as two matmuls.

    Theirs scales the rows and columns of each adjacency by dense products with diagonal matrices, which fvcore counts
    as bmm: L^3 for each side of each graph. Ours scales elementwise and has none of it.
    """
    from baselines.motionagformer import build, official_config

    expected = golden(name)
    frames, joints, layers = expected["frames"], 17, expected["config"]["n_layers"]
    counted = fvcore.count(build(official_config(expected["config"])), frames, expected["in_channels"])
    ours, theirs = counted.by_operator, expected["macs"]["fvcore_by_operator"]
    for operator in ("linear", "layer_norm", "batch_norm"):
        assert ours[operator] == theirs[operator]
    assert ours["attention"] + ours["matmul"] == theirs["matmul"]
    assert theirs["bmm"] == 2 * layers * (frames * joints**3 + joints * frames**3)
    assert fvcore.without_formula(counted.uncounted) == []


def test_the_count_does_not_depend_on_the_scan_backend() -> None:
    counts = [
        fvcore.count(models.build("posemamba-xs", frames=9, in_channels=2, depth=1, scan_backend=backend), 9, 2)
        for backend in ("auto", "reference", "chunked")
    ]
    assert counts[0] == counts[1] == counts[2]
    assert counts[0].by_operator["scan"] > 0


def fixed(*shape: int) -> Any:
    return lambda clip: torch.ones(shape, device=clip.device)


def written(clip: Tensor) -> Tensor:
    """The clip copied into a part of a tensor that was made without it."""
    canvas = torch.zeros(1, 5, 17, 8, device=clip.device)
    canvas[:, 1:].copy_(clip[:, 1:])
    return canvas


def beside(clip: Tensor) -> Tensor:
    """A matrix made without the clip, of which a copy has had the clip added in place."""
    matrix = torch.ones(8, 8, device=clip.device)
    copy = matrix * 2
    copy.add_(clip[0, 0, :8, :8])
    return matrix


def halves(clip: Tensor) -> Tensor:
    """The clip added in place to one of two parts of a tensor that was made without it."""
    both = torch.ones(2, 8, 8, device=clip.device)
    first, _ = both.unbind()
    first.add_(clip[0, 0, :8, :8])
    return both[0]


def shaped(clip: Tensor) -> Tensor:
    """As large as the clip, and the same for every clip."""
    return torch.ones_like(clip) + torch.arange(clip.shape[-1], device=clip.device)


@pytest.mark.parametrize(
    ("product", "kind"),
    [
        (lambda clip: clip @ clip.transpose(-1, -2), "attention"),
        (lambda clip: (clip * 2).softmax(-1).transpose(-1, -2) @ (clip + 1), "attention"),
        (lambda clip: fixed(17, 17)(clip) @ clip, "projection"),
        (lambda clip: clip @ shaped(clip).transpose(-1, -2), "projection"),
        (lambda clip: clip @ written(clip).transpose(-1, -2), "attention"),
        (lambda clip: clip @ beside(clip), "projection"),
        (lambda clip: clip @ halves(clip), "attention"),
        (lambda clip: torch.bmm(clip[0], fixed(5, 8, 3)(clip))[None], "projection"),
        (lambda clip: torch.bmm(clip[0], clip[0].mT)[None], "attention"),
        (lambda clip: torch.baddbmm(clip[0, :, :, :1], clip[0], fixed(5, 8, 3)(clip))[None], "projection"),
        (lambda clip: torch.baddbmm(fixed(1)(clip), clip[0], clip[0].mT)[None], "attention"),
        (lambda clip: torch.addmm(fixed(1)(clip), clip[0, 0], clip[0, 1].T)[None, None], "attention"),
        (lambda clip: torch.einsum("btjc,btkc->btjk", clip, clip), "attention"),
        (lambda clip: torch.einsum("btjc,cd->btjd", clip, fixed(8, 3)(clip)), "projection"),
        (lambda clip: F.linear(clip, clip[0, 0]), "attention"),
        (lambda clip: F.linear(clip, fixed(17, 8)(clip)), "projection"),
    ],
)
def test_a_product_is_attention_where_both_factors_depend_on_the_clip(product: Any, kind: str) -> None:
    assert set(by_kind(count(product))) == {kind}


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        (nn.Conv2d(4, 6, 3, stride=2), 6 * 8 * 3 * 4 * 9),
        (nn.Conv2d(4, 4, (1, 3), padding="same", groups=2), 4 * 17 * 8 * 2 * 3),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), 17 * 8 * 4 * 6 * 4),
    ],
    ids=["strided", "same, grouped", "transposed"],
)
def test_a_convolution_costs_the_same_with_and_without_numbers(layer: nn.Module, macs: int) -> None:
    """(1, 4, 17, 8): the 4 frames are its channels."""

    class LookingAtNumbers(OneOperator):
        def forward(self, clip: Tensor) -> Tensor:
            return super().forward(clip) if clip.sum().item() == 0 else clip

    for lifter, device in ((OneOperator(layer), "meta"), (LookingAtNumbers(layer), "cpu")):
        counted = fvcore.count(lifter, 4, 8)
        assert counted.counted_on == device
        assert counted.by_operator == {"conv": macs}
        assert by_kind(counted) == {"convolution": macs}


def test_a_long_clip_costs_no_more_to_count() -> None:
    """T = 10,000 with attention between all frames: 3 TB of weights, were they computed."""

    def attend(clip: Tensor) -> Tensor:
        tokens = clip.transpose(1, 2)
        return ((tokens @ tokens.mT).softmax(-1) @ tokens).transpose(1, 2)

    assert by_kind(count(attend, frames=10_000)) == {"attention": 2 * 17 * 10_000**2 * 8}


def test_kinds_of_a_transformer_and_of_posemamba() -> None:
    mixste = by_kind(fvcore.count(models.build("mixste", 9, 2, depth=1, dim=16, heads=2), 9, 2))
    assert mixste["attention"] == 2 * 9 * 17 * 16 * (9 + 17)
    assert set(mixste) == {"projection", "attention", "normalisation"}
    posemamba = by_kind(fvcore.count(models.build("posemamba-xs", 9, 2, depth=1), 9, 2))
    assert set(posemamba) == {"projection", "scan", "convolution", "normalisation"}


def test_the_temporal_similarity_of_motionagformer_is_attention() -> None:
    """Both its factors, the nearest neighbours and what is averaged over them, are of the clip."""
    ours = [
        by_kind(fvcore.count(models.build("motionagformer-xxs", frames, 3, depth=1), frames, 3))["attention"] / frames
        for frames in (9, 18, 27)
    ]
    # Per frame: linear in T through attention and similarity, and constant for the attention among joints.
    assert ours[2] - ours[1] == ours[1] - ours[0] > 0


@pytest.mark.parametrize("name", [name for name in models.MODELS if not name.endswith(("-l", "-x", "-b"))])
def test_every_registered_lifter_is_counted_whole_and_without_numbers(name: str) -> None:
    frames = min(models.entry(name).frames)
    with torch.device("meta"):
        model = models.build(name, frames, 2, **({"depth": 2} if hasattr(models.preset(name), "depth") else {}))
    counted = fvcore.count(model, frames, 2)
    assert fvcore.without_formula(counted.uncounted) == []
    assert counted.counted_on == "meta"
    assert by_kind(counted)
