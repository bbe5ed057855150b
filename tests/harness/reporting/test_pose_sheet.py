"""The sheet shows what the set has: colours by side, opacity by confidence, the error of the frame, always the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from harness.data.camera import Camera
from harness.data.sequence import Dataset
from harness.data.skeleton import BONES, LEFT, RIGHT
from harness.errors import BadInput, CannotWrite
from harness.reporting import pose_sheet
from harness.reporting.palette import MUTED
from tests.harness.data.checks.people import CAMERA, filmed, in_image, walker_mm


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    names = [f"S{subject}/{action}/1/c" for subject in range(4) for action in ("Walk", "Sit", "Run")]
    sequences = [filmed(name, walker_mm(30), noise_px=3.0) for name in names]
    return Dataset("x", "sh", tuple(sequences[:9]), tuple(sequences[9:]))


def one(sequence: object) -> Figure:
    return pose_sheet.sheet(Dataset("x", "gt", (sequence,), ()), 1)  # type: ignore[arg-type]


def bones(figure: Figure, panel: int) -> list[LineCollection]:
    return [found for found in figure.axes[panel].collections if isinstance(found, LineCollection)]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in (*axes.texts, axes.title, axes._left_title)]  # type: ignore[attr-defined]


def test_the_same_set_gives_the_same_bytes(dataset: Dataset, tmp_path: Path) -> None:
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")):
        for name in ("one", "other"):
            pose_sheet.draw(dataset, tmp_path / f"{name}{suffix}", 1)
        content = (tmp_path / f"one{suffix}").read_bytes()
        assert content.startswith(start)
        assert content == (tmp_path / f"other{suffix}").read_bytes()


def test_rows_differ_in_all_they_can(dataset: Dataset) -> None:
    chosen = pose_sheet.choose(dataset, 4)
    assert len({sequence.subject for sequence in chosen}) == 4
    assert len({sequence.action for sequence in chosen}) == 3
    assert any(sequence in dataset.test for sequence in chosen)
    assert chosen == pose_sheet.choose(dataset, 4)
    assert pose_sheet.choose(dataset, 2) == chosen[:2]
    assert len(pose_sheet.choose(dataset, 99)) == 12
    assert len(set(map(id, pose_sheet.choose(dataset, 99)))) == 12


def test_a_row_for_each_with_its_names_and_error(dataset: Dataset) -> None:
    figure = pose_sheet.sheet(dataset, 3)
    assert len(figure.axes) == 12
    shown = texts(figure)
    for sequence in pose_sheet.choose(dataset, 3):
        assert f"{sequence.subject}   {sequence.action}   c" in shown
        error = np.linalg.norm(sequence.keypoints[15] - CAMERA.project(sequence.truth[15]), axis=-1).mean()
        assert f"frame 15 of 30, 2D {error:.1f} px from the truth (mean)" in shown


def test_sides_have_their_colours_in_every_view(dataset: Dataset) -> None:
    figure = one(dataset.train[0])
    expected = {
        side: to_rgba(colour)[:3]
        for side, colour in (
            ("left", pose_sheet.LEFT_SIDE),
            ("right", pose_sheet.RIGHT_SIDE),
            ("spine", pose_sheet.SPINE),
        )
    }
    by_joint = dict(zip((joint for _, joint in BONES), bones(figure, 0)[-1].get_colors(), strict=True))  # type: ignore[attr-defined]
    for joint, side in ((5, "left"), (13, "left"), (2, "right"), (16, "right"), (8, "spine"), (10, "spine")):
        assert tuple(by_joint[joint][:3]) == expected[side]
    number = {"left": len(LEFT), "right": len(RIGHT), "spine": len(BONES) - len(LEFT) - len(RIGHT)}
    for panel in range(4):
        colours = [tuple(colour[:3]) for colour in bones(figure, panel)[-1].get_colors()]  # type: ignore[attr-defined]
        assert {side: colours.count(expected[side]) for side in number} == number


def test_bones_are_as_opaque_as_their_fainter_end() -> None:
    sequence = filmed()
    sequence.confidence[30, 6] = 0.5
    sequence.confidence[30, 13] = 0.0
    drawn = bones(one(sequence), 0)[-1].get_colors()  # type: ignore[attr-defined]
    opacity = {joint: colour[3] for (_, joint), colour in zip(BONES, drawn, strict=True)}
    assert opacity[6] == pytest.approx(0.12 + 0.88 * 0.5)
    assert opacity[13] == pytest.approx(0.12)
    assert all(value == 1 for joint, value in opacity.items() if joint not in (6, 13))


def test_keypoints_lie_over_the_truth_in_the_image() -> None:
    sequence = filmed()
    sequence.keypoints[30, 13] += [40.0, -25.0]
    for panel in (0, 1):
        truth, found = bones(one(sequence), panel)
        assert {tuple(colour) for colour in truth.get_colors()} == {to_rgba(MUTED)}  # type: ignore[attr-defined]
        wrist = [joint for _, joint in BONES].index(13)
        shift = found.get_segments()[wrist][1] - truth.get_segments()[wrist][1]
        assert shift == pytest.approx([40.0, -25.0], abs=0.01)


def test_views_of_the_truth_are_upright_and_turned() -> None:
    sequence = filmed()
    figure = one(sequence)
    pose = sequence.truth[30] - sequence.truth[30, 0]
    for panel, across in ((2, 0), (3, 2)):
        axes = figure.axes[panel]
        low, high = axes.get_ylim()
        assert low > high  # down is y
        ends = [tuple(end) for bone in bones(figure, panel)[0].get_segments() for end in bone]
        expected = [tuple(pose[joint, [across, 1]]) for bone in BONES for joint in bone]
        assert np.allclose(sorted(ends), sorted(expected), atol=0.01)
        left, right = axes.get_xlim()
        assert all(left < x < right and high < y < low for x, y in ends)


def test_the_whole_image_is_framed_whatever_its_form() -> None:
    wide = Camera("handy", 1920, 1080, (1500.0, 1500.0), (960.0, 540.0))
    sequence = filmed(camera=wide, keypoints=wide.project(walker_mm()).astype(np.float32))
    axes = one(sequence).axes[0]
    frame = axes.patches[0]
    assert (frame.get_width(), frame.get_height()) == (1920, 1080)  # type: ignore[attr-defined]
    assert axes.get_aspect() == 1
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    assert left < 0
    assert right > 1920
    assert low > 1080
    assert high < 0


@pytest.mark.parametrize(("known", "grid"), [(True, "grid 500 mm"), (False, "grid 100 px")])
def test_truth_in_the_image_has_its_own_unit(known: bool, grid: str) -> None:
    sequence = in_image(filmed(), known)
    figure = one(sequence)
    assert texts(figure).count(grid) == 2
    head = bones(figure, 2)[0].get_segments()
    height = max(point[1] for bone in head for point in bone) - min(point[1] for bone in head for point in bone)
    assert height == pytest.approx(1500 if known else 430, rel=0.15)


def test_a_camera_that_is_not_known_shows_what_there_is() -> None:
    figure = one(filmed(camera=dataclasses.replace(CAMERA, focal=(np.nan, np.nan))))
    assert len(bones(figure, 0)) == 1
    assert "frame 30 of 60, 2D error not known" in texts(figure)


def test_joints_without_a_truth_are_left_out_of_it() -> None:
    sequence = filmed()
    sequence.truth[:, 10] = np.nan
    figure = pose_sheet.sheet(Dataset("x", "gt", (sequence,), (), joints=tuple(range(10))), 1)
    truth, found = bones(figure, 0)
    assert (len(truth.get_segments()), len(found.get_segments())) == (9, 16)
    assert len(bones(figure, 2)[0].get_segments()) == 9


def test_frames_that_do_not_count_are_not_drawn() -> None:
    sequence = filmed(valid=np.arange(60) >= 50)
    assert any(text.startswith("frame 55 of 60") for text in texts(one(sequence)))


def test_what_cannot_be_drawn_is_said(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"sheet.gif: a sheet is written as .png, .svg, .pdf"):
        pose_sheet.draw(dataset, tmp_path / "sheet.gif")
    with pytest.raises(BadInput, match="--sequences 0: a sheet shows at least 1"):
        pose_sheet.draw(dataset, tmp_path / "sheet.png", 0)
    nothing = Dataset("x", "gt", (filmed(valid=np.zeros(60, dtype=bool)),), ())
    with pytest.raises(BadInput, match="x: no frame can be drawn; harness data validate"):
        pose_sheet.draw(nothing, tmp_path / "sheet.png")
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite):
        pose_sheet.draw(dataset, tmp_path / "file" / "sheet.png", 1)
    assert not (tmp_path / "sheet.png").exists()
