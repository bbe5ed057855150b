"""Whether left is left: keypoints against the truth's two sides, and the truth by the way that knees bend."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from harness.data.checks.look import Array, Finding, Look
from harness.data.skeleton import JOINT_NAMES, LEFT, MIRRORED, RIGHT, ROOT

LEAST_SHARE_ON_OWN_SIDE = 0.95
#: Less than this in one sequence means that it is exchanged as a whole.
_LEAST_SHARE_OF_A_SEQUENCE = 0.5
#: Nearer to each other than this the two sides' joints cannot be told apart, pixels.
_APART_PX = 20.0
#: So few comparisons say nothing about a sequence.
_FEW = 100
#: Of the leg's length: knees less than this beside the line from hip to ankle are not bent.
_STRAIGHT = 0.005
#: Of the leg's length: behind the line from hip to ankle by more than this, knees bend backwards.
_KNEES_BEHIND = 0.02


@dataclass
class SidesInImage:
    """A keypoint is nearer to its own joint than to the same joint of the other side."""

    own: int = 0
    compared: int = 0
    worst: tuple[float, str] = (np.inf, "")

    def see(self, look: Look) -> None:
        if look.pixels is None or look.errors_px is None:
            return
        joints = [joint for joint in (*LEFT, *RIGHT) if {joint, int(MIRRORED[joint])} <= set(look.joints)]
        mirrored = look.pixels[:, MIRRORED][:, joints]  # (N, K, 2)
        apart = np.linalg.norm(look.pixels[:, joints] - mirrored, axis=-1) > _APART_PX
        errors = look.errors_px[:, joints]
        compared = apart & np.isfinite(errors)
        own = compared & (errors < np.linalg.norm(look.keypoints[:, joints] - mirrored, axis=-1))
        self.own, self.compared = self.own + int(own.sum()), self.compared + int(compared.sum())
        if compared.sum() >= _FEW:
            self.worst = min(self.worst, (float(own.sum() / compared.sum()), look.sequence.name))

    def finding(self) -> Finding:
        name = "left is left in 2D"
        if not self.compared:
            return Finding(name, "?", "nothing to compare with")
        share = self.own / self.compared
        detail = f"{share:.1%} of {self.compared:,} keypoints are nearest to their own side's joint"
        if self.worst[1]:
            detail += f"; least {self.worst[0]:.1%} in {self.worst[1]}"
        well = share >= LEAST_SHARE_ON_OWN_SIDE and self.worst[0] >= _LEAST_SHARE_OF_A_SEQUENCE
        return Finding(name, "ok" if well else "FAIL", detail)


class SidesInSpace:
    """Knees bend forwards, where forwards is told from left, right and up: exchanged sides bend them backwards."""

    _LEGS = ((4, 5, 6), (1, 2, 3))
    _THORAX = JOINT_NAMES.index("thorax")

    def __init__(self) -> None:
        self.sums: dict[str, Array] = defaultdict(lambda: np.zeros(2))
        self.frames: dict[str, int] = defaultdict(int)

    def see(self, look: Look) -> None:
        if not {joint for leg in self._LEGS for joint in leg} | {self._THORAX} <= set(look.joints):
            return
        truth = look.truth
        # x right, y down, z forward is right-handed: for a person who faces the camera, to the right x up is forward.
        forward = np.cross(truth[:, 4] - truth[:, 1], truth[:, self._THORAX] - truth[:, ROOT])  # (N, 3)
        length = np.linalg.norm(forward, axis=-1)
        forward, truth = forward[length > 0] / length[length > 0, None], truth[length > 0]
        bends = np.stack([_bend(truth[:, leg], forward) for leg in self._LEGS], axis=-1)  # (N, 2)
        self.sums[look.sequence.subject] += bends.sum(axis=0)
        self.frames[look.sequence.subject] += len(bends)

    def finding(self) -> Finding:
        name = "left is left in 3D"
        frames = sum(self.frames.values())
        if not frames:
            return Finding(name, "?", "no truth of hips, knees, ankles and thorax")
        left, right = np.sum(list(self.sums.values()), axis=0) / frames
        detail = f"knees are {left:.1%} (left) and {right:.1%} (right) of the leg's length before hip and ankle"
        if max(abs(left), abs(right)) < _STRAIGHT:
            return Finding(name, "?", "legs are straight, which tells nothing")
        if left <= 0 or right <= 0:
            return Finding(name, "FAIL", f"{detail}: they bend backwards, so sides are exchanged or space is mirrored")
        means = {subject: self.sums[subject] / count for subject, count in self.frames.items() if count}
        wrong = [subject for subject, bends in means.items() if (bends < -_KNEES_BEHIND).all()]
        if wrong:
            return Finding(name, "FAIL", f"{detail}, but bend backwards in {', '.join(wrong)}")
        return Finding(name, "ok", detail)


def _bend(leg: Array, forward: Array) -> Array:
    """(N,) how far the knee is before the line from hip to ankle, as a share of the leg's length; ``leg`` (N, 3, 3)."""
    hip, knee, ankle = leg[:, 0], leg[:, 1], leg[:, 2]
    length = np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1)
    before = ((knee - (hip + ankle) / 2) * forward).sum(axis=-1)
    return np.divide(before, length, out=np.zeros_like(before), where=length > 0)
