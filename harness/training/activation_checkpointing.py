"""Activation checkpointing: less memory for a training step, for a second forward pass through every block.

By itself a forward pass keeps what every operator needs for its gradient. Here a block keeps its input alone, and the
backward pass computes the rest of it anew when it gets there, one block at a time: Chen, Xu, Zhang, Guestrin, "Training
deep nets with sublinear memory cost" (arXiv 1604.06174), each block a segment. The recomputation is by
``torch.utils.checkpoint`` in its form without reentrant backward passes.

The step's result is the same: a block is recomputed with torch's random state of the first time (dropout, drop path)
and on copies of its buffers as they were then, so that batch norms do not count a batch twice. What else changes from
call to call, such as a draw from numpy's generator, is not brought back.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from torch import nn
from torch.utils.checkpoint import checkpoint


def blocks(model: nn.Module) -> tuple[nn.Module, ...]:
    """What is recomputed as a whole: the elements of the outermost ``nn.ModuleList``s; none where there is no list."""
    return tuple(dict.fromkeys(_elements(model)))


def _elements(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(module, nn.ModuleList) and not isinstance(child, nn.ModuleList):
            yield child
        else:
            yield from _elements(child)


@contextlib.contextmanager
def recomputing(model: nn.Module) -> Iterator[None]:
    """A forward pass in this context keeps for each of the ``blocks`` its input only.

    The backward pass may come after it: outside the context the modules are as they were, without any trace. Without
    gradients a forward pass is as ever, and a model without blocks is not changed.
    """
    own = {block: vars(block).get("forward") for block in blocks(model)}
    for block in own:
        block.forward = functools.partial(_checkpointed, block, block.forward)
    try:
        yield
    finally:
        for block, forward in own.items():
            if forward is None:
                del block.forward
            else:
                block.forward = forward


def _checkpointed(block: nn.Module, forward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    as_now = _Buffers(block)
    contexts = lambda: (contextlib.nullcontext(), as_now)  # noqa: E731 (of the first pass, of every later one)
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **options)


class _Buffers:
    """A context in which ``block`` works on copies of its buffers as they were when this was made."""

    def __init__(self, block: nn.Module) -> None:
        owners = [(module, name) for module in block.modules() for name, _ in module.named_buffers(recurse=False)]
        self._then = [(module, name, getattr(module, name).clone()) for module, name in owners]

    def __enter__(self) -> None:
        self._now = [(module, name, getattr(module, name)) for module, name, _ in self._then]
        for module, name, value in self._then:
            # A copy of the copy: the backward pass may be gone through more than once.
            setattr(module, name, value.clone())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for module, name, buffer in self._now:
            setattr(module, name, buffer)
