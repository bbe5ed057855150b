"""PoseMamba's K scans of a (frames x joints) plane and their sum as one operator, without the K-fold copies.

``SpatioTemporalScan.scan`` in :mod:`posemamba.block` is the definition: sequences are cut from the plane in K orders, a
selection is projected from each, each is scanned and put back. Here the projection is made once, in the plane's own
order, because it commutes with reordering and with the addition of limbs; orders, limbs and the sum are in the kernel.

    posemamba::cross_scan(u, selection, ...) -> y, states

The gradient is the exact one: ``scan_gradient="authors"``, in which the added limbs are constants to the input but not
to the selection's weights, has the plain form. Native kernels only, so CPUs only, float32 and float64.

B batch, T frames, J joints, K scans, D inner channels, N states, R step rank, L = T*J tokens.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from posemamba import native
from posemamba.orders import Direction
from posemamba.scan import checkpoint

_FIELDS = 5  # of a walk, see Walk in csrc/native.cpp


def walks(directions: Sequence[Direction], limbs: Tensor | None) -> list[int]:
    """How the kernel is told of directions: five numbers each. Without ``limbs`` none has a limb term."""
    return [
        int(number)
        for direction in directions
        for number in (
            direction.inner == "joints",
            "frames" in direction.reversed,
            "joints" in direction.reversed,
            direction.limbs and limbs is not None,
            direction.apart,
        )
    ]


def c_walks(directions: Sequence[Direction], limbs: Tensor | None) -> ctypes.Array[ctypes.c_int32]:
    """:func:`walks` as the kernel reads them."""
    return _c_array(walks(directions, limbs))


_INPUTS = (
    "Tensor u, Tensor selection, Tensor step_weight, Tensor step_bias, Tensor A, Tensor skip, Tensor? limbs, "
    "int[] walks"
)


@torch.library.custom_op(
    "posemamba::cross_scan",
    mutates_args=(),
    device_types="cpu",
    schema=f"({_INPUTS}, bool keep_states) -> (Tensor y, Tensor states)",
)
def cross_scan(
    u: Tensor,
    selection: Tensor,
    step_weight: Tensor,
    step_bias: Tensor,
    A: Tensor,
    skip: Tensor,
    limbs: Tensor | None,
    walks: Sequence[int],
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    """y (B, T, J, D) and, where asked for, the states (B, K, chunks, N, D) from which the backward pass starts.

    u            (B, T, J, D)
    selection    (B, T, J, K (R + 2 N))  for each scan R numbers that decide on the step, then B, then C
    step_weight  (K, D, R)               from these numbers to the step, before bias and softplus
    step_bias    (K, D)
    A            (K*D, N)
    skip         (K*D,)                  weight of the direct path from u to y
    limbs        (J,)                    the joint that is added to each, in walks with limbs; None where none has
    walks                                see :func:`walks`

    Raises ValueError for limbs that are not J joints of the plane, and for walks that are not K.
    """
    u, selection, step_weight, step_bias, A, skip = _contiguous(u, selection, step_weight, step_bias, A, skip)
    _check(limbs, walks, u, step_weight)
    y = torch.empty_like(u)
    states = u.new_empty(_states_shape(u, A, walks) if keep_states else (0,))
    given: list[native.Array] = [u, selection, step_weight, step_bias, skip, A, _c_array(walks), limbs]
    from_none = [None, y, None]  # no states before the first token are given, nor those after the last one wanted
    native.call("cross_forward", [*given, *from_none, states if keep_states else None], _sizes(u, step_weight, A))
    return y, states


@cross_scan.register_fake
def _(
    u: Tensor,
    selection: Tensor,
    step_weight: Tensor,
    step_bias: Tensor,
    A: Tensor,
    skip: Tensor,
    limbs: Tensor | None,
    walks: Sequence[int],
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    return u.new_empty(u.shape), u.new_empty(_states_shape(u, A, walks) if keep_states else (0,))


@torch.library.custom_op(
    "posemamba::cross_scan_backward",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor dy, {_INPUTS}, Tensor states) -> "
    "(Tensor du, Tensor dselection, Tensor dstep_weight, Tensor dstep_bias, Tensor dA, Tensor dskip)",
)
def cross_scan_backward(
    dy: Tensor,
    u: Tensor,
    selection: Tensor,
    step_weight: Tensor,
    step_bias: Tensor,
    A: Tensor,
    skip: Tensor,
    limbs: Tensor | None,
    walks: Sequence[int],
    states: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The gradients of u, selection, step_weight, step_bias, A and skip."""
    dy, u, selection, step_weight, step_bias, A, skip = _contiguous(dy, u, selection, step_weight, step_bias, A, skip)
    _check(limbs, walks, u, step_weight)
    batch, channels = u.shape[0], u.shape[-1]
    slices = -(-channels // native.slice_channels())
    du, dselection = torch.zeros_like(u), selection.new_zeros(slices, *selection.shape)
    dstep_weight, dA = (u.new_empty(batch, *shape) for shape in (step_weight.shape, A.shape))
    dstep_bias, dskip = (u.new_empty(batch, *tensor.shape) for tensor in (step_bias, skip))
    given: list[native.Array] = [dy, u, selection, step_weight, step_bias, skip, A, _c_array(walks), limbs, states]
    gradients: list[native.Array] = [du, dselection, dstep_weight, dstep_bias, dskip, dA]
    native.call("cross_backward", [*given, *gradients], _sizes(u, step_weight, A))
    dselection = dselection[0] if slices == 1 else dselection.sum(0)
    return du, dselection, dstep_weight.sum(0), dstep_bias.sum(0), dA.sum(0), dskip.sum(0)


@cross_scan_backward.register_fake
def _(
    dy: Tensor,
    u: Tensor,
    selection: Tensor,
    step_weight: Tensor,
    step_bias: Tensor,
    A: Tensor,
    skip: Tensor,
    limbs: Tensor | None,
    walks: Sequence[int],
    states: Tensor,
) -> tuple[Tensor, ...]:
    return tuple(u.new_empty(tensor.shape) for tensor in (u, selection, step_weight, step_bias, A, skip))


def _setup_context(ctx: Any, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.walks, _ = inputs
    ctx.save_for_backward(*tensors, output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, dy: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
    if dy is None:
        return (None,) * 9
    *tensors, states = ctx.saved_tensors
    gradients = cross_scan_backward(dy, *tensors, ctx.walks, states)
    return *gradients, None, None, None


cross_scan.register_autograd(_backward, setup_context=_setup_context)


def _check(limbs: Tensor | None, walks: Sequence[int], u: Tensor, step_weight: Tensor) -> None:
    joints, scans = u.shape[2], len(step_weight)
    if len(walks) != scans * _FIELDS:
        raise ValueError(f"the scan needs {_FIELDS} numbers for each of {scans} walks, got {len(walks)}")
    if any(along_joints and apart for along_joints, apart in zip(walks[::_FIELDS], walks[4::_FIELDS], strict=True)):
        raise ValueError("a walk along joints has no lines apart")
    if limbs is None or (limbs.shape == (joints,) and limbs.dtype == torch.int64 and limbs.is_contiguous()):
        return
    raise ValueError(f"the scan needs one limb for each of {joints} joints, got {tuple(limbs.shape)} of {limbs.dtype}")


def _contiguous(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.contiguous() for tensor in tensors)


def _c_array(numbers: Sequence[int]) -> ctypes.Array[ctypes.c_int32]:
    return (ctypes.c_int32 * len(numbers))(*numbers)


def _sizes(u: Tensor, step_weight: Tensor, A: Tensor) -> tuple[int, ...]:
    batch, frames, joints, channels = u.shape
    return batch, frames, joints, step_weight.shape[0], channels, A.shape[1], step_weight.shape[2]


def _states_shape(u: Tensor, A: Tensor, walks: Sequence[int]) -> tuple[int, ...]:
    batch, frames, joints, channels = u.shape
    lines = [joints if apart else 1 for apart in walks[_FIELDS - 1 :: _FIELDS]]
    chunks = max(line * -(-frames * joints // line // checkpoint.TOKENS) for line in lines)
    return batch, len(lines), chunks, A.shape[1], channels
