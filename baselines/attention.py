"""Multi-head self-attention (Vaswani et al. 2017): softmax(q kᵀ · scale) v.

Two forms of the same arithmetic. "sdpa" is torch's fused ``scaled_dot_product_attention``, which never stores the
(L, L) weights; "explicit" is the sequence of products that lifters are published with.
L is the number of tokens that attend to one another, H that of the heads, D the channels of one head.
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

AttentionForm = Literal["sdpa", "explicit"]
ATTENTION_FORMS: tuple[str, ...] = get_args(AttentionForm)

#: Sequences that one start of a fused kernel takes on a GPU: the blocks of its grid's third dimension (CUDA).
_MOST_SEQUENCES = 65_535
#: Narrower heads don't fill a vector register in the products of torch's fused kernel on a CPU. From so many tokens on
#: it is faster with zeros for the missing channels, copies included, which change neither logits nor values.
_FULL_HEAD, _MANY_TOKENS = 16, 64


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    scale: float | None = None,
    dropout: float = 0.0,
    form: AttentionForm = "sdpa",
) -> Tensor:
    """Values mixed by attention, (N, H, L, D) from three tensors of that shape.

    ``scale`` is 1 / sqrt(D) unless given; ``dropout`` is applied to the weights whenever it is not 0. Torch leaves its
    fused kernel with more than four axes, so batch axes should be flattened before, and where the channels of a head
    are not side by side in memory.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    if form == "sdpa":
        return _fused(query, key, value, scale, dropout)
    weights = (query @ key.transpose(-2, -1) * scale).softmax(dim=-1)  # (N, H, L, L)
    return functional.dropout(weights, dropout) @ value  # (N, H, L, D)


def _fused(query: Tensor, key: Tensor, value: Tensor, scale: float, dropout: float) -> Tensor:
    if (parts := _starts(query)) > 1:
        cut = zip(*(heads.tensor_split(parts) for heads in (query, key, value)), strict=True)
        return torch.cat([_fused(queries, keys, values, scale, dropout) for queries, keys, values in cut])
    channels = query.shape[-1]
    if _too_narrow(query):
        query, key, value = (functional.pad(heads, (0, _FULL_HEAD - channels)) for heads in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scale)[..., :channels]


def _starts(heads: Tensor) -> int:
    """In how many parts a GPU's kernel takes the sequences (seen to fail: cuDNN's in 16 bits, of 70,000)."""
    return -(-len(heads) // _MOST_SEQUENCES) if heads.is_cuda else 1


def _too_narrow(heads: Tensor) -> bool:
    # Where operations are counted, on tensors without numbers ("meta", or of a subclass) or by who watches them being
    # dispatched, heads stay as they are.
    counted = type(heads) is not Tensor or torch._C._len_torch_dispatch_stack() > 0
    if counted or not heads.is_cpu or heads.dtype == torch.float64:
        return False
    return heads.shape[-1] < _FULL_HEAD and heads.shape[-2] >= _MANY_TOKENS


class AttentionOptions(Protocol):
    """The options of a lifter's configuration that its attention has; ``attention_scale=None`` is 1 / sqrt(D)."""

    @property
    def heads(self) -> int: ...

    @property
    def qkv_bias(self) -> bool: ...

    @property
    def attention_scale(self) -> float | None: ...

    @property
    def attention_dropout(self) -> float: ...

    @property
    def dropout(self) -> float: ...

    @property
    def attention(self) -> AttentionForm: ...


def self_attention(options: AttentionOptions, dim: int) -> SelfAttention:
    """Attention among tokens of ``dim`` channels by a lifter's options."""
    return SelfAttention(
        dim,
        options.heads,
        qkv_bias=options.qkv_bias,
        scale=options.attention_scale,
        attention_dropout=options.attention_dropout,
        dropout=options.dropout,
        form=options.attention,
    )


class SelfAttention(nn.Module):
    """Attention among the tokens of the last axis but one, (..., L, C) -> (..., L, C).

    The rows of ``qkv`` are query, key and value, each head by head, as in timm's Attention.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        qkv_bias: bool = False,
        scale: float | None = None,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
        form: AttentionForm = "sdpa",
    ) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.attention_dropout = attention_dropout
        self.form: AttentionForm = form
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.projection = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., L, C) -> (..., L, C)"""
        count, dim = tokens.shape[-2:]
        qkv = self.qkv(tokens).view(-1, count, 3, self.heads, dim // self.heads)  # (N, L, 3, H, D)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # (N, H, L, D) each
        dropout = self.attention_dropout if self.training else 0.0
        mixed = attend(query, key, value, scale=self.scale, dropout=dropout, form=self.form)
        mixed = mixed.transpose(1, 2).reshape(tokens.shape)  # (..., L, C)
        return self.dropout(self.projection(mixed))
