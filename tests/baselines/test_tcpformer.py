"""TCPFormer against what the authors' code computes (AsukaCamellia/TCPFormer, commit 4949a68).

In "tiny" the gains of the thirds are the published 1e-5, which hides their blocks below the tolerance; "tiny-parts" and
"tiny-long" have 0.3 in their place. "tiny-long" is built for 9 frames and run on 13.
"""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.attention import AttentionForm, SelfAttention
from baselines.metaformer import MetaFormerBlock
from baselines.tcpformer import (
    OFFICIAL_OPTIONS,
    PRESETS,
    Completion,
    CrossAttention,
    FusedWeights,
    ProxyAttention,
    ProxyLayer,
    TCPFormer,
    TCPFormerConfig,
    TwoStreamLayer,
    build,
    official_config,
)
from harness import contract
from harness.measurement import fvcore
from tests.baselines.golden import Golden

GOLDENS = ("tcpformer-tiny", "tcpformer-tiny-parts", "tcpformer-tiny-long")
PUBLISHED = PRESETS["published"]
SMALL = TCPFormerConfig(frames=6, dim=16, depth=1, representation_dim=8)


def golden_model(golden: Golden, attention: AttentionForm = "sdpa") -> TCPFormer:
    model = build(replace(official_config(golden.config), attention=attention))
    golden.load_into(model)
    return model


def parameter_count(config: TCPFormerConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in build(config).parameters())


def random_tokens(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
@pytest.mark.parametrize("name", GOLDENS)
def test_output_is_the_authors(name: str, attention: AttentionForm) -> None:
    golden = Golden(name)
    with torch.no_grad():
        output = golden_model(golden, attention)(golden.keypoints())
    np.testing.assert_allclose(output.numpy(), golden.output, rtol=0, atol=golden.tolerance)


@pytest.mark.parametrize("attention", ["sdpa", "explicit"])
@pytest.mark.parametrize("name", GOLDENS)
def test_input_gradient_is_the_authors(name: str, attention: AttentionForm) -> None:
    golden = Golden(name)
    expected = golden.arrays["grad_input"]
    gradient = golden.input_gradient(golden_model(golden, attention))
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("name", GOLDENS)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    golden = Golden(name)
    model = golden_model(golden)
    golden.input_gradient(model)
    idle = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert idle == set(golden.facts["unused_parameters"]) == set()


@pytest.mark.parametrize(
    ("frames", "expected"),
    [(243, 35_118_259), (81, 35_000_755), (27, 34_961_587), (9, 34_948_531)],
)
def test_parameter_counts_are_the_authors(frames: int, expected: int) -> None:
    assert parameter_count(replace(PUBLISHED, frames=frames)) == expected


@pytest.mark.parametrize("name", GOLDENS)
def test_golden_parameter_counts(name: str) -> None:
    golden = Golden(name)
    assert parameter_count(official_config(golden.config)) == golden.facts["params"]


@pytest.mark.parametrize("name", GOLDENS)
def test_multiply_accumulates_of_the_explicit_form_are_the_authors(name: str) -> None:
    golden = Golden(name)
    cost = fvcore.count(golden_model(golden, "explicit"), golden.facts["frames"], golden.facts["in_channels"])
    theirs = golden.facts["macs"]
    ours = cost.by_operator
    for operator in ("linear", "matmul"):
        assert ours[operator] == theirs["fvcore_by_operator"][operator]
    assert ours["linear"] + ours["matmul"] == theirs["torch_flop_counter"]
    # They norm the frames for the update and once more for the invocation; fvcore counts 5 for each number of a norm.
    once_more = 5 * golden.facts["frames"] * 17 * golden.config["dim_feat"] * golden.config["n_layers"]
    assert ours["layer_norm"] == theirs["fvcore_by_operator"]["layer_norm"] - once_more
    assert fvcore.without_formula(cost.uncounted) == []


@pytest.mark.parametrize("name", GOLDENS)
def test_multiply_accumulates_of_the_fused_form(name: str) -> None:
    """In place of the product of the attention maps, T P T, four products with D columns."""
    golden = Golden(name)
    model = golden_model(golden)
    frames = golden.facts["frames"]
    cost = fvcore.count(model, frames, golden.facts["in_channels"])
    config = model.config
    written_out = frames * config.proxies * frames
    from_the_right = 4 * frames * config.proxies * config.dim // config.heads
    saved = (written_out - from_the_right) * config.heads * config.joints * config.depth
    products = cost.by_operator["linear"] + cost.by_operator["attention"]
    assert products + saved == golden.facts["macs"]["torch_flop_counter"]
    assert fvcore.without_formula(cost.uncounted) == []


def test_every_official_name_of_the_published_preset_is_known() -> None:
    with torch.device("meta"):
        model = build(PUBLISHED)
    rows = Golden("tcpformer-tiny").facts["state"]
    one_layer = {re.sub(r"^(layers|temporal_layers)\.\d+", r"\1.{}", name) for name, _, _ in rows}
    theirs = {name.format(layer) for name in one_layer for layer in range(PUBLISHED.depth)}
    renamed = model.official_state({name: torch.empty(0) for name in theirs})
    assert set(renamed) == set(model.state_dict())
    assert len(renamed) == len(theirs)


def test_unknown_official_entries_stay_as_they_are() -> None:
    extra = {
        "layers.7.att_spatial.norm1.weight": torch.ones(1),
        "temporal_layers.0.local_norms.6.weight": torch.ones(1),
        "cross_temporal.att_weight": torch.ones(1),
    }
    assert set(build(SMALL).official_state(extra)) == set(extra)


def test_presets_are_the_authors_configurations() -> None:
    published = {**Golden("tcpformer-tiny").config, "n_layers": 16, "dim_feat": 128, "dim_rep": 512, "n_frames": 243}
    assert official_config(published) == PUBLISHED
    assert official_config({**published, "n_frames": 81}) == replace(PUBLISHED, frames=81)


def test_what_an_official_configuration_leaves_out_is_the_authors_default() -> None:
    config = official_config({"n_layers": 2, "dim_in": 2, "dim_feat": 32})
    assert config == TCPFormerConfig(in_channels=2, dim=32, depth=2, heads=4)


def test_every_official_option_reaches_the_field_it_is_said_to() -> None:
    values: dict[str, Any] = {
        "n_frames": 7, "dim_in": 2, "num_joints": 16, "dim_feat": 24, "n_layers": 3, "dim_rep": 9, "mlp_ratio": 3,
        "num_heads": 4, "qkv_bias": True, "qkv_scale": 0.3, "layer_scale_init_value": 0.5, "drop_path": 0.1,
        "drop": 0.2, "attn_drop": 0.3,
    }  # fmt: skip
    config = asdict(official_config(values))
    fields = {name: field for name, field in OFFICIAL_OPTIONS.items() if field is not None}
    assert {name: config[field] for name, field in fields.items()} == values
    assert set(Golden("tcpformer-tiny").config) == set(OFFICIAL_OPTIONS)


def test_official_options_without_effect_are_taken() -> None:
    tiny = Golden("tcpformer-tiny").config
    idle = {"neighbour_num": 4, "use_tcn": True, "graph_only": True, "use_temporal_similarity": False}
    assert official_config({**tiny, **idle, "temporal_connection_len": 2}) == official_config(tiny)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_layer": 2}, "unknown option 'n_layer'. Did you mean: n_layers"),
        ({"act_layer": "relu"}, "act_layer must be 'gelu', not 'relu'"),
        ({"dim_out": 6}, "dim_out must be 3, not 6"),
        ({"use_layer_scale": False}, "use_layer_scale must be True, not False"),
        ({"use_adaptive_fusion": False}, "use_adaptive_fusion must be True, not False"),
        ({"hierarchical": True}, "hierarchical must be False, not True"),
    ],
)
def test_official_configurations_that_cannot_be_built(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        official_config({**Golden("tcpformer-tiny").config, **options})


def test_an_official_configuration_needs_a_size() -> None:
    with pytest.raises(ValueError, match="missing option: n_layers, dim_feat"):
        official_config({"dim_in": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"frames": 2}, "frames must be at least 3, since 3 frames have one proxy, not 2"),
        ({"joints": 0}, "joints must be a whole number of at least 1, not 0"),
        ({"dim": 20}, "dim must be a multiple of heads=8, not 20"),
        ({"drop_path": 1.0}, "drop_path must be a probability"),
        ({"dropout": -0.1}, "dropout must be a probability"),
        ({"attention_dropout": 1.0}, "attention_dropout must be a probability"),
        ({"in_channels": 4}, "in_channels must be 2 (x, y) or 3 (x, y, confidence), not 4"),
        ({"attention": "flash"}, "unknown attention 'flash'"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must leave at least one channel"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SMALL, **options)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 6, 11])
def test_one_set_of_weights_takes_any_number_of_frames(frames: int) -> None:
    assert build(SMALL)(torch.zeros(1, frames, 17, 3)).shape == (1, frames, 17, 3)


def test_states_what_an_evaluation_must_know() -> None:
    assert (SMALL.other_frames, SMALL.target_space) == ("any", "image")


def test_keeps_the_harness_contract() -> None:
    findings = contract.check(build(replace(SMALL, layer_scale=0.3)), "tcpformer", frames=6, in_channels=3)
    assert [finding for finding in findings if not finding.holds] == []


def test_other_joints_and_channels_are_refused() -> None:
    with pytest.raises(ValueError, match=r"16 joints of 2 channels.*wanted \(batch, frames, 17, 3\)"):
        build(SMALL)(torch.zeros(1, 6, 16, 2))


@pytest.mark.parametrize(("frames", "proxies"), [(3, 1), (5, 1), (8, 2), (243, 81)])
def test_three_frames_have_one_proxy(frames: int, proxies: int) -> None:
    config = replace(SMALL, frames=frames)
    assert config.proxies == proxies
    assert build(config).proxies.shape == (proxies, 17, 16)


def test_the_fusion_weighs_space_first_by_its_first_share() -> None:
    layer = TwoStreamLayer(replace(SMALL, layer_scale=None)).eval()
    x = random_tokens(1, 6, 17, 16)
    with torch.no_grad():
        space_first = layer.space_first.along_time(layer.space_first.along_space(x))
        time_first = layer.time_first.along_space(layer.time_first.along_time(x))
        torch.testing.assert_close(layer(x), (space_first + time_first) / 2)
        layer.fusion.bias.copy_(torch.tensor([40.0, 0.0]))
        torch.testing.assert_close(layer(x), space_first)


@pytest.mark.parametrize(
    ("frames", "lengths"), [(6, (2, 2, 2)), (7, (3, 3, 1)), (8, (3, 3, 2)), (4, (2, 2)), (2, (1, 1)), (1, (1,))]
)
def test_each_third_passes_its_own_block(frames: int, lengths: tuple[int, ...]) -> None:
    layer = ProxyLayer(replace(SMALL, layer_scale=None)).eval()
    x = random_tokens(1, 17, frames, 16)
    with torch.no_grad():
        expected = [block(part) for block, part in zip(layer.thirds, x.split(lengths, dim=2), strict=False)]
        torch.testing.assert_close(layer._by_thirds(x), torch.cat(expected, dim=2))


def test_the_gains_of_the_thirds_are_neither_learned_nor_saved() -> None:
    layer = ProxyLayer(replace(SMALL, layer_scale=0.25))
    assert [name for name in layer.state_dict() if "thirds" in name and "scale" in name] == []
    gains = [gain for block in layer.thirds for gain in (block.mixer_scale, block.mlp_scale)]
    assert len(gains) == 6
    for gain in gains:
        assert not gain.requires_grad
        assert gain.tolist() == [0.25] * 16


def test_no_gains() -> None:
    model = build(replace(SMALL, layer_scale=None))
    assert [name for name, _ in model.named_parameters() if "scale" in name] == []
    with torch.no_grad():
        assert not torch.equal(model(random_tokens(1, 6, 17, 3)), build(SMALL)(random_tokens(1, 6, 17, 3)))


def test_routes_lead_from_frame_to_proxy_to_frame() -> None:
    """With the frames' own weights at no share, each frame gets the values along the product of the given maps."""
    attention = ProxyAttention(replace(SMALL, dim=8, heads=1, attention="explicit")).eval()
    from_proxies, from_frames = random_tokens(17, 1, 6, 2), random_tokens(17, 1, 2, 6, seed=1)
    frames = random_tokens(1, 17, 6, 8)
    with torch.no_grad():
        attention.share_logit.fill_(-40.0)
        values = frames @ attention.qkv.weight[16:].T
        expected = attention.projection((from_proxies @ from_frames)[:, 0] @ values[0])
        torch.testing.assert_close(attention(frames, from_proxies, from_frames)[0], expected)


def test_fresh_weights_are_spread_as_the_authors() -> None:
    torch.manual_seed(0)
    model = build(replace(PUBLISHED, frames=81, depth=2))
    assert model.proxies.std().item() == pytest.approx(1, rel=0.05)
    assert not model.position_embedding.any()
    assert not model.proxy_position_embedding.any()
    shares = [layer.proxy_attention.share_logit.item() for layer in model.proxy_layers]
    assert all(0 <= share < 1 for share in shares)
    assert shares[0] != shares[1]
    gains = [parameter for name, parameter in model.named_parameters() if name.endswith("_scale")]
    assert len(gains) == 2 * (4 * 2 + 4 * 2)  # four blocks of a two-stream layer, four of a proxy layer, two gains each
    assert {gain.unique().item() for gain in gains} == {torch.tensor(1e-5).item()}


def test_drop_path_and_dropouts_reach_every_block() -> None:
    model = build(replace(SMALL, drop_path=0.1, dropout=0.2, attention_dropout=0.3))
    blocks = [module for module in model.modules() if isinstance(module, MetaFormerBlock | Completion)]
    assert [block.drop_path.probability for block in blocks] == [0.1] * (4 + 3 + 3 + 1)
    attentions = [module for module in model.modules() if isinstance(module, SelfAttention)]
    assert [attention.attention_dropout for attention in attentions] == [0.3] * (4 + 3 + 1)
    dropouts = [module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)]
    assert dropouts == [0.2] * (11 + 11)  # attentions, MLPs


def test_dropped_weights_are_written_out_in_training_alone() -> None:
    """The proxies' attention maps are used twice, and the same entries must be missing."""
    attention = CrossAttention(replace(SMALL, attention_dropout=0.5))
    frames, proxies = random_tokens(1, 17, 6, 16), random_tokens(1, 17, 2, 16)
    _, weights = attention(proxies, frames)
    assert isinstance(weights, Tensor)
    assert 0.3 < (weights == 0).float().mean() < 0.7
    _, weights = attention.eval()(proxies, frames)
    assert isinstance(weights, FusedWeights)
    _, weights = CrossAttention(SMALL)(proxies, frames)
    assert isinstance(weights, FusedWeights)


def test_trains_with_every_dropout() -> None:
    model = build(replace(SMALL, layer_scale=0.3, drop_path=0.1, dropout=0.2, attention_dropout=0.3))
    model(random_tokens(2, 6, 17, 3)).square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters() if parameter.grad is not None)


def test_runs_in_mixed_precision() -> None:
    for attention in ("sdpa", "explicit"):
        model = build(replace(SMALL, attention=attention))
        with torch.autocast("cpu", torch.bfloat16):
            output = model(torch.randn(2, 6, 17, 3))
        output.float().sum().backward()
        assert torch.isfinite(output).all()
