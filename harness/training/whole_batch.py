"""Layers that mix or draw over a batch, made to see all of it where a process has but a piece.

A batch norm takes mean and variance over the pieces of all processes (Ioffe & Szegedy 2015, algorithm 1, with the sums
of all). Dropout and drop path draw for the whole batch, in every process the same, of which each takes its own rows: so
the random state stays the same in all processes, and a training gone on with by more or fewer of them draws as it would
have. What draws in any other way (dropout of attention weights inside an operator, a third party's own) draws in every
process for its own clips, from the same random state: another draw than in a single process, and the first clips of
all processes share theirs. What is drawn once for all clips must be a layer of another name (``SharedDropPath``).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from harness.training.share import Piece

#: Layers that multiply their input by something drawn, by the name of the class: the field has many of each.
MULTIPLYING = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "DropPath")

Forward = Callable[..., Tensor]


@dataclass
class Current:
    """The piece that goes through the model at the moment."""

    piece: Piece


@contextlib.contextmanager
def seeing_whole_batch(model: nn.Module, current: Current) -> Iterator[None]:
    """``model`` in training is of ``current.piece`` in this context, and all processes are in the same pass at once."""
    with contextlib.ExitStack() as stack:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                stack.enter_context(_forward(module, functools.partial(normalised, module)))
            elif type(module).__name__ in MULTIPLYING:
                stack.enter_context(_forward(module, functools.partial(_drawn, module, module.forward, current)))
        yield


@contextlib.contextmanager
def _forward(module: nn.Module, forward: Forward) -> Iterator[None]:
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def normalised(norm: _BatchNorm, x: Tensor) -> Tensor:
    """(B, C, ...) by the mean and variance of all processes' values of each channel, which ``norm`` takes note of.

    As ``norm`` itself does with the whole batch, to rounding.
    """
    if not norm.training:
        return type(norm).forward(norm, x)
    over = [dim for dim in range(x.ndim) if dim != 1]
    shape = [1, -1] + [1] * (x.ndim - 2)
    values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    # Sums and number in one message; the number has no gradient. Pieces may differ in size.
    own = torch.cat([values.sum(over), values.new_tensor([values.numel() / values.shape[1]])])
    sums = _added_up(own)
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = values - mean.view(shape)
    variance = _added_up(centred.square().sum(over)) / count
    _note(norm, mean.detach(), variance.detach(), count)
    result = centred * torch.rsqrt(variance + norm.eps).view(shape)
    if norm.affine:
        result = result * norm.weight.view(shape) + norm.bias.view(shape)
    # In the order in memory that the operator's own result has: what draws after it draws in that order.
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return result.to(x.dtype).contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


class _Sum(torch.autograd.Function):
    """Of all processes' tensors, in each of them; what each makes of it counts in all their gradients."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        whole = own.clone()
        torch.distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        whole = gradients[0].contiguous().clone()
        torch.distributed.all_reduce(whole)
        return whole


def _added_up(own: Tensor) -> Tensor:
    whole: Tensor = _Sum.apply(own)
    return whole


def _note(norm: _BatchNorm, mean: Tensor, variance: Tensor, count: Tensor) -> None:
    if not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance * count / (count - 1), momentum)


def _drawn(module: nn.Module, forward: Forward, current: Current, *inputs: Any) -> Tensor:
    plain = not module.training or len(inputs) != 1  # a third party's may take more
    return forward(*inputs) if plain else multiplied(forward, current.piece, inputs[0])


def multiplied(forward: Forward, piece: Piece, x: Tensor) -> Tensor:
    """``forward`` of the rows of ``x`` that ``piece`` has, with the factors that they have in the whole batch.

    ``x`` (N, ...) has the clips side by side, each of them N / clips rows. What has no row for each clip is the same
    for all of them, and so is what is drawn for it.
    """
    rows, rest = divmod(x.shape[0], piece.clips) if x.ndim else (0, 1)
    if rest:
        return forward(x)
    factors = forward(_ones(x, piece.whole * rows))
    return x * factors[piece.first * rows : (piece.first + piece.clips) * rows]


def _ones(x: Tensor, length: int) -> Tensor:
    """(length, ...) with the dimensions of ``x`` in the order in memory in which they are there: so they are drawn."""
    shape = [length, *x.shape[1:]]
    outermost_first = sorted(range(x.ndim), key=x.stride, reverse=True)
    place = [outermost_first.index(dim) for dim in range(x.ndim)]
    return x.new_ones([shape[dim] for dim in outermost_first]).permute(place)
