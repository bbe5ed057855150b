"""PoseMamba's block: a bidirectional global-local spatio-temporal SSM and an MLP, each in a residual branch.

PoseMamba, Figure 2 and "Bidirectional Global-Local Spatio-Temporal Modeling"; the operator is VMamba's SS2D on the
(frames x joints) plane. In the letters of the code:

    x, z = split(W_in LN(input))                       features and gate
    x    = SiLU(depthwise 3x3 convolution of x over (frames, joints))
    u_k  = x along scan k                              K sequences, see posemamba.orders
    R_k, B_k, C_k = W_k u_k;  delta_k = V_k R_k        the selection: step sizes of rank R, input and output matrices
    y    = sum over k of selective_scan(u_k, softplus(delta_k + bias_k), A_k, B_k, C_k, D_k), put back in place
    out  = W_out (LN(y) * SiLU(z))

B batch, T frames, J joints, C channels (``dim``), D inner channels, K scans, N states, R step rank, L = T*J tokens.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from posemamba import native
from posemamba.config import PoseMambaConfig
from posemamba.cross_scan import cross_scan, walks
from posemamba.orders import to_plane, to_sequences
from posemamba.scan import initialise, is_abstract, is_watched, runs_forwards, selective_scan

BLOCK_NORM_EPS = 1e-6


class SpatioTemporalScan(nn.Module):
    """The SSM operator: (B, T, J, C) -> (B, T, J, C)."""

    def __init__(self, config: PoseMambaConfig) -> None:
        super().__init__()
        self.config = config
        scans, inner, states, rank = len(config.directions), config.inner_dim, config.state_dim, config.step_rank
        self.input_projection = nn.Linear(config.dim, 2 * inner, bias=False)
        self.convolution = nn.Conv2d(inner, inner, kernel_size=3, padding=1, groups=inner)
        self.selection_weight = nn.Parameter(torch.empty(scans, rank + 2 * states, inner))
        self.step_weight = nn.Parameter(torch.empty(scans, inner, rank))
        self.step_bias = nn.Parameter(torch.empty(scans, inner))
        self.A_log = nn.Parameter(torch.empty(scans * inner, states))
        self.skip = nn.Parameter(torch.empty(scans * inner))
        self.output_norm = nn.LayerNorm(inner)
        self.output_projection = nn.Linear(inner, config.dim, bias=False)
        self.limbs: Tensor | None
        self.register_buffer("limbs", None if config.limbs is None else torch.tensor(config.limbs), persistent=False)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Mamba's initialisation of what is special to the SSM; the rest keeps PyTorch's, as with the authors."""
        inner = self.selection_weight.shape[-1]
        self.selection_weight.uniform_(-(inner**-0.5), inner**-0.5)
        initialise(self.step_weight, self.step_bias, self.A_log)
        self.skip.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, J, C) -> (B, T, J, C)."""
        features, gate = self.input_projection(x).chunk(2, dim=-1)  # (B, T, J, D) twice
        # Channels-last in memory: on a CPU this convolution is over ten times slower on channel-major planes.
        plane = F.silu(self.convolve(features.permute(0, 3, 1, 2)))  # (B, D, T, J)
        scan = self.cross_scan if self.takes_cross_scan(plane) else self.scan
        scanned = self.output_norm(scan(plane).to(x.dtype))  # (B, T, J, D)
        return self.output_projection(scanned * F.silu(gate))

    def convolve(self, plane: Tensor) -> Tensor:
        """The depthwise 3x3 convolution of a plane (B, D, T, J) -> (B, D, T, J)."""
        return self.convolution(plane)

    def scan(self, plane: Tensor) -> Tensor:
        """The K selective scans of a plane (B, D, T, J) and their sum (B, T, J, D), in at least float32."""
        inner, frames, joints = plane.shape[1:]
        directions = self.config.directions
        u = to_sequences(plane.contiguous(), directions, self.limbs, self.config.scan_gradient)  # (B, K, D, L)
        delta, B, C = self.selection(u)
        dtype = torch.promote_types(plane.dtype, torch.float32)
        y = selective_scan(
            u.flatten(1, 2).to(dtype),
            delta.flatten(1, 2).to(dtype),
            -torch.exp(self.A_log.to(dtype)),
            B.to(dtype),
            C.to(dtype),
            self.skip.to(dtype),
            self.step_bias.flatten().to(dtype),
            delta_softplus=True,
            backend=self.config.scan_backend,
        ).unflatten(1, (-1, inner))  # (B, K, D, L)
        return to_plane(y, directions, frames, joints).permute(0, 2, 3, 1).contiguous()  # (B, T, J, D)

    def takes_cross_scan(self, plane: Tensor) -> bool:
        """Whether :meth:`cross_scan` can stand in for :meth:`scan`, its definition.

        Not where someone counts or times operators: it has none of its own in their tables. Nor in an exported program,
        which may be run where there is no native library.
        """
        config = self.config
        needs_gradient = torch.is_grad_enabled() and (plane.requires_grad or self.A_log.requires_grad)
        return (
            plane.device.type == "cpu"
            and config.scan_backend in ("auto", "native")
            and not native.missing()
            and not (needs_gradient and self.limbs is not None and config.scan_gradient == "authors")
            and not is_abstract(plane)
            and not is_watched()
            and not runs_forwards()
            and not _is_exporting()
        )

    def cross_scan(self, plane: Tensor) -> Tensor:
        """As :meth:`scan`, by the native kernel that makes no sequences; see :mod:`posemamba.cross_scan`."""
        dtype = torch.promote_types(plane.dtype, torch.float32)
        u = plane.permute(0, 2, 3, 1)  # (B, T, J, D)
        y, _ = cross_scan(
            u.to(dtype),
            F.linear(u, self.selection_weight.flatten(0, 1)).to(dtype),
            self.step_weight.to(dtype),
            self.step_bias.to(dtype),
            -torch.exp(self.A_log.to(dtype)),
            self.skip.to(dtype),
            self.limbs,
            walks(self.config.directions, self.limbs),
            torch.is_grad_enabled(),
        )
        return y

    def selection(self, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What u (B, K, D, L) decides: delta (B, K, D, L), still without bias and softplus, B and C (B, K, N, L)."""
        rank, states = self.step_weight.shape[-1], self.A_log.shape[-1]
        low_rank_step, B, C = (self.selection_weight @ u).split((rank, states, states), dim=2)
        return self.step_weight @ low_rank_step, B, C


def _is_exporting() -> bool:
    return bool(getattr(torch.compiler, "is_exporting", lambda: False)())  # not before torch 2.7


class DropPath(nn.Module):
    """Leaves a residual branch out for whole clips of the batch while training, and scales up the others.

    Huang et al., "Deep networks with stochastic depth" (2016); the expectation is that of the full branch.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """(B, ...) -> (B, ...)."""
        if not self.training or self.probability == 0:
            return branch
        keep = 1 - self.probability
        kept = branch.new_empty(branch.shape[0], *[1] * (branch.ndim - 1)).bernoulli_(keep)  # (B, 1, ..., 1)
        return branch * (kept / keep)

    def extra_repr(self) -> str:
        return f"probability={self.probability:.3f}"


class Mlp(nn.Module):
    """Two linear layers with GELU between them: (..., C) -> (..., C)."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, hidden_dim)
        self.contract = nn.Linear(hidden_dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return self.contract(F.gelu(self.expand(x)))


class SpatioTemporalBlock(nn.Module):
    """x + scan(LN(x)), then x + MLP(LN(x)): (B, T, J, C) -> (B, T, J, C)."""

    scan_class: ClassVar[type[SpatioTemporalScan]] = SpatioTemporalScan

    def __init__(self, config: PoseMambaConfig, drop_path: float) -> None:
        super().__init__()
        self.scan_norm = nn.LayerNorm(config.dim, eps=BLOCK_NORM_EPS)
        self.scan = self.scan_class(config)
        self.mlp_norm = nn.LayerNorm(config.dim, eps=BLOCK_NORM_EPS)
        self.mlp = Mlp(config.dim, config.mlp_dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, J, C) -> (B, T, J, C)."""
        x = x + self.drop_path(self.scan(self.scan_norm(x)))
        return x + self.drop_path(self.mlp(self.mlp_norm(x)))
