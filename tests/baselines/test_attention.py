"""Self-attention against the softmax written out in numpy (float64)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.attention import AttentionForm, SelfAttention, attend

FORMS = ("sdpa", "explicit")


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
