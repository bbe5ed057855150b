"""One sequence file of 3DPW: a pickled dictionary of lists over the one or two persons.

Keys as the set's readme has them; read here are

    poses2d         (N, 3, 18) x, y and score of OpenPose's 18 joints, pixels; zeros where a joint was not found
    jointPositions  (N, 72) the 24 joints of SMPL's skeleton in the world, metres
    campose_valid   (N,) whether the camera's pose in that frame was fitted to the image
    cam_poses       (N, 4, 4) world to camera, metres; one for all persons, the camera is carried by hand
    cam_intrinsics  (3, 3), the same

and ``poses``, ``betas``, ``trans`` and ``genders`` of SMPL where they are asked for. ``poses2D`` and ``gender``, as the
readme spells them, are taken as well. betas are 10 or 300, those beyond the 10th zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import openpose18, smpl, soundness, unpickle
from harness.data.camera import Camera
from harness.errors import BadInput

Array = NDArray[Any]

#: Name of the camera, of which nothing but its matrices is known.
CAMERA = "moving"
IMAGE_SIZES = ((1920, 1080), (1080, 1920))

_SIZE_TOLERANCE_PX = 8
_DETECTIONS = ("poses2d", "poses2D")


@dataclass(frozen=True, eq=False)
class Body:
    """SMPL's own description of a person: ``poses`` (N, 72), ``betas`` (10 or more,), ``translations_m`` (N, 3)."""

    gender: str
    poses: Array
    betas: Array
    translations_m: Array


@dataclass(frozen=True, eq=False)
class Person:
    """One person of a file.

    where        file and person, for messages
    detections   (N, 18, 3) x, y, score
    skeleton_m   (N, 24, 3) SMPL's joints in the world
    valid        (N,) whether the camera's pose was fitted to the image
    body         None unless it was asked for
    """

    number: int
    where: str
    detections: Array
    skeleton_m: Array
    valid: NDArray[np.bool_]
    body: Body | None


@dataclass(frozen=True, eq=False)
class Recording:
    """One file: ``rotations`` (N, 3, 3) and ``translations_m`` (N, 3) take the world to the camera, frame by frame.

    The pose of a frame that is valid for nobody can be anything, NaN too.
    """

    name: str
    camera: Camera
    rotations: Array
    translations_m: Array
    persons: tuple[Person, ...]


def read(path: Path, with_body: bool = False) -> Recording:
    """One sequence file; ``with_body`` reads what SMPL needs as well.

    Raises BadInput naming file, key, person, frame and joint of what is not as it should be.
    """
    content = unpickle.read(path)
    poses = soundness.array(soundness.entry(content, "cam_poses", str(path)), f"{path}, 'cam_poses'", None, 4, 4)
    poses = poses.astype(np.float64)
    camera = _camera(content, path)
    file = _File(path, content, len(poses))
    persons = tuple(_person(file, number, with_body) for number in range(file.persons))
    _check_poses(poses, np.any([person.valid for person in persons], axis=0), f"{path}, 'cam_poses'")
    return Recording(path.stem, camera, poses[:, :3, :3], poses[:, :3, 3], persons)


class _File:
    """The lists over persons in a file."""

    def __init__(self, path: Path, content: dict[str, Any], frames: int) -> None:
        self.path, self._content, self._frames = path, content, frames
        self.persons = len(self._listed(self._key(_DETECTIONS)))

    def entry(self, person: int, *keys: str) -> tuple[Any, str]:
        """What the person has under the one of ``keys`` that is there, and the words for where that is."""
        key = self._key(keys)
        listed = self._listed(key)
        if len(listed) != self.persons:
            raise BadInput(
                f"{self.path}, {key!r}: has {len(listed)} persons, but {self._key(_DETECTIONS)!r} has {self.persons}"
            )
        return listed[person], f"{self.path}, {key!r} of person {person}"

    def over_frames(self, person: int, keys: tuple[str, ...], *shape: int) -> tuple[Array, str]:
        """The same as an array (N, *shape) of numbers, one row a frame of the file."""
        value, where = self.entry(person, *keys)
        found = np.shape(value) if isinstance(value, np.ndarray) else ()
        if len(shape) == 2 and found[1:] == shape[::-1]:
            raise BadInput(
                f"{where}: has shape {found}; expected (frames, {shape[0]}, {shape[1]}), x, y and score before the"
                " joints: exchange the last two axes"
            )
        array = soundness.array(value, where, None, *shape)
        if len(array) != self._frames:
            raise BadInput(f"{where}: has {len(array)} frames, but 'cam_poses' has {self._frames}")
        return array.astype(np.float64), where

    def _key(self, keys: tuple[str, ...]) -> str:
        return next((key for key in keys if key in self._content), keys[0])

    def _listed(self, key: str) -> Any:
        value = soundness.entry(self._content, key, str(self.path))
        is_list = isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)
        if not is_list or not len(value):
            found = "an empty list" if is_list else type(value).__name__
            raise BadInput(f"{self.path}, {key!r}: is {found}; expected a list with one entry a person")
        return value


def _person(file: _File, number: int, with_body: bool) -> Person:
    detections, where = file.over_frames(number, _DETECTIONS, 3, len(openpose18.JOINTS))
    detections = np.swapaxes(detections, 1, 2)
    soundness.finite(detections, where, openpose18.JOINTS)
    flat, where = file.over_frames(number, ("jointPositions",), 3 * len(smpl.JOINTS))
    skeleton_m = flat.reshape(-1, len(smpl.JOINTS), 3)
    soundness.finite(skeleton_m, where, smpl.JOINTS)
    valid, where = file.over_frames(number, ("campose_valid",))
    soundness.finite(valid, where)
    body = _body(file, number) if with_body else None
    return Person(number, f"{file.path}, person {number}", detections, skeleton_m, valid.astype(bool), body)


def _body(file: _File, number: int) -> Body:
    poses, where = file.over_frames(number, ("poses",), 3 * len(smpl.JOINTS))
    soundness.finite(poses.reshape(-1, len(smpl.JOINTS), 3), where, smpl.JOINTS)
    translations_m, where = file.over_frames(number, ("trans",), 3)
    soundness.finite(translations_m[:, None], where)
    value, where = file.entry(number, "betas")
    betas = soundness.array(np.ravel(value), where, None).astype(np.float64)
    if len(betas) < smpl.BETAS or not np.isfinite(betas).all():
        raise BadInput(f"{where}: expected at least {smpl.BETAS} finite numbers, found {betas.tolist()[:20]}")
    return Body(smpl.gender_of(str(file.entry(number, "genders", "gender")[0])), poses, betas, translations_m)


def _camera(content: Any, path: Path) -> Camera:
    where = f"{path}, 'cam_intrinsics'"
    matrix = soundness.array(soundness.entry(content, "cam_intrinsics", str(path)), where, 3, 3).astype(np.float64)
    focal, centre = (float(matrix[0, 0]), float(matrix[1, 1])), (float(matrix[0, 2]), float(matrix[1, 2]))
    rebuilt = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])
    if not np.allclose(matrix, rebuilt, atol=1e-6) or min(*focal, *centre) <= 0:
        raise BadInput(f"{where}: is {matrix.tolist()}; expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels")
    return Camera(CAMERA, *_image_size(2 * centre[0], 2 * centre[1]), focal, centre)


def _image_size(width: float, height: float) -> tuple[int, int]:
    """The one of the set's sizes that these are meant to be, otherwise these."""
    for size in IMAGE_SIZES:
        if max(abs(width - size[0]), abs(height - size[1])) <= _SIZE_TOLERANCE_PX:
            return size
    return round(width), round(height)


def _check_poses(poses: Array, used: NDArray[np.bool_], where: str) -> None:
    """Raises BadInput for a frame whose pose is used and that takes no world to a camera."""
    soundness.finite(np.where(used, poses.sum(axis=(1, 2)), 0.0), where)
    frames = np.flatnonzero(used)
    rotations = poses[frames, :3, :3]
    is_motion = (
        (np.abs(rotations @ np.swapaxes(rotations, 1, 2) - np.eye(3)).max(axis=(1, 2)) < 0.01)
        & (np.linalg.det(rotations) > 0)
        & (np.abs(poses[frames, 3] - [0, 0, 0, 1]).max(axis=1) < 1e-4)
    )
    for frame in frames[~is_motion]:
        raise BadInput(
            f"{where}: frame {frame} (from 0) is no rotation with a translation in its last column and 0, 0, 0, 1 in"
            f" its last row: {np.round(poses[frame], 3).tolist()}"
        )
