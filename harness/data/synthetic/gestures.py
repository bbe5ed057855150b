"""What arms, trunk and head do on top of a gait or a stance: layers that write into a posture.

Arm poses are degrees: plane (0 sideways, 90 forward), elevation, rotation (outward positive), elbow flexion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.data.synthetic.body import LEFT, RIGHT, SIDES, Posture
from harness.data.synthetic.curves import beats, drift, ease, moves

Array = NDArray[np.float64]

ARM_POSES: dict[str, tuple[float, float, float, float]] = {
    "hanging": (25.0, 9.0, 0.0, 18.0),
    "at the ear": (74.0, 71.0, -20.0, 144.0),
    "on the hip": (-20.0, 41.0, -60.0, 90.0),
    "across the belly": (71.0, 17.0, -70.0, 89.0),
    "in a pocket": (-24.0, 26.0, -47.0, 58.0),
    "before the chest": (70.0, 32.0, -38.0, 100.0),
    "at the chin": (88.0, 48.0, -45.0, 138.0),
    "raised to wave": (25.0, 78.0, 72.0, 82.0),
    "on the thigh": (78.0, 26.0, -14.0, 58.0),
    "straight ahead": (88.0, 82.0, 0.0, 14.0),
    "straight sideways": (25.0, 84.0, 0.0, 30.0),
    "overhead": (60.0, 168.0, 0.0, 14.0),
}


@dataclass(frozen=True)
class Episodes:
    """n things done one after the other, each rising, held and falling.

    All (n,) seconds; ``start_s`` of the next is never before the end of the last.
    """

    start_s: Array
    rise_s: Array
    hold_s: Array
    fall_s: Array

    def __len__(self) -> int:
        return len(self.start_s)

    def each(self, time_s: Array) -> Array:
        """(T, n) 0 before and after, 1 while held, eased between."""
        since = time_s[:, None] - self.start_s  # (T, n)
        return ease(since / self.rise_s) - ease((since - self.rise_s - self.hold_s) / self.fall_s)

    def only(self, chosen: NDArray[np.bool_]) -> Episodes:
        """Those episodes that (n,) ``chosen`` marks."""
        return Episodes(self.start_s[chosen], self.rise_s[chosen], self.hold_s[chosen], self.fall_s[chosen])

    def amount(self, time_s: Array, strengths: ArrayLike = 1.0) -> Array:
        """(T,) sum over episodes, each times its strength, one for all or (n,)."""
        return self.each(time_s) @ np.broadcast_to(np.asarray(strengths, dtype=np.float64), (len(self),))


def episodes(
    rng: np.random.Generator,
    end_s: float,
    rise_s: tuple[float, float],
    hold_s: tuple[float, float],
    fall_s: tuple[float, float],
    pause_s: tuple[float, float],
) -> Episodes:
    """Random episodes that cover ``end_s`` seconds; the last may be cut off by the end."""
    shortest = rise_s[0] + hold_s[0] + fall_s[0] + pause_s[0]
    count = max(1, int(np.ceil(end_s / shortest)))
    rise, hold, fall, pause = (rng.uniform(*span, count) for span in (rise_s, hold_s, fall_s, pause_s))
    whole = rise + hold + fall + pause
    start = np.concatenate([[0.0], np.cumsum(whole)[:-1]]) + 0.5 * pause[0]
    kept = max(1, int((start < end_s).sum()))
    return Episodes(start[:kept], rise[:kept], hold[:kept], fall[:kept])


def put_arm(posture: Posture, side: int, amount: Array, pose_degrees: ArrayLike) -> None:
    """Bring an arm ``amount`` (T,) of the way to a pose, (4,) or (T, 4) degrees."""
    goal = np.radians(np.asarray(pose_degrees, dtype=np.float64))
    posture.arms[:, side] += amount[:, None] * (goal - posture.arms[:, side])


def put_arm_by_turns(posture: Posture, side: int, each: Array, poses_degrees: Array) -> None:
    """Bring an arm to n poses (n, 4) by ``each`` (T, n), of which one at a time is above 0."""
    amount = each.sum(-1)
    put_arm(posture, side, amount, each @ poses_degrees / np.maximum(amount, 1e-9)[:, None])


def hang_arm(posture: Posture, side: int, amount: Array) -> None:
    """Let an arm fall straight down, ``amount`` (T,) of the way, where the trunk is bent forward."""
    tilt = np.maximum(posture.turn[:, 0] + posture.trunk[:, 0], 0.0)
    goal = np.stack([0 * tilt + 85.0, np.degrees(tilt) + 4.0, 0 * tilt, 0 * tilt + 18.0], -1)  # (T, 4)
    put_arm(posture, side, amount * ease(tilt / 0.7), goal)


def varied(rng: np.random.Generator, pose: str, spread: float = 1.0) -> Array:
    """(4,) degrees: a named pose as this person takes it."""
    return np.asarray(ARM_POSES[pose]) + spread * rng.normal(0.0, [6.0, 4.0, 6.0, 6.0])


def idle(rng: np.random.Generator, posture: Posture, time_s: Array) -> None:
    """Arms that hang, rest on the hips, in a pocket or fold, and change now and then, not always together."""
    choices = ("hanging", "hanging", "on the hip", "across the belly", "in a pocket", "at the chin")
    together = rng.random() < 0.6
    seed = int(rng.integers(2**31))
    for side in SIDES:
        own = np.random.default_rng(seed if together else seed + side)
        start_s = beats(own, float(time_s[-1]), (1.8, 4.5))
        poses = np.array([varied(own, choices[own.integers(len(choices))]) for _ in range(len(start_s) + 1)])
        put_arm(posture, side, np.ones(len(time_s)), moves(time_s, start_s, own.uniform(0.7, 1.2, len(start_s)), poses))
        posture.arms[:, side] += np.radians(3.0) * np.stack([drift(rng, time_s, 2.0) for _ in range(4)], -1)


def phone(rng: np.random.Generator, posture: Posture, time_s: Array, side: int) -> None:
    """One hand at the ear nearly all the time, head tilted to it; the other hand talks a little."""
    away = episodes(rng, float(time_s[-1]), (0.6, 1.0), (0.4, 1.5), (0.6, 1.0), (4.0, 9.0)).amount(time_s)
    at_ear = 1.0 - away
    put_arm(posture, side, np.ones(len(time_s)), varied(rng, "before the chest"))
    put_arm(posture, side, at_ear, varied(rng, "at the ear", 0.6))
    posture.arms[:, side] += np.radians(2.5) * np.stack([drift(rng, time_s, 1.5) for _ in range(4)], -1)
    posture.gaze[:, 1] += np.radians(9.0) * at_ear * (1.0 if side == RIGHT else -1.0)
    posture.gaze[:, 0] += np.radians(8.0)
    talk(rng, posture, time_s, (1 - side,), liveliness=0.5)


def talk(
    rng: np.random.Generator, posture: Posture, time_s: Array, sides: tuple[int, ...], liveliness: float = 1.0
) -> None:
    """Hands that beat time to speech before the body, with rests."""
    speaking = episodes(rng, float(time_s[-1]), (0.4, 0.7), (1.5, 4.0), (0.5, 0.9), (0.3, 2.0)).amount(time_s)
    for side in sides:
        start_s = beats(rng, float(time_s[-1]), (0.45, 1.0))
        low, high = np.array([25.0, 12.0, -55.0, 45.0]), np.array([95.0, 62.0, 25.0, 112.0])
        poses = rng.uniform(low, high, (len(start_s) + 1, 4))
        hands = moves(time_s, start_s, rng.uniform(0.32, 0.6, len(start_s)), poses)  # (T, 4)
        put_arm(posture, side, speaking * (0.6 + 0.4 * liveliness), hands)
    posture.gaze[:, 0] += np.radians(5.0) * speaking * drift(rng, time_s, 0.8)
    posture.trunk[:, 2] += np.radians(6.0) * liveliness * speaking * drift(rng, time_s, 1.5)


def point(rng: np.random.Generator, posture: Posture, time_s: Array, strong_side: int) -> None:
    """An arm stretched out to one place after another, head and chest turning to it."""
    shown = episodes(rng, float(time_s[-1]), (0.45, 0.8), (0.5, 1.8), (0.5, 0.9), (0.2, 1.2))
    hand = np.where(rng.random(len(shown)) < 0.75, strong_side, 1 - strong_side)
    plane, elevation = rng.uniform(10.0, 115.0, len(shown)), rng.uniform(45.0, 125.0, len(shown))
    poses = np.stack([plane, elevation, rng.normal(0.0, 12.0, len(shown)), rng.uniform(4.0, 22.0, len(shown))], -1)
    each = shown.each(time_s)  # (T, n)
    for side in SIDES:
        mine = each * (hand == side)
        put_arm_by_turns(posture, side, mine, poses)
        outward = (90.0 - plane) * (1.0 if side == LEFT else -1.0)
        towards = np.radians(mine @ outward)
        posture.gaze[:, 2] += 0.45 * towards
        posture.trunk[:, 2] += 0.22 * towards
        posture.gaze[:, 0] -= np.radians(mine @ (0.25 * (elevation - 80.0)))


def wave(rng: np.random.Generator, posture: Posture, time_s: Array, strong_side: int) -> None:
    """A raised hand swung from side to side at about 2 Hz, sometimes both hands."""
    greeting = episodes(rng, float(time_s[-1]), (0.5, 0.9), (1.2, 3.0), (0.5, 1.0), (0.3, 1.8))
    hand = np.where(rng.random(len(greeting)) < 0.75, strong_side, 1 - strong_side)
    both = rng.random(len(greeting)) < 0.25
    each = greeting.each(time_s)  # (T, n)
    angle = 2 * np.pi * (1.8 * time_s + 0.25 * drift(rng, time_s, 3.0))
    for side in SIDES:
        raised = (each * ((hand == side) | both)).sum(-1)
        pose = np.tile(varied(rng, "raised to wave"), (len(time_s), 1))  # (T, 4)
        pose[:, 1] += 14.0 * drift(rng, time_s, 3.0)
        pose[:, 2] += 20.0 * np.sin(angle)
        pose[:, 3] += 14.0 * np.sin(angle - 0.7) - 8.0 * drift(rng, time_s, 2.0)
        put_arm(posture, side, raised, pose)


def lap(rng: np.random.Generator, posture: Posture, time_s: Array, amount: Array) -> None:
    """Hands on the thighs of a seated person."""
    for side in SIDES:
        put_arm(posture, side, amount, varied(rng, "on the thigh"))
        posture.arms[:, side] += np.radians(3.0) * amount[:, None] * drift(rng, time_s, 3.0)[:, None]
