"""Whether a person's bones keep their lengths over all sequences."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from harness.data.checks.look import Array, Finding, Look
from harness.data.sequence import Truth
from harness.data.skeleton import BONES, JOINT_NAMES, LEFT, RIGHT


@dataclass(frozen=True)
class Limit:
    """A bone's standard deviation about its median: FAIL above either."""

    millimetres: float
    share: float


_SIDES = (set(LEFT), set(RIGHT))
#: Bones of arms and legs; the others end in the pelvis or thorax or are of the spine.
LIMBS: tuple[bool, ...] = tuple(any({*bone} <= side for side in _SIDES) for bone in BONES)
#: By where the truth is: limits of limbs and of the trunk's bones.
BONE_LIMITS: dict[Truth, tuple[Limit, Limit]] = {
    "camera": (Limit(20, 0.10), Limit(40, 0.20)),
    "image": (Limit(40, 0.20), Limit(60, 0.30)),
}


@dataclass(frozen=True)
class _Lengths:
    """Of one bone in one sequence: frames, median, mean, variance, and least and greatest with their places."""

    frames: int
    median: float
    mean: float
    variance: float
    ends: tuple[tuple[float, str], tuple[float, str]]


class BoneLengths:
    """A person's bones keep their lengths: those of the limbs, or the others."""

    def __init__(self, limbs: bool) -> None:
        self.limbs = limbs
        self.bones = [bone for bone, limb in zip(BONES, LIMBS, strict=True) if limb == limbs]
        self.lengths: dict[tuple[str, Truth, tuple[int, int]], list[_Lengths]] = defaultdict(list)

    def see(self, look: Look) -> None:
        poses, known = look.truth, np.arange(len(look))
        if look.sequence.mm_per_pixel is not None:
            factor = look.sequence.mm_per_pixel[look.frames].astype(np.float64)
            known = np.flatnonzero(np.isfinite(factor))
            poses = look.truth[known] * factor[known, None, None]
        if not len(known):
            return
        for parent, joint in self.bones:
            if {parent, joint} <= set(look.joints):
                lengths = np.linalg.norm(poses[:, joint] - poses[:, parent], axis=-1)
                person = (look.sequence.subject, look.sequence.space, (parent, joint))
                self.lengths[person].append(_measure(lengths, look, known))

    def finding(self) -> Finding:
        name = "limbs keep their lengths" if self.limbs else "bones of the trunk keep their lengths"
        if not self.lengths:
            return Finding(name, "?", "no frame to look at, or the millimetres per pixel of the image are not known")
        spreads = [
            _spread(subject, BONE_LIMITS[space][0 if self.limbs else 1], bone, found)
            for (subject, space, bone), found in self.lengths.items()
        ]
        worst = max(spreads)
        return Finding(name, "FAIL" if worst.badness > 1 else "ok", worst.text)


@dataclass(frozen=True, order=True)
class _Spread:
    """``badness`` is in limits: above 1 is too much."""

    badness: float
    text: str


def _measure(lengths: Array, look: Look, known: Array) -> _Lengths:
    least, most = int(lengths.argmin()), int(lengths.argmax())
    return _Lengths(
        len(lengths), float(np.median(lengths)), float(lengths.mean()), float(lengths.var()),
        ((float(lengths[least]), look.place(known[least])), (float(lengths[most]), look.place(known[most]))),
    )  # fmt: skip


def _spread(subject: str, limit: Limit, bone: tuple[int, int], found: list[_Lengths]) -> _Spread:
    """Standard deviation about the median over sequences of a bone of a person, and the place farthest from it."""
    median = _median_of([one.median for one in found], [one.frames for one in found])
    frames = sum(one.frames for one in found)
    deviation = (sum(one.frames * (one.variance + (one.mean - median) ** 2) for one in found) / frames) ** 0.5
    length, place = max((end for one in found for end in one.ends), key=lambda end: abs(end[0] - median))
    share = deviation / median if median > 0 else np.inf
    start, end = (JOINT_NAMES[joint] for joint in bone)
    text = (
        f"{start} to {end} of {subject} varies most, {deviation:.1f} mm ({share:.1%} of {median:.0f} mm; allowed"
        f" {limit.millimetres:g} mm, {limit.share:.0%}), farthest {length:.0f} mm in {place}"
    )
    return _Spread(max(deviation / limit.millimetres, share / limit.share), text)


def _median_of(values: list[float], weights: list[int]) -> float:
    order = np.argsort(values)
    reached = np.cumsum(np.asarray(weights)[order])
    return float(np.asarray(values)[order][np.searchsorted(reached, reached[-1] / 2)])
