"""Each precision as it is entered, and that there is no other one without a word."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness import precision
from harness.precision import in_precision

CLIPS = torch.randn(2, 5, 17, 3, generator=torch.Generator().manual_seed(0))


class Watched(nn.Module):
    """A linear layer that notes the type it is autocast to, None where it is not."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(3, 3)
        self.seen: list[torch.dtype | None] = []

    def forward(self, clips: Tensor) -> Tensor:
        self.seen.append(torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else None)
        return self.layer(clips)


def test_float32_is_the_model_itself() -> None:
    model = Watched()
    assert in_precision(model, "fp32", "cpu") is model


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_sixteen_bits_within_a_call_and_not_beside_it(name: str, dtype: torch.dtype) -> None:
    model = Watched()
    reduced = in_precision(model, name, "cpu")
    with torch.inference_mode():
        output = reduced(CLIPS)
        assert not torch.is_autocast_enabled("cpu")
        expected = model(CLIPS)
    assert output.dtype == dtype
    assert model.seen == [dtype, None]
    difference = (output.float() - expected).abs().max()
    assert 0 < difference < 0.05
    assert all(parameter.dtype == torch.float32 for parameter in reduced.parameters())


def test_modes_and_parameters_are_those_of_the_model() -> None:
    model = Watched()
    reduced = in_precision(model, "bf16", torch.device("cpu"))
    reduced.eval()
    assert not model.training
    assert [id(parameter) for parameter in reduced.parameters()] == [id(parameter) for parameter in model.parameters()]


def test_what_is_no_module_can_be_called_in_a_precision_too() -> None:
    model = Watched()
    assert in_precision(lambda clips: model(clips[:, :1]), "bf16", "cpu")(CLIPS).shape == (2, 1, 17, 3)
    assert model.seen == [torch.bfloat16]


def test_a_precision_that_torch_leaves_out_is_not_float32_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a type that it cannot do torch warns, and goes on without autocast."""
    monkeypatch.setattr(precision, "REDUCED", {"fp64": torch.float64})
    model = Watched()
    with (
        pytest.warns(UserWarning, match="autocast"),
        pytest.raises(NotImplementedError, match=r"torch\.float64 for cpu"),
    ):
        in_precision(model, "fp64", "cpu")(CLIPS)
    assert model.seen == []
