"""Point clouds as tokens: patches of neighbouring points, each described by a small PointNet.

The centres are a cloud's farthest points (Qi et al., "PointNet++", arXiv 1706.02413, section 3.2), a patch is the
points nearest to a centre, relative to it, and two shared perceptrons with a maximum after each make it one token
(Yu et al., "Point-BERT", arXiv 2111.14819, section 3.1; layers as in xhanxu/Mamba3D, commit b519a9c, class Encoder).

B is the batch, P the points of a cloud, G its patches, K the points of a patch, W the first width of the PointNet,
C the channels of a token.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.options import require_count

#: W of the published models.
PUBLISHED_WIDTH = 128


def require_cloud(shape: torch.Size) -> None:
    """Clouds of the shape (B, P, 3); ValueError otherwise."""
    if len(shape) != 3 or shape[-1] != 3:
        raise ValueError(f"the point clouds have shape {tuple(shape)}; wanted (batch, points, 3)")


@torch.no_grad()
def farthest_points(points: Tensor, count: int) -> Tensor:
    """Indices (B, count) of points (B, P, 3), each the farthest from those before it; the first one is point 0.

    So the choice depends on the points and on which of them is the first, in training too, and not on chance nor on the
    order of the others. Of equally far points one is taken. The CUDA kernel that published models sample with
    (pointnet2_ops) never takes a point within 0.032 of the origin, except as the first; here no point is special.

    Raises ValueError for less than ``count`` points.
    """
    require_cloud(points.shape)
    if points.shape[1] < count:
        raise ValueError(f"{count} farthest points need as many to choose from, but the clouds have {points.shape[1]}")
    axes = points.transpose(1, 2).contiguous()  # (B, 3, P); sums over three rows are far faster than over three columns
    squared = axes.new_full((points.shape[0], points.shape[1]), math.inf)  # to the nearest point chosen so far
    chosen = [torch.zeros(points.shape[0], dtype=torch.long, device=points.device)]
    while len(chosen) < count:
        latest = axes.gather(2, chosen[-1].view(-1, 1, 1).expand(-1, 3, -1))  # (B, 3, 1)
        squared = torch.minimum(squared, (axes - latest).square().sum(1))  # (B, P)
        chosen.append(squared.argmax(-1))
    return torch.stack(chosen, dim=1)  # (B, count)


@torch.no_grad()
def nearest(queries: Tensor, points: Tensor, count: int) -> Tensor:
    """Indices (B, Q, count) of the points (B, P, 3) nearest to each query (B, Q, 3), by Euclidean distance, sorted.

    A query that is one of the points is its own nearest. Raises ValueError for less than ``count`` points.
    """
    require_cloud(queries.shape)
    require_cloud(points.shape)
    if points.shape[1] < count:
        raise ValueError(f"{count} nearest points need as many to choose from, but the clouds have {points.shape[1]}")
    # Axis by axis: |a|² + |b|² - 2ab would round away the distances between neighbours far from the origin.
    squared = queries.new_zeros(*queries.shape[:2], points.shape[1])  # (B, Q, P)
    for axis in range(3):
        difference = queries[:, :, None, axis] - points[:, None, :, axis].contiguous()  # (B, Q, P)
        squared.addcmul_(difference, difference)
    return squared.topk(count, dim=-1, largest=False).indices


def gather(features: Tensor, indices: Tensor) -> Tensor:
    """Rows of features (B, L, C) by indices (B, ...) -> (B, ..., C)."""
    rows = indices.flatten(1).unsqueeze(-1).expand(-1, -1, features.shape[-1])  # (B, N, C)
    return features.gather(1, rows).view(*indices.shape, features.shape[-1])  # (B, ..., C)


class PatchEmbedding(nn.Module):
    """Clouds (B, P, 3) -> tokens (B, G, C) and the centres (B, G, 3) of their patches.

    Patches overlap: together they hold G K points of the P. ``width`` is W; the perceptrons have the widths
    W, 2 W and 4 W, C. Their batch norms take the statistics of all points of all patches.
    """

    def __init__(self, dim: int, *, patches: int, patch_points: int, width: int = PUBLISHED_WIDTH) -> None:
        super().__init__()
        for name, value in (("dim", dim), ("patches", patches), ("patch_points", patch_points), ("width", width)):
            require_count(name, value)
        self.patches = patches
        self.patch_points = patch_points
        self.point_expand = nn.Linear(3, width)
        self.point_norm = nn.BatchNorm1d(width)
        self.point_contract = nn.Linear(width, 2 * width)
        self.patch_expand = nn.Linear(4 * width, 4 * width)
        self.patch_norm = nn.BatchNorm1d(4 * width)
        self.patch_contract = nn.Linear(4 * width, dim)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(B, P, 3) -> (B, G, C) and (B, G, 3); ValueError for clouds of too few points."""
        require_cloud(points.shape)
        self._require_points(points.shape[1])
        centres = gather(points, farthest_points(points, self.patches))  # (B, G, 3)
        neighbours = gather(points, nearest(centres, points, self.patch_points))  # (B, G, K, 3)
        return self._describe(neighbours - centres.unsqueeze(2)), centres

    def _describe(self, patches: Tensor) -> Tensor:
        """(B, G, K, 3), relative to the centres -> (B, G, C)."""
        of_a_patch = patches.shape[:3]
        hidden = functional.relu(self.point_norm(self.point_expand(patches.flatten(0, 2))))  # (BGK, W)
        features = self.point_contract(hidden).view(*of_a_patch, -1)  # (B, G, K, 2 W)
        whole = features.amax(2, keepdim=True)  # (B, G, 1, 2 W)
        hidden = functional.relu(self.patch_norm(self._beside(whole, features).flatten(0, 2)))  # (BGK, 4 W)
        return self.patch_contract(hidden).view(*of_a_patch, -1).amax(2)  # (B, G, C)

    def _beside(self, whole: Tensor, features: Tensor) -> Tensor:
        """``patch_expand`` of each point's features with the patch's maximum before them, (B, G, K, 4 W)."""
        # The maximum's half of the product is the same for every point of a patch: once instead of K times.
        of_whole, of_features = self.patch_expand.weight.chunk(2, dim=1)  # (4 W, 2 W) each
        return functional.linear(whole, of_whole, self.patch_expand.bias) + functional.linear(features, of_features)

    def _require_points(self, points: int) -> None:
        for name, needed in (("patches", self.patches), ("patch_points", self.patch_points)):
            if points < needed:
                raise ValueError(
                    f"the clouds have {points} points, fewer than {name}={needed}; sample more points, or build the "
                    f"model with {name} of at most {points}"
                )
