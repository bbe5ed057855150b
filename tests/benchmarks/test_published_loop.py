"""The published recurrence, in both ways of taking tokens, against this project's definition in float64."""

from __future__ import annotations

import pytest
import torch

from benchmarks import published_loop, scan_peers
from benchmarks.scan_peers import Size

LOOPS = {"unbind": published_loop.by_unbind, "slices": published_loop.by_slices}


@pytest.mark.parametrize("name", LOOPS)
def test_values_and_gradients(name: str) -> None:
    inputs = [tensor.double() for tensor in scan_peers.made_up(Size(batch=2, channels=3, frames=1))]
    exact = scan_peers.exact(scan_peers.ours("reference"), inputs)
    leaves = [tensor.requires_grad_() for tensor in inputs]
    y = LOOPS[name](*leaves)
    gradients = torch.autograd.grad(y, leaves, exact.dy.double())
    assert scan_peers.relative_error([y], [exact.y]) < 1e-14
    assert scan_peers.relative_error(gradients, exact.gradients) < 1e-13


def test_the_two_differ_in_the_gradient_of_a_token_alone() -> None:
    """Slices have a node of their own for each token, unbind one for all."""
    inputs = [tensor.requires_grad_() for tensor in scan_peers.made_up(Size(1, 2, 1))]
    names = {name: _backward_nodes(loop(*inputs)) for name, loop in LOOPS.items()}
    assert "SelectBackward0" in names["slices"]
    assert "SelectBackward0" not in names["unbind"]
    assert "UnbindBackward0" in names["unbind"]


def _backward_nodes(y: torch.Tensor) -> set[str]:
    found, waiting = set(), [y.grad_fn]
    seen = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found.add(node.name())
        waiting += [following for following, _ in node.next_functions]
    return found
