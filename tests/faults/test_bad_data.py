"""Data files that are not what they should be: refused with file, place and what to do, before anything is trained.

The loaders' own tests have many more of these; here each kind goes once through the command line.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.store.store import Store
from tests.faults.test_bad_inputs import Capture, refused
from tests.harness.cli.command import harness
from tests.harness.data import h36m_files
from tests.harness.data.figures import save, standing

RUN = ("run", "--model", "posemamba-xs", "--steps", "1", "--frames", "9", "--threads", "1")
FRAMES = 40


def refused_run(data: str, tmp_path: Path, capsys: Capture, *words: str) -> str:
    """What the refusal of a training on ``data`` says; nothing was recorded."""
    results = tmp_path / "results"
    said = refused(*RUN, "--data", data, "--results", results, *words, capsys=capsys)
    assert Store(results).latest() == []
    return said


# Motion


def spoiled(value: float) -> np.ndarray[Any, Any]:
    joints = standing(FRAMES)
    joints[7, 3, 1] = value
    return joints


@pytest.mark.parametrize(
    ("joints", "message"),
    [
        (spoiled(np.nan), "frame 7 (from 0), joint 3 (right ankle): nan in the 3D. Cut these frames out or fill them"),
        (spoiled(np.inf), "frame 7 (from 0), joint 3 (right ankle): inf in the 3D"),
        (1000 * standing(FRAMES), "these look like millimetres; convert to metres"),
        (standing(FRAMES).astype(np.int16), "holds int16; expected float32 metres"),
        (standing(0), "has no frame; expected at least 1"),
    ],
)
def test_arrays_that_are_no_person(joints: np.ndarray[Any, Any], message: str, tmp_path: Path, capsys: Capture) -> None:
    path = save(tmp_path / "set_train.npz", {"S1/Walk/1": joints})
    said = refused_run(f"motion:{tmp_path}", tmp_path, capsys)
    assert said.startswith(f"{path}, array 'S1/Walk/1': ")
    assert message in said


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (lambda content: b"", "is not an .npz but empty"),
        (lambda content: b"<!doctype html><html>404 Not Found</html>", "a web page"),
        (lambda content: content[: len(content) // 2], "is damaged or cut short; copy or download it again"),
        (lambda content: content[:600] + bytes([content[600] ^ 4]) + content[601:], "is damaged or cut short"),
    ],
    ids=["empty", "web page", "cut", "flipped bit"],
)
def test_an_archive_that_is_damaged(
    spoil: Callable[[bytes], bytes], cause: str, tmp_path: Path, capsys: Capture
) -> None:
    path = save(tmp_path / "set_train.npz", {"S1/Walk/1": standing(FRAMES)})
    path.write_bytes(spoil(path.read_bytes()))
    said = refused_run(f"motion:{tmp_path}", tmp_path, capsys)
    assert said.startswith(str(path))
    assert cause in said


class Malicious:
    """A pickle of it calls ``os.system``."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


def h36m_pickle(path: Path, protocol: int) -> str:
    path.write_bytes(pickle.dumps({"train": Malicious()}, protocol))
    return f"h36m:{path}"


def h36m_archive(path: Path, protocol: int) -> str:
    folder = path.parent
    h36m_files.write_archives(folder)
    h36m_files.write_objects(folder / "data_3d_h36m.npz", protocol=protocol, positions_3d=Malicious())
    return f"h36m:{folder}"


def motion_archive(path: Path, protocol: int) -> str:
    h36m_files.write_objects(path.with_name("set_train.npz"), protocol=protocol, **{"S1/Walk/1": Malicious()})
    return f"motion:{path.parent}"


@pytest.mark.parametrize("protocol", [0, 4])
@pytest.mark.parametrize(
    ("written", "named"),
    [(h36m_pickle, "posix.system"), (h36m_archive, "posix.system"), (motion_archive, "a pickle")],
)
def test_a_malicious_pickle_as_data(
    written: Callable[[Path, int], str],
    named: str,
    protocol: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = refused_run(written(tmp_path / "h36m_sh.pkl", protocol), tmp_path, capsys)
    assert named in said
    assert "refused" in said
    assert not (tmp_path / "pwned").exists()


# Human3.6M in VideoPose3D's archives


def archives(folder: Path, **changed: Any) -> str:
    """The two files with what is ``changed`` in the keypoints', as the data are named."""
    whole = {"positions_2d": h36m_files.keypoints_2d(), "metadata": h36m_files.metadata()}
    h36m_files.write_objects(folder / "data_2d_h36m_gt.npz", **{**whole, **changed})
    h36m_files.write_objects(folder / "data_3d_h36m.npz", positions_3d=h36m_files.poses_3d())
    return f"h36m:{folder}"


def keypoints(change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> dict[str, Any]:
    """Those of all takes, those of the first camera of S9's Walking 1 ``change``d."""
    found = h36m_files.keypoints_2d()
    found["S9"]["Walking 1"][0] = change(found["S9"]["Walking 1"][0])
    return found


def with_a_hole(view: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    view = view.copy()
    view[2, 4] = np.nan
    return view


@pytest.mark.parametrize(
    ("changed", "messages"),
    [
        (
            {"positions_2d": keypoints(lambda view: view[:5])},
            ("S9, 'Walking 1', camera 54138969: 5 frames of 2D, but 6 of 3D; are the two files of one set?",),
        ),
        (
            {"positions_2d": keypoints(with_a_hole)},
            ("S9, 'Walking 1', camera 54138969: nan at frame 2 (from 0), joint 4 (left hip)",
             "cut these frames out or fill them"),
        ),
        (
            {"positions_2d": keypoints(lambda view: view / 1000)},
            ("expected pixels, these look normalised to the image",),
        ),
        ({"positions_2d": keypoints(lambda view: view[:, :16])}, ("has shape (8, 16, 2); expected (frames, 17, 2)",)),
        ({"positions_2d": keypoints(lambda view: view[..., 0])}, ("has shape (8, 17); expected (frames, 17, 2)",)),
        (
            {"metadata": h36m_files.metadata(keypoints_symmetry=[list(range(1, 17, 2)), list(range(2, 17, 2))])},
            ("are not the 17 of Human3.6M", "this is COCO's order", "Take detections in Human3.6M's order"),
        ),
    ],
    ids=["too few frames", "a hole", "normalised", "16 joints", "one channel", "another order"],
)  # fmt: skip
def test_keypoints_that_do_not_go_with_the_truth(
    changed: dict[str, Any], messages: tuple[str, ...], tmp_path: Path, capsys: Capture
) -> None:
    said = refused_run(archives(tmp_path, **changed), tmp_path, capsys)
    assert str(tmp_path / "data_2d_h36m_gt.npz") in said
    for message in messages:
        assert message in said


def test_keypoints_far_outside_their_image(tmp_path: Path, capsys: Capture) -> None:
    """In pixels, where what is known of the camera says that there can be none such."""
    data = archives(tmp_path, positions_2d=keypoints(lambda view: 100 * view))
    said = refused_run(data, tmp_path, capsys)
    assert "but the image is given as 1000 x 1002; check the image size of the camera" in said
    assert "S9/Walking/1/54138969: keypoints reach " in said


@pytest.mark.parametrize(
    ("removed", "has"), [("data_3d_h36m.npz", "data_2d_h36m_gt.npz"), ("data_2d_h36m_gt.npz", "data_3d_h36m.npz")]
)
def test_one_of_two_files(removed: str, has: str, tmp_path: Path, capsys: Capture) -> None:
    data = archives(tmp_path)
    (tmp_path / removed).unlink()
    said = refused_run(data, tmp_path, capsys)
    assert said.startswith(f"{tmp_path}: has {has} but no ")
    assert "VideoPose3D's DATASETS.md says how" in said


def test_clips_need_not_be_sliced_beforehand(tmp_path: Path, capsys: Capture) -> None:
    """Where MotionBERT's own training wants a folder of slices, the pickle is enough: clips are cut in memory."""
    path = h36m_files.write_pickle(tmp_path / "h36m_sh_conf_cam_source_final.pkl", h36m_files.pickle_content())
    words = ("--data", f"h36m:{path}", "--protocol", "all", "--dry-run", "--results", tmp_path / "results")
    code, _, err = harness(*RUN, *words, capsys=capsys)
    assert code == 0, err
    assert "24 training and 15 test frames" in err
    assert not list(tmp_path.rglob("0*.pkl"))
