"""The block's parts: initialisation, drop path, the operator's dtype."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import softplus

from posemamba import PoseMambaConfig
from posemamba.block import DropPath, SpatioTemporalBlock, SpatioTemporalScan


@pytest.fixture
def scan() -> SpatioTemporalScan:
    torch.manual_seed(0)
    return SpatioTemporalScan(PoseMambaConfig(dim=64, scan_backend="chunked"))


@pytest.fixture
def small() -> PoseMambaConfig:
    return PoseMambaConfig(frames=1, joints=2, dim=4, state_dim=2, limb_order="none", scan_backend="chunked")


def test_shapes_follow_the_config(scan: SpatioTemporalScan) -> None:
    shapes = {name: tuple(value.shape) for name, value in scan.named_parameters()}
    assert shapes["selection_weight"] == (4, 4 + 2 * 16, 128)
    assert shapes["step_weight"] == (4, 128, 4)
    assert shapes["step_bias"] == (4, 128)
    assert shapes["A_log"] == (512, 16)
    assert shapes["skip"] == (512,)
    assert shapes["convolution.weight"] == (128, 1, 3, 3)


def test_initial_step_sizes_are_log_uniform(scan: SpatioTemporalScan) -> None:
    step = softplus(scan.step_bias.detach().double()).flatten()
    assert step.min() >= 1e-3 * 0.999
    assert step.max() <= 0.1 * 1.001
    below_the_geometric_mean = (step < 1e-2).double().mean().item()
    assert below_the_geometric_mean == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / step.numel()))


def test_initial_states_are_s4d_real(scan: SpatioTemporalScan) -> None:
    states = torch.arange(1.0, 17.0)
    torch.testing.assert_close(scan.A_log.detach().exp(), states.expand(512, 16))
    assert torch.equal(scan.skip.detach(), torch.ones(512))


@pytest.mark.parametrize(("name", "bound"), [("selection_weight", 128**-0.5), ("step_weight", 4**-0.5)])
def test_initial_weights_are_uniform(scan: SpatioTemporalScan, name: str, bound: float) -> None:
    weight = scan.get_parameter(name).detach()
    assert 0.99 * bound < weight.max() <= bound
    assert -bound <= weight.min() < -0.99 * bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.05)


def test_drop_path_keeps_whole_clips_and_the_expectation() -> None:
    torch.manual_seed(0)
    batch, probability = 4000, 0.2
    dropped = DropPath(probability).train()(torch.ones(batch, 3, 2))
    assert torch.equal(dropped, dropped[:, :1, :1].expand_as(dropped))
    assert sorted(dropped.unique().tolist()) == pytest.approx([0.0, 1 / (1 - probability)])
    sigma = math.sqrt(probability / (1 - probability) / batch)
    assert dropped.mean().item() == pytest.approx(1.0, abs=4 * sigma)


def test_drop_path_does_nothing_in_evaluation() -> None:
    x = torch.randn(4, 3)
    assert DropPath(0.9).eval()(x) is x


def test_both_branches_are_dropped_independently(small: PoseMambaConfig) -> None:
    torch.manual_seed(0)
    batch, probability = 2000, 0.3
    keep = 1 - probability
    block = SpatioTemporalBlock(small, drop_path=probability).train()
    x = torch.randn(1, 1, 2, 4)
    with torch.no_grad():
        output = block(x.expand(batch, -1, -1, -1))
        scanned = x + block.scan(block.scan_norm(x)) / keep
        expected = [
            (probability**2, x),
            (keep * probability, scanned),
            (probability * keep, x + block.mlp(block.mlp_norm(x)) / keep),
            (keep**2, scanned + block.mlp(block.mlp_norm(scanned)) / keep),
        ]
    shares = [((output - value).abs().flatten(1).amax(1) < 1e-5).double().mean().item() for _, value in expected]
    assert sum(shares) == pytest.approx(1.0)
    for share, (chance, _) in zip(shares, expected, strict=True):
        assert share == pytest.approx(chance, abs=4 * math.sqrt(chance * (1 - chance) / batch))


def test_scan_of_half_precision_is_summed_in_float32(small: PoseMambaConfig) -> None:
    torch.manual_seed(0)
    operator = SpatioTemporalScan(small).bfloat16()
    plane = torch.randn(1, 8, 1, 2, dtype=torch.bfloat16)
    assert operator.scan(plane).dtype == torch.float32
    assert operator(torch.randn(1, 1, 2, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
