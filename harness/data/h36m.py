"""``h36m:PATH``: Human3.6M, in whichever of the published layouts lies there.

    VideoPose3D's archives   data_3d_h36m.npz and data_2d_h36m_DETECTOR.npz   harness.data.h36m_videopose3d
    MotionBERT's pickle      h36m_sh_conf_cam_source_final.pkl                harness.data.h36m_motionbert
    clips sliced from it     H36M-SH/{train,test}/00000000.pkl                harness.data.h36m_clips

A file names its layout; a folder is of the layout whose files lie in it. The set itself is not handed on by anybody but
its owners, and none of it comes with this project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from harness.data import h36m_clips, h36m_motionbert, h36m_videopose3d
from harness.data.h36m_clips import SlicedClips
from harness.data.h36m_motionbert import Pickle
from harness.data.h36m_videopose3d import Archives
from harness.data.sequence import Dataset
from harness.errors import BadInput

EXPECTED = (
    "Expected VideoPose3D's data_3d_h36m.npz with data_2d_h36m_DETECTOR.npz (to be made and downloaded as its"
    " DATASETS.md says), MotionBERT's h36m_sh_conf_cam_source_final.pkl (linked in its docs/pose3d.md), or the clips"
    " that are sliced from that ({train,test}/00000000.pkl, …). Human3.6M's licence is given at"
    " vision.imar.ro/human3.6m. To try without data: --data synthetic"
)
#: Folders this far below the one that was given are searched for a hint.
_DEPTH = 2
#: So many places are named in a hint.
_NAMED = 4


class Layout(Protocol):
    """The files of one layout at one place."""

    @property
    def detectors(self) -> tuple[str, ...]: ...

    def load(self, detector: str, cache: Path | None) -> Dataset: ...


def detectors(argument: str) -> tuple[str, ...]:
    """Names of the sources of 2D keypoints at the path ``argument``, the one to take unless told otherwise first.

    Raises BadInput where nothing of Human3.6M is there, or only a part of it.
    """
    return _layout(argument).detectors


def load(argument: str, *, detector: str, seed: int, cache: Path | None) -> Dataset:
    """The set at the path ``argument`` with the keypoints of ``detector``; nothing in it is drawn, whatever the seed.

    Raises BadInput naming what is wrong, in which file and where in it.
    """
    return _layout(argument).load(detector, cache)


def _layout(argument: str) -> Layout:
    if not argument:
        raise BadInput(f"h36m: which path? {EXPECTED}")
    path = Path(argument).expanduser()
    try:
        if path.is_dir():
            return _in_folder(path)
        if path.is_file():
            return _of_file(path)
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be read ({error.strerror})") from error
    raise BadInput(f"h36m:{path}: no such file or folder. {EXPECTED}")


def _of_file(path: Path) -> Layout:
    if h36m_clips.is_clip(path):
        raise BadInput(f"h36m:{path}: is a single clip; use h36m:{path.absolute().parent.parent}")
    if path.suffix == ".pkl":
        return Pickle(path)
    if archives := h36m_videopose3d.named(path):
        return archives
    raise BadInput(f"h36m:{path}: not called as a file of any layout is. {EXPECTED}")


def _in_folder(folder: Path) -> Layout:
    archives, pickles, clips = h36m_videopose3d.find(folder), h36m_motionbert.find(folder), h36m_clips.find(folder)
    if archives and (pickles or clips):
        raise BadInput(f"h36m:{folder}: holds files of two layouts. {_one_layout(archives, pickles)}")
    if pickles:
        return _one_of(pickles, folder, _sliced(folder))
    if clips:
        return _uncut(clips) or clips
    if archives:
        return archives
    raise BadInput(f"h36m:{folder}: nothing of Human3.6M in this folder. {_hint(folder)}")


def _one_layout(archives: Archives, pickles: list[Path]) -> str:
    files = " or ".join(f"h36m:{path}" for path in (archives.poses, *pickles))
    return f"Name the file to use: {files}" + ("" if pickles else ", or put the clips in a folder of their own")


def _one_of(pickles: list[Path], folder: Path, clips: Path | None) -> Pickle:
    if len(pickles) > 1:
        raise BadInput(f"h36m:{folder}: which of these pickles? Use {' or '.join(f'h36m:{path}' for path in pickles)}")
    return Pickle(pickles[0], clips)


def _sliced(folder: Path) -> Path | None:
    return next((place for place in (folder, *_below(folder)) if h36m_clips.find(place)), None)


def _uncut(clips: SlicedClips) -> Pickle | None:
    """The pickle that clips were cut from, if it is where their authors' scripts have it: one or two folders above."""
    folder = clips.folder.absolute()
    for place in (folder.parent, folder.parent.parent):
        if pickles := h36m_motionbert.find(place):
            return _one_of(pickles, place, clips.folder)
    return None


def _hint(folder: Path) -> str:
    """Where the files are, if they are near; else which they are."""
    if any(h36m_clips.is_clip(path) for path in folder.iterdir()):
        return f"It holds one half of sliced clips: use h36m:{folder.absolute().parent}"
    places = [place for place in _below(folder) if _holds_any(place)]
    if places:
        more = ", …" if len(places) > _NAMED else ""
        return f"Found in {places[0]}: use {' or '.join(f'h36m:{place}' for place in places[:_NAMED])}{more}"
    return EXPECTED


def _holds_any(folder: Path) -> bool:
    return bool(h36m_videopose3d.find(folder) or h36m_motionbert.find(folder) or h36m_clips.find(folder))


def _below(folder: Path, depth: int = _DEPTH) -> Iterator[Path]:
    """Folders below that may be looked into, the near ones first."""
    inside = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    folders = [path for path in inside if os.access(path, os.R_OK | os.X_OK) and path.is_dir()]
    yield from folders
    if depth > 1:
        for inner in folders:
            yield from _below(inner, depth - 1)
