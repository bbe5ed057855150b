from __future__ import annotations

from pathlib import Path

import pytest

from harness.data import originals
from harness.errors import BadInput
from tests.harness.data.figures import STANDING_M, amc_text, asf_text, bvh_text, shared_motion

FRAMES_120 = [{"lradius": f"{number}.5"} for number in range(25)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A CMU take as AMC and as BVH, one of HDM05, and two of somebody's own."""
    for name in ("cmu", "hdm05", "bvh", "anna"):
        (tmp_path / name).mkdir()
    (tmp_path / "cmu/07.asf").write_text(asf_text())
    (tmp_path / "cmu/07_05.amc").write_text(amc_text(FRAMES_120))
    (tmp_path / "bvh/07_05.bvh").write_text(bvh_text([{}, {}], thorax_m=0.0))
    (tmp_path / "bvh/07_06.BVH").write_text(bvh_text([{}, {}], thorax_m=0.0))
    (tmp_path / "hdm05/HDM_bd.asf").write_text(asf_text())
    (tmp_path / "hdm05/HDM_bd_cartwheelLHandStart1Reps_001_100.amc").write_text(amc_text(FRAMES_120))
    (tmp_path / "anna/walk_01.bvh").write_text(bvh_text([{}, {}]))
    (tmp_path / "anna/123.bvh").write_text(bvh_text([{}, {}]))
    (tmp_path / "anna/._walk_01.bvh").write_bytes(b"\0\5\x16\7")
    return tmp_path


def test_names_rates_and_skeletons(folder: Path) -> None:
    takes, notes = originals.read_folder(folder)
    named = {take.name: take for take in takes}
    assert set(named) == {
        "CMU007/Unlabelled/07_05",
        "CMU007/Unlabelled/07_06",
        "HDM_bd/cartwheelLHandStart1Reps/HDM_bd_cartwheelLHandStart1Reps_001_100",
        "anna/walk/walk_01",
        "anna/Unlabelled/123",
    }
    assert all(take.fps == 50 for take in takes)
    # 25 frames: 10 steps of 2.4 at 120 frames a second, 12 steps of 2 at the 100 that HDM05's name gives.
    assert len(named["CMU007/Unlabelled/07_05"].joints_mm) == 11
    assert len(named["HDM_bd/cartwheelLHandStart1Reps/HDM_bd_cartwheelLHandStart1Reps_001_100"].joints_mm) == 13
    assert named["anna/walk/walk_01"].joints_mm[0] == pytest.approx(1000 * STANDING_M)
    for note in (
        "1 of 6 files: AMC, which carries no frame rate, taken as 120 fps",
        "1 of 6 files: resampled from 100 to 50 fps",
        "1 of 6 files: a take read already from another file, left out",
        "1 of 6 files: missing thorax bone put back, from the ASF skeleton",
    ):
        assert note in notes


def test_one_file_with_the_skeleton_beside_it(folder: Path) -> None:
    takes, _ = originals.read_file(folder / "cmu/07_05.amc")
    assert [take.name for take in takes] == ["CMU007/Unlabelled/07_05"]


def test_motion_without_its_skeleton(folder: Path) -> None:
    (folder / "cmu/07.asf").rename(folder / "cmu/08.asf")
    with pytest.raises(BadInput, match=r"07_05.amc: its skeleton is not there; expected .* such as 07.asf beside it"):
        originals.read_folder(folder)


def test_the_skeleton_with_the_longest_name_wins(folder: Path) -> None:
    (folder / "hdm05/HDM.asf").write_text("not a skeleton")
    originals.read_folder(folder)


def test_a_person_of_no_persons_size(folder: Path) -> None:
    tiny = asf_text().replace("length 0.45", "length 45")
    (folder / "cmu/07.asf").write_text(tiny)
    with pytest.raises(BadInput, match=r"07_05.amc: the person would be 0.0162 m"):
        originals.read_folder(folder)


def test_the_originals_of_the_motion_set() -> None:
    takes, notes = originals.read_folder(shared_motion() / "originals")
    assert len(takes) == 13
    assert {take.subject for take in takes if take.subject.startswith("HDM")} == {"HDM_bd", "HDM_bk", "HDM_tr"}
    assert any("from the ASF skeleton" in note for note in notes)
