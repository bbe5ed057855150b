"""The rules of other counters by hand, and against figures that were printed with them."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from harness import models
from harness.measurement import other_counters, thop


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(17, 4, 1), nn.BatchNorm1d(4), nn.LeakyReLU(), nn.LayerNorm(8), nn.Linear(8, 2), nn.GELU(),
            nn.Softmax(dim=-1),
        )  # fmt: skip

    def forward(self, clip: Tensor) -> Tensor:
        return self.layers(clip[0])[None]


def test_by_hand() -> None:
    """T = 5 frames of 17 joints, each of 8 channels; 4 channels of 8 numbers after the convolution."""
    convolution, linear = 5 * 4 * 8 * (17 + 1), 5 * 4 * 8 * 2
    older = thop.count(Layers(), 5, 8, rules=other_counters.THOP_0_0_31)
    assert older.macs == convolution + 2 * 5 * 4 * 8 + 5 * 4 * 8 + linear
    assert older.params == 17 * 4 + 4 + 2 * 4 + 8 * 2 + 2
    assert older.unseen == {"LayerNorm": 16}
    ptflops = thop.count(Layers(), 5, 8, rules=other_counters.PTFLOPS_0_6_9)
    assert ptflops.macs == convolution + 2 * 5 * 4 * 8 + 5 * 4 * 8 + linear + 2 + 5 * 4 * 2


@pytest.mark.parametrize(
    ("name", "frames", "printed_m", "cut_off"),
    [
        ("stcformer", 27, 2_173, False),
        ("stcformer", 81, 6_520, False),
        ("stcformer", 243, 19_561, False),
        ("stcformer-l", 243, 78_107, False),
        ("mixste", 27, 15_402, True),
        ("mixste", 81, 46_208, False),
        ("mixste", 243, 138_623, True),
        ("mhformer", 81, 1_561, False),
        ("mhformer", 243, 4_812, False),
    ],
)
def test_the_comparison_in_stcformers_paper(name: str, frames: int, printed_m: int, cut_off: bool) -> None:
    macs = thop.count(models.build(name, frames), frames, 2, rules=other_counters.THOP_0_0_31).macs
    assert (macs // 10**6 if cut_off else round(macs / 1e6)) == printed_m


@pytest.mark.parametrize(
    ("frames", "kept_frames", "kept_coefficients", "printed_m"),
    [(27, 1, 3, "77.2"), (27, 3, 3, "117.3"), (81, 9, 9, "351.7"), (243, 27, 27, "1054.8")],
)
def test_poseformerv2s_own_figures(frames: int, kept_frames: int, kept_coefficients: int, printed_m: str) -> None:
    model = models.build("poseformerv2", frames, kept_frames=kept_frames, kept_coefficients=kept_coefficients)
    flops = 2 * thop.count(model, frames, 2, rules=other_counters.PTFLOPS_0_6_9).macs
    assert f"{flops / 1e6:.1f}" == printed_m
