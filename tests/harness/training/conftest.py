"""Small sequences and a small lifter for training tests."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data.camera import Camera
from harness.data.sequence import Sequence


def make_sequence(name: str, length: int, seed: int) -> Sequence:
    rng = np.random.default_rng(seed)
    camera = Camera("c", 1000, 1000, (1000.0, 1000.0), (500.0, 500.0))
    poses = rng.normal([0, 0, 5000], 300, (length, 17, 3))
    pixels = camera.project(poses)
    return Sequence(
        name=f"{name}/c",
        subject="s",
        action="walk",
        take=name,
        camera=camera,
        fps=50.0,
        keypoints=pixels.astype(np.float32),
        confidence=np.ones((length, 17), dtype=np.float32),
        truth=poses.astype(np.float32),
    )


@pytest.fixture
def sequences() -> list[Sequence]:
    return [make_sequence(f"s/walk/{number}", length, number) for number, length in enumerate((20, 7, 33, 4))]
