"""The plain form that the fused one is timed beside."""

from __future__ import annotations

import pytest
import torch

from benchmarks import cross_scan, scan_peers
from posemamba import native


@pytest.mark.skipif(bool(native.missing()), reason=native.missing())
def test_both_forms_do_the_same() -> None:
    inputs = cross_scan.made_up(batch=2, channels=32, frames=3, joints=17, states=16)
    exact = scan_peers.exact(lambda tensors: cross_scan.plain(tensors, "reference"), inputs)
    leaves = [tensor.requires_grad_() for tensor in inputs]
    y = cross_scan.fused(leaves)
    gradients = torch.autograd.grad(y, leaves, exact.dy)
    assert scan_peers.relative_error([y], [exact.y]) < 2e-6
    assert scan_peers.relative_error(gradients, exact.gradients) < 2e-5


def test_sizes_are_those_of_posemamba_s() -> None:
    u, selection, step_weight, *_ = cross_scan.made_up(batch=1, channels=128, frames=2, joints=17, states=16)
    assert u.shape == (1, 2, 17, 128)
    assert step_weight.shape == (4, 128, 4)
    assert selection.shape == (1, 2, 17, 4 * (4 + 2 * 16))
