"""Human3.6M in VideoPose3D's archives: ``data_3d_h36m.npz`` and beside it ``data_2d_h36m_DETECTOR.npz``.

The first holds, by subject and take, 32 joints in the world in metres; the others, by subject, take and camera, 17
joints in pixels, often with frames more than the 3D has (the rest is cut off, as VideoPose3D does). Layout and camera
order: its ``prepare_data_h36m.py``, ``common/h36m_dataset.py`` and ``run.py``. Unlike there, the pelvis is not taken
off: a sequence's truth is where the person was.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data import archive, array_store, rig, soundness
from harness.data.body import check_height, check_joints
from harness.data.camera import Camera
from harness.data.h36m_contents import CAMERAS, FPS
from harness.data.sequence import Dataset, FloatArray, Sequence
from harness.data.skeleton import JOINT_COUNT, LEFT, RIGHT
from harness.errors import BadInput

NAME = "h36m"
#: To be raised when the same files are to become other arrays.
VERSION = 2

POSES = "data_3d_h36m.npz"
#: Where both kinds of file are to be had.
ORIGIN = (
    "VideoPose3D's DATASETS.md says how its prepare_data_h36m.py makes data_3d_h36m.npz and data_2d_h36m_gt.npz from"
    " Human3.6M (vision.imar.ro/human3.6m, by licence) and where the other data_2d_h36m_*.npz are downloaded"
)
#: Detectors by their names in the files; the others are called as there.
_SHORT_NAMES = {"cpn_ft_h36m_dbb": "cpn", "detectron_ft_h36m": "detectron"}
_PREFERRED = ("cpn", "detectron", "gt")
_KEYPOINTS = re.compile(r"data_2d_h36m_(.+)\.npz")

#: Of the 32 joints of the recording system, those that are the 17, in their order.
KEPT_JOINTS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
_RECORDED_JOINTS = 32
_PAIRS = frozenset(zip(LEFT, RIGHT, strict=True))
_SUBJECTS = tuple(subject for subjects in rig.RIG_SUBJECTS.values() for subject in subjects)

#: So many takes that one file lacks are named in a note.
_NAMED = 12


class _Key(NamedTuple):
    """Where a take is in both files."""

    subject: str
    take: str

    @property
    def action(self) -> str:
        return self.take.split(" ")[0]

    @property
    def clip(self) -> str:
        return self.take.partition(" ")[2] or "0"

    @property
    def order(self) -> tuple[int, str, str]:
        return _SUBJECTS.index(self.subject), self.action, self.clip

    def __str__(self) -> str:
        return f"{self.subject}, {self.take!r}"


_Takes = Mapping[_Key, Any]


@dataclass(frozen=True)
class Archives:
    """``poses``, the 3D archive, and those of the keypoints by the detector's name; one of the two may be missing."""

    poses: Path
    keypoints: Mapping[str, Path]

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the detectors, the preferred one first. Raises BadInput where half of the files is missing."""
        folder = self.poses.parent
        if not self.keypoints:
            raise BadInput(f"{folder}: has {POSES} but no data_2d_h36m_DETECTOR.npz beside it. {ORIGIN}")
        if not self.poses.is_file():
            raise BadInput(f"{folder}: has {self._listed()} but no {POSES} beside it. {ORIGIN}")
        others = sorted(set(self.keypoints) - set(_PREFERRED))
        return (*(name for name in _PREFERRED if name in self.keypoints), *others)

    def load(self, detector: str, cache: Path | None) -> Dataset:
        """The set with the keypoints of ``detector``. Raises BadInput naming the place of what is wrong in a file."""
        if detector not in self.detectors:
            raise BadInput(f"{self.poses.parent}: has no keypoints of {detector!r}; it has {self._listed()}. {ORIGIN}")
        keypoints = self.keypoints[detector]
        return array_store.stored(
            [self.poses, keypoints],
            f"{NAME}-{detector}",
            lambda: read(self.poses, keypoints, detector),
            version=VERSION,
            cache=cache,
        )

    def _listed(self) -> str:
        return ", ".join(path.name for path in self.keypoints.values())


def find(folder: Path) -> Archives | None:
    """The archives of this layout in ``folder``, be they complete or not; None where there is not one."""
    files = sorted(folder.glob("data_[23]d_h36m*.npz"))
    keypoints = _by_detector(path for path in files if _KEYPOINTS.fullmatch(path.name))
    poses = folder / POSES
    return Archives(poses, keypoints) if keypoints or poses in files else None


def named(path: Path) -> Archives | None:
    """The archives that a file of this layout stands for: all beside the 3D, or one detector's; None for others."""
    if path.name == POSES:
        return find(path.parent)
    return Archives(path.parent / POSES, _by_detector([path])) if _KEYPOINTS.fullmatch(path.name) else None


def _by_detector(paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        match = _KEYPOINTS.fullmatch(path.name)
        in_file = match[1] if match else path.stem
        name = _SHORT_NAMES.get(in_file, in_file)
        if name in found:
            raise BadInput(f"{path}: the detector {name!r} is that of {found[name].name} too; rename one of the files")
        found[name] = path
    return found


def read(poses: Path, keypoints: Path, detector: str) -> Dataset:
    """The set in these two files, in memory. Raises BadInput naming the place of what is wrong in one of them."""
    recorded = _takes(archive.read_objects(poses), "positions_3d", poses)
    _check_subjects(recorded, poses)
    content = archive.read_objects(keypoints)
    _check_joint_order(soundness.entry(content, "metadata", str(keypoints)), f"{keypoints}, 'metadata'")
    detected = _takes(content, "positions_2d", keypoints)
    notes = [
        *_left_out(recorded, poses, detected, keypoints),
        *_left_out(detected, keypoints, recorded, poses),
        *_cut_joints(recorded, poses),
        *_surplus(recorded, detected, keypoints),
    ]
    parts: dict[str, list[Sequence]] = {"train": [], "test": []}
    for key in sorted(recorded.keys() & detected.keys(), key=lambda key: key.order):
        part = "train" if key.subject in rig.RIG_SUBJECTS["train"] else "test"
        world_m = _world(recorded[key], f"{poses}, 'positions_3d', {key}")
        parts[part] += _views(key, world_m, detected[key], f"{keypoints}, 'positions_2d', {key}")
    _check_some(parts, poses, keypoints)
    return Dataset(NAME, detector, tuple(parts["train"]), tuple(parts["test"]), tuple(notes))


def _takes(content: Mapping[str, Any], name: str, path: Path) -> dict[_Key, Any]:
    where = f"{path}, {name!r}"
    subjects = soundness.dictionary(soundness.entry(content, name, str(path)), where)
    return {
        _Key(str(subject), str(take)): value
        for subject, takes in subjects.items()
        for take, value in soundness.dictionary(takes, f"{where}, {subject}").items()
    }


def _check_subjects(takes: _Takes, path: Path) -> None:
    names: dict[tuple[str, str, str], _Key] = {}
    for key in takes:
        if key.subject not in _SUBJECTS:
            raise BadInput(
                f"{path}: subject {key.subject!r} is none of Human3.6M's with published 3D: {', '.join(_SUBJECTS)}"
            )
        same = names.setdefault((key.subject, key.action, key.clip), key)
        if same != key:
            raise BadInput(f"{path}: {same} and {key} are the same take by name")


def _check_joint_order(metadata: Any, where: str) -> None:
    """Raises BadInput unless the keypoints are in Human3.6M's order, as their left and right joints tell."""
    number = soundness.entry(metadata, "num_joints", where)
    sides = soundness.entry(metadata, "keypoints_symmetry", where)
    try:
        left, right = ([int(joint) for joint in side] for side in sides)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}: 'keypoints_symmetry' is {sides!r}; expected a left and a right list") from error
    if number == JOINT_COUNT and len(left) == len(right) and frozenset(zip(left, right, strict=True)) == _PAIRS:
        return
    raise BadInput(
        f"{where}: {number} joints with {left} on the left and {right} on the right are not the {JOINT_COUNT} of"
        f" Human3.6M, which have {list(LEFT)} and {list(RIGHT)} there ({_likely_order(number, left, right)}). Take"
        " detections in Human3.6M's order, such as cpn_ft_h36m_dbb"
    )


def _likely_order(number: Any, left: list[int], right: list[int]) -> str:
    if (left, right) == (list(RIGHT), list(LEFT)):
        return "left and right are exchanged"
    if left == list(range(1, 17, 2)):
        return "this is COCO's order"
    return "this looks like MPII's order" if number == 16 else "this is another order"


def _left_out(takes: _Takes, path: Path, others: _Takes, other_path: Path) -> list[str]:
    """A note on the takes that the other file lacks."""
    missing: dict[str, list[str]] = {}
    for key in takes:
        if key not in others:
            missing.setdefault(key.subject, []).append(key.take)
    if not missing:
        return []
    whole = [subject for subject in missing if all(key.subject != subject for key in others)]
    single = [str(_Key(subject, take)) for subject, names in missing.items() if subject not in whole for take in names]
    listed = [*(f"all of {subject}" for subject in whole), *single]
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return [f"left out, in {path.name} but not in {other_path.name}: {'; '.join(listed[:_NAMED])}{more}"]


def _cut_joints(recorded: _Takes, path: Path) -> list[str]:
    number = sum(getattr(value, "shape", ())[1:] == (JOINT_COUNT, 3) for value in recorded.values())
    return [f"{number} takes in {path.name} have {JOINT_COUNT} joints, taken to be in Human3.6M's order"] * bool(number)


def _surplus(recorded: _Takes, detected: _Takes, keypoints: Path) -> list[str]:
    """A note on the views with more frames of 2D than of 3D, of which the last are left out, as published."""
    found = [
        f"{key}, camera {camera}: {_frames(view)} frames of 2D, {_frames(recorded[key])} of 3D"
        for key in sorted(recorded.keys() & detected.keys(), key=lambda key: key.order)
        for camera, view in zip(CAMERAS, _several(detected[key]), strict=False)
        if _frames(view) > _frames(recorded[key])
    ]
    if not found:
        return []
    return [f"{keypoints.name}: the last frames of {len(found)} views have no 3D and are left out, such as {found[0]}"]


def _several(views: Any) -> Many[Any]:
    return views if isinstance(views, (list, tuple)) else ()


def _frames(value: Any) -> int:
    return int(next(iter(getattr(value, "shape", ())), 0))


def _check_some(parts: Mapping[str, list[Sequence]], poses: Path, keypoints: Path) -> None:
    if not any(parts.values()):
        raise BadInput(f"{poses} and {keypoints.name} have no take in common; are they of one set?")


def _world(value: Any, where: str) -> NDArray[Any]:
    """(T, 17, 3) metres, of as many joints or of the 32 recorded ones."""
    is_cut = getattr(value, "shape", ())[1:2] == (JOINT_COUNT,)
    joints = soundness.array(value, where, None, JOINT_COUNT if is_cut else _RECORDED_JOINTS, 3)
    kept = joints if is_cut else joints[:, KEPT_JOINTS]
    check_joints(kept, where)
    check_height(kept, where)
    return kept


def _views(key: _Key, world_m: NDArray[Any], views: Any, where: str) -> list[Sequence]:
    """One take as the four cameras see it."""
    number = len(views) if isinstance(views, (list, tuple)) or np.ndim(views) > 0 else 0
    if number != len(CAMERAS):
        raise BadInput(f"{where}: keypoints of {number} cameras; expected those of {', '.join(CAMERAS)}")
    world_mm = 1000.0 * world_m.astype(np.float64)
    return [
        _sequence(key, camera, world_mm, _detections(view, len(world_mm), f"{where}, camera {camera.name}"))
        for camera, view in zip(rig.rigs()[key.subject], views, strict=True)
    ]


def _detections(value: Any, frames: int, where: str) -> NDArray[Any]:
    """(T, 17, 2), or 3 with the confidence: the first ``frames`` of the keypoints of one camera."""
    channels = 3 if getattr(value, "shape", ())[2:] == (3,) else 2
    found = soundness.array(value, where, None, JOINT_COUNT, channels)
    if len(found) < frames:
        raise BadInput(f"{where}: {len(found)} frames of 2D, but {frames} of 3D; are the two files of one set?")
    soundness.finite(found[:frames], where)
    soundness.pixels(found[:frames, :, :2], where)
    return found[:frames]


def _sequence(key: _Key, camera: Camera, world_mm: NDArray[np.float64], detections: NDArray[Any]) -> Sequence:
    take = f"{key.subject}/{key.action}/{key.clip}"
    return Sequence(
        name=f"{take}/{camera.name}",
        subject=key.subject,
        action=key.action,
        take=take,
        camera=camera,
        fps=FPS,
        keypoints=detections[..., :2].astype(np.float32),
        confidence=_confidence(detections),
        truth=camera.to_camera(world_mm).astype(np.float32),
    )


def _confidence(detections: NDArray[Any]) -> FloatArray:
    has_scores = detections.shape[2] == 3
    return (detections[..., 2] if has_scores else np.ones(detections.shape[:2])).astype(np.float32)
