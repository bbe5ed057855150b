"""HDF5 files of labelled point clouds: the datasets ``data`` (N, M, 3) and ``label`` (N,) or (N, 1)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import zip_members
from harness.classification.cloud_set import Clouds, checked
from harness.data.textfile import mistaken_for
from harness.errors import BadInput

_DATASETS = ("data", "label")
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def require_files(paths: Sequence[Path], source: str) -> None:
    """Raises BadInput naming each of ``paths`` that is not there, and ``source``, where to get them."""
    if missing := [path for path in paths if not path.is_file()]:
        raise BadInput(f"not found: {', '.join(map(str, missing))}. {source}")


def read(path: Path, classes: int) -> Clouds:
    """The clouds of one file.

    Raises BadInput naming it where h5py is not installed, the file is damaged or no HDF5 file, a dataset is missing, or
    what is in it is wrong (see ``checked``).
    """
    try:
        import h5py
    except ImportError as error:
        raise BadInput(f"{path}: HDF5 files need h5py; install it: pip install 'h5py>=3.8'") from error
    _require_hdf5(path)
    try:
        with h5py.File(path, "r") as file:
            points, labels = (_array(file, name, path) for name in _DATASETS)
    except (OSError, RuntimeError, KeyError) as error:
        raise BadInput(f"{path}: damaged or cut short ({error}); copy or download it again") from error
    return checked(points, labels, classes, str(path))


def read_all(paths: Sequence[Path], classes: int) -> Clouds:
    """The clouds of several files one after the other. Raises BadInput also where their numbers of points differ."""
    parts = [read(path, classes) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.points.shape[1] != parts[0].points.shape[1]:
            raise BadInput(
                f"{path}: clouds of {part.points.shape[1]} points; those of {paths[0]} have {parts[0].points.shape[1]}"
            )
    return Clouds(np.concatenate([part.points for part in parts]), np.concatenate([part.labels for part in parts]))


def _require_hdf5(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error
    if not head.startswith(_SIGNATURE):
        raise BadInput(f"{path}: is no HDF5 file but {mistaken_for(head) or 'something else'}")


def _array(file: Any, name: str, path: Path) -> NDArray[Any]:
    import h5py

    # Before anything is opened: it might be any file of this machine.
    if not isinstance(file.get(name, h5py.HardLink(), getlink=True), h5py.HardLink):
        raise BadInput(f"{path}: refused, since {name!r} is a link to elsewhere; expected a dataset of the file itself")
    if name not in file:
        raise BadInput(f"{path}: has no dataset {name!r}, only {', '.join(sorted(file)) or 'nothing'}")
    found = file[name]
    if not hasattr(found, "shape"):
        raise BadInput(f"{path}: {name!r} is a group; expected a dataset")
    if found.external or found.is_virtual:
        raise BadInput(f"{path}: refused, since the numbers of {name!r} lie in other files; expected them in this one")
    # Of what was never written, HDF5 makes as many zeros as the shape says.
    if found.nbytes > zip_members.most_bytes(path.stat().st_size):
        raise BadInput(f"{path}: refused, since {name!r} would unpack to {found.nbytes:,} bytes; is it whole?")
    return np.asarray(found[()])
