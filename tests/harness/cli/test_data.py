"""``harness data`` as a user types it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.harness.cli.command import harness
from tests.harness.data import h36m_files

SYNTHETIC = "synthetic:train_minutes=0.1,test_minutes=0.05"


@pytest.fixture
def big_pickle(tmp_path: Path) -> Path:
    return h36m_files.write_pickle(tmp_path / "h36m_sh_conf_cam_source_final.pkl", h36m_files.pickle_content())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_inspect_says_what_is_there(big_pickle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = harness("data", "inspect", f"h36m:{big_pickle}", capsys=capsys)
    assert code == 0
    assert "detector  sh" in out
    assert "in the image" in out
    assert ".harness" in out


def test_validate_ends_well_or_names_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = harness("data", "validate", SYNTHETIC, capsys=capsys)
    assert (code, out.splitlines()[-1].split(":")[0]) == (0, "11 checks")


def test_a_set_with_its_sides_exchanged_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = h36m_files.pickle_content()
    for part in content.values():
        sides = np.arange(17)
        sides[[1, 2, 3, 14, 15, 16, 4, 5, 6, 11, 12, 13]] = [4, 5, 6, 11, 12, 13, 1, 2, 3, 14, 15, 16]
        part["joint_2d"] = np.asarray(part["joint_2d"])[:, sides]
    path = tmp_path / "h36m_sh_exchanged.pkl"
    path.write_bytes(pickle.dumps(content))
    code, out, err = harness("data", "validate", f"h36m:{path}", capsys=capsys)
    assert code == 2
    assert "FAIL  left is left in 2D" in out
    assert "is not as it should be" in err
    assert "left is left in 2D" in err


def test_convert_says_where_and_how_fast(big_pickle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = harness("data", "convert", f"h36m:{big_pickle}", capsys=capsys)
    assert code == 0
    assert str(big_pickle.parent / ".harness") in out
    assert "opened in" in out
    assert len(list((big_pickle.parent / ".harness").iterdir())) == 1


def test_plot_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = harness("data", "plot", SYNTHETIC, "--out", "sheet.png", "--sequences", "1", capsys=capsys)
    assert (code, out) == (0, "sheet.png\n")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = harness("data", "plot", SYNTHETIC, "--out", "sheet.doc", capsys=capsys)
    assert code == 2
    assert "sheet.doc" in err


@pytest.mark.parametrize("command", ["inspect", "validate", "convert"])
def test_bad_names_are_named(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = harness("data", command, "h36m:nowhere", capsys=capsys)
    assert (code, out) == (2, "")
    assert "nowhere" in err
