"""A whole block of PoseMamba by one native kernel, where no gradients are wanted: inference on CPUs.

:class:`posemamba.block.SpatioTemporalBlock` and the norm after it are the definition. The kernel keeps a tile of tokens
in the cache from one linear layer to the next, so that only what convolution and scan need of other tokens is written
to memory: 2 D + K (R + 2 N) numbers a token, in a workspace that all blocks of a forward share.

It reads the parameters at every call and keeps nothing of them. Modules that someone watches by hooks, has replaced or
parametrized are called as they are, in the form of operators, and so is everything where someone counts operators.
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_state

from posemamba import native
from posemamba.block import DropPath, Mlp, SpatioTemporalBlock, SpatioTemporalScan
from posemamba.cross_scan import c_walks
from posemamba.scan import is_abstract, is_watched

_DTYPES = (torch.float32, torch.float64)
#: The classes of a block's parts; of these exactly, else the kernel would not do as they do.
_MODULES = (SpatioTemporalBlock, SpatioTemporalScan, DropPath, Mlp, nn.Linear, nn.LayerNorm, nn.Conv2d)


class Workspace:
    """Memory that the blocks of one forward use in turn; none before the first of them asks."""

    def __init__(self) -> None:
        self._memory: Tensor | None = None

    def of(self, size: int, like: Tensor) -> Tensor:
        """At least ``size`` numbers of the dtype of ``like``, with whatever was left in them."""
        if self._memory is None or self._memory.numel() < size:
            self._memory = like.new_empty(size)
        return self._memory


def takes(block: nn.Module, norm: nn.Module, x: Tensor) -> TypeGuard[SpatioTemporalBlock]:
    """Whether :func:`run` can stand in for ``norm(block(x))``."""
    return (
        isinstance(block, SpatioTemporalBlock)
        and not torch.is_grad_enabled()
        and not block.training
        and block.scan.config.scan_backend in ("auto", "native")
        and x.device.type == "cpu"
        and x.dtype in _DTYPES
        and not native.missing()
        and not torch.compiler.is_compiling()
        and (not torch.is_autocast_enabled("cpu") or _in_bfloat16(x))
        and not is_abstract(x)
        and not is_watched()
        and not module_state._has_any_global_hook()
        and all(_is_plain(part, x.dtype) for part in (*_parts(block), norm))
    )


def run(block: SpatioTemporalBlock, norm: nn.LayerNorm, x: Tensor, memory: Workspace) -> Tensor:
    """``norm(block(x))`` for x (B, T, J, C), written over x where it is contiguous."""
    x = x.contiguous()
    scan, mlp, config = block.scan, block.mlp, block.scan.config
    batch, frames, joints, dim = x.shape
    inner = config.inner_dim
    tokens = batch * frames * joints
    sizes = (tokens * inner, tokens * inner, tokens * scan.selection_weight[..., 0].numel())
    features, u, selection = memory.of(sum(sizes), x)[: sum(sizes)].split(sizes)
    norms = (block.scan_norm, scan.output_norm, block.mlp_norm, norm)
    arrays = [
        x, features, u, selection, features,
        block.scan_norm.weight, block.scan_norm.bias, scan.input_projection.weight,
        scan.convolution.weight, scan.convolution.bias, scan.selection_weight,
        scan.output_norm.weight, scan.output_norm.bias, scan.output_projection.weight,
        block.mlp_norm.weight, block.mlp_norm.bias,
        mlp.expand.weight, mlp.expand.bias, mlp.contract.weight, mlp.contract.bias,
        norm.weight, norm.bias, x.new_tensor([one.eps for one in norms]),
        scan.step_weight, scan.step_bias, scan.skip, -torch.exp(scan.A_log),
        c_walks(config.directions, scan.limbs), scan.limbs,
    ]  # fmt: skip
    dims = (len(config.directions), inner, config.state_dim, config.step_rank, dim, config.mlp_dim)
    native.call("block", arrays, (batch, frames, joints, *dims, torch.is_autocast_enabled("cpu")))
    return x


def _in_bfloat16(x: Tensor) -> bool:
    """Whether the kernel can multiply as autocast to bfloat16 asks it to: matrices so, and all else in float32."""
    return x.dtype == torch.float32 and torch.get_autocast_dtype("cpu") == torch.bfloat16 and native.has_bfloat16()


def _parts(block: SpatioTemporalBlock) -> tuple[nn.Module, ...]:
    scan, mlp = block.scan, block.mlp
    return (
        block, block.scan_norm, scan, scan.input_projection, scan.convolution, scan.output_norm,
        scan.output_projection, block.mlp_norm, mlp, mlp.expand, mlp.contract, block.drop_path,
    )  # fmt: skip


def _is_plain(part: nn.Module, dtype: torch.dtype) -> bool:
    """Whether it does what its class says, with contiguous parameters of ``dtype``, and nobody looks on."""
    return (
        type(part) in _MODULES
        and "forward" not in part.__dict__
        and not part._forward_hooks
        and not part._forward_pre_hooks
        and all(p is None or (p.dtype == dtype and p.is_contiguous()) for p in part._parameters.values())
    )
