"""Throwing overhead: wind up, step forward with the other foot, let go, follow through, step back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic.body import LATERAL, Body, Posture
from harness.data.synthetic.curves import ease, interleave, moves
from harness.data.synthetic.footwork import Footfalls, ankle
from harness.data.synthetic.gestures import Episodes, episodes, put_arm, varied
from harness.data.synthetic.manner import Manner
from harness.data.synthetic.stance import one_place, stand

Array = NDArray[np.float64]
_LET_GO = (72.0, 118.0, 8.0, 28.0)
_FOLLOW_THROUGH = (112.0, 48.0, -18.0, 34.0)


def throw(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Throw after throw with the hand of choice, harder and softer."""
    posture = stand(rng, body, manner, time_s, one_place(rng, 0.24))
    throws = episodes(
        rng, float(time_s[-1]), rise_s=(0.8, 1.0), hold_s=(0.7, 0.9), fall_s=(0.9, 1.2), pause_s=(0.2, 1.0)
    )
    strength = rng.uniform(0.7, 1.0, len(throws)) * min(manner.vigour, 1.1)
    hand, other = manner.strong_side, 1 - manner.strong_side
    release_s = throws.start_s + throws.rise_s
    back_s = release_s + throws.hold_s
    begin = interleave(throws.start_s, release_s, release_s + 0.32, back_s)
    lasting = interleave(throws.rise_s, np.full(len(throws), 0.50), np.full(len(throws), 0.50), throws.fall_s)
    put_arm(posture, hand, np.ones(len(time_s)), moves(time_s, begin, lasting, _arm_stages(rng, len(throws))))
    forward = moves(time_s, begin, lasting, np.r_[0.0, interleave(-strength, strength, strength, 0 * strength)])
    _turn_into(rng, posture, time_s, throws, forward, hand)
    _step_out(body, posture, time_s, other, release_s - 0.35, back_s + 0.15, 0.42 * body.leg * strength)
    return posture


def _arm_stages(rng: np.random.Generator, count: int) -> Array:
    """(4 count + 1, 4) degrees: at home, then wound up, let go, followed through and home again for each throw."""
    home = varied(rng, "before the chest")
    wind_up = np.array([-5.0, 88.0, 84.0, 98.0]) + rng.normal(0.0, [8.0, 8.0, 5.0, 8.0], (count, 4))
    stages = [np.stack([each, _LET_GO, _FOLLOW_THROUGH, home]) for each in wind_up]
    return np.concatenate([home[None], *stages])


def _turn_into(
    rng: np.random.Generator, posture: Posture, time_s: Array, throws: Episodes, forward: Array, hand: int
) -> None:
    """Pelvis, chest and the aiming arm; ``forward`` (T,) is -1 wound up, 1 when the ball has gone."""
    lead = LATERAL[hand]
    posture.turn[:, 2] -= lead * 0.32 * forward
    posture.trunk[:, 2] -= lead * 0.48 * forward
    posture.trunk[:, 0] += np.radians(16.0) * np.maximum(forward, -0.5)
    posture.gaze[:, 2] += lead * 0.55 * forward
    aim = throws.amount(time_s)
    put_arm(posture, 1 - hand, aim * ease(0.5 - 0.5 * forward), varied(rng, "straight ahead"))
    put_arm(posture, 1 - hand, aim * ease(0.5 + 0.5 * forward), (40.0, 20.0, -20.0, 60.0))


def _step_out(
    body: Body, posture: Posture, time_s: Array, side: int, out_s: Array, back_s: Array, way_m: Array
) -> None:
    """One foot steps ``way_m`` (n,) forward at ``out_s`` and back at ``back_s``; the pelvis goes half of the way."""
    heading = float(np.mean(posture.turn[:, 2]))
    ahead = np.array([np.cos(heading), np.sin(heading)])
    lift_s, way = interleave(out_s, back_s), np.r_[0.0, interleave(way_m, 0 * way_m)]
    swings = np.ones(len(lift_s))
    steps = Footfalls(
        land_s=np.r_[-np.inf, lift_s + 0.36], lift_s=np.r_[lift_s, np.inf], ball_m=way[:, None] * ahead,
        yaw=np.full(len(way), heading), clearance_m=0.06 * swings, heel_lift=0.5 * swings, tuck_m=0 * swings,
    )  # fmt: skip
    stepped, _ = ankle(body, steps, time_s, roll_s=0.2)
    posture.ankles[:, side] += stepped - np.array([*(-body.instep * ahead), body.ankle_height])
    weight = moves(time_s, lift_s - 0.05, np.full(len(lift_s), 0.55), 0.55 * way)
    posture.pelvis[:, :2] += weight[:, None] * ahead
    posture.pelvis[:, 2] -= 0.12 * weight
