"""Where the feet are: footfalls in, ankles out.

A foot rests on its ball from one landing to the next lift and does not slide; before it lifts, the heel rises about the
ball, and the ankle with it. Between footfalls the ball travels straight, eased, with a clearance. Metres, seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic.body import Body
from harness.data.synthetic.curves import bump, ease

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Footfalls:
    """One foot's n places on the floor, and the n - 1 ways between them.

    land_s, lift_s  (n,) first and last instant on each place; the first landing and last lift may be infinite
    ball_m          (n, 2) where the ball of the foot is
    yaw             (n,) where the toes point, radians to the left
    clearance_m     (n - 1,) height of the ball's arc, a parabola as in free flight
    heel_lift       (n - 1,) pitch of the foot as it leaves the floor, radians
    tuck_m          (n - 1,) how far the heel is drawn up on the way, as in running
    """

    land_s: Array
    lift_s: Array
    ball_m: Array
    yaw: Array
    clearance_m: Array
    heel_lift: Array
    tuck_m: Array


def below_hip(body: Body, side_sign: float, yaw: float, width_m: float) -> Array:
    """(2,) ball of a foot whose ankle is under its hip, for a pelvis at the origin heading ``yaw``."""
    forward, left = body.instep, side_sign * width_m / 2
    return np.array([forward * np.cos(yaw) - left * np.sin(yaw), forward * np.sin(yaw) + left * np.cos(yaw)])


def _heel_pitch(steps: Footfalls, time_s: Array, roll_s: float) -> Array:
    """(T,) pitch of the foot: up from ``roll_s`` before the lift to a little after it, then down by mid swing."""
    swing_s = steps.land_s[1:] - steps.lift_s[:-1]
    since_lift = time_s[:, None] - steps.lift_s[:-1]  # (T, n - 1)
    rise = ease((since_lift + roll_s) / (roll_s + 0.12 * swing_s))
    fall = ease((since_lift - 0.12 * swing_s) / (0.68 * swing_s))
    return ((rise - fall) * steps.heel_lift).sum(-1)  # (T,)


def ankle(body: Body, steps: Footfalls, time_s: Array, roll_s: float = 0.25) -> tuple[Array, Array]:
    """(T, 3) ankle in the world and (T,) yaw of its foot."""
    swing_s = steps.land_s[1:] - steps.lift_s[:-1]
    u = np.clip((time_s[:, None] - steps.lift_s[:-1]) / swing_s, 0.0, 1.0)  # (T, n - 1)
    # A swing foot is already moving when its toes leave the floor: gentler at both ends than minimum jerk.
    travel = u * u * (3.0 - 2.0 * u)
    ball = steps.ball_m[0] + travel @ np.diff(steps.ball_m, axis=0)  # (T, 2)
    yaw = steps.yaw[0] + travel @ np.diff(steps.yaw)  # (T,)
    height = (4 * u * (1 - u)) @ steps.clearance_m + bump(u**0.7) @ steps.tuck_m  # (T,)
    pitch = _heel_pitch(steps, time_s, roll_s)
    back = body.instep * np.cos(pitch) - body.ankle_height * np.sin(pitch)
    height = height + body.instep * np.sin(pitch) + body.ankle_height * np.cos(pitch)
    level = ball - back[:, None] * np.stack([np.cos(yaw), np.sin(yaw)], -1)  # (T, 2)
    return np.concatenate([level, height[:, None]], axis=-1), yaw  # (T, 3)
