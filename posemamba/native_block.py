"""A whole block of PoseMamba by one native kernel, where no gradients are wanted: inference on CPUs.

:class:`posemamba.block.SpatioTemporalBlock` and the norm after it are the definition. The kernel keeps a tile of tokens
in the cache from one linear layer to the next, so that only what convolution and scan need of other tokens is written
to memory: 2 D + K (R + 2 N) numbers a token, in a workspace that all blocks of a forward share.

It reads the parameters at every call and keeps nothing of them. It takes a block only if every part of it is exactly
what the configuration says (class, shapes, padding) and nobody looks on by a hook, a counter of operators or a
transformation of functions; otherwise the modules are called.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules import module as module_state

from posemamba import native
from posemamba.block import DropPath, Mlp, SpatioTemporalBlock, SpatioTemporalScan
from posemamba.causal import FRAMES_BEFORE, CausalBlock, CausalScan, ScanState
from posemamba.config import PoseMambaConfig
from posemamba.cross_scan import c_walks
from posemamba.scan import is_abstract, is_transformed, is_watched

_DTYPES = (torch.float32, torch.float64)


class Workspace:
    """Memory that the blocks of one forward use in turn, and what of their outputs may be written over."""

    def __init__(self) -> None:
        self._memory: Tensor | None = None
        self._output: Tensor | None = None

    def of(self, size: int, like: Tensor) -> Tensor:
        """At least ``size`` numbers of the dtype of ``like``, with whatever was left in them."""
        if self._memory is None or self._memory.numel() < size:
            self._memory = like.new_empty(size)
        return self._memory

    def own(self, x: Tensor) -> Tensor:
        """``x`` where the kernel itself made it last, so that nobody else holds it, else a contiguous copy."""
        if x is not self._output:
            self._output = x.clone(memory_format=torch.contiguous_format)
        return self._output


def takes(block: nn.Module, norm: nn.Module, x: Tensor) -> TypeGuard[SpatioTemporalBlock]:
    """Whether :func:`run` can stand in for ``norm(block(x))``."""
    return (
        not torch.is_grad_enabled()
        and type(x) is Tensor
        and x.device.type == "cpu"
        and x.dtype in _DTYPES
        and not native.missing()
        and not torch.compiler.is_compiling()
        and (not torch.is_autocast_enabled("cpu") or _in_bfloat16(x))
        and not is_abstract(x)
        and not _is_observed()
        and _is_as_configured(block, norm, x.dtype)
    )


def run(block: SpatioTemporalBlock, norm: nn.LayerNorm, x: Tensor, memory: Workspace) -> Tensor:
    """``norm(block(x))`` for x (B, T, J, C); written over x where that is what the kernel returned last."""
    x = memory.own(x)
    _call(block, norm, x, memory, None, None)
    return x


def step(
    block: CausalBlock, norm: nn.LayerNorm, x: Tensor, state: ScanState, memory: Workspace
) -> tuple[Tensor, ScanState]:
    """``block.step(x, state)`` for the next frame x (B, J, C), with the norm after it."""
    frame = memory.own(x)
    after = ScanState(*(torch.empty_like(part, memory_format=torch.contiguous_format) for part in state))
    _call(block, norm, frame.unsqueeze(1), memory, state, after)
    return frame, after


def _call(
    block: SpatioTemporalBlock,
    norm: nn.LayerNorm,
    x: Tensor,
    memory: Workspace,
    before: ScanState | None,
    after: ScanState | None,
) -> None:
    """Write over x (B, T, J, C) and ``after``."""
    scan, mlp, config = block.scan, block.mlp, block.scan.config
    batch, frames, joints, dim = x.shape
    inner = config.inner_dim
    tokens = batch * frames * joints
    sizes = (tokens * inner, tokens * inner, tokens * scan.selection_weight[..., 0].numel())
    features, u, selection = memory.of(sum(sizes), x)[: sum(sizes)].split(sizes)
    norms = (block.scan_norm, scan.output_norm, block.mlp_norm, norm)
    window_before, hidden_before = (None, None) if before is None else (part.contiguous() for part in before)
    window_after, hidden_after = (None, None) if after is None else after
    arrays = [
        x, features, u, selection, features, window_before, window_after,
        block.scan_norm.weight, block.scan_norm.bias, scan.input_projection.weight,
        scan.convolution.weight, scan.convolution.bias, scan.selection_weight,
        scan.output_norm.weight, scan.output_norm.bias, scan.output_projection.weight,
        block.mlp_norm.weight, block.mlp_norm.bias,
        mlp.expand.weight, mlp.expand.bias, mlp.contract.weight, mlp.contract.bias,
        norm.weight, norm.bias, x.new_tensor([one.eps for one in norms]),
        scan.step_weight, scan.step_bias, scan.skip, -torch.exp(scan.A_log),
        c_walks(config.directions, scan.limbs), scan.limbs, hidden_before, hidden_after,
    ]  # fmt: skip
    dims = (len(config.directions), inner, config.state_dim, config.step_rank, dim, config.mlp_dim)
    flags = (config.is_causal, torch.is_autocast_enabled("cpu"))
    native.call("block", arrays, (batch, frames, joints, *dims, *flags))


def _in_bfloat16(x: Tensor) -> bool:
    """Whether the kernel can multiply as autocast to bfloat16 asks it to: matrices so, and all else in float32."""
    return x.dtype == torch.float32 and torch.get_autocast_dtype("cpu") == torch.bfloat16 and native.has_bfloat16()


def _is_observed() -> bool:
    """Whether someone counts operators, hooks all modules, or transforms functions (vmap, forward-mode gradients)."""
    return is_watched() or module_state._has_any_global_hook() or is_transformed()


def _is_as_configured(block: nn.Module, norm: nn.Module, dtype: torch.dtype) -> bool:
    if not isinstance(block, SpatioTemporalBlock) or _SCANS.get(type(block)) is not type(block.scan):
        return False
    config = block.scan.config
    expected, kinds = _shapes(config), {**_PARTS, "": type(block), "scan": type(block.scan)}
    return (
        config.scan_backend in ("auto", "native")
        and _is_plain(norm, nn.LayerNorm, expected["norm"], dtype)
        and all(
            _is_plain(_part(block, name), kind, expected[name], dtype) for name, kind in kinds.items() if name != "norm"
        )
        and _convolves_as_defined(block.scan.convolution, config)
        and (block.scan.limbs is None or block.scan.limbs.shape == (config.joints,))
    )


#: The blocks that the kernel knows, each with the scan that it knows in it.
_SCANS: Mapping[type[nn.Module], type[nn.Module]] = {
    SpatioTemporalBlock: SpatioTemporalScan,
    CausalBlock: CausalScan,
}
#: A block's parts and their classes; "norm" is the one behind the block.
_PARTS: Mapping[str, type[nn.Module]] = {
    "norm": nn.LayerNorm,
    "": SpatioTemporalBlock,
    "scan_norm": nn.LayerNorm,
    "scan": SpatioTemporalScan,
    "scan.input_projection": nn.Linear,
    "scan.convolution": nn.Conv2d,
    "scan.output_norm": nn.LayerNorm,
    "scan.output_projection": nn.Linear,
    "mlp_norm": nn.LayerNorm,
    "mlp": Mlp,
    "mlp.expand": nn.Linear,
    "mlp.contract": nn.Linear,
    "drop_path": DropPath,
}


@functools.cache
def _shapes(config: PoseMambaConfig) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    """Of each part the shapes of its own parameters, as the modules make them."""
    with torch.device("meta"):
        block = (CausalBlock if config.is_causal else SpatioTemporalBlock)(config, drop_path=0.0)
        parts = {name: nn.LayerNorm(config.dim) if name == "norm" else _part(block, name) for name in _PARTS}
    return {
        name: {one: tuple(p.shape) for one, p in part.named_parameters(recurse=False)} for name, part in parts.items()
    }


def _part(block: nn.Module, name: str) -> nn.Module:
    part: nn.Module = block
    for step in name.split(".") if name else ():
        part = part._modules[step]  # type: ignore[assignment]
    return part


def _is_plain(
    part: nn.Module, kind: type[nn.Module], shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype
) -> bool:
    """Whether it is of this class, with these parameters and no others, in evaluation, and nobody looks on."""
    parameters = part._parameters
    return (
        type(part) is kind
        and not part.training
        and "forward" not in part.__dict__
        and not part._forward_hooks
        and not part._forward_pre_hooks
        and sum(p is not None for p in parameters.values()) == len(shapes)
        and all(_is_array(parameters.get(name), shape, dtype) for name, shape in shapes.items())
    )


def _is_array(p: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> bool:
    return (
        type(p) is nn.Parameter
        and p.shape == shape
        and p.dtype == dtype
        and p.device.type == "cpu"
        and p.is_contiguous()
    )


def _convolves_as_defined(convolution: nn.Conv2d, config: PoseMambaConfig) -> bool:
    settings = (convolution.groups, convolution.padding, convolution.stride, convolution.dilation)
    padding = (FRAMES_BEFORE, 1) if config.is_causal else (1, 1)
    return settings == (config.inner_dim, padding, (1, 1), (1, 1)) and convolution.padding_mode == "zeros"
