"""PoseFormerV2 against what the authors' code computes (QitaoZhao/PoseFormerV2, commit 008036a)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import fft
from torch import nn

from baselines.attention import AttentionForm, SelfAttention
from baselines.poseformerv2 import (
    PRESETS,
    FrequencyMLP,
    PoseFormerV2,
    PoseFormerV2Config,
    TimeFrequencyBlock,
    build,
    cosine_transform,
    inverse_cosine_transform,
    official_config,
)
from harness.measurement import fvcore
from tests.baselines.golden import Golden

SMALL = PoseFormerV2Config(frames=9, dim=8, depth=2, heads=2, kept_frames=3, kept_coefficients=2)
#: T, F and N of the README's models.
PUBLISHED = ((27, 1, 3), (27, 3, 3), (81, 1, 3), (81, 3, 3), (81, 9, 9), (243, 27, 27))


@pytest.fixture
def golden() -> Golden:
    return Golden("poseformerv2-tiny")


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> PoseFormerV2:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def published(frames: int, kept_frames: int, kept_coefficients: int) -> PoseFormerV2Config:
    return replace(PRESETS["published"], frames=frames, kept_frames=kept_frames, kept_coefficients=kept_coefficients)


def parameter_count(config: PoseFormerV2Config) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


def keypoints(config: PoseFormerV2Config, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, config.frames, config.joints, config.in_channels, generator=generator)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_output_is_the_authors(golden: Golden, attention: AttentionForm) -> None:
    with torch.no_grad():
        output = golden_model(golden, attention)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_input_gradient_is_the_authors(golden: Golden, attention: AttentionForm) -> None:
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden, attention))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_all_parameters_get_a_gradient_as_the_authors_do(golden: Golden) -> None:
    model = golden_model(golden)
    golden.input_gradient(model)
    assert golden.facts["unused_parameters"] == []
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ((27, 1, 3), 14_354_649),
        ((27, 3, 3), 14_355_739),
        ((81, 1, 3), 14_354_649),
        ((81, 3, 3), 14_355_739),
        ((81, 9, 9), 14_362_279),
        ((243, 27, 27), 14_381_899),
    ],
)
def test_parameter_counts_are_the_authors(kept: tuple[int, int, int], expected: int) -> None:
    assert parameter_count(published(*kept)) == expected


def test_golden_parameter_count(golden: Golden) -> None:
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


def test_multiply_accumulates_are_the_authors_and_the_cosine_transforms(golden: Golden) -> None:
    """The authors' transform is a Fourier transform, which no counter counts; ours is a product of matrices."""
    theirs = golden.facts["macs"]
    counted = fvcore.count(golden_model(golden), golden.facts["frames"], in_channels=2).by_operator
    frames, frames_kept, coefficients, joints, dim, depth = 9, 3, 3, 17, 8, 2
    of_the_clip = coefficients * frames * joints * 2
    of_the_blocks = depth * 2 * frames_kept**2 * joints * dim  # there and back, for the second half of six tokens
    assert counted["matmul"] == of_the_clip + of_the_blocks == 5_814
    assert counted["linear"] + counted["conv"] + counted["attention"] == theirs["torch_flop_counter"]
    assert counted["layer_norm"] == theirs["fvcore_by_operator"]["layer_norm"]


def test_every_official_name_of_the_published_size_is_known(golden: Golden) -> None:
    with torch.device("meta"):
        model = build(PRESETS["published"])
    depth = PRESETS["published"].depth
    one_block = {re.sub(r"locks\.\d+", "locks.{}", name) for name, _, _ in golden.facts["state"]}
    theirs = {name.format(block) for name in one_block for block in range(depth)}
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"blocks.7.norm3.weight": torch.ones(1), "weighted_mean__.weight": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


@pytest.mark.parametrize("kept", PUBLISHED)
def test_published_models_are_the_authors_configurations(kept: tuple[int, int, int]) -> None:
    frames, kept_frames, kept_coefficients = kept
    theirs = {
        "num_frame": frames,
        "number_of_kept_frames": kept_frames,
        "number_of_kept_coeffs": kept_coefficients,
        "drop_path_rate": 0.1,
    }
    assert official_config(theirs) == published(*kept)


def test_what_an_official_configuration_leaves_out_is_the_authors_default() -> None:
    config = official_config({"num_frame": 81})
    assert (config.frames_kept, config.coefficients_kept) == (27, 27)
    assert (config.dim, config.depth, config.drop_path) == (32, 4, 0.2)


@pytest.mark.parametrize("missing", [None, 0])
def test_without_a_number_of_coefficients_as_many_are_kept_as_frames(missing: int | None) -> None:
    theirs = {"num_frame": 81, "number_of_kept_frames": 3, "number_of_kept_coeffs": missing}
    assert official_config(theirs).coefficients_kept == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"number_of_kept_coeff": 3}, "unknown option 'number_of_kept_coeff'. Did you mean: number_of_kept_coeffs"),
        ({"norm_layer": "batch"}, "norm_layer must be None, not 'batch'"),
    ],
)
def test_official_configurations_that_cannot_be_built(golden: Golden, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**golden.config, **options})


def test_an_official_configuration_needs_the_number_of_frames() -> None:
    with pytest.raises(ValueError, match="missing option: num_frame"):
        official_config({"depth": 4})


@pytest.mark.parametrize(
    ("frames", "kept"), [(1, 1), (8, 1), (9, 1), (18, 3), (27, 3), (36, 5), (81, 9), (243, 27), (351, 39)]
)
def test_a_ninth_is_kept_unless_told_otherwise(frames: int, kept: int) -> None:
    config = replace(PRESETS["published"], frames=frames)
    assert (config.frames_kept, config.coefficients_kept) == (kept, kept)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"dim": 9}, "dim must be a multiple of heads=2, not 9"),
        ({"kept_frames": 0}, "kept_frames must be a whole number of at least 1, not 0"),
        ({"kept_frames": 4}, "kept_frames must be odd, as many before the centre as after it, not 4"),
        ({"kept_frames": 11}, "kept_frames=11 needs at least as many frames, but frames=9"),
        ({"kept_coefficients": 0}, "kept_coefficients must be a whole number of at least 1, not 0"),
        ({"kept_coefficients": 10}, "kept_coefficients=10 needs at least as many frames, but frames=9"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


def test_other_frames_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"the input has 7 frames, but this lifter is tied to 9; build it with frames=7"
    ):
        build(SMALL)(torch.zeros(1, 7, 17, 2))


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, 9, 17, 2\)"):
        build(SMALL)(torch.zeros(1, 9, 16, 3))


@pytest.mark.parametrize(("frames", "in_channels", "joints"), [(3, 2, 17), (8, 3, 17), (12, 3, 16)])
def test_other_clips_can_be_built(frames: int, in_channels: int, joints: int) -> None:
    config = replace(SMALL, frames=frames, in_channels=in_channels, joints=joints)
    assert build(config)(keypoints(config)).shape == (2, 1, joints, 3)


def test_it_answers_for_the_centre_and_predicts_its_root() -> None:
    assert (SMALL.answers_for, SMALL.published_root) == ("centre", "predicted")


@pytest.mark.parametrize(
    ("frames", "kept", "central"), [(9, 3, slice(3, 6)), (9, 1, slice(4, 5)), (9, 9, slice(0, 9)), (8, 3, slice(2, 5))]
)
def test_frames_are_kept_around_the_centre(frames: int, kept: int, central: slice) -> None:
    assert replace(SMALL, frames=frames, kept_frames=kept).central_frames == central


def test_only_coefficients_carry_the_frames_that_are_not_kept() -> None:
    model = build(SMALL)
    torch.nn.init.zeros_(model.coefficient_embedding.weight)
    clips = keypoints(SMALL).requires_grad_()
    model(clips).square().sum().backward()
    assert clips.grad is not None
    assert clips.grad.abs().sum(dim=(0, 2, 3)).bool().tolist() == [False] * 3 + [True] * 3 + [False] * 3


@pytest.mark.parametrize("length", [1, 2, 3, 9, 27, 64, 243])
def test_the_cosine_transform_is_scipys(length: int) -> None:
    signal = np.random.default_rng(0).standard_normal((length, 5))
    matrix = cosine_transform(length).numpy()
    assert matrix.dtype == np.float64
    np.testing.assert_allclose(matrix @ signal, fft.dct(signal, type=2, axis=0), rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        inverse_cosine_transform(length).numpy() @ signal, fft.idct(signal, type=2, axis=0), rtol=0, atol=1e-12
    )


def test_the_models_transform_is_rounded_once() -> None:
    exact = cosine_transform(243)[:27]
    assert torch.equal(build(PoseFormerV2Config(dim=8, depth=1)).cosines, exact.float())


def test_the_frequency_mlp_works_on_scipys_coefficients() -> None:
    torch.manual_seed(0)
    mlp = FrequencyMLP(5, 8, 16).double()
    tokens = torch.randn(2, 5, 8, dtype=torch.float64)
    with torch.no_grad():
        hidden = mlp.activation(mlp.expand(torch.from_numpy(fft.dct(tokens.numpy(), axis=1))))
        expected = fft.idct(mlp.contract(hidden).numpy(), axis=1)
        np.testing.assert_allclose(mlp(tokens).numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("frames", "coefficients", "plain"), [(1, 3, 2), (3, 3, 3), (3, 2, 2), (5, 1, 3)])
def test_the_first_half_of_the_tokens_goes_through_the_plain_mlp(frames: int, coefficients: int, plain: int) -> None:
    torch.manual_seed(0)
    config = replace(SMALL, joints=1, kept_frames=frames, kept_coefficients=coefficients)
    block = TimeFrequencyBlock(config, drop_path=0.0)
    torch.nn.init.zeros_(block.mixer.projection.weight)
    torch.nn.init.zeros_(block.mixer.projection.bias)
    tokens = torch.randn(2, frames + coefficients, 8)
    first, rest = tokens[:, :plain], tokens[:, plain:]
    with torch.no_grad():
        changed = block(tokens)
        torch.testing.assert_close(changed[:, :plain], first + block.plain_mlp(block.plain_norm(first)))
        torch.testing.assert_close(changed[:, plain:], rest + block.frequency_mlp(block.frequency_norm(rest)))


def test_clips_do_not_influence_each_other_and_stay_as_they_are() -> None:
    model = build(SMALL).eval()
    clips = keypoints(SMALL, batch=3)
    before = clips.clone()
    with torch.no_grad():
        torch.testing.assert_close(model(clips)[1:2], model(clips[1:2]))
    assert torch.equal(clips, before)


def test_attention_is_as_configured_in_every_block() -> None:
    config = replace(SMALL, qkv_bias=False, attention_scale=0.25, attention_dropout=0.1, attention="explicit")
    attentions = [module for module in build(config).modules() if isinstance(module, SelfAttention)]
    assert len(attentions) == 2 * config.depth
    for attention in attentions:
        assert attention.qkv.bias is None
        assert (attention.scale, attention.attention_dropout, attention.form) == (0.25, 0.1, "explicit")


def test_dropout_is_everywhere_as_configured() -> None:
    """After the positions of joints, in the attention's projection and in the MLPs: two in a temporal block."""
    dropouts = [module.p for module in build(replace(SMALL, dropout=0.1)).modules() if isinstance(module, nn.Dropout)]
    assert dropouts == [0.1] * (1 + (2 + 3) * SMALL.depth)


def test_drop_path_grows_from_block_to_block() -> None:
    model = build(replace(SMALL, depth=3, drop_path=0.2))
    for blocks in (model.spatial_blocks, model.temporal_blocks):
        assert [block.get_submodule("drop_path").probability for block in blocks] == pytest.approx([0, 0.1, 0.2])


def test_fresh_positions_are_zero() -> None:
    model = build(SMALL)
    assert not model.frame_position.any()
    assert not model.coefficient_position.any()


def test_the_cosine_transform_is_not_in_checkpoints() -> None:
    assert [name for name in build(SMALL).state_dict() if "cosines" in name or "inverse" in name] == []


def test_runs_in_mixed_precision() -> None:
    model = build(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(keypoints(SMALL))
    output.float().sum().backward()
    assert torch.isfinite(output).all()


def test_in_double_precision_it_is_as_exact_as_its_rounded_transform() -> None:
    golden = Golden("poseformerv2-tiny")
    with torch.no_grad():
        output = golden_model(golden).double()(golden.keypoints().double())
    assert output.dtype == torch.float64
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)
