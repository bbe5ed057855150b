"""The layers' rules against thop itself, against digits that papers print, and against the authors' code."""

from __future__ import annotations

import copy
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import models
from harness.measurement import thop
from harness.measurement.kind import KINDS
from harness.measurement.twin import unfused_attention

GOLDENS = Path(__file__).resolve().parents[2] / "goldens"


class Lifter(nn.Module):
    """The clip (B, T, J, C) reshaped to ``shape`` and through ``layers`` one after the other."""

    def __init__(self, shape: tuple[int, ...], *layers: nn.Module) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList(layers)

    def forward(self, clip: Tensor) -> Tensor:
        numbers = clip.reshape(self.shape)
        for layer in self.layers:
            given = layer(numbers)
            numbers = given[0] if isinstance(given, tuple) else given
        return numbers.reshape(1, 1, 1, -1)


def theirs(model: nn.Module, frames: int, in_channels: int) -> tuple[int, int]:
    oracle = pytest.importorskip("thop")
    with unfused_attention():
        macs, params = oracle.profile(copy.deepcopy(model), (torch.zeros(1, frames, 17, in_channels),), verbose=False)
    return int(macs), int(params)


def ours(model: nn.Module, frames: int, in_channels: int) -> tuple[int, int]:
    counted = thop.count(model, frames, in_channels)
    assert tuple(counted.by_kind) == tuple(KINDS)
    assert sum(counted.by_kind.values()) == counted.macs
    return counted.macs, counted.params


@pytest.fixture
def any_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights as the memory has them: drawing those of forty million parameters takes longer than counting."""
    for name in ("kaiming_uniform_", "xavier_uniform_", "uniform_", "trunc_normal_", "normal_"):
        monkeypatch.setattr(nn.init, name, lambda tensor, *_, **__: tensor)


@pytest.mark.usefixtures("any_weights")
@pytest.mark.parametrize("in_channels", [2, 3])
@pytest.mark.parametrize("name", models.MODELS)
def test_every_registered_lifter_as_thop_has_it(name: str, in_channels: int) -> None:
    """As wide as published; shallow and short, for thop computes a forward. At 9 frames and, where it must, its own."""
    entry = models.entry(name)
    frames = 9 if entry.answers == "every" and max(entry.frames) >= 9 else min(entry.frames)
    shallow = {"depth": 2} if hasattr(models.preset(name), "depth") else {}
    model = models.build(name, frames, in_channels, **shallow)
    assert ours(model, frames, in_channels) == theirs(model, frames, in_channels)


LAYERS: dict[str, tuple[tuple[int, ...], tuple[nn.Module, ...]]] = {
    # 4 x 17 x 8 numbers
    "linear without bias": ((4, 17, 8), (nn.Linear(8, 3, bias=False),)),
    "convolutions": ((4, 8, 17), (nn.Conv1d(8, 6, 3, stride=2, groups=2), nn.ConvTranspose1d(6, 4, 5, groups=2))),
    "convolution in the plane": ((1, 8, 4, 17), (nn.Conv2d(8, 8, 3, padding="same", groups=8),)),
    "convolution without batch": ((8, 68), (nn.Conv1d(8, 4, 3),)),
    "transposed convolution in space": ((1, 8, 4, 1, 17), (nn.ConvTranspose3d(8, 2, (1, 1, 3)),)),
    "norms": ((4, 8, 17), (nn.BatchNorm1d(8), nn.LayerNorm(17), nn.InstanceNorm1d(8))),
    "norms with and without parameters": (
        (4, 8, 17), (nn.BatchNorm1d(8, affine=False), nn.LayerNorm(17, elementwise_affine=False),
                     nn.InstanceNorm1d(8, affine=True)),
    ),
    "group norm": ((4, 8, 17), (nn.GroupNorm(2, 8),)),
    "batch norm of many": ((1, 8, 4, 17), (nn.BatchNorm2d(8), nn.SyncBatchNorm(8))),
    "softmax": ((4, 17, 8), (nn.Softmax(dim=1),)),
    "activations": ((4, 17, 8), (nn.PReLU(), nn.ReLU(), nn.LeakyReLU(), nn.ReLU6(), nn.GELU(), nn.Dropout(0.5))),
    "means": ((4, 8, 17), (nn.AvgPool1d(3), nn.AdaptiveAvgPool1d(2))),
    "mean over windows of unequal length": ((1, 8, 4, 17), (nn.AdaptiveAvgPool2d((3, 7)),)),
    "maxima": ((4, 8, 17), (nn.MaxPool1d(2), nn.AdaptiveMaxPool1d(3))),
    "padding and shuffling": ((1, 8, 4, 17), (nn.ZeroPad2d(1), nn.PixelShuffle(2))),
    "upsampling along time": ((4, 8, 17), (nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2, mode="linear"))),
    "upsampling of the plane": (
        (1, 8, 4, 17), (nn.UpsamplingNearest2d(scale_factor=2), nn.UpsamplingBilinear2d(scale_factor=2),
                        nn.Upsample(scale_factor=2, mode="bicubic")),
    ),
    "upsampling without a rule": ((1, 8, 4, 17), (nn.Upsample(scale_factor=2, mode="area"),)),
    "RNN": ((4, 17, 8), (nn.RNN(8, 5, num_layers=2, batch_first=True),)),
    "GRU in two directions": ((17, 4, 8), (nn.GRU(8, 5, num_layers=3, bidirectional=True, bias=False),)),
    "LSTM": ((17, 4, 8), (nn.LSTM(8, 5, bidirectional=True),)),
    "cells": ((68, 8), (nn.RNNCell(8, 5), nn.GRUCell(5, 6))),
    "LSTM cell": ((68, 8), (nn.LSTMCell(8, 5, bias=False),)),
    "attention of torch": ((4, 17, 8), (nn.TransformerEncoderLayer(8, 2, dim_feedforward=16),)),
    "a container within a container": ((4, 17, 8), (nn.Sequential(nn.Sequential(nn.Linear(8, 2)), nn.ReLU()),)),
    "a subclass has no rule": ((4, 17, 8), (type("Own", (nn.Linear,), {})(8, 3), nn.Linear(3, 3))),
    "a parametrized layer has no rule": ((4, 17, 8), (nn.utils.parametrizations.weight_norm(nn.Linear(8, 3)),)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", LAYERS)
def test_layers_as_thop_has_them(name: str) -> None:
    shape, layers = LAYERS[name]
    model = Lifter(shape, *layers)
    assert ours(model, 4, 8) == theirs(model, 4, 8)


class Shared(nn.Module):
    """One linear layer under two parents and called three times, and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.Linear(8, 8)
        self.first = nn.Sequential(layer, nn.ReLU())
        self.second = nn.Sequential(layer, layer)
        self.idle = nn.Linear(8, 100)
        self.offset = nn.Parameter(torch.zeros(8))

    def forward(self, clip: Tensor) -> Tensor:
        return self.second(self.first(clip)) + self.offset


def test_a_shared_layer_and_one_that_rests() -> None:
    assert ours(Shared(), 5, 8) == theirs(Shared(), 5, 8)
    counted = thop.count(Shared(), 5, 8)
    assert counted.macs == 2**2 * 3 * 5 * 17 * 8 * 8
    assert counted.params == 2 * 72
    assert counted.unseen == {"Linear": 900, "Shared": 8}


class Nested(nn.Linear):
    """A layer without a rule around one with a rule."""

    def __init__(self) -> None:
        super().__init__(8, 8)
        self.inner = nn.Linear(8, 2)

    def forward(self, clip: Tensor) -> Tensor:
        return self.inner(super().forward(clip))


def test_layers_inside_others() -> None:
    holder = nn.Dropout(0.5)  # has a rule, so what it holds is not looked at
    holder.add_module("inside", nn.Linear(8, 8))
    for model in (Nested(), Lifter((4, 17, 8), Nested(), holder), nn.Linear(8, 3), nn.Sequential(nn.Linear(8, 3))):
        assert ours(model, 4, 8) == theirs(model, 4, 8)
    # Of the outermost layer the operations count, and not the parameters.
    assert ours(nn.Linear(8, 3), 4, 8) == (4 * 17 * 8 * 3, 0)


def test_a_layer_called_by_the_name_of_its_argument() -> None:
    class Named(Lifter):
        def forward(self, clip: Tensor) -> Tensor:
            return self.layers[0](input=clip)

    assert ours(Named((), nn.Softmax(dim=-1)), 4, 8)[0] == 4 * 17 * (3 * 8 - 1)


def test_a_softmax_without_an_axis_is_counted_over_torchs_own() -> None:
    with pytest.warns(UserWarning, match="Implicit dimension"):
        assert ours(Lifter((4, 17, 8), nn.Softmax()), 4, 8)[0] == 17 * 8 * (3 * 4 - 1)


@pytest.mark.parametrize(
    ("name", "frames", "printed", "params"),
    [
        ("posemamba-s", 243, "3.587", 859_651),
        ("posemamba-b", 243, "13.943", 3_357_699),
        ("posemamba-l", 243, "27.881", 6_713_859),
        ("motionagformer-xs", 27, "1.024", None),
        ("motionagformer-s", 81, "6.601", None),
        ("motionagformer-b", 243, "48.301", None),
        ("motionagformer-l", 243, "78.314", None),
        ("motionbert", 243, "174.751", 42_333_197),
        ("mixste", 243, "139.038", 33_650_691),
    ],
)
def test_digits_of_the_papers(name: str, frames: int, printed: str, params: int | None) -> None:
    with torch.device("meta"):
        model = models.build(name, frames)
    counted = thop.count(model, frames, model.config.in_channels)  # type: ignore[union-attr, arg-type]
    assert f"{counted.macs / 1e9:.3f}" == printed
    assert params in (counted.params, None)
    assert counted.counted_on == "meta"


def test_the_smallest_posemamba_to_the_last_operation() -> None:
    assert thop.count(models.build("posemamba-s", 243), 243, 2).macs == 3_587_426_496


FAMILIES = {"dstformer": "baselines.motionbert", "posemamba": "posemamba"}
#: Ours runs without the auxiliary head that theirs runs too; ours norms less often.
OTHERWISE_BUILT = ("pstmo", "stridedtransformer", "tcpformer")


def goldens() -> list[str]:
    facts = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(GOLDENS.glob("*.json"))}
    return [
        name for name, golden in facts.items()
        if "thop" in (golden.get("macs") or {}) and golden["model"] not in OTHERWISE_BUILT
    ]  # fmt: skip


@pytest.mark.parametrize("name", goldens())
def test_the_authors_code_costs_the_same(name: str) -> None:
    golden: dict[str, Any] = json.loads((GOLDENS / f"{name}.json").read_text(encoding="utf-8"))
    family = importlib.import_module(FAMILIES.get(golden["model"], f"baselines.{golden['model']}"))
    model = family.build(family.official_config(golden["config"]))
    assert ours(model, golden["frames"], golden["in_channels"]) == (
        golden["macs"]["thop"], golden["macs"]["thop_params"],
    )  # fmt: skip


@pytest.mark.parametrize("name", ["pstmo-tiny", "stridedtransformer-tiny"])
def test_with_the_head_for_all_frames_the_strided_encoders_too(name: str) -> None:
    golden: dict[str, Any] = json.loads((GOLDENS / f"{name}.json").read_text(encoding="utf-8"))
    family = importlib.import_module(f"baselines.{golden['model']}")

    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lifter = family.build(family.official_config(golden["config"]))

        def forward(self, clip: Tensor) -> Tensor:
            return self.lifter(clip, auxiliary=True)[0]

    assert ours(WithHead(), 9, 2) == (golden["macs"]["thop"], golden["macs"]["thop_params"])


def test_kinds() -> None:
    layers = (nn.Linear(8, 8), nn.LayerNorm(8), nn.Softmax(dim=-1), nn.Conv1d(17, 17, 1), nn.PReLU())
    counted = thop.count(Lifter((4, 17, 8), *layers), 4, 8)
    numbers = 4 * 17 * 8
    assert counted.by_kind == {
        "projection": 8 * numbers,
        "attention": 4 * 17 * (3 * 8 - 1),
        "scan": 0,
        "convolution": 17 * numbers,
        "normalisation": 4 * numbers,
        "elementwise": numbers,
    }


def test_the_model_is_left_as_it_was() -> None:
    model = Shared().train()
    before = set(vars(model.first[0]))
    thop.count(model, 9, 8)
    assert model.training
    assert set(vars(model.first[0])) == before
    assert not any(module._forward_hooks for module in model.modules())
