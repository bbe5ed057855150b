"""Human3.6M as clips sliced beforehand: ``H36M-SH/{train,test}/00000000.pkl`` and so on, without the pickle itself.

MotionBERT's ``tools/convert_h36m.py`` and MotionAGFormer's ``data/preprocess/h36m.py`` cut them from the pickle that
``harness.data.h36m_motionbert`` reads. Each is a dictionary of ``data_input`` (T, 17, 3), x and y in units of the
image's width and the confidence, and ``data_label`` (T, 17, 3), the truth in the image in that unit. Video, action,
camera and millimetres are not in them: they do to train on, not to score. A ``data_input`` of None is that of synthetic
sets, whose input is the projection of the truth.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import soundness, unpickle
from harness.data.array_store import stored
from harness.data.camera import Camera
from harness.data.h36m_contents import FPS
from harness.data.h36m_motionbert import NAME, ORIGIN, UNKNOWN
from harness.data.sequence import Dataset, Sequence
from harness.data.skeleton import JOINT_COUNT
from harness.errors import BadInput

PARTS = ("train", "test")

#: Which camera a clip is of is not known, so all are taken for square pictures: divided by the width again, every value
#: is the file's own. The focal length, which nothing in the image needs, is none.
CAMERA = Camera(UNKNOWN, 1000, 1000, focal=(math.nan, math.nan), centre=(500.0, 500.0))

_CLIP = re.compile(r"\d{8}\.pkl")
_DETECTOR = re.compile(r".*-(sh|cpn)", re.IGNORECASE)
#: Coordinates divided by the width that are further out are surely pixels.
_LARGEST_PLAUSIBLE = 20.0

#: Raised when the sequences made of the same clips change.
VERSION = 1

Array = NDArray[Any]


@dataclass(frozen=True)
class SlicedClips:
    """The clips in ``folder/train`` and ``folder/test``."""

    folder: Path

    @property
    def detectors(self) -> tuple[str, ...]:
        """The one that the folder's name tells, else ``file``, and the projection of the truth.

        Raises BadInput where one half is missing.
        """
        for part in PARTS:
            if not _is_sliced(self.folder / part):
                there = ", ".join(other for other in PARTS if other != part)
                raise BadInput(
                    f"{self.folder}: has clips in {there} but none in {part} (00000000.pkl, …); copy the other half,"
                    f" or take the pickle that they were cut from: {ORIGIN}"
                )
        match = _DETECTOR.fullmatch(self.folder.name)
        return (match[1].lower() if match else "file", "gt")

    def load(self, detector: str, cache: Path | None) -> Dataset:
        """The clips as sequences of their own; ``detector`` ``gt`` is the projection of the truth.

        Raises BadInput naming the first clip that is missing, and the place of what is wrong in one.
        """
        files = [path for part in PARTS for path in _files(self.folder / part)]
        # Not in the halves themselves, where their authors' code lists clips.
        return stored(
            files,
            f"{NAME}-clips-{detector}",
            lambda: read(self.folder, detector),
            version=VERSION,
            cache=cache,
            beside=self.folder,
        )


def find(folder: Path) -> SlicedClips | None:
    """The clips in ``folder``, be they complete or not; None where there is not one."""
    return SlicedClips(folder) if any(_is_sliced(folder / part) for part in PARTS) else None


def is_clip(path: Path) -> bool:
    """Whether a file is called as a clip is."""
    return bool(_CLIP.fullmatch(path.name))


def read(folder: Path, detector: str) -> Dataset:
    """The clips in the two halves of ``folder``, in memory."""
    parts = {part: list(_sequences(folder / part, detector)) for part in PARTS}
    derived = sum(of_truth for clips in parts.values() for _, of_truth in clips)
    total = sum(map(len, parts.values()))
    train, test = (tuple(sequence for sequence, _ in parts[part]) for part in PARTS)
    notes = [
        "clips sliced beforehand: which subject, action and camera they are of is not in them, and test clips cannot"
        f" be scored in millimetres without the pickle that they were cut from ({ORIGIN})",
        *([f"{derived} of {total} clips have no detections: their input is the truth's x and y"] * (derived > 0)),
    ]
    return Dataset(NAME, detector, train, test, tuple(notes))


def _is_sliced(folder: Path) -> bool:
    return folder.is_dir() and any(is_clip(path) for path in folder.iterdir())


def _files(folder: Path) -> list[Path]:
    """In order of name, which is that of cutting. Raises BadInput naming the first one missing."""
    files = sorted(path for path in folder.iterdir() if is_clip(path))
    for number, path in enumerate(files):
        if int(path.stem) != number:
            raise BadInput(
                f"{folder}: {number:08d}.pkl is missing ({path.name} is there); the copy is not complete, copy or slice"
                " the clips again"
            )
    return files


def _sequences(folder: Path, detector: str) -> Iterator[tuple[Sequence, bool]]:
    """Each clip, and whether its input had to be made of the truth."""
    for path in _files(folder):
        content = unpickle.read(path)
        label = _normalised(soundness.entry(content, "data_label", str(path)), f"{path}, 'data_label'")
        found = soundness.entry(content, "data_input", str(path))
        given = label if found is None or detector == "gt" else _normalised(found, f"{path}, 'data_input'")
        soundness.same_length({"data_label": len(label), "data_input": len(given)}, str(path))
        yield _sequence(f"{folder.name}/{path.stem}", given, label), found is None and detector != "gt"


def _normalised(value: Any, where: str) -> Array:
    """(T, 17, 3), float64."""
    found = soundness.array(value, where, None, JOINT_COUNT, 3).astype(np.float64)
    soundness.finite(found, where)
    largest = np.abs(found).max(initial=0)
    if largest > _LARGEST_PLAUSIBLE:
        raise BadInput(f"{where}: reaches {largest:.4g}; expected coordinates divided by the image's width, not pixels")
    return found


def _sequence(name: str, given: Array, label: Array) -> Sequence:
    frames = len(label)
    return Sequence(
        name=name,
        subject=UNKNOWN,
        action=UNKNOWN,
        take=name,
        camera=CAMERA,
        fps=FPS,
        keypoints=_pixels(given)[..., :2].astype(np.float32),
        confidence=np.ones((frames, JOINT_COUNT), np.float32) if given is label else given[..., 2].astype(np.float32),
        truth=_pixels(label).astype(np.float32),
        mm_per_pixel=np.full(frames, np.nan, dtype=np.float32),
    )


def _pixels(normalised: Array) -> Array:
    """(T, 17, 3): x and y from the picture's corner, depth as it was from the pelvis."""
    return (normalised + np.array([1.0, CAMERA.height / CAMERA.width, 0.0])) * (CAMERA.width / 2)
