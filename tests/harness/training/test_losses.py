"""Loss terms against values worked out by hand and an independent numpy form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.training import losses
from harness.training.losses import LossWeights


@pytest.fixture
def poses() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, 17, 3, generator=generator), torch.randn(2, 5, 17, 3, generator=generator)


def test_position_error_by_hand() -> None:
    target = torch.zeros(1, 1, 2, 3)
    prediction = torch.tensor([[[[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]]]])
    assert losses.position_error(prediction, target).item() == pytest.approx(3.0)


def test_scaled_error_ignores_each_frame_s_scale(poses: tuple[torch.Tensor, torch.Tensor]) -> None:
    _, target = poses
    scale = torch.rand(2, 5, 1, 1) + 0.5
    assert losses.scaled_position_error(target * scale, target).item() == pytest.approx(0, abs=1e-5)


def test_scaled_error_of_a_zero_prediction_is_finite() -> None:
    prediction = torch.zeros(1, 2, 17, 3, requires_grad=True)
    losses.scaled_position_error(prediction, torch.ones(1, 2, 17, 3)).backward()
    assert torch.isfinite(prediction.grad).all()


def test_velocity_and_difference_in_numpy(poses: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = (p.double().numpy() for p in poses)
    velocity = np.linalg.norm(np.diff(prediction - target, axis=1), axis=-1).mean()
    weights = np.array([1, 1, 2.5, 2.5, 1, 2.5, 2.5, 1, 1, 1, 1.5, 1.5, 4, 4, 1.5, 4, 4])
    difference = (np.diff(prediction, axis=1) ** 2 * weights[None, None, :, None]).mean()
    assert losses.velocity_error(*poses).item() == pytest.approx(velocity, rel=1e-5)
    assert losses.temporal_difference(poses[0]).item() == pytest.approx(difference, rel=1e-5)


def test_a_single_frame_has_no_velocity(poses: tuple[torch.Tensor, torch.Tensor]) -> None:
    single = [pose[:, :1] for pose in poses]
    assert losses.velocity_error(*single).item() == 0
    assert losses.temporal_difference(single[0]).item() == 0


def test_total_is_the_weighted_sum(poses: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = poses
    weights = LossWeights(position=1.0, scale=0.5, velocity=20.0, temporal_difference=0.5)
    expected = (
        losses.position_error(prediction, target)
        + 0.5 * losses.scaled_position_error(prediction, target)
        + 20 * losses.velocity_error(prediction, target)
        + 0.5 * losses.temporal_difference(prediction)
    )
    assert losses.total(prediction, target, weights).item() == pytest.approx(expected.item())


def test_mixste_s_loss_by_hand(poses: tuple[torch.Tensor, torch.Tensor]) -> None:
    prediction, target = (array.numpy().astype(np.float64) for array in poses)
    weights = np.array(losses.JOINT_WEIGHTS)
    steps = np.diff(prediction, axis=1)
    expected = (
        (np.linalg.norm(prediction - target, axis=-1) * weights).mean()
        + 0.5 * (steps**2 * weights[:, None]).mean()
        + 2.0 * np.linalg.norm(steps - np.diff(target, axis=1), axis=-1).mean()
    )
    chosen = LossWeights(position=1.0, scale=0.0, velocity=2.0, temporal_difference=0.5, joint_weights=True)
    assert losses.total(*poses, chosen).item() == pytest.approx(expected, rel=1e-5)


def test_squared_error_by_hand() -> None:
    prediction = torch.tensor([[[[3.0, 0.0, 0.0], [0.0, 0.0, 1.0]]]])
    chosen = LossWeights(position=0.0, scale=0.0, squared=2.0)
    assert losses.total(prediction, torch.zeros(1, 1, 2, 3), chosen).item() == pytest.approx(2 * 10 / 6)
