"""What a PoseMamba is made of, and the sizes beside the paper's tables (arXiv 2408.03540v2, AAAI 2025).

``frames`` is T, ``joints`` J, ``dim`` the paper's d_m, ``state_dim`` N. ``depth`` counts pairs of one spatial and one
temporal block, as the authors' configuration files do; the paper counts the blocks, so its depth is twice this one.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, get_args

from posemamba.orders import LIMB_ORDERS, SCANS, Direction, ScanGradient
from posemamba.scan import BACKENDS

SCAN_GRADIENTS: tuple[str, ...] = get_args(ScanGradient)
LONG_INPUTS: tuple[str, ...] = ("error", "interpolate")


def _require_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")


def _require_ratio(name: str, value: object, dim: int) -> None:
    if not isinstance(value, int | float) or not math.isfinite(value) or int(value * dim) < 1:
        raise ValueError(f"{name} times dim must give at least one channel, not {value!r} times {dim}")


def _require_probability(name: str, value: object) -> None:
    if not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"{name} must be a probability of at least 0 and below 1, not {value!r}")


def _require_known(what: str, name: str, known: Collection[str]) -> None:
    if name in known:
        return
    nearest = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
    suggestion = f"Did you mean: {', '.join(nearest)}? " if nearest else ""
    raise ValueError(f"unknown {what} {name!r}. {suggestion}Known: {', '.join(known)}")


@dataclass(frozen=True)
class PoseMambaConfig:
    """Everything that decides a PoseMamba's structure; ``posemamba.build`` makes the network.

    frames: length of the temporal position embedding, hence the longest clip (see ``long_input``); without one, the
        clips that it is meant for.
    in_channels: 2 (x, y; the authors') or 3 (x, y, confidence).
    drop_path: probability of leaving out a residual branch in the last block; it grows linearly from 0 in the first.
    dropout: after each position embedding.
    limb_order: which joint is added to each joint before the frame-major scans of ``scan="global-local"`` and
        "causal"; the other scans have no limb term and do not look at it. See ``posemamba.orders.LIMB_ORDERS``.
    scan: the orders in which the (frames x joints) plane is read; see ``posemamba.orders.SCANS``.
    scan_gradient: "exact", or "authors" for their backward pass, which leaves out the gradient through the limb gather.
    scan_backend: which implementation of ``posemamba.scan.selective_scan`` computes the scans.
    long_input: what a clip of more than ``frames`` frames meets: "error", or "interpolate" (the temporal position
        embedding is stretched linearly to the clip's length).
    temporal_position: whether frames have a position embedding. Without one, clips have any length, and so have
        streams, for which ``scan="causal"`` needs it to be off.

    Raises ValueError for a value out of range, an unknown name, and a limb order without the 17 joints that it names.
    """

    target_space: ClassVar[str] = "image"

    frames: int = 243
    in_channels: int = 2
    joints: int = 17
    dim: int = 64
    depth: int = 10
    mlp_ratio: float = 2.0
    state_dim: int = 16
    ssm_ratio: float = 2.0
    drop_path: float = 0.2
    dropout: float = 0.0
    limb_order: str = "authors"
    scan: str = "global-local"
    scan_gradient: ScanGradient = "exact"
    scan_backend: str = "auto"
    long_input: str = "error"
    temporal_position: bool = True

    def __post_init__(self) -> None:
        for name in ("frames", "joints", "dim", "depth", "state_dim"):
            _require_count(name, getattr(self, name))
        if self.in_channels not in (2, 3):
            raise ValueError(f"in_channels must be 2 (x, y) or 3 (x, y, confidence), not {self.in_channels!r}")
        for name in ("mlp_ratio", "ssm_ratio"):
            _require_ratio(name, getattr(self, name), self.dim)
        for name in ("drop_path", "dropout"):
            _require_probability(name, getattr(self, name))
        _require_known("limb_order", self.limb_order, LIMB_ORDERS)
        _require_known("scan", self.scan, SCANS)
        _require_known("scan_gradient", self.scan_gradient, SCAN_GRADIENTS)
        _require_known("scan_backend", self.scan_backend, ("auto", *BACKENDS))
        _require_known("long_input", self.long_input, LONG_INPUTS)
        if self.is_causal and self.temporal_position:
            raise ValueError(
                f"scan={self.scan!r} is for streams, which have no end, and so not for a position embedding of "
                f"{self.frames} frames; set temporal_position=False"
            )
        if self.limbs is not None and len(self.limbs) != self.joints:
            raise ValueError(
                f"limb_order={self.limb_order!r} names the {len(self.limbs)} joints of Human3.6M, "
                f"but joints={self.joints}; use {len(self.limbs)} joints, or limb_order='none'"
            )

    @property
    def other_frames(self) -> str:
        """What else than ``frames`` one set of weights takes: "fewer", or "any" where positions do not limit it."""
        return "any" if self.long_input == "interpolate" or not self.temporal_position else "fewer"

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The K scans over the plane."""
        return SCANS[self.scan]

    @property
    def is_causal(self) -> bool:
        """Whether no frame's output depends on a later frame."""
        return all(direction.is_causal for direction in self.directions)

    @property
    def limbs(self) -> tuple[int, ...] | None:
        """For each joint the joint that is added to it, or None where the scan has no limb term."""
        has_limb_term = any(direction.limbs for direction in self.directions)
        return LIMB_ORDERS[self.limb_order] if has_limb_term else None

    @property
    def inner_dim(self) -> int:
        """D, the channels inside the scan."""
        return int(self.ssm_ratio * self.dim)

    @property
    def step_rank(self) -> int:
        """R, the rank of the projection to the step sizes, as in Mamba: a sixteenth of the width, rounded up."""
        return math.ceil(self.dim / 16)

    @property
    def mlp_dim(self) -> int:
        """Channels in the middle of the MLP."""
        return int(self.mlp_ratio * self.dim)


#: P1 and the parameters in the paper's tables are quoted in results/; the true parameter counts are larger because the
#: published ones leave out every parameter that no Linear, Conv or Norm module holds.
PRESETS: Mapping[str, PoseMambaConfig] = MappingProxyType(
    {
        # Ours, for demonstrations and short budgets: on a CPU the scan's states and inner channels cost the most time
        # for what they give, so there are half as many states and no expansion. Drop path would only slow it down.
        "xs": PoseMambaConfig(dim=48, depth=4, state_dim=8, ssm_ratio=1.0, drop_path=0.0),
        # The paper's S, B and L: 20, 20 and 40 blocks.
        "s": PoseMambaConfig(dim=64, depth=10),
        "b": PoseMambaConfig(dim=128, depth=10),
        "l": PoseMambaConfig(dim=128, depth=20),
        # The 40 x 256 row of the paper's Table 6. The authors released neither configuration nor weights of this size,
        # and the name X is not theirs.
        "x": PoseMambaConfig(dim=256, depth=20),
        # Ours: S and xs without the future, for streams.
        "causal": PoseMambaConfig(dim=64, depth=10, scan="causal", temporal_position=False),
        "causal-xs": PoseMambaConfig(
            dim=48, depth=4, state_dim=8, ssm_ratio=1.0, drop_path=0.0, scan="causal", temporal_position=False
        ),
    }
)

#: The authors' constructor arguments and ours.
OFFICIAL_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "num_frame": "frames",
        "in_chans": "in_channels",
        "num_joints": "joints",
        "embed_dim_ratio": "dim",
        "depth": "depth",
        "mlp_ratio": "mlp_ratio",
        "drop_rate": "dropout",
        "drop_path_rate": "drop_path",
    }
)
#: Where the authors' constructor defaults differ from the presets'.
_OFFICIAL_DEFAULTS: Mapping[str, Any] = MappingProxyType({"num_frame": 9, "embed_dim_ratio": 256, "depth": 6})


def official_config(official: Mapping[str, Any]) -> PoseMambaConfig:
    """The configuration for the arguments of the authors' ``PoseMamba(...)``; what is not given has their default.

    Raises ValueError for an argument they do not have.
    """
    for name in official:
        _require_known("argument of the authors' PoseMamba", name, OFFICIAL_OPTIONS)
    return PoseMambaConfig(
        **{OFFICIAL_OPTIONS[name]: value for name, value in {**_OFFICIAL_DEFAULTS, **official}.items()}
    )
