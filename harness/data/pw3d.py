"""``3dpw:PATH``: 3D Poses in the Wild (von Marcard et al., ECCV 2018), from the set's own sequence files.

PATH holds ``sequenceFiles``, or is it: folders train, validation and test of one pickle a sequence (see
``harness.data.pw3d_recording``). A sequence of this project is one person of one of theirs. Training is on train, the
test on test; validation is read and left out.

Published figures take the truth from SMPL's surface by a regressor of Human3.6M's joints. Model and regressor are
licensed and the user's to get; where they lie beside the set, or in a folder ``smpl`` there, the truth is theirs, and
14 joints are scored as published. Otherwise it is that of the files, the joints of SMPL's skeleton with the same names;
another 14 are scored, and a note says that the figures are not to be compared with published ones.

Only frames are scored in which the camera's pose was fitted to the image (``campose_valid``), as published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import openpose18, pw3d_recording, pw3d_truth
from harness.data.array_store import stored
from harness.data.camera import Camera
from harness.data.pw3d_recording import Person, Recording
from harness.data.pw3d_truth import TrueJoints
from harness.data.sequence import Dataset, Sequence
from harness.data.skeleton import LEFT, MIRRORED, RIGHT, ROOT
from harness.errors import BadInput

Array = NDArray[Any]

NAME = "3dpw"
FPS = 30.0
DETECTORS = ("openpose", "gt")
#: Sequences of the whole set, by part.
TOTALS: Mapping[str, int] = {"train": 24, "validation": 12, "test": 24}

_VERSION = 1
_FOLDER = "sequenceFiles"
_GET = (
    "Get sequenceFiles.zip at https://virtualhumans.mpi-inf.mpg.de/3DPW (after agreeing to its licence), unpack it and"
    " give --data 3dpw:FOLDER, the one that holds sequenceFiles. To try without data: --data synthetic"
)
#: A detector sees the image alone; a place this share of its longer side beyond its edge is a fault of the file.
_OUTSIDE = 0.02
#: What is nearer to the camera's plane is behind it or fills the image.
_NEAREST_MM = 100.0
#: Detections farther from the truth's projection, as a share of the person's size in the image, are of something else.
_DISAGREEING = 0.3

_LIMBS = [*LEFT, *RIGHT]


def detectors(argument: str) -> tuple[str, ...]:
    """``openpose``, the detections in the files, and ``gt``, the truth projected into the image."""
    return DETECTORS


def load(argument: str, *, detector: str, seed: int, cache: Path | None) -> Dataset:
    """The set at the path ``argument``.

    Raises BadInput naming file, key, person, frame and joint of what is wrong, and where to get what is missing.
    """
    try:
        files, truth = sequence_files(argument), pw3d_truth.find(_home(argument))
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be read ({error.strerror})") from error
    sources = [*(path for paths in files.values() for path in paths), *truth.files]
    dataset = stored(
        sources, f"{NAME}-{detector}-{truth.name}", lambda: _make(files, truth, detector), version=_VERSION, cache=cache
    )
    # Not a matter of the files that the store stands for.
    return replace(dataset, notes=(*dataset.notes, *truth.hints))


def sequence_files(argument: str) -> dict[str, tuple[Path, ...]]:
    """The set's files at the path ``argument`` by part, of which there are ``TOTALS`` in the whole set.

    Raises BadInput, saying where to get them, if there are none to train or test on, and for one that is in both.
    """
    home = _home(argument)
    folder = home / _FOLDER if (home / _FOLDER).is_dir() else home
    found = {part: tuple(sorted((folder / part).glob("*.pkl"))) for part in TOTALS}
    if not found["train"] and not found["test"]:
        inside = f" (this is one of its parts; give {home.parent})" if home.name in TOTALS else ""
        raise BadInput(f"3dpw:{argument}: no {_FOLDER}/train/*.pkl nor {_FOLDER}/test/*.pkl there{inside}. {_GET}")
    both = {path.name for path in found["train"]} & {path.name for path in found["test"]}
    if both:
        raise BadInput(f"{folder}: {min(both)} is in train and in test; leave it where the set has it")
    return found


def _home(argument: str) -> Path:
    """The folder that holds ``sequenceFiles``, or else the parts themselves."""
    if not argument:
        raise BadInput(f"3dpw: which path? {_GET}")
    path = Path(argument).expanduser()
    if not path.is_dir():
        raise BadInput(f"3dpw:{argument}: no such folder. {_GET}")
    return path.parent if path.name == _FOLDER else path


# The set


@dataclass
class _Findings:
    """What was met with on the way and is told in the notes, or in an error if it is too much."""

    persons: int = 0
    frames: int = 0
    frames_invalid: int = 0
    frames_behind: int = 0
    frames_empty: int = 0
    joints: int = 0
    joints_missing: int = 0
    detections: int = 0
    outside: int = 0
    first_outside: str = ""
    never_found: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    odd_sizes: list[str] = field(default_factory=list)
    #: By person: how far detections are from the truth's projection, and from it with left and right exchanged.
    distances: dict[str, tuple[float, float]] = field(default_factory=dict)


def _make(files: Mapping[str, tuple[Path, ...]], truth: TrueJoints, detector: str) -> Dataset:
    findings = _Findings()
    parts: dict[str, tuple[Sequence, ...]] = {}
    for part in ("train", "test"):
        recordings = (pw3d_recording.read(path, with_body=bool(truth.files)) for path in files[part])
        parts[part] = tuple(one for recording in recordings for one in _sequences(recording, truth, detector, findings))
    _check_cameras(findings)
    _check_detections(findings)
    validation = _validation_notes(files["validation"])
    notes = (*truth.notes(), *_missing_files(files), *validation, *_notes(findings, detector))
    return Dataset(
        NAME, detector, parts["train"], parts["test"], notes, truth.joints, truth.joints_name, grouped_by="scene"
    )


def _sequences(recording: Recording, truth: TrueJoints, detector: str, findings: _Findings) -> Iterator[Sequence]:
    camera = recording.camera
    if (camera.width, camera.height) not in pw3d_recording.IMAGE_SIZES:
        findings.odd_sizes.append(f"{recording.name} {camera.width} x {camera.height}")
    for person in recording.persons:
        findings.persons += 1
        subject = _subject(recording, person)
        found = _inside(person, subject, camera, findings)
        if not person.valid.any():
            findings.left_out.append(f"{subject} (no valid camera pose)")
        elif detector == "openpose" and not found[:, openpose18.USED, 2].any():
            findings.left_out.append(f"{subject} (no detection)")
        else:
            truth_mm, scored = _in_camera(recording, person, truth.joints_m(person))
            if 2 * scored.sum() <= person.valid.sum():
                findings.left_out.append(f"{subject} (behind the camera)")
                findings.behind.append(person.where)
            else:
                yield _sequence(recording, person, found, truth_mm, scored, detector, findings)


def _sequence(
    recording: Recording,
    person: Person,
    found: Array,
    truth_mm: Array,
    scored: NDArray[np.bool_],
    detector: str,
    findings: _Findings,
) -> Sequence:
    camera, subject, action = recording.camera, _subject(recording, person), recording.name.split("_")[0]
    findings.frames += len(scored)
    findings.frames_invalid += int((~person.valid).sum())
    findings.frames_behind += int((person.valid & ~scored).sum())
    projected = camera.project(truth_mm)
    keypoints, confidence = openpose18.keypoints(found)
    findings.distances[subject] = _distances(projected, keypoints, (confidence > 0) & scored[:, None])
    if detector == "gt":
        inside = ((projected >= 0) & (projected < [camera.width, camera.height])).all(axis=-1)
        keypoints, confidence = projected, np.asarray(inside, dtype=np.float64)
    else:
        _count(found[:, openpose18.USED, 2] > 0, subject, findings)
    return Sequence(
        name=f"{subject}/{action}/{recording.name}/{camera.name}",
        subject=subject,
        action=action,
        take=recording.name,
        camera=camera,
        fps=FPS,
        keypoints=keypoints.astype(np.float32),
        confidence=confidence.astype(np.float32),
        truth=truth_mm.astype(np.float32),
        valid=scored,
    )


def _subject(recording: Recording, person: Person) -> str:
    return f"{recording.name}-person{person.number}"


def _in_camera(recording: Recording, person: Person, joints_m: Array) -> tuple[Array, NDArray[np.bool_]]:
    """(N, 17, 3) millimetres in camera space, and the frames (N,) where that is the truth.

    In the other frames the camera's pose is not valid or puts the person behind the camera; see ``_guessed``.
    """
    rotations = np.where(person.valid[:, None, None], recording.rotations, np.eye(3))
    translations_m = np.where(person.valid[:, None], recording.translations_m, 0.0)
    joints_mm = 1000.0 * (joints_m @ np.swapaxes(rotations, 1, 2) + translations_m[:, None])  # (N, 17, 3)
    good = person.valid & (joints_mm[..., 2].min(axis=1) >= _NEAREST_MM)
    return _guessed(joints_mm, 1000.0 * joints_m, rotations, good), good


def _guessed(joints_mm: Array, world_mm: Array, rotations: Array, good: NDArray[np.bool_]) -> Array:
    """``joints_mm`` with a guess in frames that are not ``good``: context for a lifter and never scored.

    The person is turned as the nearest good frame's camera would see it, at a place between those before and after.
    """
    if good.all() or not good.any():
        return joints_mm
    frames, known = np.arange(len(good)), np.flatnonzero(good)
    nearest = known[np.abs(frames[:, None] - known).argmin(axis=1)]
    turned = (world_mm - world_mm[:, [ROOT]]) @ np.swapaxes(rotations[nearest], 1, 2)  # (N, 17, 3)
    place = np.stack([np.interp(frames, known, joints_mm[known, ROOT, axis]) for axis in range(3)], axis=-1)  # (N, 3)
    guess = turned + place[:, None]
    guess[..., 2] += (_NEAREST_MM - guess[..., 2].min(axis=1)).clip(min=0.0)[:, None]
    return np.where(good[:, None, None], joints_mm, guess)


def _check_cameras(findings: _Findings) -> None:
    """Raises BadInput where most persons are behind the camera."""
    if 2 * len(findings.behind) > findings.persons:
        raise BadInput(
            f"{findings.behind[0]}: not in front of the camera in most of the valid frames, as"
            f" {len(findings.behind)} of {findings.persons} persons; do 'cam_poses' take the world to the camera, with"
            " z forward?"
        )


# The detections


def _inside(person: Person, subject: str, camera: Camera, findings: _Findings) -> Array:
    """Detections (N, 18, 3), all zeros where there is none or it is far outside the image; scores at most 1."""
    places, scores = person.detections[..., :2], person.detections[..., 2]
    size, margin = np.array([camera.width, camera.height]), _OUTSIDE * max(camera.width, camera.height)
    found = (scores > 0) & places.any(axis=-1)
    outside = found & ~((places >= -margin) & (places <= size + margin)).all(axis=-1)
    findings.detections += int(found.sum())
    findings.outside += int(outside.sum())
    if outside.any() and not findings.first_outside:
        frame, joint = np.argwhere(outside)[0]
        findings.first_outside = (
            f"{subject}, frame {frame} (from 0), joint {joint} ({openpose18.JOINTS[joint]}):"
            f" {places[frame, joint].tolist()} in {camera.width} x {camera.height}"
        )
    inside = np.where((found & ~outside)[..., None], person.detections, 0.0)
    inside[..., 2] = inside[..., 2].clip(max=1.0)
    return inside


def _count(found: NDArray[np.bool_], subject: str, findings: _Findings) -> None:
    """``found`` (N, joints used)."""
    findings.joints += found.size
    findings.joints_missing += int((~found).sum())
    findings.frames_empty += int((~found.any(axis=1)).sum())
    never = np.flatnonzero(~found.any(axis=0))
    if len(never):
        names = ", ".join(openpose18.JOINTS[openpose18.USED[index]] for index in never)
        findings.never_found.append(f"{subject} ({names})")


def _distances(projected: Array, keypoints: Array, found: NDArray[np.bool_]) -> tuple[float, float]:
    """Median distance of detected limbs from the truth's projection (N, 17, 2), and from that of the other side.

    As a share of the person's size in the image; NaN where nothing was ``found`` (N, 17).
    """
    used = found[:, _LIMBS]
    size = np.linalg.norm(projected.max(axis=1) - projected.min(axis=1), axis=-1)[:, None]  # (N, 1)
    if not used.any():
        return float("nan"), float("nan")
    own, other = (
        float(np.median((np.linalg.norm(keypoints - aim, axis=-1)[:, _LIMBS] / size)[used]))
        for aim in (projected, projected[:, MIRRORED])
    )
    return own, other


def _check_detections(findings: _Findings) -> None:
    """Raises BadInput where most detections are not in the image, not where the truth is, or on its other side."""
    if 2 * findings.outside > findings.detections:
        raise BadInput(
            f"{findings.outside} of {findings.detections} detections in 'poses2d' are outside the image, first"
            f" {findings.first_outside}; are they pixels, and is 'cam_intrinsics' of the same video?"
        )
    known = {subject: pair for subject, pair in findings.distances.items() if not np.isnan(pair[0])}
    apart = [subject for subject, (own, _) in known.items() if own > _DISAGREEING]
    if 2 * len(apart) > len(known):
        raise BadInput(
            f"{_first_of(apart, known)}: 'poses2d' is {100 * known[apart[0]][0]:.0f} % of the person's size away from"
            " 'jointPositions' as 'cam_poses' (world to camera) and 'cam_intrinsics' project them; are these the files"
            " as published?"
        )
    exchanged = [subject for subject, (own, other) in known.items() if other < own]
    if 2 * len(exchanged) > len(known):
        raise BadInput(
            f"{_first_of(exchanged, known)}: left and right in 'poses2d' are exchanged against 'jointPositions';"
            f" expected OpenPose's order, {', '.join(openpose18.JOINTS)}"
        )


def _first_of(subjects: list[str], known: Mapping[str, Any]) -> str:
    return f"{subjects[0]}" + (f" and {len(subjects) - 1} more of {len(known)} persons" if len(subjects) > 1 else "")


# What a reader must know


def _missing_files(files: Mapping[str, tuple[Path, ...]]) -> list[str]:
    if all(len(files[part]) == total for part, total in TOTALS.items()):
        return []
    return [
        f"not the whole set: {', '.join(f'{part} {len(files[part])} of {TOTALS[part]}' for part in TOTALS)} sequences"
    ]


def _validation_notes(paths: tuple[Path, ...]) -> list[str]:
    persons = [person for path in paths for person in pw3d_recording.read(path).persons]
    frames = sum(len(person.valid) for person in persons)
    told = (
        f"validation ({len(paths)} files, {len(persons)} persons with {frames} frames) is neither trained nor tested on"
    )
    return [told] if persons else []


def _notes(findings: _Findings, detector: str) -> list[str]:
    notes = []
    if findings.frames_invalid or findings.frames_behind:
        notes.append(
            f"not scored: of {findings.frames} frames {findings.frames_invalid} whose camera pose is not valid and"
            f" {findings.frames_behind} with the person behind the camera; their truth is a guess by those around"
        )
    if detector == "openpose":
        notes += _detection_notes(findings)
    if findings.left_out:
        notes.append(f"left out: {', '.join(findings.left_out)}")
    if findings.odd_sizes:
        notes.append(f"image size by the principal point, not the set's 1920 x 1080: {', '.join(findings.odd_sizes)}")
    return notes


def _detection_notes(findings: _Findings) -> list[str]:
    notes = []
    if findings.joints_missing:
        notes.append(
            f"{findings.joints_missing} of {findings.joints} joints were not detected, all of them in"
            f" {findings.frames_empty} frames: their last known place, confidence 0"
        )
    if findings.outside:
        notes.append(
            f"{findings.outside} detections far outside the image count as none, first {findings.first_outside}"
        )
    if findings.never_found:
        notes.append(f"never detected, in the middle of the person's others: {', '.join(findings.never_found)}")
    apart = [subject for subject, (own, _) in findings.distances.items() if own > _DISAGREEING]
    if apart:
        notes.append(f"detections that are not where the truth is, as if of somebody else: {', '.join(apart)}")
    return notes
