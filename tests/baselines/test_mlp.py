"""The perceptron of a block, against the GELU written out with math.erf."""

from __future__ import annotations

import math

import torch

from baselines.mlp import MLP


def test_gelu_is_the_exact_one() -> None:
    mlp = MLP(1, 1)
    with torch.no_grad():
        for layer in (mlp.expand, mlp.contract):
            layer.weight.fill_(1)
            layer.bias.zero_()
        expected = 0.5 * 1.3 * (1 + math.erf(1.3 / math.sqrt(2)))
        assert abs(mlp(torch.tensor([1.3])).item() - expected) < 1e-6


def test_dropout_acts_in_training_only() -> None:
    mlp = MLP(4, 8, dropout=0.9)
    tokens = torch.ones(50, 4)
    assert (mlp(tokens) == 0).any()
    assert not (mlp.eval()(tokens) == 0).any()
