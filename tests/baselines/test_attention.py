"""Self-attention against the softmax written out in numpy (float64)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from baselines import attention
from baselines.attention import AttentionForm, SelfAttention, attend
from harness import models

FORMS: tuple[AttentionForm, ...] = ("sdpa", "explicit")
#: A lifter of every family that attends.
LIFTERS = {entry.module: name for name, entry in models.MODELS.items() if hasattr(models.preset(name), "attention")}


def written_out(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> np.ndarray:
    logits = np.einsum("nhld,nhmd->nhlm", query.numpy(), key.numpy()) * scale
    weights = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    return np.einsum("nhlm,nhmd->nhld", weights, value.numpy())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [None, 0.7])
def test_attend_is_the_softmax_of_scaled_products(form: AttentionForm, scale: float | None) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 4, 5, 9, dtype=torch.float64, generator=generator)
    mixed = attend(query, key, value, scale=scale, form=form)
    np.testing.assert_allclose(mixed, written_out(query, key, value, scale or 1 / 3), atol=1e-12)


def recorded_channels(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of a head, in each call of torch's operator to come."""
    channels: list[int] = []
    operator = functional.scaled_dot_product_attention

    def recorded(query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        channels.append(query.shape[-1])
        return operator(query, key, value, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", recorded)
    return channels


def test_narrow_heads_are_widened_where_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = recorded_channels(monkeypatch)
    for shape, dtype in (
        ((1, 2, 64, 8), torch.float32),
        ((1, 2, 63, 8), torch.float32),
        ((1, 2, 64, 20), torch.float32),
        ((1, 2, 64, 8), torch.float64),
    ):
        heads = torch.zeros(shape, dtype=dtype)
        assert attend(heads, heads, heads).shape == shape
    assert channels == [16, 8, 20, 8]


def test_where_operations_are_counted_heads_are_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = recorded_channels(monkeypatch)
    for context in (torch.device("meta"), FakeTensorMode()):
        with context:
            heads = torch.zeros(1, 2, 64, 8)
            attend(heads, heads, heads)
    assert channels == [8, 8]


@pytest.mark.parametrize("scale", [None, 0.7])
def test_widened_heads_mix_and_learn_alike(scale: float | None) -> None:
    heads = torch.randn(3, 2, 4, 70, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = torch.randn(2, 4, 70, 9, generator=torch.Generator().manual_seed(1))
    mixed, gradients = {}, {}
    for form in FORMS:
        mixed[form] = attend(*heads, scale=scale, form=form)
        (gradients[form],) = torch.autograd.grad((mixed[form] * weights).sum(), heads)
    torch.testing.assert_close(mixed["sdpa"], mixed["explicit"], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients["sdpa"], gradients["explicit"], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", LIFTERS.values())
def test_every_lifter_s_attention_is_fused(name: str, batch: int) -> None:
    """Torch falls back to a form several times slower, in silence, where a layout does not suit its kernel."""
    model = models.build(name, frames=9, in_channels=2, depth=2, attention="sdpa").eval()
    with torch.inference_mode(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # anything else is an error
        model(torch.zeros(batch, 9, 17, 2))


def test_sequences_too_many_for_one_start_go_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a GPU has it of more than 65,535, with 3 in their place."""
    query, key, value = torch.randn(3, 7, 2, 5, 8, generator=torch.Generator().manual_seed(0)).unbind()
    whole = attend(query, key, value)
    started: list[int] = []
    fused = functional.scaled_dot_product_attention

    def start(query: Tensor, *others: Tensor, **options: Any) -> Tensor:
        started.append(len(query))
        return fused(query, *others, **options)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", start)
    monkeypatch.setattr(attention, "_starts", lambda heads: -(-len(heads) // 3))
    torch.testing.assert_close(attend(query, key, value), whole)
    assert started == [3, 2, 2]


@pytest.mark.parametrize("form", FORMS)
def test_tokens_of_different_rows_do_not_meet(form: AttentionForm) -> None:
    attention = SelfAttention(8, 2, form=form).eval()
    tokens = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    apart = torch.stack([torch.stack([attention(row) for row in clip]) for clip in tokens])
    torch.testing.assert_close(attention(tokens), apart)


@pytest.mark.parametrize("form", FORMS)
def test_heads_take_consecutive_channels(form: AttentionForm) -> None:
    attention = SelfAttention(4, 2, form=form)
    with torch.no_grad():
        attention.qkv.weight.zero_()
        attention.qkv.weight[8:].copy_(torch.eye(4))  # equal weights for all tokens, values as they are
        attention.projection.weight.copy_(torch.eye(4))
        attention.projection.bias.zero_()
    tokens = torch.arange(12.0).view(3, 4)
    torch.testing.assert_close(attention(tokens.unsqueeze(0))[0], tokens.mean(dim=0).expand(3, 4))


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_dropped_in_training_only(form: AttentionForm) -> None:
    torch.manual_seed(0)
    attention = SelfAttention(8, 2, attention_dropout=0.5, form=form)
    tokens = torch.randn(1, 6, 8)
    assert not torch.equal(attention(tokens), attention(tokens))
    attention.eval()
    assert torch.equal(attention(tokens), attention(tokens))
