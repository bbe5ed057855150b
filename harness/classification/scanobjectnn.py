"""ScanObjectNN (Uy et al., ICCV 2019): scanned objects of 15 classes, 2,048 points a cloud, in three versions.

The file names are those of the set's own archive and of datasets/ScanObjectNNDataset.py in xhanxu/Mamba3D at b519a9c.
Clouds are taken as they are stored, and training turns them about the y axis, as there; where fewer points are asked
for than are stored, they are farthest points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.classification import farthest_points, hdf5
from harness.classification.cloud_set import CloudSet, kept_points, require_points

DEFAULT_POINTS = 2048
#: In the order of their labels (shape_names_ext.txt of github.com/hkust-vgd/scanobjectnn).
CLASSES = (
    "bag", "bin", "box", "cabinet", "chair", "desk", "display", "door", "shelf", "table", "bed", "pillow", "sink",
    "sofa", "toilet",
)  # fmt: skip
#: Version -> folder and file names, of training and test.
VERSIONS: Mapping[str, tuple[str, str, str]] = {
    "scanobjectnn": (
        "main_split", "training_objectdataset_augmentedrot_scale75.h5", "test_objectdataset_augmentedrot_scale75.h5",
    ),
    "scanobjectnn-objbg": ("main_split", "training_objectdataset.h5", "test_objectdataset.h5"),
    "scanobjectnn-objonly": ("main_split_nobg", "training_objectdataset.h5", "test_objectdataset.h5"),
}  # fmt: skip
#: PB_T50_RS has each object in five random perturbations (Uy et al.), and its test set 2,882 clouds of 581 objects.
COPIES = (
    "the test clouds are perturbed copies, about five of each object, and not independent of each other: the 95 %"
    " interval of OA is too narrow"
)
SOURCE = (
    "ScanObjectNN's h5_files.zip is handed out on hkust-vgd.github.io/scanobjectnn after its terms are agreed to."
    " To try without data: --data shapes"
)


def load(version: str, folder: Path, points: int, cache: Path | None, progress: Callable[[float], None]) -> CloudSet:
    """One of VERSIONS in ``folder``, which is that of the files or the one above it; farthest points are kept in
    the folder ``cache``.

    ``scanobjectnn`` is PB_T50_RS, the hardest. Raises BadInput naming the files that are missing, or what is wrong in
    one of them.
    """
    inner, *names = VERSIONS[version]
    place = folder / inner if (folder / inner).is_dir() else folder
    paths = [place / name for name in names]
    hdf5.require_files(paths, SOURCE)
    train, test = (hdf5.read(path, len(CLASSES)) for path in paths)
    for clouds, path in ((train, paths[0]), (test, paths[1])):
        require_points(clouds, points, str(path))
    whole = test.points.shape[1] == points
    return CloudSet(
        name=version,
        classes=CLASSES,
        train=train if whole else farthest_points.thinned(train, kept_points(points), cache, progress),
        test=farthest_points.thinned(test, points, cache, progress),
        normalised="stored",
        sampled="stored" if whole else "farthest",
        augmentation="rotate-y",
        doubts=(COPIES,) if version == "scanobjectnn" else (),
    )
