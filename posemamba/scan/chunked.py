"""The scan in pure PyTorch with few, large operations: for machines without the native kernel and for any device.

The tokens are processed in segments. A segment's tokens are laid out as S stretches of T, so that one operation
advances all stretches by a token: first each stretch from a zero state, to learn what it adds to the state that
enters it; then the S entering states one after the other; then every stretch again from its true state. That takes
2 T + S small steps instead of S T. On a CPU a segment stays in a cache; on a GPU, where every step costs the start of
its kernels, it is as long as memory allows, and T about the root of half of it. Decays are only ever multiplied, never
divided or taken logarithms of, so that no step, however large, overflows. The backward pass goes through the segments
in reverse, each recomputed from the state that was kept at its start, so that memory beyond inputs and outputs does not
grow with L.

With a_l = exp(dt_l A), w_l = dt_l u_l, and g_l the gradient with respect to the state h_l:

    g_l = C_l dy_l + a_{l+1} g_{l+1}
    dw_l = <B_l, g_l>    dB_l = sum_D g_l w_l    dC_l = sum_D h_l dy_l
    d(dt_l A) = a_l g_l h_{l-1}

Inside a segment tensors are (T, S, B, K, N, D): channels last, because they are many. For the other letters see
:mod:`posemamba.scan`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from posemamba.scan import checkpoint

#: Tokens of a segment and of a stretch on a CPU. Segments are whole stretches between checkpoints, everywhere.
SEGMENT_TOKENS = checkpoint.TOKENS
STRETCH_TOKENS = 8
#: Numbers in a tensor of all states of a segment on a GPU, of which there are about six at a time: 128 MiB each.
_GPU_STATES = 1 << 25
Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def forward(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    keep_states: bool,
) -> tuple[Tensor, Tensor]:
    """y (B, K*D, L) and, where asked for, the states at the checkpoints."""
    batch, groups, states, length = B.shape
    rate = _rate(A, groups)  # (K, N, D)
    step = _step(delta, delta_bias, delta_softplus)
    segment_tokens, stretch = extents(u.device.type, batch * u.shape[1] * states, length)
    kept = u.new_empty(checkpoint.shape(batch, u.shape[1], states, length) if keep_states else (0,))
    y = torch.empty_like(u, memory_format=torch.contiguous_format)
    state = u.new_zeros(batch, *rate.shape)  # (B, K, N, D)
    for start in range(0, length, segment_tokens):
        tokens = slice(start, start + segment_tokens)
        step_s, u_s = (_by_token(x[..., tokens], stretch, groups) for x in (step, u))  # (T, S, B, K, 1, D)
        B_s, C_s = (_by_token(x[..., tokens], stretch) for x in (B, C))  # (T, S, B, K, N, 1)
        hidden = _advance(torch.exp(step_s * rate), step_s * u_s * B_s, state)
        state = hidden[-1, -1].clone()
        y[..., tokens] = _by_channel((C_s * hidden).sum(-2, keepdim=True), y[..., tokens].shape)
        if keep_states:
            ends = _at_checkpoints(hidden[-1], checkpoint.TOKENS // stretch)  # (B, checkpoints, N, K*D)
            first = start // checkpoint.TOKENS
            kept[:, first : first + ends.shape[1]] = ends
    return (y if D is None else y.addcmul_(D[:, None], u)), kept


def backward(
    dy: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    states: Tensor,
) -> Gradients:
    """The gradients of u, delta, A, B, C, D and delta_bias."""
    batch, groups, state_dim, length = B.shape
    segment_tokens, stretch = extents(u.device.type, batch * u.shape[1] * state_dim, length)
    rate = _rate(A, groups)  # (K, N, D)
    step = _step(delta, delta_bias, delta_softplus)
    d_input, d_step, dB, dC = (torch.empty_like(x, memory_format=torch.contiguous_format) for x in (u, u, B, C))
    d_rate = torch.zeros_like(rate)
    carry = u.new_zeros(batch, *rate.shape)  # (B, K, N, D)
    for start in reversed(range(0, length, segment_tokens)):
        tokens = slice(start, start + segment_tokens)
        step_s, u_s, dy_s = (_by_token(x[..., tokens], stretch, groups) for x in (step, u, dy))  # (T, S, B, K, 1, D)
        B_s, C_s = (_by_token(x[..., tokens], stretch) for x in (B, C))  # (T, S, B, K, N, 1)
        before = start // checkpoint.TOKENS - 1
        entering = states[:, before] if start else torch.zeros_like(states[:, 0])  # (B, N, K*D)
        entering = entering.unflatten(-1, (groups, -1)).transpose(1, 2)  # (B, K, N, D)
        input_s = step_s * u_s
        decay = torch.exp(step_s * rate)
        hidden = _advance(decay, input_s * B_s, entering)
        adjoint, carry = _retreat(decay, C_s * dy_s, carry)
        d_exponent = _retained(decay, hidden, entering).mul_(adjoint)

        shape = u[..., tokens].shape
        d_input[..., tokens] = _by_channel((B_s * adjoint).sum(-2, keepdim=True), shape)
        d_step[..., tokens] = _by_channel((rate * d_exponent).sum(-2, keepdim=True), shape)
        dB[..., tokens] = _by_channel((input_s * adjoint).sum(-1, keepdim=True), dB[..., tokens].shape)
        dC[..., tokens] = _by_channel((dy_s * hidden).sum(-1, keepdim=True), dC[..., tokens].shape)
        d_rate += (step_s * d_exponent).sum((0, 1, 2))

    d_step.addcmul_(d_input, u)
    du = d_input.mul_(step) if D is None else d_input.mul_(step).addcmul_(D[:, None], dy)
    ddelta = d_step
    if delta_softplus:
        ddelta = d_step * torch.sigmoid(delta if delta_bias is None else delta + delta_bias[:, None])
    dA = d_rate.transpose(1, 2).reshape(A.shape)
    return du, ddelta, dA, dB, dC, (u * dy).sum((0, 2)), ddelta.sum((0, 2))


def extents(device: str, states_of_token: int, length: int) -> tuple[int, int]:
    """Tokens of a segment and of a stretch on that kind of device, for B*K*D*N ``states_of_token``."""
    if device != "cuda":
        return SEGMENT_TOKENS, STRETCH_TOKENS
    between = checkpoint.TOKENS
    segment = between * max(1, min(-(-length // between), _GPU_STATES // (between * states_of_token)))
    stretch = STRETCH_TOKENS
    while stretch < between and 2 * (2 * stretch) ** 2 <= segment:
        stretch *= 2
    return segment, stretch


def _at_checkpoints(ends: Tensor, stretches: int) -> Tensor:
    """Of the states (S, B, K, N, D) after each stretch every ``stretches``-th and the last: (B, ..., N, K*D)."""
    kept = ends[stretches - 1 :: stretches]
    if len(ends) % stretches:
        kept = torch.cat((kept, ends[-1:]))
    return kept.permute(1, 0, 3, 2, 4).flatten(3)


def _rate(A: Tensor, groups: int) -> Tensor:
    return A.view(groups, -1, A.shape[1]).transpose(1, 2).contiguous()  # (K, N, D)


def _step(delta: Tensor, delta_bias: Tensor | None, delta_softplus: bool) -> Tensor:
    step = delta if delta_bias is None else delta + delta_bias[:, None]
    return F.softplus(step) if delta_softplus else step


def _by_token(x: Tensor, stretch: int, groups: int | None = None) -> Tensor:
    """A segment of (B, K*D, L), given K, or of (B, K, N, L), padded by zero steps to whole stretches."""
    length = x.shape[-1]
    x = F.pad(x, (0, -length % stretch))
    x = x.unflatten(-1, (-1, stretch))  # (..., S, T)
    if groups is None:
        return x.permute(4, 3, 0, 1, 2).unsqueeze(-1).contiguous()  # (T, S, B, K, N, 1)
    x = x.unflatten(1, (groups, -1))  # (B, K, D, S, T)
    return x.permute(4, 3, 0, 1, 2).unsqueeze(-2).contiguous()  # (T, S, B, K, 1, D)


def _by_channel(x: Tensor, shape: torch.Size) -> Tensor:
    """Inverse of :func:`_by_token`: (T, S, B, K, ...) to ``shape``, whose last axis is the segment's tokens."""
    x = x.movedim((1, 0), (-2, -1))  # (B, K, ..., S, T)
    return x.reshape(*shape[:-1], -1)[..., : shape[-1]]


def _advance(decay: Tensor, hidden: Tensor, state: Tensor) -> Tensor:
    """h_l = a_l h_{l-1} + b_l from ``state`` on; ``hidden`` comes as b and leaves as h."""
    last = hidden[0].clone()  # (S, B, K, N, D)
    for decay_t, input_t in zip(decay[1:], hidden[1:], strict=True):
        last = torch.addcmul(input_t, decay_t, last)
    through = decay.prod(0)
    entering = torch.empty_like(last)
    for s in range(len(entering)):
        entering[s] = state
        state = torch.addcmul(last[s], through[s], state)
    hidden[0].addcmul_(decay[0], entering)
    for t in range(1, len(hidden)):
        hidden[t].addcmul_(decay[t], hidden[t - 1])
    return hidden


def _retreat(decay: Tensor, adjoint: Tensor, carry: Tensor) -> tuple[Tensor, Tensor]:
    """g_l = x_l + a_{l+1} g_{l+1} with ``carry`` the last a g; ``adjoint`` comes as x and leaves as g.

    Returns g and a_1 g_1, the carry of the segment before.
    """
    first = adjoint[-1].clone()  # (S, B, K, N, D)
    for t in reversed(range(len(adjoint) - 1)):
        first = torch.addcmul(adjoint[t], decay[t + 1], first)
    first *= decay[0]
    through = decay.prod(0)
    for s in reversed(range(len(first))):
        adjoint[-1, s] += carry
        carry = torch.addcmul(first[s], through[s], carry)
    for t in reversed(range(len(adjoint) - 1)):
        adjoint[t].addcmul_(decay[t + 1], adjoint[t + 1])
    return adjoint, carry


def _retained(decay: Tensor, hidden: Tensor, entering: Tensor) -> Tensor:
    """a_l h_{l-1}, in place of ``decay``."""
    for t in range(1, len(decay)):
        decay[t] *= hidden[t - 1]
    decay[0, 1:] *= hidden[-1, :-1]
    decay[0, 0] *= entering
    return decay
