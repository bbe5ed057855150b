"""PoseMamba without the future: our own variant, for streams.

The paper's block reads the whole clip in four walks, two of them backwards. Here every walk goes forward in time
(``scan="causal"`` in :mod:`posemamba.orders`), the convolution looks at a frame and the two before it, and no position
in time is embedded. All else, and every other parameter's shape, is the paper's. The first K / 2 walks go through the
plane frame after frame, the others through the frames of each joint by itself.

So a frame's output needs of the frames before it only the convolution's window and the scans' hidden states, and
``step`` gives it at a cost that does not depend on how many frames there were.

B batch, T frames, J joints, C channels, D inner channels, K scans, N states, L = T*J tokens.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from posemamba.block import SpatioTemporalBlock, SpatioTemporalScan
from posemamba.config import PoseMambaConfig
from posemamba.orders import to_plane, to_sequences
from posemamba.scan import continue_scan, selective_scan

#: Frames before the one at hand that the convolution looks at.
FRAMES_BEFORE = 2
#: u, delta, A, B, C, skip and the steps' bias of a scan.
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class ScanState(NamedTuple):
    """What a block remembers of the frames so far.

    window   (B, 2, J, D)              the convolution's input at the last two
    hidden   (B, K/2 + K/2 * J, N, D)  the hidden states of each walk through the plane after the last frame's last
                                       token, then of each walk through joints those of every joint
    """

    window: Tensor
    hidden: Tensor


class CausalScan(SpatioTemporalScan):
    """The SSM operator, each frame from those up to it: (B, T, J, C) -> (B, T, J, C)."""

    def __init__(self, config: PoseMambaConfig) -> None:
        super().__init__(config)
        inner = config.inner_dim
        self.convolution = nn.Conv2d(inner, inner, kernel_size=3, padding=(FRAMES_BEFORE, 1), groups=inner)
        #: How many of the K scans, the first ones, go through the plane.
        self.through_plane = sum(not direction.apart for direction in config.directions)

    def convolve(self, plane: Tensor) -> Tensor:
        """(B, D, T, J) -> (B, D, T, J); what the padding behind the last frame gives is cut off."""
        return self.convolution(plane)[:, :, : plane.shape[2]]

    def scan(self, plane: Tensor) -> Tensor:
        """The K selective scans of a plane (B, D, T, J) and their sum (B, T, J, D), in at least float32."""
        of_plane, of_joints = self._sequences(plane.contiguous())
        backend = self.config.scan_backend
        y_plane = selective_scan(*of_plane, delta_softplus=True, backend=backend)  # (B, K/2 D, L)
        y_joints = selective_scan(*of_joints, delta_softplus=True, backend=backend)  # (B J, K/2 D, T)
        return self._in_place(y_plane, y_joints, plane.shape[-1])

    def step(self, x: Tensor, state: ScanState) -> tuple[Tensor, ScanState]:
        """The next frame (B, J, C) -> (B, J, C) and the state after it."""
        features, gate = self.input_projection(x).chunk(2, dim=-1)  # (B, J, D) twice
        window = torch.cat((state.window, features.unsqueeze(1)), dim=1)  # (B, 3, J, D)
        kernel, bias = self.convolution.weight, self.convolution.bias
        convolved = F.conv2d(window.permute(0, 3, 1, 2), kernel, bias, padding=(0, 1), groups=len(kernel))
        y, hidden = self._go_on(F.silu(convolved), state.hidden)  # (B, 1, J, D)
        scanned = self.output_norm(y.squeeze(1).to(x.dtype))  # (B, J, D)
        return self.output_projection(scanned * F.silu(gate)), ScanState(window[:, 1:], hidden)

    def initial_state(self, x: Tensor) -> ScanState:
        """Before the first frame of streams like x (B, J, C): nothing."""
        return ScanState(*(torch.zeros(shape, dtype=dtype, device=x.device) for shape, dtype in self._state_form(x)))

    def is_state_of(self, state: object, x: Tensor) -> bool:
        """Whether a frame x (B, J, C) can go on from ``state``. A kernel trusts it."""
        return isinstance(state, ScanState) and all(
            (tuple(part.shape), part.dtype, part.device) == (*form, x.device)
            for part, form in zip(state, self._state_form(x), strict=True)
        )

    def _state_form(self, x: Tensor) -> list[tuple[tuple[int, ...], torch.dtype]]:
        """Shape and dtype of a state's parts for streams like x (B, J, C)."""
        (batch, joints, _), inner, scans = x.shape, self.config.inner_dim, len(self.config.directions)
        lines = self.through_plane + (scans - self.through_plane) * joints
        return [
            ((batch, FRAMES_BEFORE, joints, inner), x.dtype),
            ((batch, lines, self.config.state_dim, inner), torch.promote_types(x.dtype, torch.float32)),
        ]

    def _go_on(self, plane: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The scans of one more frame, a plane (B, D, 1, J): y (B, 1, J, D), and the states after it."""
        joints, inner = plane.shape[-1], self.config.inner_dim
        of_plane, of_joints = self._sequences(plane)
        before = hidden.transpose(2, 3)  # (B, lines, D, N)
        before_joints = before[:, self.through_plane :].unflatten(1, (-1, joints)).transpose(1, 2).flatten(0, 1)
        # Token by token: where speed counts, native_block does all of this in one kernel.
        y_plane, after = continue_scan(
            before[:, : self.through_plane].flatten(1, 2), *of_plane, delta_softplus=True, native_kernel=False
        )
        y_joints, after_joints = continue_scan(
            before_joints.flatten(1, 2), *of_joints, delta_softplus=True, native_kernel=False
        )
        of_each_joint = after_joints.unflatten(1, (-1, inner)).unflatten(0, (-1, joints)).transpose(1, 2).flatten(1, 2)
        states = torch.cat((after.unflatten(1, (-1, inner)), of_each_joint), dim=1).transpose(2, 3)  # (B, lines, N, D)
        return self._in_place(y_plane, y_joints, joints), states

    def _sequences(self, plane: Tensor) -> tuple[Inputs, Inputs]:
        """What the scans take, from u to the steps' bias, of a plane (B, D, T, J): through it, and through joints."""
        frames, joints = plane.shape[-2:]
        u = to_sequences(plane, self.config.directions, self.limbs, self.config.scan_gradient)  # (B, K, D, L)
        dtype = torch.promote_types(u.dtype, torch.float32)
        by_token = [x.to(dtype) for x in (u, *self.selection(u))]  # u, delta, B, C
        A = -torch.exp(self.A_log.to(dtype)).unflatten(0, (u.shape[1], -1))  # (K, D, N)
        by_scan = [A, self.skip.to(dtype).view(A.shape[:2]), self.step_bias.to(dtype)]
        first, rest = slice(self.through_plane), slice(self.through_plane, None)
        lines = [_lines(x[:, rest], joints, frames) for x in by_token]
        return (
            _arguments([x[:, first] for x in by_token], [x[first] for x in by_scan]),
            _arguments(lines, [x[rest] for x in by_scan]),
        )

    def _in_place(self, y_plane: Tensor, y_joints: Tensor, joints: int) -> Tensor:
        """The sum (B, T, J, D) of scans through the plane (B, K/2 D, L) and through joints (B J, K/2 D, T)."""
        frames, inner = y_joints.shape[-1], self.config.inner_dim
        of_joints = y_joints.unflatten(0, (-1, joints)).transpose(1, 2).flatten(2)  # (B, K/2 D, L)
        y = torch.cat((y_plane, of_joints), dim=1).unflatten(1, (-1, inner))  # (B, K, D, L)
        return to_plane(y, self.config.directions, frames, joints).permute(0, 2, 3, 1).contiguous()


class CausalBlock(SpatioTemporalBlock):
    """x + scan(LN(x)), then x + MLP(LN(x)), each frame from those up to it: (B, T, J, C) -> (B, T, J, C)."""

    scan_class = CausalScan
    scan: CausalScan

    def step(self, x: Tensor, state: ScanState) -> tuple[Tensor, ScanState]:
        """The next frame (B, J, C) -> (B, J, C) and the state after it."""
        scanned, after = self.scan.step(self.scan_norm(x), state)
        x = x + self.drop_path(scanned)
        return x + self.drop_path(self.mlp(self.mlp_norm(x))), after


def _lines(sequences: Tensor, joints: int, frames: int) -> Tensor:
    """Sequences (B, K, C, L) that read joint after joint as one for each joint, (B J, K, C, T)."""
    return sequences.unflatten(-1, (joints, frames)).movedim(-2, 1).flatten(0, 1)


def _arguments(by_token: list[Tensor], by_scan: list[Tensor]) -> Inputs:
    """In the order of :func:`posemamba.scan.selective_scan`, scans and channels as one axis where it wants them so."""
    u, delta, B, C = by_token
    A, skip, step_bias = (x.flatten(0, 1) for x in by_scan)
    return u.flatten(1, 2), delta.flatten(1, 2), A, B, C, skip, step_bias
