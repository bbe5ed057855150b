"""KTPFormer against what the authors' code computes (JihuaPeng/KTPFormer, commit b961951)."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.attention import AttentionForm
from baselines.ktpformer import (
    OFFICIAL_OPTIONS,
    PARENTS,
    PRESETS,
    KTPFormer,
    KTPFormerConfig,
    ModulatedGraphConvolution,
    TrajectoryPrior,
    build,
    official_config,
    topology,
)
from harness.measurement import fvcore
from tests.baselines.golden import Golden

TINY = "ktpformer-tiny"
SMALL = KTPFormerConfig(frames=5, dim=16, depth=1, heads=4)


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> KTPFormer:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: KTPFormerConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_output_is_the_authors(attention: AttentionForm) -> None:
    golden = Golden(TINY)
    with torch.no_grad():
        output = golden_model(golden, attention)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_input_gradient_is_the_authors(attention: AttentionForm) -> None:
    golden = Golden(TINY)
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden, attention))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


def test_every_parameter_has_a_gradient_as_the_authors_do() -> None:
    golden = Golden(TINY)
    model = golden_model(golden)
    golden.input_gradient(model)
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert idle == set(golden.facts["unused_parameters"]) == set()


def test_the_input_stays_as_it_was() -> None:
    golden = Golden(TINY)
    keypoints = golden.keypoints()
    golden_model(golden).train()(keypoints).sum().backward()
    np.testing.assert_array_equal(keypoints.numpy(), golden.arrays["input"])


@pytest.mark.parametrize(("frames", "expected"), [(243, 35_213_430), (81, 34_859_622), (27, 34_765_014)])
def test_parameter_counts_are_the_authors(frames: int, expected: int) -> None:
    assert parameter_count(replace(PRESETS["published"], frames=frames)) == expected


def test_golden_parameter_count() -> None:
    golden = Golden(TINY)
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
def test_multiply_accumulates_are_the_authors_without_the_diagonals(attention: AttentionForm) -> None:
    """They multiply by each graph's diagonal as a full matrix, we by its numbers alone."""
    golden = Golden(TINY)
    frames, joints, dim = 9, 17, 16
    cost = fvcore.count(golden_model(golden, attention), frames=frames, in_channels=2)
    products = sum(macs for name, macs in cost.by_operator.items() if not name.endswith("norm"))
    diagonals = (frames * joints**2 + 2 * joints * frames**2) * dim
    assert products == golden.facts["macs"]["torch_flop_counter"] - diagonals
    assert fvcore.without_formula(cost.uncounted) == []


def test_every_official_name_of_the_published_preset_is_known() -> None:
    with torch.device("meta"):
        model = build(PRESETS["published"])
    tiny = {re.sub(r"^(.TEblocks)\.\d+", r"\1.{}", name) for name, _, _ in Golden(TINY).facts["state"]}
    theirs = {name.format(stage) for name in tiny for stage in range(PRESETS["published"].depth)}
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {"STEblocks.7.norm1.weight": torch.ones(1), "kpattention.norm1.weight": torch.ones(1)}
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_the_preset_is_the_authors_configuration() -> None:
    """run_ktpformer.py with the defaults of common/arguments.py."""
    theirs = {"num_frame": 243, "embed_dim_ratio": 512, "depth": 7, "drop_path_rate": 0.1}
    assert official_config(theirs) == PRESETS["published"]


def test_what_an_official_configuration_leaves_out_is_the_authors_default() -> None:
    expected = KTPFormerConfig(
        frames=9, in_channels=2, dim=32, depth=4, heads=8, mlp_ratio=2.0, drop_path=0.2, parents=PARENTS
    )
    assert official_config({}) == expected


def test_every_official_option_sets_its_field() -> None:
    options = {
        "num_frame": 7, "num_joints": 3, "in_chans": 3, "embed_dim_ratio": 24, "depth": 3, "num_heads": 4,
        "mlp_ratio": 3.0, "qkv_bias": False, "qk_scale": 0.5, "drop_rate": 0.1, "attn_drop_rate": 0.2,
        "drop_path_rate": 0.3, "adj_parents": (-1, 0, 0),
    }  # fmt: skip
    assert official_config(options) == KTPFormerConfig(
        frames=7, joints=3, in_channels=3, dim=24, depth=3, heads=4, mlp_ratio=3.0, qkv_bias=False,
        attention_scale=0.5, dropout=0.1, attention_dropout=0.2, drop_path=0.3, parents=(-1, 0, 0),
    )  # fmt: skip
    assert OFFICIAL_OPTIONS.keys() == {*options, "norm_layer"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adj_parent": PARENTS}, "unknown option 'adj_parent'. Did you mean: adj_parents"),
        ({"norm_layer": "BatchNorm"}, "norm_layer must be None, not 'BatchNorm'"),
        ({"adj_parents": [-1, 0]}, "parents must name 17 joints, as many as joints, not 2"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**Golden(TINY).config, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"joints": 16}, "parents must name 16 joints, as many as joints, not 17"),
        ({"parents": (17, *PARENTS[1:])}, "parents must name other joints, or -1 for none, not 17 for joint 0"),
        ({"parents": (*PARENTS[:-1], -2)}, "parents must name other joints, or -1 for none, not -2 for joint 16"),
        ({"parents": (0, *PARENTS[1:])}, "parents must name other joints, or -1 for none, not 0 for joint 0"),
        ({"depth": 0}, "depth must be a whole number of at least 1, not 0"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


@pytest.mark.parametrize("in_channels", [2, 3])
@pytest.mark.parametrize("frames", [1, 4, 31])
def test_any_number_of_frames_can_be_built(frames: int, in_channels: int) -> None:
    model = build(replace(SMALL, frames=frames, in_channels=in_channels))
    output = model(torch.zeros(2, frames, 17, in_channels))
    assert output.shape == (2, frames, 17, 3)
    assert torch.isfinite(output).all()


def test_other_skeletons_can_be_built() -> None:
    model = build(replace(SMALL, joints=3, parents=(-1, 0, 0)))
    assert model(torch.zeros(2, 5, 3, 2)).shape == (2, 5, 3, 3)


def test_other_frames_are_refused_with_the_remedy() -> None:
    with pytest.raises(
        ValueError, match=r"the input has 7 frames, but this lifter is tied to 5; build it with frames=7"
    ):
        build(SMALL)(torch.zeros(1, 7, 17, 2))


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 3 channels.*wanted \(batch, 5, 17, 2\)"):
        build(SMALL)(torch.zeros(1, 5, 16, 3))


def test_clips_do_not_influence_each_other() -> None:
    golden = Golden(TINY)
    model, keypoints = golden_model(golden), golden.keypoints()
    with torch.no_grad():
        torch.testing.assert_close(model(keypoints[1:]), model(keypoints)[1:], rtol=0, atol=golden.tolerance)


def test_edges_of_a_tree() -> None:
    """A chain of three with a node apart: rows share 1 among the neighbours, and 1 goes to the node itself."""
    expected = [[1.0, 1.0, 0.0, 0.0], [0.5, 1.0, 0.5, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    assert topology((-1, 0, 1, -1)).tolist() == expected


def test_frames_are_linked_to_the_frames_beside_them() -> None:
    chain = build(SMALL).get_buffer("trajectory_block.prior.first.convolution.fixed_edges")
    linked = [[abs(later - frame) <= 1 for later in range(5)] for frame in range(5)]
    assert (chain > 0).tolist() == linked


def test_graph_convolution_is_the_sum_over_edges() -> None:
    torch.manual_seed(0)
    convolution = ModulatedGraphConvolution(2, 4, topology((-1, 0, 0)))
    with torch.no_grad():
        for parameter in convolution.parameters():
            parameter.normal_()
        nodes = torch.randn(5, 3, 2)
        edges = convolution.fixed_edges + convolution.learned_edges
        expected = convolution.bias.repeat(5, 3, 1)
        for node in range(3):
            for sender in range(3):
                edge = (edges[node, sender] + edges[sender, node]) / 2
                message = nodes[:, sender] @ convolution.weight[0 if node == sender else 1]
                expected[:, node] += edge * convolution.modulation[sender] * message
        torch.testing.assert_close(convolution(nodes), expected)


def test_trajectory_prior_has_a_shortcut() -> None:
    prior = TrajectoryPrior(4, topology((-1, 0, 1))).eval()
    with torch.no_grad():
        prior.second.batch_norm.bias.fill_(-1000.0)  # nothing passes the ReLU
        nodes = torch.randn(2, 3, 4)
        torch.testing.assert_close(prior(nodes), nodes)


def test_fresh_graph_convolutions_begin_as_the_authors() -> None:
    torch.manual_seed(0)
    convolution = ModulatedGraphConvolution(64, 64, topology(PARENTS))
    bound = 1.414 * math.sqrt(6 / ((64 + 2) * 64))
    assert 0.95 * bound < convolution.weight.abs().max() <= bound
    assert -1 / 8 <= convolution.bias.min() < -0.9 / 8
    assert 0.9 / 8 < convolution.bias.max() <= 1 / 8
    assert torch.equal(convolution.modulation, torch.ones(17, 64))
    assert torch.equal(convolution.learned_edges, torch.full((17, 17), 1e-6))


def test_the_first_stage_has_no_drop_path_and_positions_at_zero() -> None:
    model = build(replace(PRESETS["published"], frames=3, dim=16))
    for first in (model.kinematic_block, model.trajectory_block):
        assert first.block.drop_path.probability == 0
        assert not first.position.any()
    rates = [block.get_submodule("drop_path").probability for block in model.transformer.spatial_blocks]
    assert rates == pytest.approx([0.1 * stage / 7 for stage in range(1, 8)])


def test_positions_come_before_dropout() -> None:
    torch.manual_seed(0)
    model = build(replace(SMALL, dropout=0.9))
    seen: list[torch.Tensor] = []
    model.kinematic_block.block.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model.kinematic_block.position.fill_(100.0)
        model(torch.randn(1, 5, 17, 2))
    assert (seen[0] == 0).float().mean() > 0.8
    assert seen[0].max() > 900


def test_norms_of_the_first_stage_are_the_authors() -> None:
    block = build(SMALL).kinematic_block.block
    assert (block.mixer_norm.eps, block.mlp_norm.eps) == (1e-5, 1e-6)


def test_the_root_is_scored_as_predicted() -> None:
    assert PRESETS["published"].published_root == "predicted"


def test_runs_in_mixed_precision() -> None:
    model = build(SMALL)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(torch.randn(2, 5, 17, 2))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
