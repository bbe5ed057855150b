"""A causal Pose Magic frame by frame: its layers with their weights laid together, for few operations a frame.

A single frame is small, and what it costs is the number of operators. So all projections of a layer's input are one
product; the two directions of the Mamba over the joints are one convolution and one scan, as are the convolution of the
Mamba along time and the graph along time; and of the blending, the part that the Mambas' outputs have in it comes out
of their last projection as one more channel.

B is the number of streams, J joints, R = B * J rows (a joint of a stream each), C channels, D inner channels of the
Mambas, N states, W width of their convolution; "pair" is an axis of two, joints first and frames second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.graph import ChainGraph, FixedGraph
from baselines.hybrid_layer import HybridLayer, HybridMixer
from baselines.mamba import Mamba, SelectiveSSM
from posemamba.scan import continue_scan


class LayerState(NamedTuple):
    """What a layer remembers of the frames that were: constant in size.

    history: of the last frames, the latest first, features for the convolution and messages of the graph, (R, D + C).
    hidden: the states of the Mamba along time, (R, D, N).
    """

    history: tuple[Tensor, ...]
    hidden: Tensor


@dataclass(frozen=True)
class Scan:
    """The weights of scans that run side by side as G groups.

    selection (G * D, G * (rank + 2 N)) and step (G * rank, G * D) are zero between the groups; the columns of the first
    are rank, B, C, and each of these by group.
    """

    selection: Tensor
    step: Tensor
    step_bias: Tensor
    rate: Tensor
    skip: Tensor
    groups: int

    @classmethod
    def of(cls, *ssms: SelectiveSSM) -> Scan:
        """The scans of ``ssms``, all of one size, whose channels lie side by side."""
        sizes = (ssms[0].step_rank, ssms[0].state_dim, ssms[0].state_dim)
        by_part = zip(*(ssm.selection.weight.split(sizes) for ssm in ssms), strict=True)
        return cls(
            selection=torch.cat([torch.block_diag(*group) for group in by_part]).t().contiguous(),
            step=torch.block_diag(*(ssm.step.weight for ssm in ssms)).t().contiguous(),
            step_bias=torch.cat([ssm.step.bias for ssm in ssms]),
            rate=torch.cat([ssm.rate() for ssm in ssms]),
            skip=torch.cat([ssm.skip for ssm in ssms]),
            groups=len(ssms),
        )

    def __call__(self, u: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (sequences, L, G * D) and states (sequences, G * D, N) -> outputs and states of the same shapes."""
        selected = u @ self.selection  # (sequences, L, G * (rank + 2 N))
        rank = len(self.step)  # of all groups
        delta = selected[..., :rank] @ self.step  # (sequences, L, G * D)
        shape = (*u.shape[:2], 2, self.groups, self.rate.shape[-1])
        B, C = selected[..., rank:].view(shape).permute(2, 0, 3, 4, 1).unbind()  # (sequences, G, N, L) twice
        y, hidden = continue_scan(
            hidden, u.transpose(1, 2), delta.transpose(1, 2), self.rate, B, C, self.skip, self.step_bias, True
        )
        return y.transpose(1, 2), hidden


@dataclass(frozen=True)
class FoldedLayer:
    """One layer. Products are with ``weight`` on the right, so their weights are (in, out).

    norm: weight and bias before both parts.
    projection, projection_bias: to all that is made of the normal form, side by side with ``widths``: features of the
        Mamba over joints, gates of both, own features of the graph of frames, features of the Mamba along time,
        messages of the graph of frames, own features and messages of the graph of joints.
    joint_taps, joint_bias: the convolution over joints of both directions, (W, 2 D) and (2 D,).
    frame_taps, frame_bias: what each frame, the latest first, gives to the convolution and to the graph, (D + C,) each.
    joint_scan, frame_scan: the scans, of two groups and of one.
    output, output_bias: of the Mambas, with their part of the blending in the last channel, (pair, D, C + 1).
    adjacency: of the joints, (1, J, J).
    graph_scale, graph_shift: of the graphs' norms, (pair, 1, C).
    share: the graphs' part of the blending, (pair, C, 1).
    """

    norm: tuple[Tensor, Tensor]
    projection: Tensor
    projection_bias: Tensor
    widths: tuple[int, ...]
    joint_taps: Tensor
    joint_bias: Tensor
    frame_taps: tuple[Tensor, ...]
    frame_bias: Tensor
    joint_scan: Scan
    frame_scan: Scan
    output: Tensor
    output_bias: Tensor
    adjacency: Tensor
    graph_scale: Tensor
    graph_shift: Tensor
    share: Tensor

    def step(self, x: Tensor, state: LayerState | None) -> tuple[Tensor, LayerState]:
        """The frame (B, J, C) of every stream, and the state before it (None: it is the first) -> the same after it."""
        streams, joints, dim = x.shape
        normal = functional.layer_norm(x, (dim,), *self.norm)
        rows = normal.flatten(0, 1)  # (R, C)
        projected = torch.addmm(self.projection_bias, rows, self.projection)
        features, gates, frame_own, latest, joint_own, messages = torch.split_with_sizes(projected, self.widths, dim=-1)
        latest = latest.contiguous()  # alone, so that the state does not keep all of the product
        if state is None:
            state = self._before_the_first(latest)
        summed = self._sum_frames(latest, state.history)  # (R, D + C)
        over_joints = self._scan_joints(features.view(streams, joints, -1))  # (B, J, D)
        inner = over_joints.shape[-1]
        u = functional.silu(summed[:, :inner]).unsqueeze(1)  # (R, 1, D)
        over_frames, hidden = self.frame_scan(u, state.hidden)
        scanned = torch.stack((over_joints.reshape(-1, inner), over_frames.squeeze(1)))  # (pair, R, D)
        gate = functional.silu(gates).view(-1, 2, inner).transpose(0, 1)  # (pair, R, D)
        mamba = torch.baddbmm(self.output_bias, scanned * gate, self.output)  # (pair, R, C + 1)

        by_joints = torch.baddbmm(
            joint_own.view(x.shape), self.adjacency.expand(streams, -1, -1), messages.view(x.shape)
        )  # (B, J, C)
        gathered = torch.stack((by_joints.view(-1, dim), summed[:, inner:] + frame_own))  # (pair, R, C)
        blended = self._blend(mamba, self._convolve(rows, gathered))  # (R, C)
        return x + blended.view(x.shape), LayerState((latest, *state.history[:-1]), hidden)

    def _before_the_first(self, latest: Tensor) -> LayerState:
        """Nothing before the convolution, and the first frame itself in the graph in place of those before it."""
        inner = self.frame_scan.rate.shape[0]
        before = latest.clone()
        before[:, :inner] = 0
        dtype = torch.promote_types(latest.dtype, torch.float32)
        hidden = latest.new_zeros(len(latest), *self.frame_scan.rate.shape, dtype=dtype)
        return LayerState((before,) * (len(self.frame_taps) - 1), hidden)

    def _sum_frames(self, latest: Tensor, history: tuple[Tensor, ...]) -> Tensor:
        summed = torch.addcmul(self.frame_bias, latest, self.frame_taps[0])
        for before, taps in zip(history, self.frame_taps[1:], strict=True):
            summed.addcmul_(before, taps)
        return summed

    def _scan_joints(self, features: Tensor) -> Tensor:
        """(B, J, D) -> (B, J, D), from the first joint and from the last."""
        width = len(self.joint_taps)
        both = torch.cat((features, features.flip(1)), dim=-1)  # (B, J, 2 D)
        padded = functional.pad(both, (0, 0, width - 1, 0))  # (B, W - 1 + J, 2 D)
        windows = padded.unfold(1, width, 1).transpose(2, 3)  # (B, J, W, 2 D)
        summed = (windows * self.joint_taps).sum(2) + self.joint_bias  # (B, J, 2 D)
        rate = self.joint_scan.rate
        hidden = torch.zeros(len(both), *rate.shape, dtype=rate.dtype, device=rate.device)
        y, _ = self.joint_scan(functional.silu(summed), hidden)
        forwards, backwards = y.chunk(2, dim=-1)
        return forwards + backwards.flip(1)

    def _convolve(self, rows: Tensor, gathered: Tensor) -> Tensor:
        """Rows (R, C) and what their neighbours gave (pair, R, C) -> (pair, R, C)"""
        gathered = functional.layer_norm(gathered, rows.shape[-1:])
        return torch.addcmul(rows + self.graph_shift, gathered, self.graph_scale).relu_()

    def _blend(self, mamba: Tensor, convolved: Tensor) -> Tensor:
        """(pair, R, C + 1) and (pair, R, C) -> (R, C)"""
        dim = convolved.shape[-1]
        scanned, part = mamba[..., :dim], mamba[..., dim:]
        share = torch.baddbmm(part, convolved, self.share).sigmoid()  # (pair, R, 1)
        return (scanned + share * (convolved - scanned)).sum(0)  # not lerp, which refuses autocast's mixed precisions


def fold(layer: HybridLayer) -> FoldedLayer:
    """A causal ``layer``, with copies of its weights."""
    joints, frames = layer.spatial, layer.temporal
    joint_ssms, frame_ssm = _ssms(joints), _ssms(frames)[0]
    joint_features, joint_gate = _columns(joints.mamba.input_projection).chunk(2, dim=1)  # (C + 1, D) twice
    frame_features, frame_gate = _columns(frames.mamba.input_projection).chunk(2, dim=1)  # (C + 1, D) twice
    parts = (
        joint_features,
        torch.cat((joint_gate, frame_gate), dim=1),
        _columns(frames.convolution.own_projection),
        torch.cat((frame_features, _columns(frames.convolution.neighbour_projection)), dim=1),
        _columns(joints.convolution.own_projection),
        _columns(joints.convolution.neighbour_projection),
    )
    columns = torch.cat(parts, dim=1)  # (C + 1, 4 D + 4 C)
    frame_taps, frame_bias = _frame_taps(frames, frame_ssm)
    outputs = torch.stack([_output(mixer) for mixer in (joints, frames)])  # (pair, D + 1, C + 1)
    return FoldedLayer(
        norm=(layer.norm.weight.clone(), layer.norm.bias.clone()),
        projection=columns[:-1].contiguous(),
        projection_bias=columns[-1].contiguous(),
        widths=tuple(part.shape[1] for part in parts),
        joint_taps=torch.cat([_taps(ssm) for ssm in joint_ssms], dim=1),
        joint_bias=torch.cat([_bias(ssm.convolution) for ssm in joint_ssms]),
        frame_taps=frame_taps,
        frame_bias=frame_bias,
        joint_scan=Scan.of(*joint_ssms),
        frame_scan=Scan.of(frame_ssm),
        output=outputs[:, :-1].contiguous(),
        output_bias=outputs[:, -1:].contiguous(),
        adjacency=_skeleton_of(joints).unsqueeze(0).clone(),
        graph_scale=torch.stack([mixer.convolution.norm.weight for mixer in (joints, frames)]).unsqueeze(1),
        graph_shift=torch.stack([mixer.convolution.norm.bias for mixer in (joints, frames)]).unsqueeze(1),
        share=torch.stack([_preference(mixer)[1] for mixer in (joints, frames)]).unsqueeze(-1),
    )


def _ssms(mixer: HybridMixer) -> tuple[SelectiveSSM, ...]:
    mamba = mixer.mamba
    return (mamba.ssm,) if isinstance(mamba, Mamba) else (mamba.forward_ssm, mamba.backward_ssm)


def _columns(linear: nn.Linear) -> Tensor:
    """Weight and, in the last row, bias: (in + 1, out)."""
    return torch.cat((linear.weight.t(), _bias(linear).unsqueeze(0)))


def _bias(layer: nn.Linear | nn.Conv1d) -> Tensor:
    return layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias


def _taps(ssm: SelectiveSSM) -> Tensor:
    """The convolution's, the latest token last: (W, D)."""
    return ssm.convolution.weight.squeeze(1).t()


def _frame_taps(frames: HybridMixer, ssm: SelectiveSSM) -> tuple[tuple[Tensor, ...], Tensor]:
    """Those of convolution and graph side by side, the latest frame first, and their bias; see FoldedLayer."""
    graph, dim = frames.convolution.graph, frames.convolution.own_projection.out_features
    assert isinstance(graph, ChainGraph)
    reach = max(len(_taps(ssm)), graph.before + 1)
    convolution = ssm.skip.new_zeros(reach, len(ssm.skip))  # (reach, D)
    convolution[: len(_taps(ssm))] = _taps(ssm).flip(0)
    neighbours = ssm.skip.new_zeros(reach, dim)  # (reach, C)
    neighbours[: graph.before + 1] = 1 / (graph.before + 1)
    bias = torch.cat((_bias(ssm.convolution), ssm.skip.new_zeros(dim)))
    return tuple(torch.cat((convolution, neighbours), dim=1)), bias


def _preference(mixer: HybridMixer) -> tuple[Tensor, Tensor, Tensor]:
    """By how much the graph's share is preferred: the Mamba's part (C,), the graph's part (C,), and the bias (1,)."""
    scanned, convolved = mixer.fusion.weight.diff(dim=0)[0].chunk(2)
    return scanned, convolved, mixer.fusion.bias.diff()


def _output(mixer: HybridMixer) -> Tensor:
    """The Mamba's last projection with one more channel, its part of the preference: (D + 1, C + 1), the bias last."""
    scanned, _, bias = _preference(mixer)
    columns = _columns(mixer.mamba.output_projection)  # (D + 1, C)
    part = columns @ scanned.unsqueeze(1)  # (D + 1, 1)
    part[-1] += bias
    return torch.cat((columns, part), dim=1)


def _skeleton_of(joints: HybridMixer) -> Tensor:
    graph = joints.convolution.graph
    assert isinstance(graph, FixedGraph)
    return graph.normalised
