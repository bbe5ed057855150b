"""Small made-up sequences for the tests of evaluation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.data.camera import Camera
from harness.data.normalise import true_poses_mm
from harness.data.sequence import Sequence
from harness.evaluation.predict import Run

CAMERA = Camera("c", 1000, 1002, focal=(1145.0, 1143.0), centre=(512.0, 515.0))


def filmed(name: str = "S9/Walk/1/c", length: int = 12, seed: int = 0, fps: float = 50.0) -> Sequence:
    """A person of random joints who walks through the picture, seen without noise; ``name`` gives the other names."""
    rng = np.random.default_rng([seed, length])
    shape = rng.normal(0, [150, 400, 120], (17, 3))
    walk = np.linspace([-300, 0, 4000], [300, 50, 5000], length)[:, None]
    poses = shape + rng.normal(0, 60, (length, 17, 3)) + walk
    subject, action, _, _ = name.split("/")
    return Sequence(
        name=name,
        subject=subject,
        action=action,
        take=name.rpartition("/")[0],
        camera=CAMERA,
        fps=fps,
        keypoints=CAMERA.project(poses).astype(np.float32),
        confidence=np.ones((length, 17), dtype=np.float32),
        truth=poses.astype(np.float32),
    )


def truth(sequence: Sequence) -> NDArray[np.float64]:
    """(T, 17, 3) mm in camera space, relative to the pelvis."""
    return true_poses_mm(sequence, "camera")


def whole(prediction: NDArray[np.floating]) -> list[Run]:
    """One answer for every frame of a sequence."""
    return [Run(np.arange(len(prediction)), prediction)]
