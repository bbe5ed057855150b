"""Standing on planted feet and bending: squats, reaching high and low, stretching."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic.body import LATERAL, SIDES, Body, Posture
from harness.data.synthetic.curves import drift, ease
from harness.data.synthetic.gestures import ARM_POSES, Episodes, episodes, hang_arm, put_arm, put_arm_by_turns, varied
from harness.data.synthetic.manner import Manner
from harness.data.synthetic.stance import lower, one_place, stand, wander

Array = NDArray[np.float64]


def squat(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Down to half or deep squats and up, arms forward for balance or hands before the chest."""
    end_s = float(time_s[-1])
    posture = stand(rng, body, manner, time_s, one_place(rng, float(rng.uniform(0.28, 0.42))))
    down = episodes(rng, end_s, rise_s=(0.7, 1.3), hold_s=(0.1, 1.2), fall_s=(0.6, 1.1), pause_s=(0.2, 1.0))
    depth = rng.uniform(0.45, 1.0, len(down))
    amount = down.amount(time_s, depth)
    lower(body, posture, amount, body.ankle_height + 0.30 * body.leg, 0.20 * body.leg)
    posture.turn[:, 0] += np.radians(20.0) * amount
    posture.trunk[:, 0] += np.radians(rng.uniform(10.0, 30.0)) * amount
    posture.gaze[:, 0] -= np.radians(24.0) * amount
    posture.toes_out += (np.radians(12.0) * amount)[:, None]
    pose = "straight ahead" if rng.random() < 0.6 else "before the chest"
    arms = down.amount(time_s, np.sqrt(depth))
    for side in SIDES:
        put_arm(posture, side, arms, varied(rng, pose))
    return posture


def reach(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """To a high shelf, to the side, down to the floor with bent knees or a bent back, one hand or both."""
    end_s = float(time_s[-1])
    places = wander(rng, body, end_s, pause_s=(2.5, 5.0), turn=0.7, way_m=0.15, width_m=0.28)
    posture = stand(rng, body, manner, time_s, places)
    tries = episodes(rng, end_s, rise_s=(0.7, 1.2), hold_s=(0.2, 0.9), fall_s=(0.7, 1.1), pause_s=(0.2, 1.0))
    height = rng.uniform(0.0, 1.0, len(tries))
    low, high = np.clip(1.3 - height / 0.42, 0.0, 1.0), np.clip((height - 0.45) / 0.55, 0.0, 1.0)
    tilt = _bend_to(rng, body, posture, time_s, tries, low, high)
    hand = rng.choice(3, len(tries), p=[0.35, 0.35, 0.3])
    for side in SIDES:
        mine = (hand == side) | (hand == 2)
        plane = 88.0 - 30.0 * rng.random(len(tries)) * (1 - low)
        elevation = np.where(low > 0, np.degrees(tilt) + 8.0 + 60.0 * (1 - low), 78.0 + 85.0 * high)
        poses = np.stack(
            [plane, elevation, rng.normal(0.0, 10.0, len(tries)), 28.0 - 18.0 * high - 10.0 * low], -1
        )  # (n, 4)
        hang_arm(posture, side, 1.0 - tries.amount(time_s, mine))
        put_arm_by_turns(posture, side, tries.each(time_s) * mine, poses)
        posture.shrug[:, side] += np.radians(10.0) * tries.amount(time_s, mine * high)
    return posture


def _bend_to(
    rng: np.random.Generator, body: Body, posture: Posture, time_s: Array, tries: Episodes, low: Array, high: Array
) -> Array:
    """Knees, back and head that go with reaching ``low`` or ``high`` (n,): some bend the knees more, some the back.

    Returns how far the chest is bent forward in each try, (n,) radians.
    """
    knees = low * rng.uniform(0.15, 1.0, len(low))
    lower(body, posture, tries.amount(time_s, knees), body.ankle_height + 0.38 * body.leg, 0.16 * body.leg)
    lower(body, posture, tries.amount(time_s, low * (1 - 0.6 * knees)), body.standing_height * 0.93, 0.13)
    pelvis, trunk = np.radians(58.0) * low * (1 - 0.45 * knees), np.radians(50.0) * low
    posture.turn[:, 0] += tries.amount(time_s, pelvis)
    posture.trunk[:, 0] += tries.amount(time_s, trunk - np.radians(8.0) * high)
    posture.trunk[:, 1] += tries.amount(time_s, np.radians(rng.normal(0.0, 9.0, len(low))))
    posture.trunk[:, 2] += tries.amount(time_s, np.radians(rng.normal(0.0, 16.0, len(low))))
    posture.gaze[:, 0] -= tries.amount(time_s, np.radians(22.0) * high + np.radians(10.0) * low)
    return pelvis + trunk


def stretch(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Arm circles, side bends, twists, arms overhead, a bend to the toes, in any order."""
    end_s = float(time_s[-1])
    posture = stand(rng, body, manner, time_s, one_place(rng, float(rng.uniform(0.26, 0.45))))
    parts = episodes(rng, end_s, rise_s=(0.9, 1.3), hold_s=(1.8, 3.2), fall_s=(0.9, 1.3), pause_s=(0.0, 0.4))
    kinds = rng.permutation(5)[np.arange(len(parts)) % 5]
    circles, side_bend, twist, overhead, toes = (parts.amount(time_s, kinds == kind) for kind in range(5))
    _circle_arms(rng, posture, time_s, circles)
    _bend_sideways(rng, posture, time_s, side_bend)
    posture.trunk[:, 2] += np.radians(46.0) * twist * np.sin(2 * np.pi * (0.4 * time_s + rng.random()))
    posture.trunk[:, 0] += np.radians(55.0) * toes - np.radians(10.0) * overhead
    posture.turn[:, 0] += np.radians(52.0) * toes
    posture.gaze[:, 0] -= np.radians(14.0) * overhead
    lower(body, posture, toes, body.standing_height * 0.955, 0.14)
    twisting = "straight sideways" if rng.random() < 0.5 else "on the hip"
    for side in SIDES:
        put_arm(posture, side, twist, varied(rng, twisting))
        put_arm(posture, side, overhead, varied(rng, "overhead"))
        put_arm(posture, side, toes, (88.0, 66.0, 0.0, 12.0))
    return posture


def _bend_sideways(rng: np.random.Generator, posture: Posture, time_s: Array, amount: Array) -> None:
    """Left and right by turns, the outer arm over the head, the other hand on the hip."""
    sway = np.sin(2 * np.pi * (0.32 * time_s + rng.random()))
    posture.trunk[:, 1] += np.radians(28.0) * amount * sway
    posture.turn[:, 1] += np.radians(5.0) * amount * sway
    for side in SIDES:
        outer = ease(0.5 + 1.2 * sway * LATERAL[side])
        put_arm(posture, side, amount * outer, (15.0, 158.0, 0.0, 42.0))
        put_arm(posture, side, amount * (1 - outer), ARM_POSES["on the hip"])


def _circle_arms(rng: np.random.Generator, posture: Posture, time_s: Array, amount: Array) -> None:
    """Both arms out to the sides, describing cones; together or half a turn apart."""
    rate_hz = rng.uniform(0.55, 0.95) * rng.choice([-1.0, 1.0])
    angle = 2 * np.pi * (rate_hz * time_s + 0.06 * drift(rng, time_s, 3.0))
    size = rng.uniform(22.0, 52.0)
    apart = np.pi if rng.random() < 0.3 else 0.0
    for side in SIDES:
        own = angle + apart * side
        level = np.zeros_like(own)
        pose = np.stack([20.0 + size * np.cos(own), 88.0 + size * np.sin(own), level, level + 14.0], -1)  # (T, 4)
        put_arm(posture, side, amount, pose)
    posture.trunk[:, 0] += np.radians(3.0) * amount * np.sin(angle)
