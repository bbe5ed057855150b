"""Pose Magic: Zhang et al., "Pose Magic: Efficient and Temporally Consistent Human Pose Estimation with a
Hybrid Mamba-GCN Network", AAAI 2025, arXiv 2408.02922, in our reading.

No code of the authors exists, and what is built here rests on the abstract, on the works it builds upon, and on one
third party's reimplementation. READING says of every choice what it rests on; it is part of this text.

Every layer mixes the joints of a frame and the frames of a joint, each by a Mamba, which carries what is far, beside a
graph convolution, which adds what is near; learned shares blend the two. The causal version sees no later frame, and
runs as a stream: ``step`` takes a frame and a state of constant size, and gives what ``forward`` gives for the clip.
B is the batch, T frames, J joints, C channels. ``dim`` is the paper's d, ``depth`` its N.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from baselines.graph import ChainGraph, FixedGraph, SimilarityGraph
from baselines.hybrid_layer import HybridLayer, HybridMixer
from baselines.ktpformer import PARENTS
from baselines.mamba import BidirectionalMamba, Mamba
from baselines.options import require_count, require_input, require_known
from baselines.posemagic_stream import FoldedLayer, LayerState, fold

TemporalGraph = Literal["neighbours", "similarity"]
TEMPORAL_GRAPHS: tuple[str, ...] = get_args(TemporalGraph)

_THIRD_PARTY = "a third party's reimplementation, unverified"
_LINEAGE = "MotionAGFormer (arXiv 2310.16288), with whose L the third party's N, d, d' and k agree"

#: What was decided -> what that rests on. The names of options come first, as they stand in PoseMagicConfig.
READING: Mapping[str, str] = MappingProxyType({
    "frames": "243: the T at which the abstract's figures (0.9 mm better, 74.1 % fewer FLOPs) compare with others'",
    "in_channels": f"3, x, y and confidence: {_THIRD_PARTY}; {_LINEAGE}",
    "joints": "17: Human3.6M's, as in all works it is compared with",
    "dim": f"d = 128: {_THIRD_PARTY}; {_LINEAGE}",
    "depth": f"N = 26: {_THIRD_PARTY}; {_LINEAGE}",
    "representation_dim": f"d' = 512, with tanh, before the output: {_THIRD_PARTY}; {_LINEAGE}",
    "expansion": "1, where Mamba has 2: ours; so a layer comes to the 20.3 G MACs at T = 243 that 74.1 % less than "
                 "MotionAGFormer-L's 78.3 G leaves (2 would give 33.1 G)",
    "state_dim": "16: Mamba's (arXiv 2312.00752)",
    "convolution_width": "4: Mamba's (arXiv 2312.00752)",
    "causal": "the abstract's fully causal version: the Mamba along time reads forwards only, the graph along time has "
              "no later frame; the joints of a frame, none of which is later, are read both ways as without it (the "
              "third party reads them one way)",
    "temporal_graph": "neighbours, the nearest frames: the abstract's local enhancement and efficiency, and clips of "
                      f"unseen length; {_THIRD_PARTY}. similarity is MotionAGFormer's graph, quadratic in T",
    "neighbours": f"k = 2: {_THIRD_PARTY}; {_LINEAGE}. One frame before and one after, causal two before; the frame "
                  "itself as well, as in Kipf and Welling's A + I; at an end the last one stands in for those missing",
    "Mamba in both directions": "the abstract's global outputs: a joint must see all others. One pair of projections "
                                "around two scans: Vision Mamba's (arXiv 2401.09417)",
    "two parts": f"joints and frames are mixed side by side, both of the layer's input, and summed: {_THIRD_PARTY}",
    "residual": "both parts are added to the layer's input: Mamba's and MotionAGFormer's; the third party has none",
    "norm": "one LayerNorm before both parts, and one at the end: Mamba's and MotionAGFormer's place for it. It looks "
            "at a joint of a frame, so that nothing depends on T and no statistics carry the future into the past",
    "graph convolution": f"relu(x + norm(A V x + U x)): {_LINEAGE}. LayerNorm in place of its batch norm over the "
                         "frames, which ties to one T and shows the future in training",
    "spatial graph": "the bones, both ways, scaled by the roots of the degrees: the abstract's neighbouring joints; "
                     "each joint's own features come by U",
    "fusion": "shares by softmax of a linear layer on both outputs, one for joints and one for frames: the abstract's "
              f"adaptive fusion; {_THIRD_PARTY} (one layer for both there). They begin even: {_LINEAGE}",
    "position": "a learned embedding of the joint, none of the frame: the abstract's clips of unseen length (the third "
                f"party adds sines of frame and joint); {_LINEAGE}",
    "regularisation": "no dropout, no drop path: nothing is known of it",
    "size": "20.35 G MACs as thop counts, causal 19.80 G; 20.3 G is inferred, with MotionAGFormer-L for the reference. "
            "With mamba-ssm's fused kernels, inside which thop sees no layer, it would count 7.59 G. 5.3 M parameters; "
            "a figure of 14.4 M circulates, unverified, and none of these readings gives it",
    "target space": "the 2.5-D image space: MotionAGFormer-L's, if its 38.4 mm are what the abstract's 0.9 mm improve",
})  # fmt: skip

__doc__ = "\n".join((__doc__ or "", *(f"* {choice}: {ground}." for choice, ground in READING.items())))


@dataclass(frozen=True)
class PoseMagicConfig:
    """Everything that decides a Pose Magic's structure.

    frames: T of the clips it is meant for; it takes any.
    in_channels: 3 (x, y, confidence) or 2 (x, y).
    expansion: inner channels of the Mambas for each of ``dim``.
    state_dim: states of an inner channel.
    convolution_width: tokens under the Mambas' short convolution.
    causal: no frame depends on a later one.
    temporal_graph: "neighbours" links each frame to the ``neighbours`` frames next to it, "similarity" to those most
        similar to it in the clip.

    Raises ValueError for a value out of range, an unknown name, a causal graph of similarities, and neighbours that do
    not halve.
    """

    target_space: ClassVar[str] = "image"
    other_frames: ClassVar[str] = "any"

    frames: int = 243
    in_channels: int = 3
    joints: int = 17
    dim: int = 128
    depth: int = 26
    representation_dim: int = 512
    expansion: float = 1.0
    state_dim: int = 16
    convolution_width: int = 4
    causal: bool = False
    temporal_graph: TemporalGraph = "neighbours"
    neighbours: int = 2

    def __post_init__(self) -> None:
        for name in ("frames", "dim", "depth", "representation_dim", "state_dim", "convolution_width", "neighbours"):
            require_count(name, getattr(self, name))
        require_known("temporal_graph", self.temporal_graph, TEMPORAL_GRAPHS)
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        if self.joints != len(PARENTS):
            raise ValueError(f"joints must be {len(PARENTS)}, the skeleton of the graph, not {self.joints!r}")
        if not self.expansion * self.dim >= 1:
            raise ValueError(f"expansion must leave at least one channel, not {self.expansion!r} of {self.dim}")
        self._check_graph()

    @property
    def is_causal(self) -> bool:
        """Whether no frame depends on a later one; the harness asks by this name whether the model runs as a stream."""
        return self.causal

    def _check_graph(self) -> None:
        if self.causal and self.temporal_graph == "similarity":
            raise ValueError(
                "a causal graph of similar frames would need all frames that were; "
                "take temporal_graph='neighbours', or causal=False"
            )
        if not self.causal and self.temporal_graph == "neighbours" and self.neighbours % 2:
            raise ValueError(f"neighbours must be even, as many before as after, not {self.neighbours}")


#: The only published size, by READING, without and with the future. xs is ours, for demonstrations and short budgets.
PRESETS: Mapping[str, PoseMagicConfig] = MappingProxyType({
    "base":      PoseMagicConfig(),
    "causal":    PoseMagicConfig(causal=True),
    "xs":        PoseMagicConfig(frames=27, dim=64, depth=3, representation_dim=128, state_dim=8),
    "xs-causal": PoseMagicConfig(frames=27, dim=64, depth=3, representation_dim=128, state_dim=8, causal=True),
})  # fmt: skip


class StreamState(NamedTuple):
    """What a causal Pose Magic carries from frame to frame: constant in size, whatever number of frames there were.

    weights: of the layers, as they were before the first frame, in the form that ``step`` takes; they stay the same.
    layers: what each layer remembers.
    """

    weights: tuple[FoldedLayer, ...]
    layers: tuple[LayerState, ...]


class PoseMagic(nn.Module):
    """The lifter: (B, T, J, in_channels) -> (B, T, J, 3), any T."""

    def __init__(self, config: PoseMagicConfig) -> None:
        super().__init__()
        self.config = config
        self.joint_embedding = nn.Linear(config.in_channels, config.dim)
        self.position_embedding = nn.Parameter(torch.zeros(1, config.joints, config.dim))
        self.layers = nn.ModuleList(_layer(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim)
        self.representation = nn.Linear(config.dim, config.representation_dim)
        self.head = nn.Linear(config.representation_dim, 3)

    def forward(self, keypoints: Tensor) -> Tensor:
        """Joints from keypoints; ValueError for other joints or channels than the model was built for."""
        config = self.config
        require_input(keypoints.shape, frames=None, joints=config.joints, channels=config.in_channels)
        x = self.joint_embedding(keypoints) + self.position_embedding  # (B, T, J, C)
        for layer in self.layers:
            x = layer(x)
        return self._poses(x)

    @torch.no_grad()
    def step(self, keypoints: Tensor, state: StreamState | None) -> tuple[Tensor, StreamState]:
        """The next frame (B, J, in_channels) of every stream -> poses (B, J, 3), and the state for the frame after it.

        ``state`` is None before the first frame, and what the call before returned after it. The poses are those of
        ``forward`` for all frames so far, at a cost and with a memory that do not depend on their number; without
        gradients. The state holds the weights of the layers: when they have changed, begin a new stream.

        Raises ValueError for a model that is not causal, for a frame of another shape than the model was built for, and
        for the state of another model or number of streams.
        """
        config = self.config
        if not config.causal:
            raise ValueError("this model looks at later frames and cannot run as a stream; build it with causal=True")
        _check_frame(keypoints, config)
        before: tuple[LayerState | None, ...]
        if state is None:
            weights = tuple(fold(layer) for layer in self.layers if isinstance(layer, HybridLayer))
            before = (None,) * len(weights)
        else:
            _check_state(state, keypoints, config)
            weights, before = state
        x = self.joint_embedding(keypoints) + self.position_embedding  # (B, J, C)
        after = []
        for layer, remembered in zip(weights, before, strict=True):
            x, remembers = layer.step(x, remembered)
            after.append(remembers)
        return self._poses(x), StreamState(weights, tuple(after))

    def _poses(self, x: Tensor) -> Tensor:
        representation = self.representation(self.norm(x)).tanh()  # (..., J, representation_dim)
        return self.head(representation)  # (..., J, 3)


def _check_frame(keypoints: Tensor, config: PoseMagicConfig) -> None:
    wanted = (config.joints, config.in_channels)
    if keypoints.ndim != 3 or keypoints.shape[1:] != wanted or not len(keypoints) or not keypoints.is_floating_point():
        raise ValueError(
            f"a frame is (streams, {wanted[0]} joints, {wanted[1]} channels) of real numbers, of one stream at least; "
            f"got {tuple(keypoints.shape)} of {keypoints.dtype}"
        )


def _check_state(state: StreamState, keypoints: Tensor, config: PoseMagicConfig) -> None:
    streams, joints, _ = keypoints.shape
    hidden = state.layers[0].hidden
    remembered, layers, inner = len(hidden) // joints, len(state.weights), int(config.expansion * config.dim)
    if (layers, *hidden.shape[1:]) != (config.depth, inner, config.state_dim):
        raise ValueError(f"the state is of another model: it has {layers} layers with states {tuple(hidden.shape[1:])}")
    if streams != remembered:
        raise ValueError(f"the frame is of {streams} streams, but the state of {remembered}")


def _layer(config: PoseMagicConfig) -> HybridLayer:
    return HybridLayer(
        config.dim,
        spatial=HybridMixer(config.dim, _mamba(config, causal=False), FixedGraph(_skeleton())),
        temporal=HybridMixer(config.dim, _mamba(config, causal=config.causal), _temporal_graph(config)),
    )


def _mamba(config: PoseMagicConfig, *, causal: bool) -> Mamba | BidirectionalMamba:
    kind = Mamba if causal else BidirectionalMamba
    return kind(
        config.dim,
        state_dim=config.state_dim,
        expansion=config.expansion,
        convolution_width=config.convolution_width,
    )


def _temporal_graph(config: PoseMagicConfig) -> ChainGraph | SimilarityGraph:
    if config.temporal_graph == "similarity":
        return SimilarityGraph(config.neighbours)
    if config.causal:
        return ChainGraph(config.neighbours, 0)
    return ChainGraph(config.neighbours // 2, config.neighbours // 2)


def _skeleton() -> Tensor:
    """Adjacency (J, J) of the joints: the bones, both ways."""
    adjacency = torch.zeros(len(PARENTS), len(PARENTS))
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            adjacency[joint, parent] = adjacency[parent, joint] = 1
    return adjacency


def build(config: PoseMagicConfig) -> PoseMagic:
    """A Pose Magic with fresh weights."""
    return PoseMagic(config)
