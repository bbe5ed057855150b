"""Where a lifter is counted, and that it is left alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.measurement.twin import count_on_twin, unfused_attention


class Doubling(nn.Linear):
    """Looks at the numbers, which a meta tensor has not."""

    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip) * (2 if clip.sum().item() == 0 else 1)


def run(twin: nn.Module, clip: Tensor) -> tuple[tuple[int, ...], bool, bool]:
    return tuple(twin(clip).shape), twin.training, torch.is_grad_enabled()


def test_without_numbers_where_the_lifter_can() -> None:
    model = nn.Linear(2, 3)
    assert count_on_twin(model, (1, 10**9, 17, 2), run) == (((1, 10**9, 17, 3), False, False), "meta")
    assert model.training
    assert model.weight.device.type == "cpu"


def test_on_cpu_where_it_looks_at_numbers() -> None:
    assert count_on_twin(Doubling(2, 3), (1, 9, 17, 2), run) == (((1, 9, 17, 3), False, False), "cpu")


def test_a_mistake_of_the_lifters_own_is_raised() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        count_on_twin(nn.Linear(5, 3), (1, 9, 17, 2), run)


@pytest.mark.parametrize("before", [True, False])
def test_the_fused_path_is_as_it_was(before: bool) -> None:
    found = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(before)
        with unfused_attention():
            assert not torch.backends.mha.get_fastpath_enabled()
        assert torch.backends.mha.get_fastpath_enabled() is before
    finally:
        torch.backends.mha.set_fastpath_enabled(found)
