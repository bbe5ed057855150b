"""Standing and sitting: planted feet, now and then a step on the spot, weight that shifts, a seat to go down to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic.body import LATERAL, SIDES, Body, Posture, rest
from harness.data.synthetic.curves import beats, bump, drift, ease, moves
from harness.data.synthetic.footwork import Footfalls, ankle, below_hip
from harness.data.synthetic.manner import Manner

Array = NDArray[np.float64]
_STEP_S = 0.46
#: Steps weighed before one is made, and the distance between the feet that is as good as any larger one.
_THOUGHTS = 6
_CLEAR_M = 0.13
_LARGEST_TURN = 1.0


@dataclass(frozen=True)
class Places:
    """Where a standing person is turned to, one place after another, and how each change of place is made.

    start_s   (n - 1,) first foot lifts
    first     (n - 1,) side of the foot that lifts first
    centre_m  (n, 2) under the pelvis
    heading   (n,) radians
    width_m   between the ankles
    """

    start_s: Array
    first: NDArray[np.intp]
    centre_m: Array
    heading: Array
    width_m: float


def one_place(rng: np.random.Generator, width_m: float) -> Places:
    """Somebody who stays put, turned anywhere."""
    return Places(np.zeros(0), np.zeros(0, np.intp), np.zeros((1, 2)), rng.uniform(0.0, 2 * np.pi, 1), width_m)


def _feet(body: Body, centre_m: Array, heading: float, width_m: float) -> Array:
    """(2, 2, 2) ankle and ball of the left and the right foot: point, side, coordinate."""
    balls = np.array([centre_m + below_hip(body, LATERAL[side], heading, width_m) for side in SIDES])
    return np.stack([balls - body.instep * np.array([np.cos(heading), np.sin(heading)]), balls])


def _distance(point: Array, start: Array, end: Array) -> Array:
    """(...,) from points to the straight way between start and end, all (..., 2)."""
    way = end - start
    along = ((point - start) * way).sum(-1) / np.maximum((way**2).sum(-1), 1e-12)
    return np.linalg.norm(point - start - np.clip(along, 0.0, 1.0)[..., None] * way, axis=-1)


def _clearance(old: Array, new: Array, first: int) -> float:
    """How near a moving foot comes to the standing one when ``first`` goes first, both from ``_feet``."""
    second = 1 - first
    one = _distance(old[:, second], old[:, first], new[:, first])
    two = _distance(new[:, first], old[:, second], new[:, second])
    return float(min(one.min(), two.min()))


def wander(
    rng: np.random.Generator,
    body: Body,
    end_s: float,
    pause_s: tuple[float, float],
    turn: float,
    way_m: float,
    width_m: float,
) -> Places:
    """Places of a person who steps around on the spot: turns of about ``turn`` radians, ways of about ``way_m``.

    Of several steps that come to mind the one is taken in which the feet stay clearest of each other.
    """
    start_s = beats(rng, end_s - 1.2, pause_s, first_s=-0.5 * pause_s[0])
    start_s = start_s[start_s > 0.2]
    centres, headings, firsts = [np.zeros(2)], [float(rng.uniform(0.0, 2 * np.pi))], []
    for _ in start_s:
        old = _feet(body, centres[-1], headings[-1], width_m)
        options = []
        for _ in range(_THOUGHTS):
            centre = np.clip(rng.normal(0.0, way_m, 2), -2.2 * way_m, 2.2 * way_m)
            heading = headings[-1] + float(np.clip(rng.normal(0.0, turn), -_LARGEST_TURN, _LARGEST_TURN))
            new = _feet(body, centre, heading, width_m)
            options += [(min(_clearance(old, new, first), _CLEAR_M), first, centre, heading) for first in SIDES]
        _, first, centre, heading = max(options, key=lambda option: option[0])
        centres.append(centre)
        headings.append(heading)
        firsts.append(first)
    return Places(start_s, np.array(firsts, np.intp), np.array(centres), np.array(headings), width_m)


def _steps(body: Body, places: Places, side: int, toes_out: float) -> Footfalls:
    """One foot's footfalls."""
    balls = np.array(
        [
            centre + below_hip(body, LATERAL[side], heading, places.width_m)
            for centre, heading in zip(places.centre_m, places.heading, strict=True)
        ]
    )
    lift = places.start_s + np.where(places.first == side, 0.0, _STEP_S + 0.06)
    way = np.linalg.norm(np.diff(balls, axis=0), axis=-1)
    return Footfalls(
        land_s=np.r_[-np.inf, lift + _STEP_S], lift_s=np.r_[lift, np.inf],
        ball_m=balls, yaw=places.heading + toes_out * LATERAL[side],
        clearance_m=0.02 + 0.06 * np.minimum(way, 0.5), heel_lift=np.minimum(0.15 + 0.8 * way, 0.8),
        tuck_m=np.zeros(len(lift)),
    )  # fmt: skip


def _unload(places: Places, time_s: Array) -> Array:
    """(T,) -1 to 1: how far the weight is to the left because a right foot is about to lift, or the reverse."""
    load = np.zeros(len(time_s))
    for start, foot in zip(places.start_s, places.first, strict=True):
        load -= LATERAL[foot] * bump((time_s - start + 0.30) / (_STEP_S + 0.45))
        load += LATERAL[foot] * bump((time_s - start - 0.20) / (_STEP_S + 0.50))
    return load


def stand(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array, places: Places) -> Posture:
    """(T,) posture of standing at one place after another, weight shifting from foot to foot."""
    posture = rest(len(time_s))
    for side in SIDES:
        steps = _steps(body, places, side, manner.toes_out)
        posture.ankles[:, side], yaw = ankle(body, steps, time_s, roll_s=0.2)
        posture.toes_out[:, side] = LATERAL[side] * yaw
    change = np.concatenate([places.centre_m, places.heading[:, None]], -1)  # (n, 3)
    middle = moves(time_s, places.start_s - 0.1, np.full(len(places.start_s), 2 * _STEP_S + 0.2), change)
    load = np.tanh(1.2 * drift(rng, time_s, 3.5)) * 0.8
    aside = places.width_m * (0.25 * load + 0.16 * _unload(places, time_s))
    heading = middle[:, 2]
    posture.pelvis[:, :2] = middle[:, :2] + aside[:, None] * np.stack([-np.sin(heading), np.cos(heading)], -1)
    ahead = 0.012 * drift(rng, time_s, 4.0)
    posture.pelvis[:, :2] += ahead[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)
    posture.pelvis[:, 2] = body.standing_height - 0.006 * (1.0 + drift(rng, time_s, 5.0))
    for side in SIDES:
        posture.toes_out[:, side] -= LATERAL[side] * heading
    posture.turn[:, 1] = np.radians(4.0) * load
    posture.turn[:, 2] = heading + np.radians(4.0) * drift(rng, time_s, 4.0)
    posture.trunk[:, 1] = -np.radians(4.0) * load
    _settle(rng, posture, manner, time_s)
    return posture


def _settle(rng: np.random.Generator, posture: Posture, manner: Manner, time_s: Array) -> None:
    """The small movements of a person at rest: trunk, head and arms are never quite still."""
    posture.trunk[:, 0] += manner.slouch + np.radians(2.5) * drift(rng, time_s, 3.0)
    posture.trunk[:, 1] += np.radians(2.0) * drift(rng, time_s, 3.5)
    posture.trunk[:, 2] += np.radians(5.0) * drift(rng, time_s, 3.5)
    posture.gaze[:, 0] += np.radians(6.0) * drift(rng, time_s, 2.5) - 0.7 * manner.slouch
    posture.gaze[:, 1] += np.radians(4.0) * drift(rng, time_s, 2.5)
    posture.gaze[:, 2] += np.radians(16.0) * drift(rng, time_s, 2.2)
    for side in SIDES:
        wobble = np.stack([drift(rng, time_s, 2.5) for _ in range(4)], -1)  # (T, 4)
        posture.arms[:, side] += wobble * np.radians([6.0, 2.5, 6.0, 5.0])


def lower(body: Body, posture: Posture, amount: Array, height_m: Array | float, back_m: Array | float) -> None:
    """Bring the pelvis ``amount`` (T,) of the way to ``height_m`` above the floor and ``back_m`` behind its place."""
    heading = posture.turn[:, 2]
    posture.pelvis[:, 2] += amount * (height_m - posture.pelvis[:, 2])
    behind = np.stack([np.cos(heading), np.sin(heading)], -1)  # (T, 2)
    posture.pelvis[:, :2] -= (amount * back_m)[:, None] * behind


def sit_down(body: Body, posture: Posture, seated: Array, seat_m: Array | float) -> None:
    """Turn a standing posture into one ``seated`` (T,) of the way, on a seat ``seat_m`` high.

    The trunk leans forward on the way, which keeps the weight over the feet, and sinks back on the seat.
    """
    on_floor = np.clip((0.35 - np.asarray(seat_m)) / 0.25, 0.0, 1.0)
    back = body.thigh * (0.92 + 0.35 * on_floor)
    lower(body, posture, seated, np.asarray(seat_m) + 0.09, back)
    way = bump(seated)
    posture.turn[:, 0] += np.radians(30.0) * way - np.radians(12.0) * seated
    posture.trunk[:, 0] += np.radians(22.0) * way + np.radians(9.0) * seated
    posture.gaze[:, 0] -= np.radians(18.0) * way
    posture.toes_out += (np.radians(7.0) * seated)[:, None]


def shuffle(rng: np.random.Generator, body: Body, posture: Posture, time_s: Array, seated: Array) -> None:
    """A seated person puts a foot forward or back now and then, and opens or closes the knees."""
    heading = np.stack([np.cos(posture.turn[:, 2]), np.sin(posture.turn[:, 2])], -1)  # (T, 2)
    for side in SIDES:
        start_s = beats(rng, float(time_s[-1]), (2.5, 6.0))
        ahead = np.concatenate([[rng.normal(0.0, 0.06)], rng.normal(0.02, 0.10, len(start_s))])
        lasting_s = rng.uniform(0.5, 0.8, len(start_s))
        forward = moves(time_s, start_s, lasting_s, np.clip(ahead, -0.18, 0.22))
        lift = bump((time_s[:, None] - start_s) / lasting_s).sum(-1)  # (T,)
        posture.ankles[:, side, :2] += (ease(seated) * forward)[:, None] * heading
        posture.ankles[:, side, 2] += 0.025 * seated * lift
        posture.toes_out[:, side] += np.radians(7.0) * seated * drift(rng, time_s, 3.0)
