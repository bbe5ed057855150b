"""Presets, ranges and names of posemamba.config."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from posemamba import PRESETS, PoseMambaConfig, official_config


def test_presets_are_those_of_the_paper() -> None:
    sizes = {name: (preset.dim, preset.depth) for name, preset in PRESETS.items()}
    published = {"s": (64, 10), "b": (128, 10), "l": (128, 20), "x": (256, 20)}
    assert sizes == {"xs": (48, 4), **published, "causal": sizes["s"], "causal-xs": sizes["xs"]}
    for name in "sblx":
        assert (PRESETS[name].frames, PRESETS[name].in_channels, PRESETS[name].joints) == (243, 2, 17)
        assert (PRESETS[name].drop_path, PRESETS[name].mlp_ratio, PRESETS[name].state_dim) == (0.2, 2, 16)
        assert (PRESETS[name].scan, PRESETS[name].limb_order) == ("global-local", "authors")
        assert PRESETS[name].scan_gradient == "exact"


def test_config_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        PRESETS["s"].dim = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"frames": 0}, "frames must be a whole number of at least 1, not 0"),
        ({"frames": 27.0}, "frames must be a whole number"),
        ({"depth": True}, "depth must be a whole number"),
        ({"in_channels": 4}, "in_channels must be 2 .* or 3"),
        ({"ssm_ratio": 0}, "ssm_ratio times dim must give at least one channel"),
        ({"mlp_ratio": -1}, "mlp_ratio times dim must give at least one channel"),
        ({"mlp_ratio": "2"}, "mlp_ratio times dim must give at least one channel, not '2'"),
        ({"ssm_ratio": float("inf")}, "ssm_ratio times dim"),
        ({"drop_path": "0.2"}, "drop_path must be a probability"),
        ({"drop_path": 1.0}, "drop_path must be a probability .* below 1"),
        ({"dropout": -0.1}, "dropout must be a probability"),
        ({"limb_order": "author"}, "unknown limb_order 'author'. Did you mean: authors"),
        ({"scan": "unidirectional-5"}, "unknown scan 'unidirectional-5'. Did you mean: unidirectional-"),
        ({"scan_gradient": "true"}, "unknown scan_gradient 'true'. .*Known: exact, authors"),
        ({"scan_backend": "nativ"}, "unknown scan_backend 'nativ'. Did you mean: native"),
        ({"long_input": "interpolated"}, "unknown long_input 'interpolated'. Did you mean: interpolate"),
        ({"joints": 16}, "limb_order='authors' names the 17 joints of Human3.6M, but joints=16"),
    ],
)
def test_bad_option_is_named(option: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PRESETS["xs"], **option)


def test_other_joint_counts_need_a_scan_without_limbs() -> None:
    assert PoseMambaConfig(joints=16, limb_order="none").limbs is None
    assert PoseMambaConfig(joints=16, scan="bidirectional").limbs is None


def test_official_config_translates_the_authors_arguments() -> None:
    official = {"num_frame": 27, "in_chans": 3, "embed_dim_ratio": 48, "depth": 3, "num_joints": 17}
    official |= {"mlp_ratio": 4, "drop_rate": 0.1, "drop_path_rate": 0.3}
    expected = PoseMambaConfig(
        frames=27, in_channels=3, dim=48, depth=3, joints=17, mlp_ratio=4, dropout=0.1, drop_path=0.3
    )
    assert official_config(official) == expected


def test_official_config_has_the_authors_defaults() -> None:
    assert official_config({}) == PoseMambaConfig(frames=9, dim=256, depth=6)


def test_official_config_refuses_unknown_arguments() -> None:
    with pytest.raises(ValueError, match=r"'num_frames'. Did you mean: num_frame"):
        official_config({"num_frames": 27})
