"""Tiny files in the layouts that Human3.6M is published in, and the values that must come back out of them.

Camera space, projection and the truth in the image are worked out here from ``h36m_cameras.json`` by formulas of their
own (quaternions rather than matrices), so that a loader is never checked by the code that it calls.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

import harness.data
from tests.harness.data.figures import standing

Array = NDArray[Any]

CALIBRATION = json.loads((Path(harness.data.__file__).with_name("h36m_cameras.json")).read_text(encoding="utf-8"))
CAMERAS = ("54138969", "55011271", "58860488", "60457274")
SIZES = ((1000, 1002), (1000, 1000), (1000, 1000), (1000, 1002))
#: Places of the 17 joints among the 32.
RECORDED = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
SYMMETRY = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]

#: Takes of VideoPose3D's archives with their frames: training in three, testing in two subjects, out of order.
TAKES: Mapping[str, Mapping[str, int]] = {
    "S5": {"Sitting 2": 7, "Directions 1": 5},
    "S1": {"Walking": 9, "Photo 1": 4},
    "S11": {"Walking 1": 6},
    "S9": {"Directions": 8, "Walking 1": 6},
}


def world_m(frames: int, seed: int = 0) -> Array:
    """(T, 17, 3) float32 metres: a person walking somewhere else for each seed."""
    walk = np.linspace(0, 0.5, frames)[:, None] * [np.cos(seed), np.sin(seed), 0] + [0.1 * seed % 0.4, 0.3, 0]
    return (standing(frames, 1.0 + 0.02 * (seed % 5)) + walk[:, None]).astype(np.float32)


def recorded(joints: Array, seed: int = 0) -> Array:
    """(T, 32, 3): the 17 joints where they are among the 32, the rest of no meaning."""
    everything = np.random.default_rng(seed).normal(size=(len(joints), 32, 3)).astype(np.float32)
    everything[:, RECORDED] = joints
    return everything


def camera_mm(world: Array, subject: str, camera: int) -> Array:
    """(T, 17, 3) world metres to camera space in millimetres, by the calibration's quaternion."""
    pose = CALIBRATION["extrinsics"][subject][camera]
    real, axis = pose["orientation"][0], -np.array(pose["orientation"][1:])
    moved = world.astype(np.float64) - np.array(pose["translation_m"])
    across = np.cross(axis, moved)
    return 1000.0 * (moved + 2.0 * (real * across + np.cross(axis, across)))


def projected(joints_mm: Array, camera: int) -> Array:
    """(T, 17, 2) pixels, with distortion."""
    lens = CALIBRATION["intrinsics"][camera]
    x, y = np.clip(joints_mm[..., 0] / joints_mm[..., 2], -1, 1), np.clip(joints_mm[..., 1] / joints_mm[..., 2], -1, 1)
    r2 = x**2 + y**2
    (k1, k2, k3), (p1, p2) = lens["radial_distortion"], lens["tangential_distortion"]
    gain = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * x + p2 * y
    (fx, fy), (cx, cy) = lens["focal_length"], lens["center"]
    return np.stack([fx * (x * gain + p1 * r2) + cx, fy * (y * gain + p2 * r2) + cy], axis=-1)


def in_image(joints_mm: Array, camera: int) -> tuple[Array, Array]:
    """The truth in the image (T, 17, 3), pixels, and millimetres a pixel (T,), as MotionBERT's pickle has them."""
    lens = CALIBRATION["intrinsics"][camera]
    depth = joints_mm[..., 2]
    factor = 2000.0 / (lens["focal_length"][0] * 2000.0 / depth[:, 0] + 1.0)
    flat = [joints_mm[..., axis] / depth * lens["focal_length"][axis] + lens["center"][axis] for axis in (0, 1)]
    return np.stack([*flat, (depth - depth[:, :1]) / factor[:, None]], axis=-1), factor


# VideoPose3D


def metadata(**changes: Any) -> dict[str, Any]:
    return {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": SYMMETRY} | changes


def poses_3d(takes: Mapping[str, Mapping[str, int]] = TAKES) -> dict[str, dict[str, Array]]:
    """What ``positions_3d`` holds."""
    return {
        subject: {take: recorded(world_of(subject, take, frames)) for take, frames in names.items()}
        for subject, names in takes.items()
    }


def world_of(subject: str, take: str, frames: int) -> Array:
    """(T, 17, 3) metres: where the person of a take is."""
    return world_m(frames, seed=sum(f"{subject} {take}".encode()))


def keypoints_2d(
    takes: Mapping[str, Mapping[str, int]] = TAKES, more_frames: int = 2, offset: float = 0.0
) -> dict[str, dict[str, list[Array]]]:
    """What ``positions_2d`` holds: the projection, ``offset`` pixels off, with frames more than the 3D has."""
    return {
        subject: {
            take: [
                (projected(camera_mm(_longer(world_of(subject, take, frames), more_frames), subject, camera), camera)
                 + offset).astype(np.float32)
                for camera in range(4)
            ]
            for take, frames in names.items()
        }
        for subject, names in takes.items()
    }  # fmt: skip


def _longer(joints: Array, frames: int) -> Array:
    return np.concatenate([joints, np.repeat(joints[-1:], frames, axis=0)])


def write_archives(folder: Path, detectors: Sequence[str] = ("gt", "cpn_ft_h36m_dbb")) -> Path:
    """Both kinds of archive in ``folder``; every detector but the first is three pixels off. Returns the 3D."""
    for number, name in enumerate(detectors):
        found = keypoints_2d(offset=3.0 * number)
        write_objects(folder / f"data_2d_h36m_{name}.npz", positions_2d=found, metadata=metadata())
    return write_objects(folder / "data_3d_h36m.npz", positions_3d=poses_3d())


def write_objects(path: Path, *, protocol: int | None = None, **objects: Any) -> Path:
    """An .npz of 0-d object arrays, as numpy writes them or by a pickle protocol of one's own choice."""
    arrays = {name: np.array(value, dtype=object) for name, value in objects.items()}
    if protocol is None:
        np.savez(path, **arrays)
        return path
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            npy.write_array_header_1_0(stream, npy.header_data_from_array_1_0(array))
            stream.write(python2(array) if protocol == 2 else pickle.dumps(array, protocol))
            archive.writestr(f"{name}.npy", stream.getvalue())
    return path


class _Python2(pickle._Pickler):  # type: ignore[name-defined]
    """Writes text and bytes as Python 2 wrote its strings."""

    def _string(self, value: str | bytes) -> None:
        content = value.encode("latin1") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + len(content).to_bytes(4, "little") + content)
        self.memoize(value)

    dispatch: ClassVar = {**pickle._Pickler.dispatch, str: _string, bytes: _string}  # type: ignore[attr-defined]


def python2(value: Any) -> bytes:
    """A pickle of protocol 2 as Python 2 would have written it."""
    stream = io.BytesIO()
    _Python2(stream, 2).dump(value)
    return stream.getvalue()


# MotionBERT

#: Videos of the pickle with their frames, in the file's order.
TRAIN_VIDEOS = {"s_05_act_04_subact_01_ca_01": 12, "s_01_act_14_subact_02_ca_04": 7, "s_01_act_02_subact_02_ca_02": 5}
TEST_VIDEOS = {"s_11_act_14_subact_01_ca_03": 9, "s_09_act_05_subact_02_ca_01": 6}
LABELS = {"s_11_act_14_subact_01_ca_03": "Walk", "s_09_act_05_subact_02_ca_01": "Greet"}


def video_mm(source: str, frames: int) -> tuple[Array, int]:
    """(T, 17, 3) camera space in millimetres and the number of the camera, of the video called ``source``."""
    subject, camera = f"S{int(source[2:4])}", int(source[-1]) - 1
    return camera_mm(world_m(frames, seed=sum(source[:-1].encode())), subject, camera), camera


def frames_content(videos: Mapping[str, int], test: bool, dtype: str = "f8") -> dict[str, Any]:
    """One half of the pickle; detections are three pixels off."""
    filmed = [video_mm(source, frames) for source, frames in videos.items()]
    images, factors = zip(*(in_image(joints, camera) for joints, camera in filmed), strict=True)
    image, factor = np.concatenate(images), np.concatenate(factors)
    random = np.random.default_rng(len(image))
    content: dict[str, Any] = {
        "joint_2d": (image[..., :2] + 3.0).astype(dtype),
        "confidence": random.uniform(0.2, 1, size=(len(image), 17)).astype(dtype),
        "joint3d_image": image.astype(dtype),
        "camera_name": np.repeat([CAMERAS[camera] for _, camera in filmed], list(videos.values())),
        "source": [source for source, frames in videos.items() for _ in range(frames)],
    }
    if test:
        labels = [LABELS.get(source, "Eating") for source in videos]
        content["action"] = np.repeat(labels, list(videos.values())).tolist()
        content["2.5d_factor"] = factor.astype(dtype)
        content["joints_2.5d_image"] = (image * factor[:, None, None]).astype(dtype)
    return content


def pickle_content(dtype: str = "f8") -> dict[str, Any]:
    """What MotionBERT's pickle holds."""
    return {
        "train": frames_content(TRAIN_VIDEOS, False, dtype),
        "test": frames_content(TEST_VIDEOS, True, dtype),
    }


def write_pickle(path: Path, content: Any, protocol: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path


def clip_content(number: int, frames: int = 9) -> dict[str, Array]:
    """What a sliced clip holds: normalised detections with confidence, and the truth."""
    random = np.random.default_rng(number)
    label = random.uniform(-0.5, 0.5, size=(frames, 17, 3)).astype(np.float32)
    found = label + random.normal(size=label.shape, scale=0.01).astype(np.float32)
    found[..., 2] = random.uniform(size=label.shape[:2])
    return {"data_input": found, "data_label": label}


def write_clips(folder: Path, train: int = 4, test: int = 2, frames: int = 9) -> Path:
    """Both halves of a sliced set; test clips are numbered on from 100 in ``clip_content``."""
    for part, first, number in (("train", 0, train), ("test", 100, test)):
        for clip in range(number):
            write_pickle(folder / part / f"{clip:08d}.pkl", clip_content(first + clip, frames), protocol=2)
    return folder
