"""Human3.6M's four-camera rigs: put takes before them, project, detect.

``h36m_cameras.json`` holds the calibration as Human3.6M publishes it and VideoPose3D lists it: intrinsics of four
cameras, and where they stood for each of seven subjects. The cameras look at one place of the room, measured on these
rigs; every take is moved there as a whole, so that its own travel is kept.

Every sequence draws its detection noise from a stream of its own, seeded by the data seed and the sequence's name,
so that the order of loading does not matter.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import cycle, pairwise
from pathlib import Path

import numpy as np

from harness.data import camera as camera_module
from harness.data import detector as detector_module
from harness.data.cache import Arrays, remember
from harness.data.camera import Array, Camera
from harness.data.detector import detect
from harness.data.rotation import from_quaternion
from harness.data.sequence import Dataset, Sequence
from harness.data.take import Part, Take
from harness.errors import BadInput

#: Subjects of Human3.6M's own split, whose rigs are used in turn.
RIG_SUBJECTS: dict[Part, tuple[str, ...]] = {"train": ("S1", "S5", "S6", "S7", "S8"), "test": ("S9", "S11")}

#: Where the four cameras look, x and y in the world, mean over the seven rigs.
FOCUS_MM = (50.0, 330.0)

_CALIBRATION = Path(__file__).with_name("h36m_cameras.json")


@functools.cache
def rigs() -> dict[str, tuple[Camera, ...]]:
    """The four cameras of each Human3.6M subject, by the subject's name."""
    calibration = json.loads(_CALIBRATION.read_text(encoding="utf-8"))
    return {
        subject: tuple(
            Camera(
                name=lens["id"],
                width=lens["res_w"],
                height=lens["res_h"],
                focal=tuple(lens["focal_length"]),
                centre=tuple(lens["center"]),
                radial=tuple(lens["radial_distortion"]),
                tangential=tuple(lens["tangential_distortion"]),
                # The file's quaternion takes camera to world.
                rotation=tuple(map(tuple, from_quaternion(pose["orientation"]).T.tolist())),
                position_mm=tuple(1000.0 * metres for metres in pose["translation_m"]),
            )
            for lens, pose in zip(calibration["intrinsics"], poses, strict=True)
        )
        for subject, poses in calibration["extrinsics"].items()
    }


def film(
    takes: Iterable[Take], name: str, *, detector: str, seed: int, cache: Path | None, notes: Iterable[str] = ()
) -> Dataset:
    """The data set ``name`` of all takes seen by four cameras each, with detections of the preset ``detector``.

    ``seed`` is that of the detection noise; ``cache`` a folder for the detections (None: made every time).
    Raises BadInput when two takes have the same name.
    """
    ordered = sorted(takes, key=lambda take: take.name)
    _check_names(ordered, name)
    shots = list(_shots(ordered))
    found = remember(cache, _key(shots, detector, seed), lambda: _detections(shots, detector, seed))
    ends = np.cumsum([len(take.joints_mm) for take, _ in shots])
    sequences = [
        _sequence(take, camera, found, slice(end - len(take.joints_mm), end))
        for (take, camera), end in zip(shots, ends, strict=True)
    ]
    train = tuple(sequence for sequence, (take, _) in zip(sequences, shots, strict=True) if take.part == "train")
    test = tuple(sequence for sequence, (take, _) in zip(sequences, shots, strict=True) if take.part == "test")
    return Dataset(name, detector, train, test, (*notes, *_framing(int(found["frames_partly_outside"]), int(ends[-1]))))


def in_focus(joints_mm: Array) -> Array:
    """The take (T, 17, 3) moved along the floor so that its mean pelvis is where the cameras look."""
    shift = np.zeros(3)
    shift[:2] = FOCUS_MM - joints_mm[:, 0, :2].mean(axis=0)
    return joints_mm + shift


def _check_names(takes: list[Take], name: str) -> None:
    if not takes:
        raise BadInput(f"{name}: holds no take")
    for one, other in pairwise(takes):
        if one.name == other.name:
            raise BadInput(f"two takes are called {one.name}; give each its own subject, action or clip")


def _shots(takes: list[Take]) -> Iterator[tuple[Take, Camera]]:
    """Every take with each camera of its subject's rig; the rigs go round by subject, in order of name."""
    rig_of = {
        (part, subject): rigs()[rig]
        for part, names in RIG_SUBJECTS.items()
        for subject, rig in zip(sorted({take.subject for take in takes if take.part == part}), cycle(names))
    }
    return ((take, camera) for take in takes for camera in rig_of[take.part, take.subject])


def _sequence(take: Take, camera: Camera, found: Arrays, frames: slice) -> Sequence:
    return Sequence(
        name=_name(take, camera),
        subject=take.subject,
        action=take.action,
        take=take.name,
        camera=camera,
        fps=take.fps,
        keypoints=found["keypoints"][frames],
        confidence=found["confidence"][frames],
        truth=camera.to_camera(in_focus(take.joints_mm)).astype(np.float32),
    )


def _framing(partly_outside: int, frames: int) -> list[str]:
    if not partly_outside:
        return []
    return [f"{100.0 * partly_outside / frames:.2g} % of the frames have a joint outside the image (confidence 0)"]


def _name(take: Take, camera: Camera) -> str:
    return f"{take.name}/{camera.name}"


def _stream(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest(), "big"))


def _detections(shots: list[tuple[Take, Camera]], detector: str, seed: int) -> Arrays:
    keypoints, confidences, outside = [], [], 0
    for take, camera in shots:
        poses_mm = camera.to_camera(in_focus(take.joints_mm))
        pixels = camera.project(poses_mm)  # (T, J, 2)
        size = np.array([camera.width, camera.height])
        visible = ((pixels >= 0) & (pixels < size)).all(axis=-1) & (poses_mm[..., 2] > 0)  # (T, J)
        outside += int((~visible).any(axis=-1).sum())
        found, confidence = detect(pixels, visible, detector, _stream(seed, _name(take, camera)), camera.width)
        keypoints.append(found)
        confidences.append(confidence)
    return {
        "keypoints": np.concatenate(keypoints),  # (all T, J, 2)
        "confidence": np.concatenate(confidences),  # (all T, J)
        "frames_partly_outside": np.array(outside),
    }


def _key(shots: list[tuple[Take, Camera]], detector: str, seed: int) -> str:
    """Names the detections by all they depend on: motion, cameras, preset, seed, and the code that makes them."""
    total = hashlib.sha256(f"{detector} {seed} {FOCUS_MM}".encode())
    for source in (__file__, camera_module.__file__, detector_module.__file__):
        total.update(Path(source).read_bytes())
    last = None
    for take, camera in shots:
        total.update(f"{_name(take, camera)} {camera}".encode())
        if take is not last:
            total.update(np.ascontiguousarray(take.joints_mm).data)
        last = take
    return f"detections-{detector}-{total.hexdigest()[:32]}"
