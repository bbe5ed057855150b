"""The description says what is there, figure by figure, and its tables are aligned."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from harness.data import array_store, inspection
from harness.data.camera import Camera
from harness.data.sequence import Dataset, Sequence
from tests.harness.data.checks.people import CAMERA, filmed, in_image, walker_mm

PORTRAIT = Camera("handy", 1080, 1920, (1961.0, 1969.0), (540.0, 960.0))


def dataset() -> Dataset:
    lost = filmed("S2/Run/1/c", poses_mm=walker_mm(3000))
    lost.confidence[:300, 4] = 0
    lost.confidence[:30] = 0
    scored = filmed("S9/Walk/1/handy", poses_mm=walker_mm(1500), camera=PORTRAIT, valid=np.arange(1500) < 500)
    return Dataset(
        "made up",
        "cpn",
        train=(filmed("S1/Walk/1/c", poses_mm=walker_mm(6000)), filmed("S1/Walk/1/d", poses_mm=walker_mm(3000)), lost),
        test=(dataclasses.replace(scored, fps=25.0),),
        notes=("something to know " * 10,),
        joints=(1, 2, 3),
        joints_name="3",
        grouped_by="scene",
    )


def row(text: str, start: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(start + " ")]
    return line.split()


@pytest.fixture(scope="module")
def text() -> str:
    return inspection.describe(dataset(), "h36m:PATH")


def test_the_parts(text: str) -> None:
    assert row(text, "train") == ["train", "3", "2", "12,000", "12,000", "4.0", "2", "2", "2.5%", "0.2%"]
    assert row(text, "test") == ["test", "1", "1", "1,500", "500", "1.0", "1", "1", "0.0%", "0.0%"]
    assert "subjects   scenes" in text


def test_the_heading(text: str) -> None:
    assert text.splitlines()[0] == "h36m:PATH"
    assert "  detector  cpn" in text
    assert "  truth     in camera space, mm" in text
    assert "  scored    3 joints (3): right hip, right knee, right ankle" in text
    assert "  arrays    6,060 kB in memory, made at every start" not in text
    arrays = sum(
        array.nbytes
        for one in (*dataset().train, *dataset().test)
        for array in (one.keypoints, one.confidence, one.truth, one.valid)
        if array is not None
    )
    assert f"  arrays    {arrays / 1e3:,.0f} kB in memory" in text


def test_cameras_by_image_and_frame_rate(text: str) -> None:
    assert row(text, "1000 x 1002") == ["1000", "x", "1002", "50", "3", "12,000", "c"]
    assert row(text, "1080 x 1920") == ["1080", "x", "1920", "25", "1", "1,500", "handy"]


def test_many_cameras_are_counted() -> None:
    cameras = [dataclasses.replace(CAMERA, name=f"cam{number}") for number in range(9)]
    many = tuple(filmed(f"S1/A/1/{camera.name}", camera=camera) for camera in cameras)
    text = inspection.describe(Dataset("x", "gt", many, ()), "x")
    assert "cam0, cam1, cam2, cam3 and 5 more" in text


def test_frames_of_subjects_and_scenes(text: str) -> None:
    assert row(text, "S1") == ["S1", "9,000", "–", "S2", "3,000", "–", "S9", "–", "1,500"]
    assert row(text, "scene")[:3] == ["scene", "train", "test"]
    assert row(text, "Run") == ["Run", "3,000", "–", "Walk", "9,000", "1,500"]


def test_notes_are_wrapped(text: str) -> None:
    notes = text[text.index("note: ") :].splitlines()
    assert notes[0].startswith("note: something to know")
    assert len(notes) > 1
    assert all(line.startswith("      ") and line[6] != " " for line in notes[1:])


def test_everything_fits_the_terminal_and_columns_are_aligned() -> None:
    names = [f"person-{number:02d}" for number in range(23)]
    people = tuple(filmed(f"{name}/Walk/1/c", poses_mm=walker_mm(10 * (1 + len(name)))) for name in names)
    text = inspection.describe(Dataset("x", "gt", people, ()), "x")
    lines = text.splitlines()
    assert max(map(len, lines)) <= inspection.WIDTH
    (heading,) = [line for line in lines if line.startswith("subject ")]
    blocks = heading.count("subject")
    assert blocks > 1
    people_lines = lines[lines.index(heading) + 1 :][: -(-23 // blocks)]
    assert sum(line.count("person-") for line in people_lines) == 23
    ends = [place + len("train") for place in range(len(heading)) if heading.startswith("train", place)]
    for line in people_lines:
        assert all(line[end - 1].isdigit() and line[end] == " " for end in ends if end < len(line))


@pytest.mark.parametrize(
    ("known", "shown"), [(True, "known for 1 of 2 sequences, 3."), (False, "known for 0 of 2 sequences\n")]
)
def test_truth_in_the_image(known: bool, shown: str) -> None:
    two = (in_image(filmed(), known), in_image(filmed("S2/Walk/1/c"), known=False))
    text = inspection.describe(Dataset("x", "gt", two, ()), "x")
    assert f"in the image (2.5-D), pixels; mm per pixel {shown}" in text


def test_a_store_is_named_with_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a folder with blanks and-hyphens" / "set.bin"
    path.parent.mkdir()
    path.write_bytes(b"x")
    found = array_store.stored([path], "set", dataset, version=1)
    store = array_store.find(found)
    assert store is not None
    size = sum(file.stat().st_size for file in store.iterdir())
    assert inspection.storage(found) == f"{size / 1e3:,.0f} kB in {store}"
    assert size > 1e6


def test_a_part_without_sequences(text: str) -> None:
    only_test = Dataset("x", "gt", (), (filmed(),))
    described = inspection.describe(only_test, "x")
    assert row(described, "train") == ["train", "0", "0", "0", "0", "0.0", "0", "0", "–", "–"]


def test_sequences_of_no_frame() -> None:
    empty: Sequence = in_image(filmed()).at(slice(0))
    assert "known for 0 of 1" in inspection.describe(Dataset("x", "gt", (empty,), ()), "x")
