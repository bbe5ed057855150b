"""How one person moves: habits that stay the same in all of a person's takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.data.synthetic.body import LEFT, RIGHT


@dataclass(frozen=True)
class Manner:
    """Factors are around 1, angles in radians, lengths in metres.

    pace         factor on walking and running speed
    vigour       factor on how large movements are
    arm_swing    factor on the swing of the arms in gait
    bounce       factor on rise, sway and roll of the pelvis in gait
    slouch       forward curve of the back
    toes_out     angle of each foot away from straight ahead
    step_width   between the ankles in gait
    strong_side  the hand and foot of choice
    """

    pace: float
    vigour: float
    arm_swing: float
    bounce: float
    slouch: float
    toes_out: float
    step_width: float
    strong_side: int


def draw_manner(rng: np.random.Generator) -> Manner:
    """A person's habits; nine in ten are right-handed."""
    return Manner(
        pace=float(rng.uniform(0.85, 1.15)),
        vigour=float(rng.uniform(0.8, 1.2)),
        arm_swing=float(rng.uniform(0.5, 1.3)),
        bounce=float(rng.uniform(0.7, 1.3)),
        slouch=float(np.radians(rng.uniform(-2.0, 12.0))),
        toes_out=float(np.radians(rng.uniform(2.0, 14.0))),
        step_width=float(rng.uniform(0.09, 0.17)),
        strong_side=LEFT if rng.random() < 0.1 else RIGHT,
    )
