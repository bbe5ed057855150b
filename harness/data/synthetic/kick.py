"""Kicking: weight on one leg, the other back, through and up, and down again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic.body import LATERAL, SIDES, Body, Posture, hips
from harness.data.synthetic.curves import ease, interleave, moves
from harness.data.synthetic.gestures import Episodes, episodes, put_arm
from harness.data.synthetic.manner import Manner
from harness.data.synthetic.stance import one_place, stand

Array = NDArray[np.float64]
_DRAW_BACK_S = 0.42


@dataclass(frozen=True)
class _Swing:
    """(T,) course of one leg through all its kicks.

    ``loaded`` weight on the other leg, ``airborne`` foot off the floor, both 0 to 1; ``angle`` of the leg forward of
    plumb, radians; ``extension`` of the leg as a part of its length.
    """

    loaded: Array
    airborne: Array
    angle: Array
    extension: Array


def _swing(rng: np.random.Generator, time_s: Array, kicks: Episodes, high: Array) -> _Swing:
    """Kicks up to ``high`` (n,) radians."""
    count = len(kicks)
    off_s = kicks.start_s + 0.35
    end_s = kicks.start_s + kicks.rise_s + kicks.hold_s + kicks.fall_s
    through_s = rng.uniform(0.36, 0.44, count)
    fall_from_s = off_s + _DRAW_BACK_S + through_s - 0.04
    begin = interleave(off_s, off_s + _DRAW_BACK_S, fall_from_s)
    lasting = interleave(np.full(count, 0.45), through_s, end_s - 0.1 - fall_from_s)
    back = -np.radians(rng.uniform(18.0, 32.0, count))
    angle = interleave(back, high, np.zeros(count))
    extension = interleave(np.full(count, 0.80), np.full(count, 0.975), np.full(count, 0.94))

    def between(up_s: Array, up_for_s: Array | float, down_s: Array, down_for_s: float) -> Array:
        rising = ease((time_s[:, None] - up_s) / up_for_s)  # (T, n)
        return (rising - ease((time_s[:, None] - down_s) / down_for_s)).sum(-1)  # (T,)

    return _Swing(
        loaded=between(kicks.start_s, kicks.rise_s, end_s - 0.40, 0.5),
        airborne=between(off_s, 0.35, end_s - 0.35, 0.35),
        angle=moves(time_s, begin, lasting, np.r_[0.0, angle]),
        extension=moves(time_s, begin, lasting, np.r_[0.96, extension]),
    )


def _swing_leg(body: Body, posture: Posture, side: int, swing: _Swing) -> None:
    """Take the ankle from where it stands to where the swung leg has it."""
    heading, length = posture.turn[:, 2], swing.extension * body.leg
    ahead = np.sin(swing.angle) * length
    from_hip = np.stack([ahead * np.cos(heading), ahead * np.sin(heading), -np.cos(swing.angle) * length], -1)  # (T, 3)
    goal = hips(body, posture)[:, side] + from_hip
    posture.ankles[:, side] += swing.airborne[:, None] * (goal - posture.ankles[:, side])


def _balance(posture: Posture, side: int, swing: _Swing) -> None:
    """Pelvis over the standing leg; trunk and arms against the swing."""
    heading = posture.turn[:, 2].copy()
    aside = -LATERAL[side] * 0.075 * swing.loaded
    posture.pelvis[:, :2] += aside[:, None] * np.stack([-np.sin(heading), np.cos(heading)], -1)
    posture.pelvis[:, 2] -= 0.012 * swing.loaded
    posture.turn[:, 0] -= 0.30 * np.maximum(swing.angle, 0.0)
    posture.turn[:, 2] -= LATERAL[side] * 0.20 * swing.angle
    posture.trunk[:, 0] += 0.25 * np.maximum(swing.angle, 0.0)
    posture.trunk[:, 2] += LATERAL[side] * 0.35 * swing.angle
    for arm, sign in ((side, -1.0), (1 - side, 1.0)):
        put_arm(posture, arm, swing.loaded, (40.0, 28.0, 0.0, 30.0))
        posture.arms[:, arm, 0] += 0.5 * sign * np.clip(swing.angle, -0.5, 0.6)
        posture.arms[:, arm, 1] += 0.5 * sign * np.maximum(swing.angle, -0.4) * swing.loaded


def kick(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Low and high kicks, most of them with the foot of choice."""
    posture = stand(rng, body, manner, time_s, one_place(rng, 0.20))
    kicks = episodes(
        rng, float(time_s[-1]), rise_s=(0.5, 0.6), hold_s=(0.9, 1.1), fall_s=(0.5, 0.6), pause_s=(0.3, 1.0)
    )
    foot = np.where(rng.random(len(kicks)) < 0.75, manner.strong_side, 1 - manner.strong_side)
    high = np.radians(rng.uniform(35.0, 88.0, len(kicks))) * manner.vigour
    for side in SIDES:
        swing = _swing(rng, time_s, kicks.only(foot == side), high[foot == side])
        _balance(posture, side, swing)
        _swing_leg(body, posture, side, swing)
    return posture
