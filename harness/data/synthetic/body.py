"""A jointed body: bone lengths, a posture over time, and the 17 joints that follow from both.

Bone fractions of stature follow Drillis and Contini (as printed in Winter, Biomechanics and Motor Control of Human
Movement, table 4.1), with hips, neck and head as Human3.6M places them. The arm's three shoulder angles are those of
the ISB recommendation (Wu et al. 2005, section 2.3.7): plane of elevation, elevation, axial rotation. Legs are
solved from ankle positions (law of cosines), so that feet stay where they are put; knees are hinges that open forward.

Body axes: x forward, y to the person's left, z up. Angles are radians, lengths metres until ``joints_mm``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.rotation import about
from harness.data.skeleton import JOINT_COUNT
from harness.data.synthetic.curves import envelope

Array = NDArray[np.float64]
LEFT, RIGHT = 0, 1
SIDES = (LEFT, RIGHT)
#: Sign of the person's lateral axis on each side.
LATERAL = (1.0, -1.0)
STATURES_M = (1.50, 1.95)
#: m / s^2
GRAVITY = 9.81

#: Degrees; the ranges a healthy adult reaches (AAOS), the knee a little short of straight so that its hinge has a side.
LIMITS_DEGREES: dict[str, tuple[float, float]] = {
    "knee flexion": (2.0, 152.0),
    "elbow flexion": (3.0, 148.0),
    "shoulder plane": (-45.0, 135.0),
    "shoulder elevation": (-60.0, 178.0),
    "shoulder rotation": (-95.0, 95.0),
    "trunk bend": (-35.0, 60.0),
    "neck bend": (-45.0, 60.0),
}
LIMITS: dict[str, tuple[float, float]] = {
    name: (float(np.radians(low)), float(np.radians(high))) for name, (low, high) in LIMITS_DEGREES.items()
}

#: Fraction of stature, and the spread of one person's bone around it (coefficient of variation).
# fmt: off
_FRACTIONS: dict[str, tuple[float, float]] = {
    "ankle_height": (0.047, 0.06), "shin": (0.247, 0.030), "thigh": (0.246, 0.030), "half_hips": (0.066, 0.100),
    "spine": (0.134, 0.040),       "chest": (0.148, 0.040), "neck": (0.072, 0.060), "head": (0.066, 0.060),
    "half_shoulders": (0.098, 0.080), "upper_arm": (0.172, 0.035), "forearm": (0.146, 0.035), "instep": (0.075, 0.060),
}
# fmt: on
_STANDING = ("ankle_height", "shin", "thigh", "spine", "chest", "neck", "head")


@dataclass(frozen=True)
class Body:
    """Bone lengths of one person, metres; the left and the right side are alike.

    ``instep`` is the level distance from the ball of the foot back to the ankle.
    """

    ankle_height: float
    shin: float
    thigh: float
    half_hips: float
    spine: float
    chest: float
    neck: float
    head: float
    half_shoulders: float
    upper_arm: float
    forearm: float
    instep: float

    @property
    def leg(self) -> float:
        return self.thigh + self.shin

    @property
    def stature(self) -> float:
        """Floor to top of head of the straight body."""
        return sum(float(getattr(self, name)) for name in _STANDING)

    @property
    def standing_height(self) -> float:
        """Floor to pelvis with the knees barely bent."""
        return self.ankle_height + 0.992 * self.leg


def draw_body(rng: np.random.Generator) -> Body:
    """A person of 1.50 to 1.95 m with proportions of their own."""
    stature = float(np.clip(rng.normal(1.72, 0.10), *STATURES_M))
    drawn = {
        name: fraction * (1.0 + spread * float(np.clip(rng.standard_normal(), -2.2, 2.2)))
        for name, (fraction, spread) in _FRACTIONS.items()
    }
    scale = stature / sum(drawn[name] for name in _STANDING)
    return Body(**{name: fraction * scale for name, fraction in drawn.items()})


@dataclass
class Posture:
    """What a body does over T frames. Arrays are written in place by one layer of movement after the other.

    pelvis    (T, 3) midpoint of the hips, world
    turn      (T, 3) of the pelvis: forward pitch, roll to the right, heading to the left
    trunk     (T, 3) of the chest against the pelvis, same order; half of it already in the lower spine
    gaze      (T, 3) of the head against the chest, same order
    arms      (T, 2, 4) left and right: plane (0 sideways, 90 degrees forward), elevation, rotation (outward), elbow
    shrug     (T, 2) shoulders raised, radians at the collar bone
    ankles    (T, 2, 3) left and right, world
    toes_out  (T, 2) heading of each knee away from the pelvis' heading, outward positive
    """

    pelvis: Array
    turn: Array
    trunk: Array
    gaze: Array
    arms: Array
    shrug: Array
    ankles: Array
    toes_out: Array

    def __len__(self) -> int:
        return len(self.pelvis)


def rest(frames: int) -> Posture:
    """Arms hanging loosely, everything else zero: legs and pelvis are the first layer's to fill."""
    arms = np.tile(np.radians([25.0, 9.0, 0.0, 18.0]), (frames, 2, 1))  # (T, 2, 4)
    return Posture(
        pelvis=np.zeros((frames, 3)), turn=np.zeros((frames, 3)), trunk=np.zeros((frames, 3)),
        gaze=np.zeros((frames, 3)), arms=arms, shrug=np.zeros((frames, 2)), ankles=np.zeros((frames, 2, 3)),
        toes_out=np.zeros((frames, 2)),
    )  # fmt: skip


def orientation(angles: Array) -> Array:
    """(T, 3) pitch, roll, heading to (T, 3, 3): roll first, then pitch, then heading."""
    pitch, roll, heading = np.degrees(angles).T
    return about("z", heading) @ about("y", pitch) @ about("x", roll)


def hips(body: Body, posture: Posture) -> Array:
    """(T, 2, 3) left and right hip joints, world."""
    sideways = orientation(posture.turn)[:, :, 1]  # (T, 3)
    return posture.pelvis[:, None] + np.multiply.outer(LATERAL, sideways).swapaxes(0, 1) * body.half_hips


def keep_legs_in_reach(body: Body, posture: Posture, fps: float, longest: float = 0.996) -> None:
    """Lower the pelvis smoothly where a planted ankle would be farther than a leg reaches.

    ``longest`` is the straightest leg allowed, as a part of its full length. This is what makes a walking pelvis dip
    while both feet are down.
    """
    to_ankle = posture.ankles - hips(body, posture)  # (T, 2, 3)
    level = (to_ankle[..., :2] ** 2).sum(-1)  # (T, 2)
    reach = np.sqrt(np.maximum((longest * body.leg) ** 2 - level, (0.3 * body.leg) ** 2))
    excess = np.maximum(-to_ankle[..., 2] - reach, 0.0).max(-1)  # (T,)
    posture.pelvis[:, 2] -= envelope(excess, max(1, round(0.06 * fps)))


def _clip(values: Array, limit: str) -> Array:
    return np.clip(values, *LIMITS[limit])


def _direction(matrix: Array, x: float, y: float, z: float) -> Array:
    return matrix @ np.array([x, y, z])  # (T, 3)


def _legs(body: Body, posture: Posture, hip: Array) -> tuple[Array, Array]:
    """(T, 2, 3) knees and ankles: bone lengths and the knee's hinge hold whatever ankles were asked for."""
    low, high = LIMITS["knee flexion"]
    span = [np.sqrt(body.thigh**2 + body.shin**2 + 2 * body.thigh * body.shin * np.cos(bend)) for bend in (high, low)]
    wanted = posture.ankles - hip  # (T, 2, 3)
    asked = np.linalg.norm(wanted, axis=-1, keepdims=True)  # (T, 2, 1)
    distance = np.clip(asked, *span)
    along = wanted / asked
    heading = posture.turn[:, 2, None] + posture.toes_out * LATERAL  # (T, 2)
    hinge = np.stack([-np.sin(heading), np.cos(heading), np.zeros_like(heading)], -1)  # (T, 2, 3)
    forward = np.cross(along, hinge)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    onto_line = (body.thigh**2 - body.shin**2 + distance**2) / (2 * distance)
    off_line = np.sqrt(np.maximum(body.thigh**2 - onto_line**2, 0.0))
    return hip + along * onto_line + forward * off_line, hip + along * distance


def _arm(body: Body, angles: Array, side: int, chest: Array) -> tuple[Array, Array]:
    """(T, 4) arm angles to (T, 3) upper arm and forearm as world vectors.

    Both sides are computed as a left arm and mirrored.
    """
    plane, elevation = _clip(angles[:, 0], "shoulder plane"), _clip(angles[:, 1], "shoulder elevation")
    axial, elbow = _clip(angles[:, 2], "shoulder rotation"), _clip(angles[:, 3], "elbow flexion")
    first, second, third = np.degrees([-plane, elevation, plane + axial])
    shoulder = about("z", first) @ about("x", second) @ about("z", third)  # (T, 3, 3)
    upper = _direction(shoulder, 0.0, 0.0, -1.0)
    fore = (shoulder @ np.stack([np.sin(elbow), np.zeros_like(elbow), -np.cos(elbow)], -1)[..., None])[..., 0]
    mirror = np.array([1.0, LATERAL[side], 1.0])
    return tuple((chest @ (bone * mirror)[..., None])[..., 0] for bone in (upper * body.upper_arm, fore * body.forearm))


def _shoulder(body: Body, posture: Posture, side: int, chest: Array) -> Array:
    """(T, 3) collar bone as a world vector; it rises with a raised arm, about a fifth of the way."""
    raised = np.maximum(_clip(posture.arms[:, side, 1], "shoulder elevation") - 0.5, 0.0)
    tilt = posture.shrug[:, side] + 0.2 * raised - 0.12
    bone = np.stack([np.zeros_like(tilt), LATERAL[side] * np.cos(tilt), np.sin(tilt)], -1)  # (T, 3)
    return (chest @ bone[..., None])[..., 0] * body.half_shoulders


def joints_mm(body: Body, posture: Posture) -> Array:
    """(T, 17, 3) joints in world millimetres, order of ``harness.data.skeleton``.

    Angles beyond ``LIMITS_DEGREES`` are held at the limit; ankles out of reach are drawn in along the leg.
    """
    trunk, gaze = _clip(posture.trunk, "trunk bend"), _clip(posture.gaze, "neck bend")
    pelvis = orientation(posture.turn)
    lower = pelvis @ orientation(0.5 * trunk)
    chest = lower @ orientation(0.5 * trunk)
    head = chest @ orientation(gaze)
    joints = np.empty((len(posture), JOINT_COUNT, 3))
    joints[:, 0] = posture.pelvis
    hip = hips(body, posture)
    knee, ankle = _legs(body, posture, hip)
    for side, first in ((RIGHT, 1), (LEFT, 4)):
        joints[:, first], joints[:, first + 1], joints[:, first + 2] = hip[:, side], knee[:, side], ankle[:, side]
    # The resting spine is hollow below and round above; the neck leans forward and the head sits upright on it.
    joints[:, 7] = joints[:, 0] + body.spine * _direction(lower, -0.06, 0.0, np.sqrt(1 - 0.06**2))
    joints[:, 8] = joints[:, 7] + body.chest * _direction(chest, -0.03, 0.0, np.sqrt(1 - 0.03**2))
    joints[:, 9] = joints[:, 8] + body.neck * _direction(head, 0.36, 0.0, np.sqrt(1 - 0.36**2))
    joints[:, 10] = joints[:, 9] + body.head * _direction(head, 0.02, 0.0, np.sqrt(1 - 0.02**2))
    for side, first in ((LEFT, 11), (RIGHT, 14)):
        upper, fore = _arm(body, posture.arms[:, side], side, chest)
        joints[:, first] = joints[:, 8] + _shoulder(body, posture, side, chest)
        joints[:, first + 1] = joints[:, first] + upper
        joints[:, first + 2] = joints[:, first + 1] + fore
    return joints * 1000.0
