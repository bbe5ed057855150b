"""Human3.6M in MotionBERT's pickle, ``h36m_sh_conf_cam_source_final.pkl``, and others of its keys.

A dictionary of ``train`` and ``test``, each with an entry a frame:

    joint_2d           (N, 17, >= 2) detections, pixels
    confidence         (N, 17) or (N, 17, 1), may be missing
    joint3d_image      (N, 17, 3) truth in the image: x and y in pixels, depth in pixels from the pelvis
    camera_name        N names of cameras
    source             N names of videos, such as s_09_act_02_subact_01_ca_01
    action             N labels (test)
    2.5d_factor        (N,) millimetres a pixel (test)
    joints_2.5d_image  (N, 17, 3) joint3d_image times the factor: what published evaluations score against (test)

Keys and meaning: MotionBERT's ``datareader_h36m.py`` and ``train.py``. The videos keep the file's order, since the
published way to cut clips depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.data import array_store, rig, soundness, unpickle
from harness.data.body import HEIGHT_RANGE_M, height
from harness.data.camera import Camera
from harness.data.h36m_contents import ACTION_NUMBERS, CAMERAS, FPS
from harness.data.sequence import Dataset, FloatArray, Sequence
from harness.data.skeleton import JOINT_COUNT, ROOT
from harness.errors import BadInput

NAME = "h36m"
#: To be raised when the same file is to become other arrays.
VERSION = 1

#: Where the file is to be had.
ORIGIN = (
    "MotionBERT's docs/pose3d.md links to h36m_sh_conf_cam_source_final.pkl; Human3.6M's licence is given at"
    " vision.imar.ro/human3.6m"
)
UNKNOWN = "unknown"

#: Detectors that names of files begin with, as in h36m_sh_conf_…; of other files it is called ``file``.
_DETECTOR = re.compile(r"h36m_(sh|cpn)_")
_VIDEO = re.compile(r"(?P<take>s_(?P<subject>\d+)_act_(?P<act>\d+)_subact_\d+)_ca_\d+")

#: By more pixels than these the two truths of a test file should not differ.
_ROUNDING_PX = 0.05

Array = NDArray[Any]


class _Video(NamedTuple):
    """A run of frames of one source."""

    source: str
    frames: slice

    @property
    def take(self) -> str:
        return self._named("take", self.source)

    @property
    def subject(self) -> str:
        number = self._named("subject", "")
        return f"S{int(number)}" if number else UNKNOWN

    @property
    def act(self) -> int | None:
        """Number of the action."""
        number = self._named("act", "")
        return int(number) if number else None

    def _named(self, group: str, otherwise: str) -> str:
        match = _VIDEO.fullmatch(self.source)
        return match[group] if match else otherwise


@dataclass(frozen=True, eq=False)
class _Part:
    """One half of the file, its arrays checked for shape and length; ``detected`` is the key of the keypoints."""

    where: str
    detected: str
    videos: tuple[_Video, ...]
    cameras: tuple[str, ...]
    actions: tuple[str, ...] | None
    keypoints: Array
    confidence: Array | None
    in_image: Array
    scored: Array | None
    mm_per_pixel: Array | None

    def at(self, key: str, video: _Video) -> str:
        """Where the video's frames of ``key`` are, for messages."""
        return f"{self.where}[{key!r}], video {video.source} (its frame 0 is the file's {video.frames.start})"


@dataclass(frozen=True)
class Pickle:
    """The pickle at ``path``; ``clips`` is a folder of clips cut from it, which is left alone."""

    path: Path
    clips: Path | None = None

    @property
    def detectors(self) -> tuple[str, ...]:
        """The file's own, which its name tells, and the projection of the truth."""
        match = _DETECTOR.match(self.path.name)
        return (match[1] if match else "file", "gt")

    def load(self, detector: str, cache: Path | None) -> Dataset:
        """The set with the keypoints of ``detector``. Raises BadInput naming the place of what is wrong in the file."""
        dataset = array_store.stored(
            [self.path], f"{NAME}-{detector}", lambda: read(self.path, detector), version=VERSION, cache=cache
        )
        if self.clips is None:
            return dataset
        note = f"{self.path.name} is read; the clips sliced from it in {self.clips} are not needed"
        return replace(dataset, notes=(*dataset.notes, note))


def find(folder: Path) -> list[Path]:
    """Pickles of this layout in ``folder``, by their names."""
    return sorted(folder.glob("h36m*.pkl"))


def read(path: Path, detector: str) -> Dataset:
    """The set in the pickle, in memory; ``detector`` ``gt`` is the projection of the truth.

    Raises BadInput naming the place of what is wrong: key, video, frame and joint.
    """
    content = unpickle.read(path)
    halves = {name: soundness.entry(content, name, str(path)) for name in ("train", "test")}
    train = _part(halves["train"], f"{path}, train", detector, scored=False)
    test = _part(halves["test"], f"{path}, test", detector, scored=True)
    labels = _labels(test)
    train_sequences, test_sequences = _sequences(train, labels), _sequences(test, labels)
    notes = [*_confidence_notes(detector, train, test), *_disagreement(test), *_unusual_names(train, test)]
    return Dataset(NAME, detector, train_sequences, test_sequences, tuple(notes))


def _part(content: Any, where: str, detector: str, scored: bool) -> _Part:
    def array(key: str, *shape: int | None) -> Array:
        return soundness.array(soundness.entry(content, key, where), f"{where}[{key!r}]", *shape)

    def texts(key: str) -> NDArray[np.str_]:
        return soundness.texts(soundness.entry(content, key, where), f"{where}[{key!r}]")

    arrays: dict[str, Array] = {"joint3d_image": array("joint3d_image", None, JOINT_COUNT, 3)}
    arrays |= _detections(content, where) if detector != "gt" else {}
    names = {"camera_name": texts("camera_name"), "source": texts("source")}
    if scored:
        arrays["joints_2.5d_image"] = array("joints_2.5d_image", None, JOINT_COUNT, 3)
    if scored or "2.5d_factor" in content:
        arrays["2.5d_factor"] = array("2.5d_factor", None)
    if scored or "action" in content:
        names["action"] = texts("action")
    soundness.same_length({key: len(value) for key, value in (*arrays.items(), *names.items())}, where)
    videos = _videos(names["source"], where)
    _check_cameras(names["camera_name"], names["source"], where)
    detected = "joint3d_image" if detector == "gt" else "joint_2d"
    return _Part(
        where,
        detected,
        videos,
        cameras=_constant(names["camera_name"], videos, f"{where}['camera_name']"),
        actions=_constant(names["action"], videos, f"{where}['action']") if "action" in names else None,
        keypoints=arrays[detected][..., :2],
        confidence=arrays.get("confidence"),
        in_image=arrays["joint3d_image"],
        scored=arrays.get("joints_2.5d_image"),
        mm_per_pixel=arrays.get("2.5d_factor"),
    )


def _detections(content: Mapping[str, Any], where: str) -> dict[str, Array]:
    value = soundness.entry(content, "joint_2d", where)
    channels = max((2, *getattr(value, "shape", ())[2:3]))
    found = {"joint_2d": soundness.array(value, f"{where}['joint_2d']", None, JOINT_COUNT, channels)}
    if "confidence" in content:
        value = content["confidence"]
        last = (1,) if getattr(value, "ndim", 2) == 3 else ()
        scores = soundness.array(value, f"{where}['confidence']", None, JOINT_COUNT, *last)
        found["confidence"] = scores.reshape(-1, JOINT_COUNT)
    return found


def _starts(values: NDArray[np.str_]) -> NDArray[np.intp]:
    """First frames of the runs of equal values."""
    differs = values[1:] != values[:-1]
    return np.concatenate([np.arange(min(len(values), 1)), 1 + np.flatnonzero(differs)])


def _videos(sources: NDArray[np.str_], where: str) -> tuple[_Video, ...]:
    videos: dict[str, _Video] = {}
    for first, end in pairwise([*_starts(sources).tolist(), len(sources)]):
        source = str(sources[first])
        if source in videos:
            raise BadInput(
                f"{where}['source']: {source!r} comes back at frame {first}, after other videos (it was over at frame"
                f" {videos[source].frames.stop}); every video should be in one piece"
            )
        videos[source] = _Video(source, slice(first, end))
    return tuple(videos.values())


def _check_cameras(names: NDArray[np.str_], sources: NDArray[np.str_], where: str) -> None:
    for frame in _starts(names):
        if names[frame] not in CAMERAS:
            raise BadInput(
                f"{where}['camera_name']: {str(names[frame])!r} at frame {frame} ({sources[frame]}) is no camera of"
                f" Human3.6M, so the size of its image is not known. They are: {', '.join(CAMERAS)}"
            )


def _constant(values: NDArray[np.str_], videos: tuple[_Video, ...], where: str) -> tuple[str, ...]:
    """What each video has in all its frames. Raises BadInput naming the first video in which it changes."""
    firsts = np.array([video.frames.start for video in videos], dtype=np.intp)
    inside = np.setdiff1d(_starts(values), firsts)
    if len(inside):
        frame = int(inside[0])
        video = videos[int(np.searchsorted(firsts, frame)) - 1]
        raise BadInput(
            f"{where}: changes from {str(values[frame - 1])!r} to {str(values[frame])!r} at frame {frame}, within the"
            f" video {video.source} of frames {video.frames.start} to {video.frames.stop - 1}"
        )
    return tuple(str(values[first]) for first in firsts)


def _labels(test: _Part) -> dict[int, str]:
    """The test part's own label for each number of an action, by which training videos are called as well."""
    labels: dict[int, set[str]] = {}
    for video, label in zip(test.videos, test.actions or (), strict=False):
        if video.act is not None:
            labels.setdefault(video.act, set()).add(label)
    return dict(ACTION_NUMBERS) | {act: next(iter(found)) for act, found in labels.items() if len(found) == 1}


def _sequences(part: _Part, labels: Mapping[int, str]) -> tuple[Sequence, ...]:
    actions = part.actions or [_label(video, labels) for video in part.videos]
    return tuple(
        _sequence(part, video, action, _camera(video, camera))
        for video, action, camera in zip(part.videos, actions, part.cameras, strict=True)
    )


def _label(video: _Video, labels: Mapping[int, str]) -> str:
    return UNKNOWN if video.act is None else labels.get(video.act, f"act_{video.act:02d}")


def _camera(video: _Video, name: str) -> Camera:
    rigs = rig.rigs()
    return rigs.get(video.subject, rigs["S1"])[CAMERAS.index(name)]


def _sequence(part: _Part, video: _Video, action: str, camera: Camera) -> Sequence:
    mm_per_pixel = _mm_per_pixel(part, video)
    return Sequence(
        name=video.source,
        subject=video.subject,
        action=action,
        take=video.take,
        camera=camera,
        fps=FPS,
        keypoints=_keypoints(part, video),
        confidence=_confidence(part, video),
        truth=_truth(part, video, mm_per_pixel),
        mm_per_pixel=mm_per_pixel,
    )


def _keypoints(part: _Part, video: _Video) -> FloatArray:
    keypoints, where = part.keypoints[video.frames], part.at(part.detected, video)
    soundness.finite(keypoints, where)
    soundness.pixels(keypoints, where)
    return keypoints.astype(np.float32)


def _confidence(part: _Part, video: _Video) -> FloatArray:
    if part.confidence is None:
        return np.ones(part.keypoints[video.frames].shape[:2], dtype=np.float32)
    soundness.finite(part.confidence[video.frames], part.at("confidence", video))
    return part.confidence[video.frames].astype(np.float32)


def _mm_per_pixel(part: _Part, video: _Video) -> NDArray[np.float64]:
    if part.mm_per_pixel is None:
        return np.full(video.frames.stop - video.frames.start, np.nan)
    factor, where = part.mm_per_pixel[video.frames].astype(np.float64), part.at("2.5d_factor", video)
    soundness.finite(factor, where)
    if (factor <= 0).any():
        frame = int(np.argmax(factor <= 0))
        raise BadInput(f"{where}: {factor[frame]} at frame {frame} (from 0); millimetres a pixel are above 0")
    return factor


def _truth(part: _Part, video: _Video, mm_per_pixel: NDArray[np.float64]) -> Array:
    """(T, 17, 3) pixels, float64: of a test video what the published truth in millimetres is in the image."""
    in_image, where = part.in_image[video.frames], part.at("joint3d_image", video)
    soundness.finite(in_image, where)
    soundness.pixels(in_image[..., :2], where)
    if part.scored is None:
        return in_image.astype(np.float64)
    scored, where = part.scored[video.frames].astype(np.float64), part.at("joints_2.5d_image", video)
    soundness.finite(scored, where)
    _check_height(scored, where)
    return scored / mm_per_pixel[:, None, None]


def _check_height(scored: NDArray[np.float64], where: str) -> None:
    tall_m = height(scored) / 1000.0
    if not HEIGHT_RANGE_M[0] <= tall_m <= HEIGHT_RANGE_M[1]:
        raise BadInput(
            f"{where}: the person would be {tall_m:.4g} m from ankle to head (expected {HEIGHT_RANGE_M[0]} to"
            f" {HEIGHT_RANGE_M[1]} m); these should be millimetres, joint3d_image times 2.5d_factor"
        )


def _confidence_notes(detector: str, *parts: _Part) -> list[str]:
    lacking = [part.where for part in parts if part.confidence is None]
    return [f"{where}: no 'confidence', taken as 1" for where in lacking if detector != "gt"]


def _disagreement(test: _Part) -> list[str]:
    """A note where the truth that is scored is another than the one that lifters of this lineage are trained on."""
    if test.scored is None or test.mm_per_pixel is None:
        return []
    largest, at = 0.0, ""
    for video in test.videos:
        scored = test.scored[video.frames] / test.mm_per_pixel[video.frames, None, None].astype(np.float64)
        apart = np.abs(_from_root(scored) - _from_root(test.in_image[video.frames])).max(axis=(1, 2))  # (T,)
        if apart.max() > largest:
            frame = video.frames.start + int(apart.argmax())
            largest, at = float(apart.max()), f"frame {frame} ({video.source})"
    if largest <= _ROUNDING_PX:
        return []
    return [
        f"{test.where}: joints_2.5d_image / 2.5d_factor, which is scored, is up to {largest:.3g} px from joint3d_image,"
        f" at {at}"
    ]


def _from_root(poses: Array) -> Array:
    return poses - poses[:, ROOT : ROOT + 1]


def _unusual_names(*parts: _Part) -> list[str]:
    unusual = [video.source for part in parts for video in part.videos if video.act is None]
    if not unusual:
        return []
    return [
        f"{len(unusual)} videos such as {unusual[0]!r} are not called s_XX_act_XX_subact_XX_ca_XX: each is a take of"
        " its own, of a subject that is not known"
    ]
