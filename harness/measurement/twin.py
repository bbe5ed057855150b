"""A copy of a lifter to count on: in eval mode, on the meta device where it runs there, so that nothing is computed.

A meta tensor has a shape and no numbers: a clip of 10,000 frames costs as little as one of 9. A lifter that looks at
the numbers, or that holds tensors which are neither parameters nor buffers, does not run there and is counted on CPU.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

DEVICES = ("meta", "cpu")

Counted = TypeVar("Counted")


def count_on_twin(
    model: nn.Module, shape: tuple[int, ...], counting: Callable[[nn.Module, Tensor], Counted]
) -> tuple[Counted, str]:
    """``counting(twin, clip)`` with a clip of zeros of ``shape`` (B, T, J, C), and the device that it was done on.

    ``model`` is not touched. What ``counting`` raises on CPU is raised.
    """
    try:
        return _count_on("meta", model, shape, counting), "meta"
    except Exception:  # whatever it was: on CPU the same mistake comes up again and is told
        return _count_on("cpu", model, shape, counting), "cpu"


def _count_on(
    device: str, model: nn.Module, shape: tuple[int, ...], counting: Callable[[nn.Module, Tensor], Counted]
) -> Counted:
    twin = copy.deepcopy(model).to(device).eval()
    with torch.no_grad(), unfused_attention():
        return counting(twin, torch.zeros(shape, device=device))


@contextmanager
def unfused_attention() -> Iterator[None]:
    """nn.TransformerEncoder's fused evaluation path is one opaque operator; without it its parts are seen."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
