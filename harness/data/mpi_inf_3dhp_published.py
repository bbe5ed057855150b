"""What MPI-INF-3DHP has in the form that papers use, to tell whether a copy of it is whole.

Recordings, cameras, frames and frame rates were read in P-STMO's preparation (``common/utils_3dhp.py``), valid frames
and scenes in the notes beside the owners' evaluation code that it ships. A copy that differs is loaded all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harness.data.sequence import Dataset, Sequence

#: Frames and frames per second of the training recordings.
TRAIN_RECORDINGS: Mapping[str, tuple[int, int]] = {
    "S1 Seq1": (6416, 25), "S1 Seq2": (12430, 50), "S2 Seq1": (6502, 25), "S2 Seq2": (6081, 25),
    "S3 Seq1": (12488, 50), "S3 Seq2": (12283, 50), "S4 Seq1": (6171, 25), "S4 Seq2": (6675, 25),
    "S5 Seq1": (12820, 50), "S5 Seq2": (12312, 50), "S6 Seq1": (6188, 25), "S6 Seq2": (6145, 25),
    "S7 Seq1": (6239, 25), "S7 Seq2": (6320, 25), "S8 Seq1": (6468, 25), "S8 Seq2": (6054, 25),
}  # fmt: skip
#: Cameras that the preparation takes of the set's.
TRAIN_CAMERAS: tuple[str, ...] = ("0", "1", "2", "4", "5", "6", "7", "8")
#: Valid frames of the test recordings.
TEST_VALID_FRAMES: Mapping[str, int] = {"TS1": 603, "TS2": 540, "TS3": 505, "TS4": 553, "TS5": 276, "TS6": 452}
TRAIN_SCENE = "green screen"
TEST_SCENES: Mapping[str, str] = {
    "TS1": "green screen", "TS2": "green screen", "TS3": "no green screen", "TS4": "no green screen",
    "TS5": "outdoor", "TS6": "outdoor",
}  # fmt: skip


def differences(dataset: Dataset) -> list[str]:
    """Where a loaded set is not as published: recordings, cameras, frames, frame rates and valid frames, a line each.

    A part without any sequence is not looked at.
    """
    found = [_train_difference(recording, dataset.train) for recording in TRAIN_RECORDINGS if dataset.train]
    found += [_test_difference(recording, dataset.test) for recording in TEST_VALID_FRAMES if dataset.test]
    return [difference for difference in found if difference]


def _train_difference(recording: str, train: Iterable[Sequence]) -> str:
    views = [view for view in train if view.take.split("/")[::2] == recording.split()]
    if not views:
        return f"{recording} is missing"
    absent = set(TRAIN_CAMERAS) - {view.camera.name.removeprefix("cam") for view in views}
    frames, fps = TRAIN_RECORDINGS[recording]
    others = [f"{len(view)} frames at {view.fps:g} fps" for view in views if (len(view), view.fps) != (frames, fps)]
    parts = [f"lacks camera {', '.join(sorted(absent))}"] if absent else []
    parts += [f"has {others[0]}, published are {frames} at {fps}"] if others else []
    return f"{recording} {' and '.join(parts)}" if parts else ""


def _test_difference(recording: str, test: Iterable[Sequence]) -> str:
    valid = [int(view.valid.sum()) for view in test if view.subject == recording and view.valid is not None]
    if not valid:
        return f"{recording} is missing"
    published = TEST_VALID_FRAMES[recording]
    return "" if valid == [published] else f"{recording} has {valid[0]} valid frames, published are {published}"
