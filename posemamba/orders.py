"""The orders in which PoseMamba reads the (frames x joints) plane, as data (PoseMamba, Figures 3 and 4; VMamba).

A selective scan reads a sequence, a clip is a plane. Each of the K = 4 scans walks over the plane in an order of its
own, with parameters of its own; afterwards the four results are put back in place and added up.

B batch, D inner channels, T frames, J joints, K scans, L = T*J tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor

Axis = Literal["joints", "frames"]
ScanGradient = Literal["exact", "authors"]

_BOTH_AXES: frozenset[Axis] = frozenset({"joints", "frames"})


@dataclass(frozen=True)
class Direction:
    """One walk over the plane.

    inner: the axis whose neighbours follow one another; "joints" reads frame after frame, "frames" joint after joint.
    reversed: the axes that are read from their end; both together are the whole walk backwards.
    limbs: whether each token carries, besides its own joint, the one that the limb order names.
    apart: whether every joint's frames are a sequence of their own, which knows nothing of the joint before it.

    Raises ValueError for ``apart`` where joints follow one another.
    """

    inner: Axis
    reversed: frozenset[Axis] = frozenset()
    limbs: bool = False
    apart: bool = False

    def __post_init__(self) -> None:
        if self.apart and self.inner != "frames":
            raise ValueError(
                "only the frames of a joint can be apart from those of the others, not the joints of a frame"
            )

    @property
    def backwards(self) -> Direction:
        """The same walk from its end."""
        return replace(self, reversed=_BOTH_AXES - self.reversed)

    @property
    def is_causal(self) -> bool:
        """Whether no token comes after one of a later frame."""
        return "frames" not in self.reversed and (self.inner == "joints" or self.apart)

    @property
    def reversed_axes(self) -> tuple[int, ...]:
        """``reversed`` as axes of a plane (..., T, J)."""
        return tuple(axis for axis, name in ((-2, "frames"), (-1, "joints")) if name in self.reversed)


_SPATIAL = Direction("joints")
_SPATIAL_FROM_LAST_JOINT = Direction("joints", reversed=frozenset({"joints"}))
_SPATIAL_WITH_LIMBS = Direction("joints", limbs=True)
_TEMPORAL = Direction("frames")
_TEMPORAL_FROM_LAST_FRAME = Direction("frames", reversed=frozenset({"frames"}))
_SPATIAL_WITH_LIMBS_FROM_LAST_JOINT = replace(_SPATIAL_WITH_LIMBS, reversed=frozenset({"joints"}))
_TEMPORAL_OF_EACH_JOINT = Direction("frames", apart=True)

#: The paper's scan, the five others of its Table 4, and "causal", which is ours. A unidirectional one takes each of its
#: two walks twice, with two sets of parameters; "backward" there reverses one axis within the lines of the other, not
#: the whole walk. The authors' files name them by letters (PoseMamba_bs_ft.py: backward spatial, forward temporal), the
#: paper by numbers whose only key is a picture (Figure 4): which letters belong to which number is our assumption.
#: "causal" goes frame after frame, through each from its first and from its last joint; and through the frames of every
#: joint by itself, since in one sequence a joint would see the future of those before it; this twice, as above.
SCANS: Mapping[str, tuple[Direction, Direction, Direction, Direction]] = MappingProxyType({
    "global-local":     (_SPATIAL_WITH_LIMBS, _TEMPORAL, _SPATIAL_WITH_LIMBS.backwards, _TEMPORAL.backwards),
    "bidirectional":    (_SPATIAL, _TEMPORAL, _SPATIAL.backwards, _TEMPORAL.backwards),
    "unidirectional-1": (_SPATIAL, _TEMPORAL) * 2,                                    # fs_ft
    "unidirectional-2": (_SPATIAL_FROM_LAST_JOINT, _TEMPORAL) * 2,                    # bs_ft
    "unidirectional-3": (_SPATIAL, _TEMPORAL_FROM_LAST_FRAME) * 2,                    # fs_bt
    "unidirectional-4": (_SPATIAL_FROM_LAST_JOINT, _TEMPORAL_FROM_LAST_FRAME) * 2,    # bs_bt
    "causal":           (_SPATIAL_WITH_LIMBS, _SPATIAL_WITH_LIMBS_FROM_LAST_JOINT, *(_TEMPORAL_OF_EACH_JOINT,) * 2),
})  # fmt: skip

#: For each joint of Human3.6M the joint that is added to it before a spatial scan.
#: "authors" is the paper's limb-wise reading order (Figure 3c), added position by position to the natural order:
#: pelvis | pelvis, right leg | pelvis, left leg | thorax, left arm | thorax, right arm. It is no table of parents:
#: spine, neck and head (7, 9, 10) do not occur, the pelvis does three times, and 14, 15, 16 are added to themselves.
#: "kinematic" is ours: each joint's parent, and the pelvis to itself.
LIMB_ORDERS: Mapping[str, tuple[int, ...] | None] = MappingProxyType({
    "authors":   (0, 0, 1, 2, 3, 0, 4, 5, 6, 8, 11, 12, 13, 8, 14, 15, 16),
    "kinematic": (0, 0, 1, 2, 0, 4, 5, 0, 7, 8,  9,  8, 11, 12, 8, 14, 15),
    "none":      None,
})  # fmt: skip


def add_limbs(plane: Tensor, limbs: Tensor, gradient: ScanGradient) -> Tensor:
    """``plane`` (B, D, T, J) with joint ``limbs[j]`` added to each joint j.

    With ``gradient="authors"`` the added term is a constant to the backward pass, as in the authors' code.
    """
    source = plane if gradient == "exact" else plane.detach()
    return plane + source.index_select(-1, limbs)


def to_sequences(
    plane: Tensor, directions: tuple[Direction, ...], limbs: Tensor | None, gradient: ScanGradient = "exact"
) -> Tensor:
    """The plane (B, D, T, J) as K sequences (B, K, D, L); without ``limbs`` (J,) no direction has a limb term."""
    plane_with_limbs = plane if limbs is None else add_limbs(plane, limbs, gradient)
    return torch.stack(
        [_walk(plane_with_limbs if direction.limbs else plane, direction) for direction in directions], dim=1
    )  # (B, K, D, L)


def to_plane(sequences: Tensor, directions: tuple[Direction, ...], frames: int, joints: int) -> Tensor:
    """The sum of K sequences (B, K, D, L), each put back in its place on the plane (B, D, T, J)."""
    planes = [
        _walk_back(sequence, direction, frames, joints)
        for sequence, direction in zip(sequences.unbind(1), directions, strict=True)
    ]
    return sum(planes[1:], start=planes[0])


def _walk(plane: Tensor, direction: Direction) -> Tensor:
    if direction.reversed_axes:
        plane = plane.flip(direction.reversed_axes)
    if direction.inner == "frames":
        plane = plane.transpose(-1, -2)  # (B, D, J, T)
    return plane.flatten(-2)  # (B, D, L)


def _walk_back(sequence: Tensor, direction: Direction, frames: int, joints: int) -> Tensor:
    if direction.inner == "frames":
        plane = sequence.unflatten(-1, (joints, frames)).transpose(-1, -2)  # (B, D, T, J)
    else:
        plane = sequence.unflatten(-1, (frames, joints))  # (B, D, T, J)
    return plane.flip(direction.reversed_axes) if direction.reversed_axes else plane
