"""The mixer against a recurrence written token by token."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.mamba import BidirectionalMamba, Mamba, SelectiveSSM

DIM = 6


def tokens(length: int = 9, batch: int = 2, dim: int = DIM) -> Tensor:
    return torch.randn(batch, length, dim, generator=torch.Generator().manual_seed(length), dtype=torch.float64)


def ssm(width: int = 4) -> SelectiveSSM:
    torch.manual_seed(0)
    module = SelectiveSSM(DIM, state_dim=3, convolution_width=width, step_rank=2).double()
    with torch.no_grad():
        module.A_log.add_(0.1 * torch.randn_like(module.A_log))
        module.skip.copy_(torch.randn_like(module.skip))
    return module


def mamba(kind: type[Mamba] | type[BidirectionalMamba]) -> torch.nn.Module:
    torch.manual_seed(0)
    return kind(DIM, state_dim=3, expansion=1.5, convolution_width=4).double()


def token_by_token(module: SelectiveSSM, sequence: Tensor) -> Tensor:
    """(L, D) -> (L, D), by the formulas at the head of baselines/mamba.py, one state after the other."""
    kernel, bias, width = module.convolution.weight, module.convolution.bias, module.convolution.kernel_size[0]
    assert bias is not None
    hidden = [sequence.new_zeros(DIM) for _ in range(module.state_dim)]
    outputs = []
    for last in range(len(sequence)):
        convolved = bias.clone()
        for offset in range(width):
            if last >= offset:
                convolved = convolved + kernel[:, 0, width - 1 - offset] * sequence[last - offset]
        u = convolved / (1 + torch.exp(-convolved))
        selected = module.selection.weight @ u
        rank, into, out = selected.split((module.step_rank, module.state_dim, module.state_dim))
        delta = functional.softplus(module.step.weight @ rank + module.step.bias)
        output = module.skip * u
        for state in range(module.state_dim):
            decay = torch.exp(-delta * torch.exp(module.A_log[:, state]))
            hidden[state] = decay * hidden[state] + delta * into[state] * u
            output = output + out[state] * hidden[state]
        outputs.append(output)
    return torch.stack(outputs)


@pytest.mark.parametrize("length", [1, 2, 9])
@pytest.mark.parametrize("width", [1, 4])
def test_ssm_is_the_recurrence(length: int, width: int) -> None:
    module, sequences = ssm(width), tokens(length)
    expected = torch.stack([token_by_token(module, sequence) for sequence in sequences])
    torch.testing.assert_close(module(sequences), expected)


def test_gradients_are_the_recurrence_s() -> None:
    module, sequences = ssm(), tokens(5).requires_grad_()
    weights = torch.randn(2, 5, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    variables = [sequences, *module.parameters()]
    walked = torch.stack([token_by_token(module, sequence) for sequence in sequences])
    expected = torch.autograd.grad((walked * weights).sum(), variables)
    gradients = torch.autograd.grad((module(sequences) * weights).sum(), variables)
    torch.testing.assert_close(gradients, expected)


def test_mamba_gates_what_its_ssm_gives() -> None:
    module = mamba(Mamba)
    features, gate = (tokens() @ module.input_projection.weight.t()).split(9, dim=-1)
    expected = (module.ssm(features) * gate * torch.sigmoid(gate)) @ module.output_projection.weight.t()
    torch.testing.assert_close(module(tokens()), expected)


def test_both_directions_are_the_same_form_read_from_either_end() -> None:
    module = mamba(BidirectionalMamba)
    features, gate = (tokens() @ module.input_projection.weight.t()).split(9, dim=-1)
    scanned = module.forward_ssm(features) + module.backward_ssm(features.flip(1)).flip(1)
    expected = (scanned * functional.silu(gate)) @ module.output_projection.weight.t()
    torch.testing.assert_close(module(tokens()), expected)
    module.forward_ssm.load_state_dict(module.backward_ssm.state_dict())
    torch.testing.assert_close(module(tokens().flip(1)), module(tokens()).flip(1))


@pytest.mark.parametrize("training", [False, True])
def test_no_token_sees_a_later_one(training: bool) -> None:
    module = mamba(Mamba).train(training)
    changed = tokens()
    changed[:, 5:] += 1
    before, after = module(tokens()), module(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.isclose(before[:, 5:], after[:, 5:]).any(dim=-1).all()


def test_both_directions_let_each_token_see_all() -> None:
    module, sequences = mamba(BidirectionalMamba), tokens(7).requires_grad_()
    for token in range(7):
        (gradient,) = torch.autograd.grad(module(sequences)[:, token].sum(), sequences)
        assert (gradient.abs().amax(dim=-1) > 0).all()


@pytest.mark.parametrize("kind", [Mamba, BidirectionalMamba])
def test_gradients_reach_every_parameter(kind: type[Mamba] | type[BidirectionalMamba]) -> None:
    module = mamba(kind)
    module(tokens()).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in module.parameters())


def test_parameters_of_a_published_size() -> None:
    """mamba-ssm's Mamba(128): 2 x 128 inner channels, 16 states, width 4, rank 8."""
    inner, states, width, rank = 256, 16, 4, 8
    projections = 3 * 128 * inner
    rest = inner * width + inner + inner * (rank + 2 * states) + (rank + 1) * inner + inner * states + inner
    assert sum(parameter.numel() for parameter in Mamba(128).parameters()) == projections + rest == 116_480


def test_steps_begin_in_mamba_s_range_and_rates_at_whole_numbers() -> None:
    module = SelectiveSSM(64, step_rank=2)
    step = functional.softplus(module.step.bias)
    assert step.min() * 1.001 >= 1e-3
    assert step.max() <= 1e-1 * 1.001
    assert step.max() > 2e-2
    torch.testing.assert_close(module.rate()[5], -torch.arange(1.0, 17.0))
    assert module.step.weight.abs().max() <= 1 / math.sqrt(module.step_rank)


def test_runs_in_mixed_precision() -> None:
    module = BidirectionalMamba(8)
    with torch.autocast("cpu", torch.bfloat16):
        output = module(torch.randn(2, 5, 8))
    output.float().sum().backward()
    assert torch.isfinite(output).all()
