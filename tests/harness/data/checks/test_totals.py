"""Published totals against what was loaded: equal is well, all else is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.data import h36m_contents
from harness.data.checks import totals
from harness.data.checks.look import Finding
from harness.data.mpi_inf_3dhp_published import TEST_SCENES, TEST_VALID_FRAMES, TRAIN_CAMERAS, TRAIN_RECORDINGS
from harness.data.sequence import Dataset, Sequence
from harness.errors import BadInput
from tests.harness.data.checks.people import CAMERA

_BIG = np.broadcast_to(np.float32(0), (2_000_000, 17, 3))


def sequence(name: str, frames: int, fps: float = 50.0, camera: str = "c", in_image: bool = False) -> Sequence:
    """Any number of frames that take no room."""
    subject, action, _, _ = name.split("/")
    arrays = (_BIG[:frames, :, :2], _BIG[:frames, :, 0], _BIG[:frames])
    one = Sequence(
        name, subject, action, name.rpartition("/")[0], dataclasses.replace(CAMERA, name=camera), fps, *arrays
    )
    return dataclasses.replace(one, mm_per_pixel=_BIG[:frames, 0, 0]) if in_image else one


def test_what_differs_is_named() -> None:
    expected = {"S1": 1200, "S5": 10, "S6": 7}
    assert totals.compare("frames", expected, expected) == Finding("frames", "ok", "S1 1,200, S5 10, S6 7")
    finding = totals.compare("frames", expected, {"S1": 1199, "S5": 11, "S2": 4})
    assert finding == Finding(
        "frames",
        "FAIL",
        "S1 has 1,199, published are 1,200; S5 has 11, published are 10; S6 is missing; S2 is not of the set",
    )


def test_long_lists_end_with_a_number() -> None:
    finding = totals.compare("frames", {f"S{number}": 1 for number in range(20)}, {})
    assert finding.detail.endswith("S7 is missing; and 12 more")


def _takes(subject: str, in_image: bool, frames: int) -> Iterator[Sequence]:
    """All takes of a subject before four cameras, ``frames`` over all."""
    number = h36m_contents.SUBJECT_TAKES[subject]
    labels = {word: label for label, word in h36m_contents.ACTION_ALIASES.items()} if in_image else {}
    for index in range(4 * number):
        take, camera = divmod(index, 4)
        action = h36m_contents.ACTIONS[take % 15]
        length = frames // (4 * number) + (index < frames % (4 * number))
        name = f"{subject}/{labels.get(action, action)}/{take // 15}/{h36m_contents.CAMERAS[camera]}"
        yield sequence(name, length, camera=h36m_contents.CAMERAS[camera], in_image=in_image)


def human36m(in_image: bool) -> Dataset:
    """As published, with frames spread evenly over takes, and over the two subjects of a common figure."""
    parts = h36m_contents.PICKLE_FRAMES if in_image else h36m_contents.ARCHIVE_FRAMES
    frames = {"S1": 248_376, "S5": 396_316, "S6": 249_864, "S7": 300_000, "S8": 365_196, "S9": 400_000}
    frames["S11"] = parts["test"] - 400_000
    everything = {subject: tuple(_takes(subject, in_image, number)) for subject, number in frames.items()}
    train = tuple(one for subject in ("S1", "S5", "S6", "S7", "S8") for one in everything[subject])
    return Dataset("h36m", "gt", train, (*everything["S9"], *everything["S11"]))


def failures(dataset: Dataset, spec: str = "h36m:PATH") -> dict[str, str]:
    return {finding.name: finding.detail for finding in totals.check(dataset, spec) if finding.verdict == "FAIL"}


@pytest.mark.parametrize("in_image", [False, True])
def test_the_whole_of_human36m(in_image: bool) -> None:
    findings = totals.check(human36m(in_image), "h36m:PATH")
    assert [finding for finding in findings if finding.verdict != "ok"] == []
    assert len(findings) == (4 if in_image else 5)
    shown = "566,920" if in_image else "543,344"
    assert findings[0].detail == f"train 1,559,752, test {shown}"


def test_a_take_that_is_missing() -> None:
    whole = human36m(in_image=False)
    gone = whole.train[130]
    found = failures(dataclasses.replace(whole, train=tuple(one for one in whole.train if one is not gone)))
    assert found == {
        "frames by part": f"train has {1_559_752 - len(gone):,}, published are 1,559,752",
        "frames by training subject": f"S5 has {396_316 - len(gone):,}, published are 396,316",
        "takes by subject and camera": f"S5 {gone.camera.name} has 29, published are 30",
    }


def test_a_frame_too_many_and_an_unknown_subject() -> None:
    whole = human36m(in_image=True)
    found = failures(dataclasses.replace(whole, train=(*whole.train, sequence("S2/Walk/1/c", 1, in_image=True))))
    assert found == {
        "frames by part": "train has 1,559,753, published are 1,559,752",
        "frames by training subject": "S2 is not of the set",
    }


def test_an_action_by_another_name() -> None:
    whole = human36m(in_image=False)
    test = tuple(
        dataclasses.replace(one, action="Wlk" if one.action == "Walking" else one.action) for one in whole.test
    )
    assert failures(dataclasses.replace(whole, test=test)) == {
        "test actions": "Walking is missing; Wlk is not of the set"
    }


def test_clips_that_do_not_say_whose_they_are() -> None:
    clips = Dataset("h36m", "sh", (sequence("unknown/unknown/1/c", 243, in_image=True),), ())
    (finding,) = totals.check(clips, "h36m:PATH")
    assert (finding.verdict, finding.detail) == ("?", "these files do not say which subject a sequence is of")


def mpi_inf_3dhp() -> Dataset:
    train = [
        sequence(f"{subject}/green screen/{clip}/cam{camera}", frames, fps, camera=f"cam{camera}")
        for (subject, clip), (frames, fps) in ((name.split(), size) for name, size in TRAIN_RECORDINGS.items())
        for camera in TRAIN_CAMERAS
    ]
    test = [
        dataclasses.replace(
            sequence(f"{name}/{TEST_SCENES[name]}/1/cam", frames + 9), valid=np.r_[np.ones(frames), np.zeros(9)] > 0
        )
        for name, frames in TEST_VALID_FRAMES.items()
    ]
    return Dataset("3dhp", "gt", tuple(train), tuple(test), grouped_by="scene")


def test_mpi_inf_3dhp() -> None:
    whole = mpi_inf_3dhp()
    assert [finding.verdict for finding in totals.check(whole, "3dhp:PATH")] == ["ok"]
    assert failures(dataclasses.replace(whole, test=whole.test[1:]), "3dhp:PATH") == {"totals": "TS1 is missing"}
    assert failures(dataclasses.replace(whole, train=()), "3dhp:PATH") == {"totals": "no train recordings"}


def test_3dpw_by_its_files(tmp_path: Path) -> None:
    dataset = Dataset("3dpw", "gt", (sequence("a/b/c/d", 3),), ())
    for part, number in (("train", 24), ("validation", 12), ("test", 23)):
        (tmp_path / "sequenceFiles" / part).mkdir(parents=True)
        for index in range(number):
            (tmp_path / "sequenceFiles" / part / f"{part}_{index}.pkl").touch()
    found = failures(dataset, f"3dpw:{tmp_path}")
    assert found == {"sequence files": "test has 23, published are 24"}
    (tmp_path / "sequenceFiles" / "test" / "last.pkl").touch()
    assert failures(dataset, f"3dpw:{tmp_path}") == {}
    with pytest.raises(BadInput, match="no such folder"):
        totals.check(dataset, "3dpw:nowhere")


def test_sets_of_no_known_size() -> None:
    for spec in ("motion:PATH", "synthetic"):
        (finding,) = totals.check(Dataset("motion", "gt", (sequence("a/b/c/d", 3),), ()), spec)
        assert finding.verdict == "?"
