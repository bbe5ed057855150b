"""ModelNet40 (Wu et al., CVPR 2015) as point clouds: 9,840 or 9,843 to train on and 2,468 to test, of 40 classes.

Two forms of it are in use; the folder may be that of the files or the one above it.

* ``modelnet40_ply_hdf5_2048`` of PointNet's authors: ``ply_data_train0.h5`` to 4 and ``ply_data_test0.h5`` and 1, 2,048
  points a cloud, and ``shape_names.txt``. Farthest points are taken of them.
* the processed form of Point-BERT, Point-MAE and Mamba3D (datasets/ModelNetDataset.py at b519a9c):
  ``modelnet40_train_8192pts_fps.dat`` and ``..._test_...``, pickles of a list of points (8192, 6) and one of labels
  (1,), with ``modelnet40_shape_names.txt``. They are farthest points, in the order in which they were found.

Each cloud is brought into the unit ball by all of its points, as there, before fewer are taken.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.classification import farthest_points, hdf5
from harness.classification.cloud_set import Clouds, CloudSet, checked, in_unit_ball, kept_points, require_points
from harness.data import unpickle
from harness.data.textfile import read_text
from harness.errors import BadInput

NAME = "modelnet40"
DEFAULT_POINTS = 1024
CLASSES = 40
TRAIN_FILES = tuple(f"ply_data_train{number}.h5" for number in range(5))
TEST_FILES = tuple(f"ply_data_test{number}.h5" for number in range(2))
PROCESSED = {part: f"modelnet40_{part}_8192pts_fps.dat" for part in ("train", "test")}
HDF5_NAMES, PROCESSED_NAMES = "shape_names.txt", "modelnet40_shape_names.txt"
HDF5_FOLDER, PROCESSED_FOLDER = "modelnet40_ply_hdf5_2048", "modelnet40_normal_resampled"
SOURCE = (
    "ModelNet40 as HDF5 is modelnet40_ply_hdf5_2048.zip (linked from github.com/charlesq34/pointnet); the processed"
    " .dat files are linked from DATASET.md of github.com/lulutang0608/Point-BERT. To try without data: --data shapes"
)

Progress = Callable[[float], None]


def load(folder: Path, points: int, cache: Path | None, progress: Progress) -> CloudSet:
    """The set in ``folder``; what is dear to sample is kept in the folder ``cache``.

    Raises BadInput naming the files that are missing, or what is wrong in one of them.
    """
    for place in (folder / PROCESSED_FOLDER, folder):
        if any((place / name).exists() for name in PROCESSED.values()):
            return _processed(place, points)
    inner = folder / HDF5_FOLDER
    return _hdf5(inner if inner.is_dir() else folder, points, cache, progress)


def _hdf5(folder: Path, points: int, cache: Path | None, progress: Progress) -> CloudSet:
    hdf5.require_files([folder / name for name in (*TRAIN_FILES, *TEST_FILES, HDF5_NAMES)], SOURCE)
    classes = _class_names(folder / HDF5_NAMES)
    parts = []
    for names, count in ((TRAIN_FILES, kept_points(points)), (TEST_FILES, points)):
        whole = hdf5.read_all([folder / name for name in names], CLASSES)
        require_points(whole, points, str(folder))
        parts.append(farthest_points.thinned(_in_unit_ball(whole, folder), count, cache, progress))
    return _set(classes, *parts)


def _processed(folder: Path, points: int) -> CloudSet:
    paths = {part: folder / name for part, name in PROCESSED.items()}
    hdf5.require_files([*paths.values(), folder / PROCESSED_NAMES], SOURCE)
    classes = _class_names(folder / PROCESSED_NAMES)
    return _set(
        classes, _unpickled(paths["train"], points, kept_points(points)), _unpickled(paths["test"], points, points)
    )


def _unpickled(path: Path, points: int, count: int) -> Clouds:
    content = unpickle.read(path)
    rows = content if isinstance(content, (list, tuple)) else ()
    if len(rows) != 2 or not all(_is_list(row) for row in rows) or len(rows[0]) != len(rows[1]):
        raise BadInput(f"{path}: expected a list of point arrays and one of as many labels")
    clouds = checked(_points(rows[0], path), _labels(rows[1], path), CLASSES, str(path))
    require_points(clouds, points, str(path))
    return _in_unit_ball(clouds, path, count)


def _is_list(row: Any) -> bool:
    return isinstance(row, (list, tuple)) or (isinstance(row, np.ndarray) and row.ndim > 0)


def _points(arrays: Any, path: Path) -> NDArray[Any]:
    if not len(arrays):
        raise BadInput(f"{path}: its list of points is empty")
    for index, array in enumerate(arrays):
        if not isinstance(array, np.ndarray) or array.ndim != 2 or array.shape != arrays[0].shape:
            shape = getattr(array, "shape", type(array).__name__)
            raise BadInput(f"{path}: points[{index}] is of shape {shape}; expected (points, 3 or more), all alike")
    return np.stack([array[:, :3] for array in arrays])  # without normals


def _labels(labels: Any, path: Path) -> NDArray[Any]:
    """As the files have them, arrays (1,), or plain numbers."""
    try:
        return np.asarray(labels)
    except ValueError as error:
        raise BadInput(f"{path}: its labels are not alike; expected one whole number a cloud") from error


def _in_unit_ball(clouds: Clouds, where: Path, count: int | None = None) -> Clouds:
    """The first ``count`` points of each, normalised by all."""
    made = np.empty_like(clouds.points[:, :count])
    for index, cloud in enumerate(clouds.points):
        made[index] = in_unit_ball(cloud, f"{where}: cloud {index}")[:count]
    return Clouds(made, clouds.labels)


def _set(classes: tuple[str, ...], train: Clouds, test: Clouds) -> CloudSet:
    return CloudSet(NAME, classes, train, test, normalised="ball", sampled="farthest", augmentation="scale+shift")


def _class_names(path: Path) -> tuple[str, ...]:
    names = tuple(line.strip() for line in read_text(path, "a list of class names").splitlines() if line.strip())
    if len(set(names)) != CLASSES:
        raise BadInput(f"{path}: has {len(set(names))} different class names; ModelNet40 has {CLASSES}")
    return names
