"""Walking and running along a curved route: footfalls first, and the body over them.

Cadence follows speed by a constant walk ratio (Sekiya et al. 1996: step length / cadence = 0.0064 m / (steps / min));
the pelvis rises and falls because legs have a length, leans into turns, and turns against the chest and arms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic.body import GRAVITY, LATERAL, LEFT, SIDES, Body, Posture, rest
from harness.data.synthetic.curves import drift, smooth
from harness.data.synthetic.footwork import Footfalls, ankle
from harness.data.synthetic.manner import Manner

Array = NDArray[np.float64]
_WALK_RATIO = 0.0064
_RATE_HZ = 100.0
#: Routes are planned this much longer than the take at both ends, so that every frame lies between two footfalls.
_MARGIN_S = 2.5
_TURN = 2 * np.pi


@dataclass(frozen=True)
class Gait:
    """One way of getting along. Angles in radians, lengths in metres.

    speed_m_s     on a straight
    turn_m_s2     largest sideways acceleration: how much slower turns are taken
    cycle_hz      left footfalls a second at that speed
    duty          part of the cycle that a foot is on the floor; below one half there is flight
    over_foot     part of the stance after which the hip is over the ankle
    width         between the ankles
    heel_lift, clearance, tuck   as in ``Footfalls``
    height        of the pelvis when both legs allow it, as a part of leg length
    bob           half of the pelvis' rise and fall beyond what the legs' length causes; positive: lowest over the foot
    sway, roll, twist            of the pelvis
    counter_twist                of the chest against the pelvis
    lean          forward, shared by pelvis and trunk
    arm_swing, arm_back, elbow, elbow_swing
    """

    speed_m_s: float
    turn_m_s2: float
    cycle_hz: float
    duty: float
    over_foot: float
    width: float
    heel_lift: float
    clearance: float
    tuck: float
    height: float
    bob: float
    sway: float
    roll: float
    twist: float
    counter_twist: float
    lean: float
    arm_swing: float
    arm_back: float
    elbow: float
    elbow_swing: float


def walking(rng: np.random.Generator, body: Body, manner: Manner, speed_m_s: float) -> Gait:
    """Gait at a walking speed, 0.5 to 2 m/s."""
    speed = speed_m_s * manner.pace * np.sqrt(body.leg / 0.85)
    stride = speed / 1.3
    steps_a_minute = np.sqrt(60.0 * speed / _WALK_RATIO * 0.85 / body.leg)
    return Gait(
        speed_m_s=speed, turn_m_s2=1.6, cycle_hz=steps_a_minute / 120.0, duty=0.63 - 0.03 * (stride - 1),
        over_foot=0.38, width=manner.step_width, heel_lift=np.radians(58.0) * min(1.1, 0.35 + 0.65 * stride),
        clearance=0.035, tuck=0.02, height=float(rng.uniform(0.965, 0.985)), bob=-0.006 * manner.bounce,
        sway=0.024 * manner.bounce, roll=np.radians(3.5) * manner.bounce, twist=np.radians(6.0) * stride,
        counter_twist=np.radians(11.0) * stride * manner.arm_swing, lean=np.radians(rng.uniform(0.0, 4.0)),
        arm_swing=np.radians(22.0) * stride * manner.arm_swing, arm_back=np.radians(-4.0),
        elbow=np.radians(rng.uniform(16.0, 30.0)), elbow_swing=np.radians(9.0) * stride * manner.arm_swing,
    )  # fmt: skip


def running(rng: np.random.Generator, body: Body, manner: Manner, speed_m_s: float) -> Gait:
    """Gait at a jogging to running speed, 2 to 3.5 m/s."""
    speed = speed_m_s * manner.pace
    return Gait(
        speed_m_s=speed, turn_m_s2=3.5, cycle_hz=float(rng.uniform(1.28, 1.42)) * np.sqrt(0.85 / body.leg), duty=0.37,
        over_foot=0.42, width=0.6 * manner.step_width, heel_lift=np.radians(58.0), clearance=0.05,
        tuck=min(0.08 * speed * manner.vigour, 0.26 * body.leg), height=0.945, bob=0.038 * manner.bounce, sway=0.012,
        roll=np.radians(4.0) * manner.bounce, twist=np.radians(8.0), counter_twist=np.radians(20.0),
        lean=np.radians(rng.uniform(6.0, 12.0)), arm_swing=np.radians(32.0) * manner.vigour,
        arm_back=np.radians(-12.0), elbow=np.radians(rng.uniform(75.0, 100.0)), elbow_swing=np.radians(14.0),
    )  # fmt: skip


@dataclass(frozen=True)
class Route:
    """Where the body is meant to be at rising instants ``time_s`` (n,): position, heading, speed, curvature, phase.

    ``phase`` counts gait cycles; the left foot lands at whole numbers, the right half a cycle later.
    """

    time_s: Array
    position_m: Array
    heading: Array
    speed_m_s: Array
    curvature: Array
    phase: Array

    def at(self, values: Array, time_s: Array) -> Array:
        """Any of the fields, (n,) or (n, 2), at other instants."""
        columns = values.reshape(len(values), -1).T
        return np.stack([np.interp(time_s, self.time_s, column) for column in columns], -1).reshape(
            (*np.shape(time_s), *values.shape[1:])
        )


def _loop(rng: np.random.Generator, size_m: float) -> tuple[Array, Array]:
    """(n, 2) a winding closed walk, many times round, and its (n,) distance: ovals, figures of eight, to and fro."""
    angle = np.arange(0.0, 40 * np.pi, 0.004)
    kind = rng.choice(3, p=[0.5, 0.3, 0.2])
    width = (rng.uniform(0.7, 1.0), rng.uniform(0.6, 0.8), 0.42)[kind] * size_m
    across = np.sin(2 * angle) if kind == 1 else np.sin(angle)
    wobble = 1.0 + 0.12 * drift(rng, angle, 5.0)
    points = np.stack([size_m * np.cos(angle) * wobble, width * across * wobble], -1)  # (n, 2)
    if rng.random() < 0.5:
        points[:, 1] *= -1
    facing = rng.uniform(0.0, _TURN)
    turn = np.array([[np.cos(facing), -np.sin(facing)], [np.sin(facing), np.cos(facing)]])
    distance = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=-1))])
    return points @ turn.T, distance


def plan(rng: np.random.Generator, gait: Gait, end_s: float, size_m: float) -> Route:
    """A route of ``end_s`` seconds and a margin at both ends; slower in tight turns."""
    points, distance = _loop(rng, size_m)
    heading = np.unwrap(np.arctan2(*np.gradient(points, axis=0).T[::-1]))
    curvature = smooth(np.gradient(heading, distance), 40.0)
    speed = gait.speed_m_s * (1.0 + 0.07 * drift(rng, distance, 3.0))
    speed /= (1.0 + (speed**2 * curvature / gait.turn_m_s2) ** 2) ** 0.25
    step_s = np.diff(distance) * 2.0 / (speed[1:] + speed[:-1])
    clock = np.concatenate([[0.0], np.cumsum(step_s)])
    duration_s = end_s + 2 * _MARGIN_S
    start_s = rng.uniform(0.0, max(clock[-1] - duration_s, 0.0))
    time_s = np.arange(0.0, duration_s, 1.0 / _RATE_HZ)
    fields = [np.interp(time_s + start_s, clock, field) for field in (*points.T, heading, speed, curvature)]
    position = np.stack(fields[:2], -1)  # (n, 2)
    cycle_hz = gait.cycle_hz * np.sqrt(fields[3] / gait.speed_m_s) * (1 + 0.02 * drift(rng, time_s, 2.0))
    phase = rng.uniform(0.0, 1.0) + np.cumsum(cycle_hz) / _RATE_HZ
    return Route(time_s - _MARGIN_S, position, fields[2], fields[3], fields[4], phase)


def _footfalls(rng: np.random.Generator, body: Body, gait: Gait, manner: Manner, route: Route, side: int) -> Footfalls:
    """One foot's footfalls along a route."""
    offset = 0.0 if side == LEFT else 0.5
    first, last = np.ceil(route.phase[0] - offset), np.floor(route.phase[-1] - offset - gait.duty)
    land = np.arange(first, last + 1) + offset  # (n,) phases

    def instant(phase: Array) -> Array:
        return np.interp(phase, route.phase, route.time_s)

    over_s = instant(land + gait.over_foot * gait.duty)
    heading = route.at(route.heading, over_s)
    ahead = np.stack([np.cos(heading), np.sin(heading)], -1)  # (n, 2)
    aside = np.stack([-np.sin(heading), np.cos(heading)], -1) * LATERAL[side]  # (n, 2)
    ball = route.at(route.position_m, over_s) + body.instep * ahead + 0.5 * gait.width * aside
    ball += rng.normal(0.0, 0.008, ball.shape)
    swings = np.ones(len(land) - 1)
    return Footfalls(
        land_s=instant(land), lift_s=instant(land + gait.duty), ball_m=ball,
        yaw=heading + manner.toes_out * LATERAL[side],
        clearance_m=gait.clearance * swings * rng.uniform(0.7, 1.3, len(swings)),
        heel_lift=gait.heel_lift * swings, tuck_m=gait.tuck * swings,
    )  # fmt: skip


def _swing_body(posture: Posture, gait: Gait, manner: Manner, phase: Array, lean_in: Array, vigour: Array) -> None:
    """Pelvis, trunk and arms in time with the feet; ``vigour`` (T,) scales what belongs to the stride."""
    mid_stance = 0.5 * gait.duty
    stride, stance = np.cos(_TURN * phase), np.cos(_TURN * (phase - mid_stance))
    posture.turn[:, 0] = 0.5 * gait.lean
    posture.turn[:, 1] = gait.roll * stance - lean_in
    posture.turn[:, 2] -= gait.twist * stride * vigour
    posture.trunk[:, 0] = 0.5 * gait.lean + manner.slouch
    posture.trunk[:, 1] = -0.8 * gait.roll * stance
    posture.trunk[:, 2] = gait.counter_twist * stride * vigour
    posture.gaze[:, 0] = -0.5 * gait.lean - 0.7 * manner.slouch
    posture.gaze[:, 2] = -0.6 * posture.trunk[:, 2]
    for side in SIDES:
        forward = -LATERAL[side] * stride * vigour
        posture.arms[:, side, 0] = np.radians(78.0)
        posture.arms[:, side, 1] = gait.arm_back + gait.arm_swing * forward
        posture.arms[:, side, 2] = np.radians(-12.0)
        posture.arms[:, side, 3] = gait.elbow + gait.elbow_swing * (1.0 + forward)


def travel(rng: np.random.Generator, body: Body, manner: Manner, gait: Gait, time_s: Array, size_m: float) -> Posture:
    """(T,) posture of a person who walks or runs along a route of about ``size_m`` radius."""
    route = plan(rng, gait, float(time_s[-1]), size_m)
    posture = rest(len(time_s))
    phase, speed = route.at(route.phase, time_s), route.at(route.speed_m_s, time_s)
    heading = route.at(route.heading, time_s)
    posture.turn[:, 2] = heading
    lean_in = 0.8 * np.arctan(speed**2 * route.at(route.curvature, time_s) / GRAVITY)
    _swing_body(posture, gait, manner, phase, lean_in, (speed / gait.speed_m_s) * (1 + 0.1 * drift(rng, time_s, 3.0)))
    aside = gait.sway * np.cos(_TURN * (phase - 0.5 * gait.duty)) + np.tan(lean_in) * body.leg
    posture.pelvis[:, :2] = route.at(route.position_m, time_s)
    posture.pelvis[:, :2] += aside[:, None] * np.stack([-np.sin(heading), np.cos(heading)], -1)
    posture.pelvis[:, 2] = body.ankle_height + gait.height * body.leg
    posture.pelvis[:, 2] -= gait.bob * np.cos(2 * _TURN * (phase - 0.5 * gait.duty))
    posture.gaze[:, 2] += np.clip(route.at(route.heading, time_s + 0.5) - heading, -0.6, 0.6)
    posture.gaze += np.radians([5.0, 3.0, 9.0]) * np.stack([drift(rng, time_s, 2.0) for _ in range(3)], -1)
    for side in SIDES:
        steps = _footfalls(rng, body, gait, manner, route, side)
        roll_s = 0.5 * gait.duty / gait.cycle_hz
        posture.ankles[:, side], yaw = ankle(body, steps, time_s, roll_s)
        posture.toes_out[:, side] = 0.6 * LATERAL[side] * (yaw - posture.turn[:, 2])
    return posture
