"""What StridedTransformer and P-STMO share: norm, strides, layers, fresh weights, and the lifter around them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines import pstmo, stridedtransformer
from baselines.strided_encoder import (
    EncoderLayer,
    FeedForward,
    ManyToOneConfig,
    ManyToOneLifter,
    StridedEncoder,
    StridedFeedForward,
    UnbiasedLayerNorm,
    VanillaEncoder,
    most_equal_strides,
)

SMALL = ManyToOneConfig(frames=27, dim=16, depth=2)
FAMILIES = (
    stridedtransformer.StridedTransformerConfig(frames=9, dim=16, depth=2),
    pstmo.PSTMOConfig(frames=9, dim=16, depth=2),
)
each_family = pytest.mark.parametrize("config", FAMILIES, ids=["stridedtransformer", "pstmo"])


def build(config: ManyToOneConfig) -> ManyToOneLifter:
    if isinstance(config, pstmo.PSTMOConfig):
        return pstmo.build(config)
    assert isinstance(config, stridedtransformer.StridedTransformerConfig)
    return stridedtransformer.build(config)


def clips(frames: int = 9, channels: int = 2, batch: int = 2) -> Tensor:
    return torch.randn(batch, frames, 17, channels, generator=torch.Generator().manual_seed(0))


def test_norm_divides_by_the_unbiased_deviation_and_adds_epsilon_to_it() -> None:
    norm = UnbiasedLayerNorm(5).double()
    tokens = torch.randn(3, 4, 5, dtype=torch.float64) * 1e-6  # so small that epsilon counts
    values = tokens.numpy()
    with torch.no_grad():
        norm.gain.copy_(torch.arange(5))
        norm.offset.copy_(torch.arange(5) * 2)
        normed = norm(tokens).numpy()
    deviation = values.std(axis=-1, ddof=1, keepdims=True)
    expected = np.arange(5) * (values - values.mean(axis=-1, keepdims=True)) / (deviation + 1e-6) + np.arange(5) * 2
    np.testing.assert_allclose(normed, expected, rtol=1e-12, atol=1e-12)


def test_norm_of_equal_channels_has_a_gradient() -> None:
    tokens = torch.ones(1, 2, 4, requires_grad=True)
    UnbiasedLayerNorm(4)(tokens).square().sum().backward()
    assert tokens.grad is not None
    assert torch.isfinite(tokens.grad).all()


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (1, (1, 1, 1)),
        (7, (1, 1, 7)),
        (9, (1, 3, 3)),
        (16, (2, 2, 4)),
        (27, (3, 3, 3)),
        (36, (3, 3, 4)),
        (81, (3, 3, 9)),
        (243, (3, 9, 9)),
        (351, (3, 9, 13)),
    ],
)
def test_most_equal_strides(frames: int, expected: tuple[int, ...]) -> None:
    assert most_equal_strides(frames) == expected


def test_most_equal_strides_reduce_any_clip_exactly() -> None:
    for frames in range(1, 130):
        strides = most_equal_strides(frames)
        assert math.prod(strides) == frames
        assert list(strides) == sorted(strides)


def test_a_strided_layer_keeps_the_first_frame_of_each_stride() -> None:
    layer = EncoderLayer(SMALL, nn.Identity(), StridedFeedForward(16, 32, 3, 0.0), stride=3).eval()
    tokens = torch.randn(2, 8, 16)
    with torch.no_grad():
        nn.init.zeros_(layer.feed_forward.contract.weight)
        nn.init.zeros_(layer.feed_forward.contract.bias)
        attended = tokens + layer.attention_norm(tokens)
        torch.testing.assert_close(layer(tokens), attended[:, [0, 3, 6]])


@pytest.mark.parametrize(("stride", "seen"), [(1, [3, 4, 5]), (3, [2, 3, 4]), (4, [3, 4, 5])])
def test_a_strided_feed_forward_sees_three_frames_around_each_kept_one(stride: int, seen: list[int]) -> None:
    """The kept frame is 4 with strides 1 and 4, and 3 with stride 3."""
    torch.manual_seed(0)
    feed_forward = StridedFeedForward(4, 64, stride, 0.0)
    tokens = torch.randn(1, 9, 4, requires_grad=True)
    feed_forward(tokens)[0, 4 // stride].sum().backward()
    assert tokens.grad is not None
    assert tokens.grad[0].abs().sum(dim=-1).nonzero().flatten().tolist() == seen


class Nothing(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return torch.zeros_like(tokens)


@pytest.mark.parametrize("branches", [(nn.Identity(), Nothing()), (Nothing(), nn.Identity())])
def test_each_branch_is_dropped_in_training_only(branches: tuple[nn.Module, nn.Module]) -> None:
    torch.manual_seed(0)
    layer = EncoderLayer(replace(SMALL, dropout=0.5), *branches)
    tokens = torch.randn(8, 9, 16)
    unchanged = layer(tokens) == tokens
    assert 0.4 < unchanged.float().mean() < 0.6
    assert not (layer.eval()(tokens) == tokens).any()


@pytest.mark.parametrize("strided", [False, True])
def test_hidden_channels_are_dropped_in_training_only(strided: bool) -> None:
    feed_forward = StridedFeedForward(4, 64, 3, 0.5) if strided else FeedForward(4, 64, 0.5)
    tokens = torch.randn(1, 9, 4)
    assert not torch.equal(feed_forward(tokens), feed_forward(tokens))
    assert torch.equal(feed_forward.eval()(tokens), feed_forward(tokens))


def test_only_the_first_three_strided_layers_have_a_position() -> None:
    encoder = StridedEncoder(replace(SMALL, frames=16, strides=(2, 2, 2, 2)))
    encoder(torch.randn(1, 16, 16)).square().sum().backward()
    for index, frames in ((1, 16), (2, 8), (3, 4)):
        gradient = encoder.get_parameter(f"position_embedding_{index}").grad
        assert gradient is not None
        assert gradient[0].abs().sum(dim=-1).nonzero().flatten().tolist() == list(range(frames))


def test_fresh_layers_are_copies_as_in_the_authors_code() -> None:
    vanilla, strided = VanillaEncoder(SMALL), StridedEncoder(SMALL)
    for encoder in (vanilla, strided):
        attention = {
            tuple(parameter.flatten().tolist())
            for name, parameter in encoder.named_parameters()
            if ".attention." in name and name.endswith("weight")
        }
        assert len(attention) == 1
    expand = "feed_forward.expand.weight"
    assert torch.equal(vanilla.layers[0].get_parameter(expand), vanilla.layers[1].get_parameter(expand))
    assert not torch.equal(strided.layers[0].get_parameter(expand), strided.layers[1].get_parameter(expand))
    assert not torch.equal(vanilla.layers[0].get_parameter("attention.query.weight"),
                           strided.layers[0].get_parameter("attention.query.weight"))  # fmt: skip
    for name, parameter in [*vanilla.named_parameters(), *strided.named_parameters()]:
        if "position_embedding" in name:
            assert parameter.std().item() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"depth": True}, "depth must be a whole number"),
        ({"joints": 0}, "joints must be a whole number"),
        ({"dim": 20}, "dim must be a multiple of heads=8, and at least 2, not 20"),
        ({"dim": 1, "heads": 1}, "at least 2, not 1"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must leave at least one channel, not 0.0 of 16"),
        ({"dropout": 1.0}, "dropout must be a probability"),
        ({"attention_dropout": -0.1}, "attention_dropout must be a probability"),
        ({"embedding_dropout": 2}, "embedding_dropout must be a probability"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"strides": (3, 0)}, "each of strides must be a whole number of at least 1, not 0"),
        ({"strides": (3, 2)}, "strides=(3, 2) leave 2 of 9 frames"),
        ({"strides": ()}, "strides=() leave 9 of 9 frames"),
        ({"strides": (2, 4)}, "use strides whose product is 9, at most 8 frames, or strides=None"),
    ],
)
@each_family
def test_bad_options_are_named(config: ManyToOneConfig, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(config, **options)


@each_family
def test_strides_from_a_list_are_the_same_configuration(config: ManyToOneConfig) -> None:
    listed: Any = [3, 3]
    assert replace(config, strides=listed) == replace(config, strides=(3, 3))
    assert hash(replace(config, strides=listed)) == hash(replace(config, strides=(3, 3)))


@each_family
@pytest.mark.parametrize(("frames", "strides"), [(1, None), (7, None), (16, None), (27, (3, 3, 3)), (25, (3, 3, 3)),
                                                 (12, (3, 4)), (16, (2, 2, 2, 2))])  # fmt: skip
def test_any_number_of_frames_becomes_one(
    config: ManyToOneConfig, frames: int, strides: tuple[int, ...] | None
) -> None:
    model = build(replace(config, frames=frames, strides=strides)).eval()
    with torch.no_grad():
        output, whole = model(clips(frames), auxiliary=True)
    assert output.shape == (2, 1, 17, 3)
    assert whole.shape == (2, frames, 17, 3)


@each_family
def test_other_frames_joints_and_channels_are_refused(config: ManyToOneConfig) -> None:
    model = build(config)
    with pytest.raises(ValueError, match=r"the input has 7 frames, but this lifter is tied to 9; build it with"):
        model(clips(7))
    with pytest.raises(ValueError, match=r"17 joints of 3 channels.*wanted \(batch, 9, 17, 2\)"):
        model(clips(9, channels=3))


@each_family
def test_confidence_can_be_read(config: ManyToOneConfig) -> None:
    model = build(replace(config, in_channels=3)).eval()
    keypoints = clips(channels=3).requires_grad_()
    output = model(keypoints)
    output.square().sum().backward()
    assert output.shape == (2, 1, 17, 3)
    assert keypoints.grad is not None
    assert keypoints.grad[..., 2].abs().min() > 0


@each_family
def test_other_numbers_of_joints_are_lifted(config: ManyToOneConfig) -> None:
    model = build(replace(config, joints=5)).eval()
    assert model(clips()[:, :, :5]).shape == (2, 1, 5, 3)


@each_family
def test_the_output_is_the_same_with_and_without_the_auxiliary_one(config: ManyToOneConfig) -> None:
    model = build(config).eval()
    with torch.no_grad():
        assert torch.equal(model(clips()), model(clips(), auxiliary=True)[0])


@each_family
def test_clips_do_not_influence_each_other_and_the_input_stays(config: ManyToOneConfig) -> None:
    model = build(config).eval()
    keypoints = clips(batch=3)
    before = keypoints.clone()
    with torch.no_grad():
        torch.testing.assert_close(model(keypoints)[1:2], model(keypoints[1:2]))
    assert torch.equal(keypoints, before)


@each_family
def test_both_forms_of_attention_agree_in_training_without_dropout(config: ManyToOneConfig) -> None:
    still = replace(config, dropout=0.0, attention_dropout=0.0, embedding_dropout=0.0)
    model, explicit = build(still), build(replace(still, attention="explicit"))
    explicit.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(clips()), explicit(clips()), rtol=0, atol=1e-4)


@each_family
@pytest.mark.parametrize("only", ["dropout", "attention_dropout", "embedding_dropout"])
def test_each_dropout_acts_in_training_only(config: ManyToOneConfig, only: str) -> None:
    rates = {"dropout": 0.0, "attention_dropout": 0.0, "embedding_dropout": 0.0, only: 0.5}
    model = build(replace(config, **rates))  # type: ignore[arg-type]
    with torch.no_grad():
        assert not torch.equal(model(clips()), model(clips()))
        assert torch.equal(model.eval()(clips()), model(clips()))


@each_family
def test_states_what_the_harness_must_know(config: ManyToOneConfig) -> None:
    assert config.answers_for == "centre"
    assert config.auxiliary


@each_family
def test_unknown_official_entries_stay_as_they_are(config: ManyToOneConfig) -> None:
    extra = {"Transformer.model.layers.7.self_attn.linears.0.weight": torch.ones(1), "fcn_2.0.weight": torch.ones(1)}
    assert set(build(config).official_state(extra)) == set(extra)


@each_family
def test_runs_in_mixed_precision(config: ManyToOneConfig) -> None:
    model = build(config)
    with torch.autocast("cpu", torch.bfloat16):
        output, whole = model(clips(), auxiliary=True)
    (output.float().sum() + whole.float().square().sum()).backward()
    assert torch.isfinite(output).all()
    assert torch.isfinite(whole).all()


@each_family
def test_runs_in_double_precision(config: ManyToOneConfig) -> None:
    model = build(config).eval()
    with torch.no_grad():
        single = model(clips())
        torch.testing.assert_close(model.double()(clips().double()).float(), single, rtol=0, atol=1e-4)
