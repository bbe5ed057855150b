"""What people do, by name: each action puts layers of movement together into one posture over time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic import gait, gestures, stance
from harness.data.synthetic.bends import reach, squat, stretch
from harness.data.synthetic.body import SIDES, Body, Posture
from harness.data.synthetic.curves import beats, moves
from harness.data.synthetic.jump import jump
from harness.data.synthetic.kick import kick
from harness.data.synthetic.manner import Manner
from harness.data.synthetic.throw import throw

Array = NDArray[np.float64]
Action = Callable[[np.random.Generator, Body, Manner, Array], Posture]


def walk(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """At a stroll or briskly, round and about a room."""
    way = gait.walking(rng, body, manner, float(rng.uniform(0.8, 1.5)))
    return gait.travel(rng, body, manner, way, time_s, float(rng.uniform(1.3, 1.9)))


def run(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Jogging round a wide loop."""
    way = gait.running(rng, body, manner, float(rng.uniform(2.0, 3.0)))
    return gait.travel(rng, body, manner, way, time_s, float(rng.uniform(1.6, 2.0)))


def _stand_about(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    places = stance.wander(
        rng, body, float(time_s[-1]), pause_s=(2.5, 6.0), turn=0.7, way_m=0.15, width_m=float(rng.uniform(0.16, 0.34))
    )
    return stance.stand(rng, body, manner, time_s, places)


def _stroll(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    way = gait.walking(rng, body, manner, float(rng.uniform(0.6, 1.0)))
    return gait.travel(rng, body, manner, way, time_s, float(rng.uniform(1.0, 1.6)))


def _be_seated(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    posture = stance.stand(rng, body, manner, time_s, stance.one_place(rng, float(rng.uniform(0.18, 0.36))))
    seated = np.ones(len(time_s))
    stance.sit_down(body, posture, seated, float(rng.uniform(0.38, 0.52)))
    stance.shuffle(rng, body, posture, time_s, seated)
    lean_s = beats(rng, float(time_s[-1]), (2.0, 5.0))
    lean = np.radians(rng.uniform(-12.0, 30.0, len(lean_s) + 1))
    leaning = moves(time_s, lean_s, rng.uniform(0.8, 1.5, len(lean_s)), lean)
    posture.turn[:, 0] += 0.5 * leaning
    posture.trunk[:, 0] += 0.5 * leaning
    posture.gaze[:, 0] -= 0.6 * leaning
    gestures.lap(rng, posture, time_s, seated)
    return posture


def _somewhere(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    base = (_stand_about, _stroll, _be_seated)[rng.choice(3, p=[0.5, 0.25, 0.25])]
    return base(rng, body, manner, time_s)


def wait(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Standing about, arms hanging, folded or on the hips, a step now and then."""
    posture = _stand_about(rng, body, manner, time_s)
    gestures.idle(rng, posture, time_s)
    return posture


def phone(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """A call, taken standing, strolling or seated."""
    posture = _somewhere(rng, body, manner, time_s)
    gestures.phone(rng, posture, time_s, manner.strong_side if rng.random() < 0.75 else 1 - manner.strong_side)
    return posture


def discuss(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Talking with both hands, standing, strolling or seated."""
    posture = _somewhere(rng, body, manner, time_s)
    gestures.talk(rng, posture, time_s, SIDES)
    return posture


def point(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Showing the way, one direction after another."""
    posture = _stand_about(rng, body, manner, time_s)
    gestures.point(rng, posture, time_s, manner.strong_side)
    return posture


def greet(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Waving."""
    posture = _stand_about(rng, body, manner, time_s)
    gestures.wave(rng, posture, time_s, manner.strong_side)
    return posture


def sit(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """On a chair, leaning forward and back, hands in the lap or talking."""
    posture = _be_seated(rng, body, manner, time_s)
    gestures.talk(rng, posture, time_s, SIDES, liveliness=0.6)
    return posture


def sit_down(rng: np.random.Generator, body: Body, manner: Manner, time_s: Array) -> Posture:
    """Down on a chair, a stool or the floor, and up again."""
    end_s = float(time_s[-1])
    posture = stance.stand(rng, body, manner, time_s, stance.one_place(rng, float(rng.uniform(0.2, 0.34))))
    sits = gestures.episodes(rng, end_s, (1.2, 1.8), (1.0, 3.0), (1.1, 1.6), (0.3, 1.2))
    on_floor = rng.random(len(sits)) < 0.35
    seats_m = np.where(on_floor, rng.uniform(0.03, 0.08, len(sits)), rng.uniform(0.33, 0.52, len(sits)))
    seated = sits.amount(time_s)
    stance.sit_down(body, posture, seated, sits.amount(time_s, seats_m) / np.maximum(seated, 1e-9))
    for side in SIDES:
        gestures.hang_arm(posture, side, np.ones(len(time_s)))
        gestures.put_arm(posture, side, 0.7 * seated, gestures.varied(rng, "on the thigh"))
    return posture


#: In the order in which takes go round.
ACTIONS: dict[str, Action] = {
    "Walk": walk,
    "Sit": sit,
    "Discuss": discuss,
    "Run": run,
    "Reach": reach,
    "Phone": phone,
    "Squat": squat,
    "Greet": greet,
    "Kick": kick,
    "Wait": wait,
    "Throw": throw,
    "SitDown": sit_down,
    "Jump": jump,
    "Point": point,
    "Stretch": stretch,
}
