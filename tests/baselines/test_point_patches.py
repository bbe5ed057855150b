"""Patches of point clouds against loops over points."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.point_patches import PatchEmbedding, farthest_points, gather, nearest


def clouds(batch: int = 2, points: int = 40, seed: int = 0) -> Tensor:
    return torch.randn(batch, points, 3, generator=torch.Generator().manual_seed(seed))


def embedding(dim: int = 6, **sizes: int) -> PatchEmbedding:
    torch.manual_seed(0)
    return PatchEmbedding(dim, **{"patches": 5, "patch_points": 7, "width": 4, **sizes}).eval()


def naive_farthest(points: list[list[float]], count: int) -> list[int]:
    chosen = [0]
    while len(chosen) < count:
        clearance = [min(sum((a - b) ** 2 for a, b in zip(p, points[c], strict=True)) for c in chosen) for p in points]
        chosen.append(max(range(len(points)), key=clearance.__getitem__))
    return chosen


@pytest.mark.parametrize("count", [1, 2, 9, 40])
def test_farthest_points_are_those_of_a_loop(count: int) -> None:
    points = clouds()
    expected = [naive_farthest(cloud, count) for cloud in points.double().tolist()]
    assert farthest_points(points, count).tolist() == expected


def test_farthest_points_of_a_line() -> None:
    line = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [4, 0, 0], [9, 0, 0]]])
    assert farthest_points(line, 4).tolist() == [[0, 3, 2, 1]]


def test_a_point_at_the_origin_can_be_chosen() -> None:
    points = torch.tensor([[[1.0, 1, 1], [0, 0, 0], [1, 1, 0.9]]])
    assert farthest_points(points, 2).tolist() == [[0, 1]]


def test_farthest_points_do_not_depend_on_the_order_but_on_the_first() -> None:
    points = clouds(1)
    chosen = gather(points, farthest_points(points, 8))
    shuffled = torch.cat((points[:, :1], points[:, 1:].flip(1)), dim=1)
    assert torch.equal(gather(shuffled, farthest_points(shuffled, 8)), chosen)
    other_start = points.flip(1)
    assert not torch.equal(gather(other_start, farthest_points(other_start, 8)), chosen)


@pytest.mark.parametrize("count", [1, 6, 40])
def test_nearest_are_those_of_a_loop(count: int) -> None:
    points, queries = clouds(), clouds(points=3, seed=1)
    found = nearest(queries, points, count)
    for cloud, of_cloud, row in zip(points.double(), queries.double(), found, strict=True):
        for query, indices in zip(of_cloud, row.tolist(), strict=True):
            by_distance = sorted(range(len(cloud)), key=lambda point: float((cloud[point] - query).square().sum()))
            assert indices == by_distance[:count]


def test_a_point_is_its_own_nearest_however_far_the_cloud() -> None:
    """1,000 away, the shortcut by the norms' squares would be off by more than the points' distances."""
    points = clouds(points=60) * 0.02 + 1000
    assert torch.equal(nearest(points, points, 1).squeeze(-1), torch.arange(60).expand(2, -1))


def test_gather_takes_rows() -> None:
    features = torch.arange(12.0).view(2, 3, 2)
    assert gather(features, torch.tensor([[[2, 0]], [[1, 1]]])).tolist() == [[[[4, 5], [0, 1]]], [[[8, 9], [8, 9]]]]


def test_tokens_are_the_perceptrons_written_out() -> None:
    model, points = embedding(), clouds()
    with torch.no_grad():
        for norm in (model.point_norm, model.patch_norm):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
        tokens, centres = model(points)
        for cloud, of_cloud, described in zip(points, centres, tokens, strict=True):
            for centre, token in zip(of_cloud, described, strict=True):
                patch = cloud[(cloud - centre).square().sum(-1).argsort()[:7]] - centre
                features = model.point_contract(functional.relu(model.point_norm(model.point_expand(patch))))
                beside = torch.cat((features.amax(0).expand(7, -1), features), dim=-1)
                hidden = functional.relu(model.patch_norm(model.patch_expand(beside)))
                torch.testing.assert_close(model.patch_contract(hidden).amax(0), token)


def test_shapes_and_centres() -> None:
    points = clouds(3, 50)
    tokens, centres = embedding()(points)
    assert tokens.shape == (3, 5, 6)
    assert torch.equal(centres, gather(points, farthest_points(points, 5)))


def test_moving_a_cloud_moves_its_centres_alone() -> None:
    model, points = embedding(), clouds()
    shift = torch.tensor([0.5, -1.0, 2.0])
    with torch.no_grad():
        tokens, centres = model(points)
        moved_tokens, moved_centres = model(points + shift)
    torch.testing.assert_close(moved_tokens, tokens, rtol=0, atol=1e-5)
    torch.testing.assert_close(moved_centres, centres + shift)


def test_gradients_reach_parameters_and_points() -> None:
    model, points = embedding().train(), clouds().requires_grad_()
    tokens, centres = model(points)
    (tokens.square().sum() + centres.sum()).backward()
    assert points.grad is not None
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_parameters_of_the_published_widths() -> None:
    """Each layer's weights, biases and norms, counted by hand for 384 channels."""
    count = sum(parameter.numel() for parameter in PatchEmbedding(384, patches=1, patch_points=1).parameters())
    assert count == (3 * 128 + 128) + 2 * 128 + (128 * 256 + 256) + (512 * 512 + 512) + 2 * 512 + (512 * 384 + 384)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"patches": 41}, "the clouds have 40 points, fewer than patches=41; sample more points, or build the model"),
        (
            {"patch_points": 50},
            "fewer than patch_points=50; sample more points, or build the model with patch_points of",
        ),
    ],
)
def test_clouds_of_too_few_points_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        embedding(**sizes)(clouds())


def test_too_few_points_to_choose_from_are_refused() -> None:
    with pytest.raises(ValueError, match="41 farthest points need as many to choose from, but the clouds have 40"):
        farthest_points(clouds(), 41)
    with pytest.raises(ValueError, match="41 nearest points need as many to choose from, but the clouds have 40"):
        nearest(clouds(points=2), clouds(), 41)


@pytest.mark.parametrize("shape", [(40, 3), (2, 40, 2), (2, 40, 3, 1)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"have shape {shape}; wanted (batch, points, 3)")):
        embedding()(torch.zeros(shape))


@pytest.mark.parametrize("size", ["patches", "patch_points", "width"])
def test_sizes_are_counts(size: str) -> None:
    with pytest.raises(ValueError, match=f"{size} must be a whole number of at least 1, not 0"):
        embedding(**{size: 0})
