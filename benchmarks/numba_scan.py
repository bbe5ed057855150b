"""The selective scan in numba, forward only: the peer that needs no compiler of its own (extra ``bench``).

Parallel over batch, groups and channels, ``fastmath``, float32; B and C are taken token by token, so that the loop over
a channel's states runs over neighbours in memory. Compiled at the first call.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def missing() -> str:
    """Why it cannot run here, ``""`` where it can."""
    return "" if importlib.util.find_spec("numba") else "numba is not installed (pip install '.[bench]')"


def selective_scan(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, delta_bias: Tensor) -> Tensor:
    """y (B, K*D, L), softplus on the step; shapes as in :func:`posemamba.scan.selective_scan`, on torch's threads.

    Fastest where B and C are transposes of contiguous (B, L, K, N).
    """
    numba: Any = importlib.import_module("numba")
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    by_token = (shared.movedim(-1, 1).contiguous().numpy() for shared in (B, C))  # (B, L, K, N)
    y = torch.empty(u.shape)
    rows = (tensor.contiguous().numpy() for tensor in (u, delta))
    _kernel()(*rows, A.numpy(), *by_token, D.numpy(), delta_bias.numpy(), y.numpy())
    return y


@functools.cache
def _kernel() -> Callable[..., None]:
    numba: Any = importlib.import_module("numba")

    @numba.njit(parallel=True, fastmath=True)
    def scan(u: Any, delta: Any, A: Any, B: Any, C: Any, D: Any, delta_bias: Any, y: Any) -> None:
        batch, rows, length = u.shape
        groups, states = B.shape[2], A.shape[1]
        for index in numba.prange(batch * rows):
            entry, row = index // rows, index % rows
            group = row // (rows // groups)
            state = np.zeros(states, np.float32)
            for token in range(length):
                raw = delta[entry, row, token] + delta_bias[row]
                step = raw if raw > np.float32(20) else np.log1p(np.exp(raw))
                driven, total = step * u[entry, row, token], np.float32(0)
                for n in range(states):
                    state[n] = np.exp(step * A[row, n]) * state[n] + driven * B[entry, token, group, n]
                    total += state[n] * C[entry, token, group, n]
                y[entry, row, token] = total + D[row] * u[entry, row, token]

    kernel: Callable[..., None] = scan
    return kernel
