"""The scan orders against slow loops over written-out token lists, made from the definitions and not from the code.

The unidirectional orders follow the authors' ablation files, whose names say the order: forward or backward spatial
(fs, bs: joints within a frame), forward or backward temporal (ft, bt: frames within a joint).
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from posemamba.orders import LIMB_ORDERS, SCANS, Direction, to_plane, to_sequences

FRAMES, JOINTS = 5, 17
Walk = list[tuple[int, int]]


def spatial(*, backward: bool = False) -> Walk:
    joints = [*reversed(range(JOINTS))] if backward else [*range(JOINTS)]
    return [(t, j) for t in range(FRAMES) for j in joints]


def temporal(*, backward: bool = False) -> Walk:
    frames = [*reversed(range(FRAMES))] if backward else [*range(FRAMES)]
    return [(t, j) for j in range(JOINTS) for t in frames]


FOUR_WAYS = [spatial(), temporal(), spatial()[::-1], temporal()[::-1]]
WALKS: dict[str, list[Walk]] = {
    "global-local": FOUR_WAYS,
    "bidirectional": FOUR_WAYS,
    "unidirectional-1": [spatial(), temporal()] * 2,
    "unidirectional-2": [spatial(backward=True), temporal()] * 2,
    "unidirectional-3": [spatial(), temporal(backward=True)] * 2,
    "unidirectional-4": [spatial(backward=True), temporal(backward=True)] * 2,
    "causal": [spatial(), spatial(backward=True), temporal(), temporal()],
}
WITH_LIMBS = {"global-local": (0, 2), "causal": (0, 1)}
PARENTS = [0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15]
LIMBS: dict[str, Callable[[int], int | None]] = {
    "authors": [0, 0, 1, 2, 3, 0, 4, 5, 6, 8, 11, 12, 13, 8, 14, 15, 16].__getitem__,
    "kinematic": PARENTS.__getitem__,
    "none": lambda _: None,
}


def slow_sequences(plane: Tensor, scan: str, limb_order: str) -> Tensor:
    batch, inner = plane.shape[:2]
    sequences = plane.new_zeros(batch, 4, inner, FRAMES * JOINTS)
    for k, walk in enumerate(WALKS[scan]):
        for position, (t, j) in enumerate(walk):
            sequences[:, k, :, position] = plane[:, :, t, j]
            limb = LIMBS[limb_order](j)
            if k in WITH_LIMBS.get(scan, ()) and limb is not None:
                sequences[:, k, :, position] += plane[:, :, t, limb]
    return sequences


def slow_plane(sequences: Tensor, scan: str) -> Tensor:
    plane = sequences.new_zeros(sequences.shape[0], sequences.shape[2], FRAMES, JOINTS)
    for k, walk in enumerate(WALKS[scan]):
        for position, (t, j) in enumerate(walk):
            plane[:, :, t, j] += sequences[:, k, :, position]
    return plane


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def limb_tensor(limb_order: str) -> Tensor | None:
    limbs = LIMB_ORDERS[limb_order]
    return None if limbs is None else torch.tensor(limbs)


def test_every_scan_is_tested() -> None:
    assert WALKS.keys() == SCANS.keys()
    assert LIMBS.keys() == LIMB_ORDERS.keys()


@pytest.mark.parametrize("limb_order", LIMBS)
@pytest.mark.parametrize("scan", WALKS)
def test_to_sequences_equals_the_loop(scan: str, limb_order: str) -> None:
    plane = random(2, 3, FRAMES, JOINTS)
    sequences = to_sequences(plane, SCANS[scan], limb_tensor(limb_order))
    assert torch.equal(sequences, slow_sequences(plane, scan, limb_order))


@pytest.mark.parametrize("scan", WALKS)
def test_to_plane_equals_the_loop(scan: str) -> None:
    sequences = random(2, 4, 3, FRAMES * JOINTS)
    plane = to_plane(sequences, SCANS[scan], FRAMES, JOINTS)
    torch.testing.assert_close(plane, slow_plane(sequences, scan), rtol=0, atol=1e-14)


@pytest.mark.parametrize("limb_order", ["authors", "kinematic"])
def test_exact_gradient_is_that_of_the_loop(limb_order: str) -> None:
    plane, weight = random(1, 2, FRAMES, JOINTS).requires_grad_(), random(1, 4, 2, FRAMES * JOINTS, seed=1)
    (gradient,) = torch.autograd.grad(
        (to_sequences(plane, SCANS["global-local"], limb_tensor(limb_order)) * weight).sum(), plane
    )
    (expected,) = torch.autograd.grad((slow_sequences(plane, "global-local", limb_order) * weight).sum(), plane)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-13)


def test_authors_gradient_passes_by_the_limb_gather() -> None:
    plane, weight = random(1, 2, FRAMES, JOINTS).requires_grad_(), random(1, 4, 2, FRAMES * JOINTS, seed=1)
    sequences = to_sequences(plane, SCANS["global-local"], limb_tensor("authors"), "authors")
    assert torch.equal(sequences, slow_sequences(plane, "global-local", "authors"))
    (gradient,) = torch.autograd.grad((sequences * weight).sum(), plane)
    torch.testing.assert_close(gradient, slow_plane(weight, "bidirectional"), rtol=0, atol=1e-13)


def test_only_the_frames_of_a_joint_can_be_apart() -> None:
    with pytest.raises(ValueError, match="apart"):
        Direction("joints", apart=True)


def test_causal_walks() -> None:
    assert [scan for scan in SCANS if all(direction.is_causal for direction in SCANS[scan])] == ["causal"]
