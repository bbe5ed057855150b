"""A folder of original motion files, BVH and ASF/AMC, as takes of 17 joints at 50 frames a second.

Which skeleton an AMC belongs to is told by name: ``07_05.amc`` to ``07.asf``, ``HDM_bd_walk_001_120.amc`` to
``HDM_bd.asf``; the longest name wins, a skeleton in the same folder before others. A BVH file takes the thorax bone
of such a skeleton if there is one (see ``harness.data.mapping``). A take that is there in both formats is read
from the AMC.

Names follow the two databases where a file is called as theirs are: ``07_05`` is subject CMU007, and
``HDM_bd_walk_001_120`` is subject HDM_bd, action walk, 120 frames a second. Any other file is of the subject that its
folder is called, and its action is the letters that its name begins with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harness.data import acclaim, bvh, mapping
from harness.data.body import check_height
from harness.data.resampling import resample
from harness.data.take import Take
from harness.errors import BadInput

Array = NDArray[Any]

SUFFIXES = (".amc", ".bvh")
FPS = 50.0

#: AMC files carry no frame rate; CMU's and HDM05's were recorded at this one.
AMC_FPS = 120.0

_CMU_NAME = re.compile(r"(\d{2,3})_\d{2}")
_HDM05_NAME = re.compile(r"(HDM_[a-z]{2})_(.+)_\d+_(\d+)")
_LETTERS = re.compile(r"[^\W\d_]+")
UNLABELLED = "Unlabelled"


@dataclass(frozen=True)
class _Label:
    subject: str
    action: str
    clip: str
    amc_fps: float = AMC_FPS


def read_folder(folder: Path) -> tuple[list[Take], list[str]]:
    """Takes of all motion files in ``folder`` and below (none: an empty list), and notes on how they were read.

    Raises BadInput naming the first file that cannot be read, or that has no skeleton.
    """
    return _read(_files(folder, SUFFIXES), _files(folder, (".asf",)), folder)


def read_file(path: Path) -> tuple[list[Take], list[str]]:
    """The take of one motion file, with the skeletons that lie beside it; otherwise as ``read_folder``."""
    return _read([path], sorted(path.parent.glob("*.[aA][sS][fF]")), path.parent)


def _read(files: Sequence[Path], skeletons: Sequence[Path], folder: Path) -> tuple[list[Take], list[str]]:
    read_skeleton = cache(acclaim.read_skeleton)
    takes: dict[tuple[str, str], Take] = {}
    done: Counter[str] = Counter()
    for path in sorted(files, key=lambda file: (SUFFIXES.index(file.suffix.lower()), file)):
        label = _label(path, folder)
        if (label.subject, label.clip) in takes:
            done["a take read already from another file, left out"] += 1
            continue
        asf = _skeleton_of(path, skeletons)
        joints_m, fps, remarks = _read_file(path, read_skeleton(asf) if asf else None, label)
        done.update([*remarks, *([f"resampled from {fps:g} to {FPS:g} fps"] if fps != FPS else [])])
        check_height(joints_m, str(path))
        takes[label.subject, label.clip] = Take(
            label.subject, label.action, label.clip, FPS, 1000.0 * resample(joints_m, fps, FPS), "test"
        )
    return list(takes.values()), [f"{count} of {len(files)} files: {what}" for what, count in done.items()]


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    return sorted(path for path in folder.rglob("[!.]*") if path.suffix.lower() in suffixes)


def _read_file(path: Path, skeleton: acclaim.Skeleton | None, label: _Label) -> tuple[Array, float, list[str]]:
    """Joints (T, 17, 3) in metres at the file's frame rate, that rate, and remarks for the notes."""
    if path.suffix.lower() == ".bvh":
        motion = bvh.read(path)
        joints_m, remarks = mapping.from_bvh(motion, skeleton)
        return joints_m, motion.fps, ["BVH", *remarks]
    if skeleton is None:
        raise BadInput(
            f"{path}: its skeleton is not there; expected an ASF file that the name begins with, such as"
            f" {path.stem.rsplit('_', 1)[0]}.asf beside it"
        )
    ends = acclaim.bone_ends(skeleton, acclaim.read_motion(path, skeleton))
    remark = f"AMC, which carries no frame rate, taken as {label.amc_fps:g} fps"
    return mapping.from_acclaim(skeleton, ends), label.amc_fps, [remark]


def _skeleton_of(path: Path, skeletons: Sequence[Path]) -> Path | None:
    fitting = [asf for asf in skeletons if path.stem == asf.stem or path.stem.startswith(f"{asf.stem}_")]
    return max(fitting, key=lambda asf: (asf.parent == path.parent, len(asf.stem)), default=None)


def _label(path: Path, folder: Path) -> _Label:
    if cmu := _CMU_NAME.fullmatch(path.stem):
        return _Label(f"CMU{int(cmu[1]):03d}", UNLABELLED, path.stem)
    if hdm05 := _HDM05_NAME.fullmatch(path.stem):
        return _Label(hdm05[1], hdm05[2], path.stem, float(hdm05[3]))
    subject = "-".join(path.parent.relative_to(folder).parts) or folder.resolve().name
    action = _LETTERS.match(path.stem)
    return _Label(subject, action[0] if action else UNLABELLED, path.stem)
