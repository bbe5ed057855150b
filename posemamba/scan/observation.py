"""Who looks on: counters, traces and transformations of functions see operators of torch's, and no others.

Where one of them is at work, kernels that are not operators must not stand in for operators that are.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad


def is_abstract(u: Tensor) -> bool:
    """Whether this is a trace or a tensor without numbers.

    Then the scan is one operator, whichever backend would run: counters see it by name, and the recurrence is not
    walked token by token for nothing.
    """
    if torch.compiler.is_compiling():  # it has fake tensors too, and compiles the backend that was asked for
        return False
    return bool(torch.jit.is_tracing()) or isinstance(u, FakeTensor)  # type: ignore[attr-defined]


def is_watched() -> bool:
    """Whether a counter or timer looks on in torch's dispatcher, which sees the scan only as an operator."""
    return not torch.compiler.is_compiling() and torch._C._len_torch_dispatch_stack() > 0


def runs_forwards() -> bool:
    """Whether derivatives are carried along forwards (jvp), which an operator without a rule for it would drop."""
    return forward_ad._current_level >= 0


def is_transformed() -> bool:
    """Whether functions are being transformed (vmap, jvp, grad) or derivatives carried along forwards."""
    return torch._C._functorch.peek_interpreter_stack() is not None or runs_forwards()
