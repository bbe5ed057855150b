"""Multi-scale temporal convolution: what each frame sees. Its numbers are tested by motionagformer-tiny-tcn."""

from __future__ import annotations

import torch

from baselines.temporal_convolution import MultiScaleTemporalConvolution


def test_a_frame_sees_four_frames_to_each_side_and_its_own_joint_only() -> None:
    torch.manual_seed(0)
    layer = MultiScaleTemporalConvolution(64).eval()
    x = torch.randn(1, 3, 15, 64, requires_grad=True)
    layer(x)[0, 1, 7].square().sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum(dim=-1) > 0  # (J, T)
    assert not seen[[0, 2]].any()
    # Dilation 2 reaches 2 and 4 frames away, dilation 1 and the maximum what lies between: 3 frames away is a gap.
    assert (seen[1].nonzero().flatten() - 7).tolist() == [-4, -2, -1, 0, 1, 2, 4]


def test_without_branches_the_shortcut_remains() -> None:
    layer = MultiScaleTemporalConvolution(8).eval()
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            if not name.endswith(("reduction.weight", "reduction.bias")):
                parameter.zero_()
    x = torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(layer(x), x)
