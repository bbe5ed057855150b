"""The forward of a lifter at hand against a clock of the test's own."""

from __future__ import annotations

import math
from itertools import repeat

import pytest
import torch
from torch import Tensor, nn

from harness.measurement import inference
from tests.harness.measurement.fake_clock import FakeClock


class Constant(nn.Module):
    def __init__(self, clock: FakeClock, value: float, frames_out: int) -> None:
        super().__init__()
        self.clock, self.value, self.frames_out = clock, value, frames_out

    def forward(self, clips: Tensor) -> Tensor:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.clock.call()
        return torch.full((len(clips), self.frames_out, 17, 3), self.value)


@pytest.mark.parametrize(("frames_out", "frames_per_s"), [(27, 2 * 27 / 0.05), (1, 2 * 1 / 0.05)])
def test_frames_that_come_out_are_counted(frames_out: int, frames_per_s: float) -> None:
    clock = FakeClock(repeat(0.05))
    model = Constant(clock, 0.0, frames_out).train()
    found = inference.measure(model, 27, 2, batch_size=2, clock=clock)
    assert found.frames_per_s == pytest.approx(frames_per_s)
    assert found.call_ms == pytest.approx(50)
    assert (found.low_ms, found.high_ms) == pytest.approx((50, 50))
    assert found.quartiles_frames_per_s == pytest.approx([frames_per_s, frames_per_s])
    assert (found.verdict, found.calls_per_sample) == ("STABLE", 1)
    assert model.training


@pytest.mark.parametrize(
    ("duration_s", "value", "words"), [(0.05, math.nan, "not finite"), (0.0, 0.0, "clock"), (20.0, 0.0, "1 sample")]
)
def test_what_is_invalid_has_no_figures(duration_s: float, value: float, words: str) -> None:
    clock = FakeClock(repeat(duration_s))
    found = inference.measure(Constant(clock, value, 27), 27, 2, clock=clock)
    assert found.verdict == "INVALID"
    assert words in found.reason
    assert found.frames_per_s is None
    assert found.call_ms is None


def test_as_dict_is_plain_json() -> None:
    clock = FakeClock(repeat(0.05))
    stored = inference.measure(Constant(clock, 0.0, 27), 27, 2, clock=clock).as_dict()
    assert stored["quartiles_frames_per_s"] == pytest.approx([540.0, 540.0])
    assert stored["samples"] >= 30


class Wide(nn.Module):
    def forward(self, clips: Tensor) -> Tensor:
        return clips[..., :1].repeat(1, 1, 1, 3) + torch.ones(16 << 18).sum()


def test_peak_memory_of_a_model_at_hand() -> None:
    peak = inference.peak_memory_bytes(Wide(), 27, 2)
    assert peak is None or peak == pytest.approx(16 << 20, abs=2 << 20)
