"""Jumping: crouch, swing the arms, leave the floor in free flight, land and give way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic.body import GRAVITY, LATERAL, SIDES, Body, Posture
from harness.data.synthetic.curves import drift, hermite, interleave, moves
from harness.data.synthetic.footwork import Footfalls, ankle, below_hip
from harness.data.synthetic.gestures import episodes, put_arm
from harness.data.synthetic.manner import Manner
from harness.data.synthetic.stance import one_place, stand

Array = NDArray[np.float64]
_WIDTH_M = 0.26
#: How much higher the pelvis is on tiptoe, as the feet leave the floor.
_TIPTOE_M = 0.06


@dataclass(frozen=True)
class _Jumps:
    """n jumps: when each crouch starts and how long it takes, lift-off, landing (n,), and the n + 1 places."""

    start_s: Array
    crouch_s: Array
    off_s: Array
    land_s: Array
    height_m: Array
    centre_m: Array
    heading: Array

    @property
    def flight_s(self) -> Array:
        return self.land_s - self.off_s


def _plan(rng: np.random.Generator, manner: Manner, end_s: float) -> _Jumps:
    """On the spot, forward and back, with or without a turn."""
    times = episodes(rng, end_s, rise_s=(0.35, 0.5), hold_s=(0.7, 0.9), fall_s=(0.9, 1.1), pause_s=(0.0, 0.8))
    count = len(times)
    height = rng.uniform(0.08, 0.34, count) * min(manner.vigour, 1.1)
    off_s = times.start_s + times.rise_s + rng.uniform(0.24, 0.30, count)
    heading = rng.uniform(0.0, 2 * np.pi) + np.r_[0.0, np.cumsum(rng.normal(0.0, 0.45, count))]
    way = rng.uniform(-0.05, 0.45, count) * np.where(np.arange(count) % 2, -1.0, 1.0)
    ahead = np.stack([np.cos(heading), np.sin(heading)], -1)[:-1]  # (n, 2)
    centre = np.concatenate([np.zeros((1, 2)), np.cumsum(way[:, None] * ahead, axis=0)])  # (n + 1, 2)
    land_s = off_s + np.sqrt(8.0 * height / GRAVITY)
    return _Jumps(times.start_s, times.rise_s, off_s, land_s, height, centre, heading)


def _pelvis_height(time_s: Array, jumps: _Jumps) -> Array:
    """(T,) above standing: down, up and off at the speed the flight needs, down and giving way."""
    up = (0.5 * GRAVITY * jumps.flight_s**2 - _TIPTOE_M) / jumps.flight_s
    down = up - GRAVITY * jumps.flight_s
    depth, give, zero = -0.13 - 0.06 * up, 0.06 * down - 0.04, np.zeros_like(up)
    keys = interleave(
        jumps.start_s, jumps.start_s + jumps.crouch_s, jumps.off_s, jumps.land_s, jumps.land_s + 0.24,
        jumps.land_s + 0.75,
    )  # fmt: skip
    level = interleave(zero, depth, zero + _TIPTOE_M, zero, give, zero)
    return hermite(time_s, keys, level, interleave(zero, zero, up, down, zero, zero))


def _bend(posture: Posture, height: Array) -> None:
    """Hips back and trunk forward as far as the knees are bent."""
    bent = np.clip(-height / 0.35, 0.0, 1.2)
    heading = posture.turn[:, 2]
    posture.pelvis[:, :2] -= (0.10 * bent)[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)
    posture.turn[:, 0] += np.radians(24.0) * bent
    posture.trunk[:, 0] += np.radians(24.0) * bent
    posture.gaze[:, 0] -= np.radians(26.0) * bent


def _swing_arms(rng: np.random.Generator, posture: Posture, time_s: Array, jumps: _Jumps) -> None:
    """Back in the crouch, up with the jump, down before the body on landing."""
    loose, back, ready = (85.0, 8.0, 0.0, 20.0), (85.0, -42.0, 0.0, 22.0), (70.0, 25.0, -10.0, 45.0)
    top = (80.0, rng.uniform(85.0, 150.0), 0.0, 22.0)
    count = len(jumps.off_s)
    poses = np.concatenate([[loose], np.tile([back, top, ready, loose], (count, 1))])
    begin = interleave(jumps.start_s, jumps.off_s - 0.40, jumps.off_s + 0.30, jumps.land_s + 0.25)
    lasting = interleave(jumps.crouch_s, np.full(count, 0.70), jumps.flight_s + 0.2, np.full(count, 0.6))
    for side in SIDES:
        put_arm(posture, side, np.ones(len(time_s)), moves(time_s, begin, lasting, poses))
        posture.arms[:, side] += np.radians(4.0) * np.stack([drift(rng, time_s, 2.0) for _ in range(4)], -1)


def jump(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Jump after jump with both feet."""
    jumps = _plan(rng, manner, float(time_s[-1]))
    start = replace(one_place(rng, _WIDTH_M), heading=jumps.heading[:1])
    posture = stand(rng, body, manner, time_s, start)
    flown = np.clip((time_s[:, None] - jumps.off_s) / jumps.flight_s, 0.0, 1.0)  # (T, n)
    posture.pelvis[:, :2] += flown @ np.diff(jumps.centre_m, axis=0)
    posture.turn[:, 2] += moves(time_s, jumps.off_s - 0.08, jumps.flight_s + 0.16, jumps.heading) - jumps.heading[0]
    height = _pelvis_height(time_s, jumps)
    posture.pelvis[:, 2] += height
    _bend(posture, height)
    _swing_arms(rng, posture, time_s, jumps)
    tuck_m = rng.uniform(0.0, 0.5) * jumps.height_m
    for side in SIDES:
        ball = [below_hip(body, LATERAL[side], heading, _WIDTH_M) for heading in jumps.heading]
        steps = Footfalls(
            land_s=np.r_[-np.inf, jumps.land_s], lift_s=np.r_[jumps.off_s, np.inf],
            ball_m=jumps.centre_m + np.array(ball), yaw=jumps.heading + manner.toes_out * LATERAL[side],
            clearance_m=jumps.height_m, heel_lift=np.full(len(tuck_m), np.radians(50.0)), tuck_m=tuck_m,
        )  # fmt: skip
        posture.ankles[:, side], yaw = ankle(body, steps, time_s, roll_s=0.14)
        posture.toes_out[:, side] = 0.7 * LATERAL[side] * (yaw - posture.turn[:, 2])
    return posture
