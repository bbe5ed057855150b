"""``3dhp:PATH``: MPI-INF-3DHP as P-STMO's authors prepare it, ``data_train_3dhp.npz`` and ``data_test_3dhp.npz``.

Both hold one object array ``data``:

    train  {"S1 Seq1": [{"0": {"data_2d": (T, 17, 2), "data_3d": (T, 17, 3)}, ...}, fps], ...}, by recording and camera
    test   {"TS1": {"data_2d": ..., "data_3d": ..., "valid": (T,) 0 or 1}, ...}

2D is the set's own annotation in pixels; there are no detections. 3D is its ``univ_annot3``: millimetres in camera
space, scaled to one skeleton for all people. It stays absolute here; published readers subtract the pelvis. Layout
and image sizes were read in P-STMO's and MotionAGFormer's preparation and readers.

The files hold no calibration. ``harness.data.camera_estimate`` tells the cameras from 2D against 3D.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data import array_store, soundness
from harness.data.archive import read_objects
from harness.data.camera_estimate import estimate
from harness.data.mpi_inf_3dhp_joints import check_person, read_keypoints, read_poses_mm, read_valid
from harness.data.mpi_inf_3dhp_published import (
    TEST_SCENES,
    TRAIN_CAMERAS,
    TRAIN_RECORDINGS,
    TRAIN_SCENE,
    differences,
)
from harness.data.sequence import Dataset, Sequence
from harness.errors import BadInput, suggestion

NAME = "3dhp"
TRAIN_FILE, TEST_FILE = "data_train_3dhp.npz", "data_test_3dhp.npz"
#: Of the conversion below: to be raised when it makes something else of the same files.
VERSION = 1

_TRAIN_FPS = (25, 50)
#: The files do not say it, nor does any code that reads them; the published test videos are known to have it.
_TEST_FPS = 25
#: Width and height, pixels.
_STUDIO_IMAGE, _OUTDOOR_IMAGE = (2048, 2048), (1920, 1080)
#: Pixels, for each of the image's width: about 1500 in the studio.
_ASSUMED_FOCAL = 1500.0 / 2048.0
_NAMED_AT_MOST = 6

_SOURCE = (
    "https://github.com/paTRICK-swk/P-STMO#mpi-inf-3dhp links both files, and has the scripts that make them of the"
    " owners' set (https://vcai.mpi-inf.mpg.de/3dhp-dataset/)"
)
_EXPECTED = f"Expected a folder with {TRAIN_FILE} and {TEST_FILE}: {_SOURCE}. To try without data: --data synthetic"
_SCALED = "the 3D truth is univ_annot3, in which every person is scaled to one universal skeleton"


@dataclass(frozen=True)
class _View:
    """A recording seen by one camera: how it is called here, and where it is in a file."""

    subject: str
    scene: str
    clip: str
    camera: str
    image_size: tuple[int, int]
    fps: int
    where: str


def detectors(argument: str) -> tuple[str, ...]:
    """``gt`` alone: the set has annotations, no detections."""
    return ("gt",)


def load(argument: str, *, detector: str, seed: int, cache: Path | None) -> Dataset:
    """The set in the folder ``argument``, or in that of the file ``argument``.

    Where one of the two files is missing there is the other one's part alone, and a note says so. Raises BadInput
    naming what is wrong with file, recording, camera, frame and joint.
    """
    try:
        files = _files(argument)
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be read ({error.strerror})") from error
    return array_store.stored(files, NAME, lambda: _read(files), version=VERSION, cache=cache)


def _files(argument: str) -> list[Path]:
    path = Path(argument).expanduser()
    if not argument or not path.exists():
        raise BadInput(f"3dhp:{argument}: no such file or folder. {_EXPECTED}")
    if path.is_file() and path.name not in (TRAIN_FILE, TEST_FILE):
        raise BadInput(f"3dhp:{path}: is none of the set's files. {_EXPECTED}")
    folder = path.parent if path.is_file() else path
    files = [folder / name for name in (TRAIN_FILE, TEST_FILE) if (folder / name).exists()]
    if files:
        return files
    below = sorted(file.parent for name in (TRAIN_FILE, TEST_FILE) for file in folder.glob(f"*/{name}"))
    if below:
        raise BadInput(f"3dhp:{folder}: the files are one level below; give 3dhp:{below[0]}")
    raise BadInput(f"3dhp:{folder}: neither {TRAIN_FILE} nor {TEST_FILE} is in this folder. {_EXPECTED}")


def _read(files: Many[Path]) -> Dataset:
    readers = {TRAIN_FILE: _train_sequences, TEST_FILE: _test_sequences}
    found = {path.name: list(readers[path.name](path)) for path in files}
    train, test = (tuple(sequence for sequence, _ in found.get(name, ())) for name in (TRAIN_FILE, TEST_FILE))
    assumed = [f"{view.name} ({doubt})" for views in found.values() for view, doubt in views if doubt]
    dataset = Dataset(NAME, "gt", train, test, grouped_by="scene")
    return dataclasses.replace(dataset, notes=(_SCALED, *_notes(dataset, assumed)))


def _notes(dataset: Dataset, assumed: Many[str]) -> Iterator[str]:
    if not dataset.train:
        yield f"no {TRAIN_FILE} beside {TEST_FILE}, so nothing to train on: {_SOURCE}"
    if not dataset.test:
        yield f"no {TEST_FILE} beside {TRAIN_FILE}, so nothing to test on: {_SOURCE}"
    if unlike := differences(dataset):
        yield f"not as published: {'; '.join(unlike)}"
    if assumed:
        more = f" and {len(assumed) - _NAMED_AT_MOST} more" if len(assumed) > _NAMED_AT_MOST else ""
        yield (
            "focal length (1500 px at a width of 2048) and centre of the image are assumed, which matters to the space"
            f" image and to the floor zero depth alone: {', '.join(assumed[:_NAMED_AT_MOST])}{more}"
        )


def _train_sequences(path: Path) -> Iterator[tuple[Sequence, str]]:
    recordings = _recordings(path, TRAIN_RECORDINGS)
    for recording in [name for name in TRAIN_RECORDINGS if name in recordings]:
        where = f"{path}, {recording!r}"
        # Taken out, so that a file of gigabytes is not held beside what is made of it.
        views, fps = _views(recordings.pop(recording), where)
        subject, clip = recording.split()
        for camera in sorted(views):
            names = (subject, TRAIN_SCENE, clip, f"cam{camera}")
            yield _sequence(views[camera], _View(*names, _STUDIO_IMAGE, fps, f"{where}, camera {camera!r}"))


def _test_sequences(path: Path) -> Iterator[tuple[Sequence, str]]:
    recordings = _recordings(path, TEST_SCENES)
    for recording in sorted(recordings):
        where = f"{path}, {recording!r}"
        scene = TEST_SCENES[recording]
        image_size = _OUTDOOR_IMAGE if scene == "outdoor" else _STUDIO_IMAGE
        view = _View(recording, scene, "1", "cam", image_size, _TEST_FPS, where)
        valid = read_valid(soundness.entry(recordings[recording], "valid", where), f"{where}, valid")
        yield _sequence(recordings[recording], view, valid)


def _recordings(path: Path, known: Collection[str]) -> dict[str, Any]:
    return _named(soundness.entry(read_objects(path), "data", str(path)), known, f"{path}, data", "recording")


def _views(recording: Any, where: str) -> tuple[dict[str, Any], int]:
    """Entries by camera, and frames per second."""
    if not isinstance(recording, (list, tuple)) or len(recording) != 2:
        raise BadInput(
            f"{where}: is {type(recording).__name__}; expected the list [cameras, frames per second] of P-STMO's"
            " preparation"
        )
    views, fps = recording
    if not isinstance(fps, (int, float, np.number)) or fps not in _TRAIN_FPS:
        raise BadInput(f"{where}: {fps!r} frames per second; the set has 25 or 50")
    return _named(views, TRAIN_CAMERAS, f"{where}, cameras", "camera"), int(fps)


def _named(entries: Any, known: Collection[str], where: str, what: str) -> dict[str, Any]:
    if not isinstance(entries, dict) or not entries:
        shown = "empty" if isinstance(entries, dict) else type(entries).__name__
        raise BadInput(f"{where}: is {shown}; expected a dictionary by {what}: {', '.join(known)}")
    for name in entries:
        if name not in known:
            hint = suggestion(str(name), known)
            raise BadInput(f"{where}: unknown {what} {name!r}. {hint}There are: {', '.join(map(repr, known))}")
    return entries


def _sequence(entry: Any, view: _View, valid: NDArray[np.bool_] | None = None) -> tuple[Sequence, str]:
    """The sequence, and why its camera is assumed ("" where it is told from the joints)."""
    where = view.where
    keypoints = read_keypoints(soundness.entry(entry, "data_2d", where), f"{where}, data_2d")
    poses_mm = read_poses_mm(soundness.entry(entry, "data_3d", where), f"{where}, data_3d")
    arrays = {"data_2d": keypoints, "data_3d": poses_mm, **({} if valid is None else {"valid": valid})}
    soundness.same_length({key: len(array) for key, array in arrays.items()}, where)
    # Where a frame is not valid the annotation may be anything.
    scored = slice(None) if valid is None else valid
    check_person(poses_mm[scored], f"{where}, data_3d")
    camera, doubt = estimate(
        view.camera, view.image_size, keypoints[scored], poses_mm[scored], _ASSUMED_FOCAL * view.image_size[0]
    )
    take = f"{view.subject}/{view.scene}/{view.clip}"
    confidence = np.ones(keypoints.shape[:2], dtype=np.float32)
    sequence = Sequence(
        f"{take}/{view.camera}", view.subject, view.scene, take, camera, float(view.fps),
        keypoints, confidence, poses_mm, valid=valid,
    )  # fmt: skip
    return sequence, doubt
