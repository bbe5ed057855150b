"""A walker in camera space, seen by one camera: every check must find him in order, and what a test does to him."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.camera import Camera
from harness.data.checks.look import Check, Finding, Look
from harness.data.sequence import Sequence
from harness.data.skeleton import MIRRORED
from tests.harness.data.figures import STANDING_M

Array = NDArray[Any]

CAMERA = Camera("c", 1000, 1002, (1145.0, 1143.0), (512.0, 515.0))
ALL_JOINTS = tuple(range(17))
_KNEES, _ANKLES = (2, 5), (3, 6)


def walker_mm(frames: int = 60, turn: float = 0.0) -> Array:
    """(T, 17, 3) millimetres, 4 m from the camera: knees bend forwards, first the right one; he faces the camera.

    ``turn`` is about the vertical, radians.
    """
    # The standing person faces -y, so that to camera space his depth is the world's y, and down is minus its z.
    standing = 1000.0 * np.stack([STANDING_M[:, 0], -STANDING_M[:, 2], STANDING_M[:, 1]], axis=-1)
    poses = np.repeat(standing[None], frames, axis=0)
    angle = 0.5 + 0.4 * np.sin(np.arange(frames) / 5.0)
    for side, (knee, ankle) in enumerate(zip(_KNEES, _ANKLES, strict=True)):
        bend = angle if side == 0 else 1.0 - angle
        thigh, shin = poses[:, knee] - poses[:, knee - 1], poses[:, ankle] - poses[:, knee]
        poses[:, knee] = poses[:, knee - 1] + _swung(thigh, -bend)
        poses[:, ankle] = poses[:, knee] + _swung(shin, bend)
    turned = poses @ np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    return turned + np.array([300.0, 900.0, 4000.0])


def _swung(bones: Array, angle: Array) -> Array:
    """Bones (T, 3) that hang down, turned by ``angle`` away from the camera."""
    length = bones[:, 1]
    return np.stack([bones[:, 0], length * np.cos(angle), length * np.sin(angle)], axis=-1)


def filmed(name: str = "S1/Walk/1/c", poses_mm: Array | None = None, noise_px: float = 0.0, **given: Any) -> Sequence:
    poses = walker_mm() if poses_mm is None else poses_mm
    noise = np.random.default_rng(len(name)).normal(0, noise_px, (len(poses), 17, 2)) if noise_px else 0.0
    subject, action, _, _ = name.split("/")
    fields: dict[str, Any] = {
        "keypoints": (CAMERA.project(poses) + noise).astype(np.float32),
        "confidence": np.ones((len(poses), 17), dtype=np.float32),
        "truth": poses.astype(np.float32),
        "camera": CAMERA,
    }
    return Sequence(name=name, subject=subject, action=action, take=name.rpartition("/")[0], fps=50.0, **fields | given)


def in_image(sequence: Sequence, known: bool = True) -> Sequence:
    """The same with its truth in the image, 2.5-D."""
    poses = sequence.poses_mm.astype(np.float64)
    factor = sequence.camera.millimetres_per_pixel(poses[:, 0, 2])
    flat = poses[..., :2] / poses[..., 2:] * np.array(CAMERA.focal) + np.array(CAMERA.centre)
    depth = (poses[..., 2:] - poses[:, :1, 2:]) / factor[:, None, None]
    truth = np.concatenate([flat, depth], axis=-1).astype(np.float32)
    return dataclasses.replace(sequence, truth=truth, mm_per_pixel=factor if known else np.full(len(poses), np.nan))


def exchanged(array: Array) -> Array:
    """Left for right."""
    return array[:, MIRRORED]


def found(check: Check, *sequences: Sequence, joints: tuple[int, ...] = ALL_JOINTS) -> Finding:
    """What the check finds after it has seen them all."""
    for sequence in sequences:
        check.see(Look(sequence, joints))
    return check.finding()
