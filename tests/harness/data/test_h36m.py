"""``h36m:PATH``: which layout lies there, and what is said where none does, two do, or one does in part."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data import h36m, load
from harness.data.source import resolve_detector
from harness.errors import BadInput
from tests.harness.data import h36m_files as files

SH, CPN = "h36m_sh_conf_cam_source_final.pkl", "h36m_cpn_cam_source.pkl"


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    folder = tmp_path / "VideoPose3D" / "data"
    folder.mkdir(parents=True)
    files.write_archives(folder)
    return folder


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    folder = tmp_path / "MotionBERT" / "data" / "motion3d"
    return files.write_pickle(folder / SH, files.pickle_content()).parent


@pytest.fixture
def sliced(tmp_path: Path) -> Path:
    return files.write_clips(tmp_path / "motion3d" / "MB3D_f243s81" / "H36M-SH")


def refused(path: Path | str) -> str:
    """The message, the same for the detectors and for the set."""
    messages = []
    for ask in (lambda: h36m.detectors(str(path)), lambda: load(f"h36m:{path}")):
        with pytest.raises(BadInput) as caught:
            ask()
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    return messages[0]


def test_a_folder_of_one_layout(archives: Path, pickled: Path, sliced: Path) -> None:
    assert {len(load(f"h36m:{folder}").test) for folder in (archives, pickled, sliced)} == {12, 2}
    assert load(f"h36m:{archives}").test[0].name == "S9/Directions/0/54138969"
    assert load(f"h36m:{pickled}").test[0].name == "s_11_act_14_subact_01_ca_03"
    assert load(f"h36m:{sliced}").test[0].name == "test/00000000"


def test_a_file_names_its_layout(archives: Path, pickled: Path) -> None:
    (archives / SH).write_bytes((pickled / SH).read_bytes())
    assert h36m.detectors(f"{archives}/data_3d_h36m.npz") == ("cpn", "gt")
    assert h36m.detectors(f"{archives}/{SH}") == ("sh", "gt")
    assert load(f"h36m:{archives}/data_3d_h36m.npz").space == "camera"
    assert load(f"h36m:{archives}/{SH}").space == "image"


def test_a_file_of_keypoints_is_the_detector(archives: Path) -> None:
    for name, detector in (("gt", "gt"), ("cpn_ft_h36m_dbb", "cpn")):
        path = archives / f"data_2d_h36m_{name}.npz"
        assert h36m.detectors(str(path)) == (detector,)
        assert load(f"h36m:{path}").detector == detector


def test_the_home_folder(archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(archives.parent))
    assert h36m.detectors("~/data") == ("cpn", "gt")


def test_the_seed_changes_nothing(archives: Path) -> None:
    one, other = (load(f"h36m:{archives}", seed=seed) for seed in (0, 1))
    assert (one.test[0].keypoints == other.test[0].keypoints).all()


def test_the_detector_unless_told_otherwise(archives: Path, pickled: Path) -> None:
    assert resolve_detector(f"h36m:{archives}") == "cpn"
    assert resolve_detector(f"h36m:{pickled}") == "sh"
    assert resolve_detector(f"h36m:{pickled}", "gt") == "gt"


def test_two_layouts_in_one_folder(archives: Path, pickled: Path) -> None:
    (archives / SH).write_bytes((pickled / SH).read_bytes())
    message = refused(archives)
    assert f"holds files of two layouts. Name the file to use: h36m:{archives}/data_3d_h36m.npz or " in message
    assert message.endswith(f"h36m:{archives}/{SH}")


def test_archives_and_clips_in_one_folder(archives: Path) -> None:
    files.write_clips(archives)
    assert refused(archives).endswith(f"h36m:{archives}/data_3d_h36m.npz, or put the clips in a folder of their own")
    assert load(f"h36m:{archives}/data_3d_h36m.npz").detector == "cpn"


def test_two_pickles_in_one_folder(pickled: Path) -> None:
    files.write_pickle(pickled / CPN, files.pickle_content())
    assert refused(pickled).endswith(f"which of these pickles? Use h36m:{pickled}/{CPN} or h36m:{pickled}/{SH}")
    assert load(f"h36m:{pickled}/{CPN}").detector == "cpn"


def test_clips_beside_their_pickle_are_not_needed(pickled: Path) -> None:
    note = f"{SH} is read; the clips sliced from it in {{}} are not needed"
    for place in ("MB3D_f243s81/H36M-SH", "H36M-243", "."):
        clips = files.write_clips(pickled / place)
        for given in (clips, pickled):
            dataset = load(f"h36m:{given}")
            assert dataset.test[0].name == "s_11_act_14_subact_01_ca_03"
            assert note.format(clips) in dataset.notes
        for part in ("train", "test"):
            for path in (clips / part).iterdir():
                path.unlink()
    assert not any("not needed" in note for note in load(f"h36m:{pickled}").notes)


def test_the_file_itself_is_read_without_a_look_around(pickled: Path) -> None:
    files.write_clips(pickled / "H36M-243")
    assert not any("not needed" in note for note in load(f"h36m:{pickled}/{SH}").notes)


def test_clips_below_two_pickles(pickled: Path) -> None:
    files.write_pickle(pickled / CPN, files.pickle_content())
    assert "which of these pickles?" in refused(files.write_clips(pickled / "H36M-243"))


@pytest.mark.parametrize("levels", [1, 2])
def test_files_that_lie_below(archives: Path, pickled: Path, sliced: Path, levels: int) -> None:
    for folder in (archives, pickled, sliced):
        above = folder.parents[levels - 1]
        assert refused(above) == (
            f"h36m:{above}: nothing of Human3.6M in this folder. Found in {folder}: use h36m:{folder}"
        )


def test_files_in_several_places_below(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d", "e"):
        files.write_pickle(tmp_path / name / SH, {})
    places = " or ".join(f"h36m:{tmp_path}/{name}" for name in "abcd")
    assert refused(tmp_path).endswith(f"Found in {tmp_path}/a: use {places}, …")


def test_files_too_far_below_or_hidden_are_not_looked_for(tmp_path: Path) -> None:
    files.write_pickle(tmp_path / "a/b/c" / SH, {})
    files.write_pickle(tmp_path / ".trash" / SH, {})
    assert "Found" not in refused(tmp_path)


def test_one_half_of_clips_given(sliced: Path) -> None:
    assert refused(sliced / "train").endswith(f"It holds one half of sliced clips: use h36m:{sliced}")
    assert refused(sliced / "test/00000001.pkl").endswith(f"is a single clip; use h36m:{sliced}")


@pytest.mark.parametrize("place", ["", ".", "gone", "gone/data_3d_h36m.npz", "other.npz", "readme.txt"])
def test_nothing_there(tmp_path: Path, place: str) -> None:
    for name in ("other.npz", "readme.txt", "mine.pkl"):
        (tmp_path / name).write_bytes(b"x")
    message = refused(tmp_path / place if place else "")
    for part in (
        "data_3d_h36m.npz with data_2d_h36m_DETECTOR.npz", "DATASETS.md", SH, "docs/pose3d.md",
        "{train,test}/00000000.pkl", "vision.imar.ro/human3.6m", "--data synthetic",
    ):  # fmt: skip
        assert part in message


def test_2d_without_3d(archives: Path) -> None:
    (archives / "data_3d_h36m.npz").unlink()
    listed = "data_2d_h36m_cpn_ft_h36m_dbb.npz, data_2d_h36m_gt.npz"
    message = refused(archives)
    assert f"{archives}: has {listed} but no data_3d_h36m.npz beside it" in message
    assert "prepare_data_h36m.py" in message
    assert "but no data_3d_h36m.npz beside it" in refused(archives / "data_2d_h36m_gt.npz")


def test_3d_without_2d(archives: Path) -> None:
    for path in archives.glob("data_2d*"):
        path.unlink()
    for given in (archives, archives / "data_3d_h36m.npz"):
        message = refused(given)
        assert f"{archives}: has data_3d_h36m.npz but no data_2d_h36m_DETECTOR.npz beside it" in message
        assert "DATASETS.md" in message


def test_a_folder_that_may_not_be_looked_into(archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(h36m.h36m_videopose3d, "find", forbidden)
    assert refused(archives) == f"{archives}: cannot be read (Permission denied)"
