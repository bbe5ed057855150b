"""``motion:PATH``: recorded motion as 17 joints, from .npz archives or from original BVH and ASF/AMC files.

An archive holds an array (T, 17, 3) in metres, z up, a clip, under the key SUBJECT/Action/clip. Beside it a
``motion.json`` may give the frame rate.

Rule for a folder: if archives lie in it directly, they are the set, and its subfolders are not looked at; archives
called ``*_train.npz`` are for training, ``*_test.npz`` for testing, others only used where none is called so. Otherwise
all original files in the folder and below it are the set. What is not parted by name is split by subject
(``harness.data.split``).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.data import originals, rig
from harness.data.archive import read_arrays
from harness.data.body import check_height, check_joints, leaning_axis
from harness.data.detector import PRESETS
from harness.data.sequence import Dataset
from harness.data.split import same_people, split_by_subject
from harness.data.take import Part, Take
from harness.errors import BadInput

NAME = "motion"
FPS = 50.0

_EXPECTED = (
    "Expected an .npz of clips, a folder with *_train.npz and *_test.npz, or a folder of BVH or ASF/AMC files."
    " To try without data: --data synthetic"
)
_PART_IN_NAME = re.compile(r"(?:^|[_\-.])(train|test)$", re.IGNORECASE)


def detectors(argument: str) -> tuple[str, ...]:
    """Presets of the simulated detector (``harness.data.detector``)."""
    return tuple(PRESETS)


def load(argument: str, *, detector: str, seed: int, cache: Path | None) -> Dataset:
    """The motion at the path ``argument`` before Human3.6M's cameras; raises BadInput naming what is wrong with it."""
    if not argument:
        raise BadInput(f"motion: which path? {_EXPECTED}")
    try:
        takes, notes = takes_at(Path(argument).expanduser())
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be read ({error.strerror})") from error
    notes += same_people(takes)
    axis = leaning_axis([take.joints_mm for take in takes])
    if axis:
        notes.append(f"people stand along {axis}, not along z: is the set {axis}-up? The cameras take z for up")
    return rig.film(takes, NAME, detector=detector, seed=seed, cache=cache, notes=notes)


def takes_at(path: Path) -> tuple[list[Take], list[str]]:
    """All takes at ``path``, parted, and notes on how they were found and read."""
    if not path.exists():
        raise BadInput(f"motion:{path}: no such file or folder. {_EXPECTED}")
    if path.is_dir():
        archives = sorted(file for file in path.iterdir() if file.suffix.lower() == ".npz" and file.name[0] != ".")
        return _from_archives(archives, path) if archives else _from_originals(path)
    if path.suffix.lower() == ".npz":
        return _from_archives([path], path.parent)
    if path.suffix.lower() in originals.SUFFIXES:
        return _split(*originals.read_file(path))
    raise BadInput(f"motion:{path}: not a kind of file that is read. {_EXPECTED}")


def _from_originals(folder: Path) -> tuple[list[Take], list[str]]:
    takes, notes = originals.read_folder(folder)
    archive = next(iter(sorted(folder.rglob("*.npz"))), None)
    if not takes:
        below = f" (but {archive.parent} holds .npz archives)" if archive else ""
        raise BadInput(f"motion:{folder}: nothing to read in this folder{below}. {_EXPECTED}")
    if archive:
        notes.append(f"original files are read, .npz archives in subfolders such as {archive.parent.name} are not")
    return _split(takes, notes)


def _split(takes: Sequence[Take], notes: list[str]) -> tuple[list[Take], list[str]]:
    parted, note = split_by_subject(takes)
    return parted, [*notes, note]


def _from_archives(archives: Sequence[Path], folder: Path) -> tuple[list[Take], list[str]]:
    fps, notes = _frame_rate(folder)
    parts = {archive: _part_in_name(archive) for archive in archives}
    used = [archive for archive in archives if parts[archive]] or list(archives)
    if len(used) < len(archives):
        left_out = ", ".join(archive.name for archive in archives if archive not in used)
        notes.append(f"not read, since neither _train nor _test ends its name: {left_out}")
    takes: dict[str, Take] = {}
    for archive in used:
        for take in _read_archive(archive, parts[archive] or "test", fps):
            if take.name in takes:
                raise BadInput(f"{archive}: {take.name!r} is in another archive of {folder} already")
            takes[take.name] = take
    if any(parts.values()):
        return list(takes.values()), notes
    return _split(list(takes.values()), notes)


def _part_in_name(archive: Path) -> Part | None:
    found = _PART_IN_NAME.search(archive.stem)
    if not found:
        return None
    return "train" if found[1].lower() == "train" else "test"


def _read_archive(archive: Path, part: Part, fps: float) -> list[Take]:
    takes = []
    for key, joints in read_arrays(archive).items():
        where = f"{archive}, array {key!r}"
        names = key.split("/")
        if len(names) != 3 or not all(names):
            raise BadInput(f"{where}: the key should be SUBJECT/Action/clip")
        check_joints(joints, where)
        check_height(joints, where)
        subject, action, clip = names
        takes.append(Take(subject, action, clip, fps, 1000.0 * joints.astype(np.float64), part))
    if not takes:
        raise BadInput(f"{archive}: holds no array; expected one (frames, 17, 3) a clip")
    return takes


def _frame_rate(folder: Path) -> tuple[float, list[str]]:
    """Frames per second of the archives in ``folder``, with a note where it is assumed or unusual."""
    description = folder / "motion.json"
    if not description.exists():
        return FPS, [f"no motion.json beside the archives: {FPS:g} fps assumed"]
    try:
        fps = float(json.loads(description.read_text(encoding="utf-8"))["fps"])
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise BadInput(
            f'{description}: cannot read "fps" ({error!r:.200}); expected a JSON object with a number'
        ) from error
    if not (math.isfinite(fps) and fps > 0):
        raise BadInput(f"{description}: {fps} fps; expected a positive number")
    return fps, [] if fps == FPS else [f"{fps:g} fps, by motion.json"]
