"""The definition against two independent ones: the recurrence number by number in Python, and a geometric series."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from posemamba.scan import selective_scan
from tests.posemamba.scan.inputs import random_inputs


def number_by_number(u, delta, A, B, C, D, bias) -> np.ndarray:  # type: ignore[no-untyped-def]
    y = np.zeros(u.shape)
    per_group = u.shape[1] // B.shape[1]
    for b, row in np.ndindex(u.shape[:2]):
        group = row // per_group
        h = [0.0] * A.shape[1]
        for token in range(u.shape[2]):
            step = math.log1p(math.exp(delta[b, row, token] + bias[row]))
            y[b, row, token] = D[row] * u[b, row, token]
            for n in range(len(h)):
                h[n] = math.exp(step * A[row, n]) * h[n] + step * B[b, group, n, token] * u[b, row, token]
                y[b, row, token] += C[b, group, n, token] * h[n]
    return y


def test_recurrence_number_by_number() -> None:
    tensors = random_inputs(2, 3, 2, 4, 7)
    y = selective_scan(*tensors, delta_softplus=True, backend="reference")
    np.testing.assert_allclose(y.detach(), number_by_number(*(x.detach().numpy() for x in tensors)), rtol=1e-12)


@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_constant_input_is_a_geometric_series(backend: str) -> None:
    ones = torch.ones(1, 1, 50, dtype=torch.float64)
    step, rate = 0.25, -0.5
    y = selective_scan(
        ones, step * ones, torch.full((1, 1), rate).double(), ones[:, None], ones[:, None], backend=backend
    )
    decay = math.exp(step * rate)
    expected = [step * (1 - decay**count) / (1 - decay) for count in range(1, 51)]
    np.testing.assert_allclose(y[0, 0], expected, rtol=1e-12)
