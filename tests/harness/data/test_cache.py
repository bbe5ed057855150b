"""A cache that is kept, checked, made anew when damaged, and never half written."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.data.cache import remember

Array = NDArray[Any]


class Maker:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> dict[str, Array]:
        self.calls += 1
        return {"a": np.arange(1000.0), "b": np.array(3)}


@pytest.fixture
def maker() -> Maker:
    return Maker()


def test_made_once_and_the_same_afterwards(tmp_path: Path, maker: Maker) -> None:
    first = remember(tmp_path / "cache", "key", maker)
    again = remember(tmp_path / "cache", "key", maker)
    assert maker.calls == 1
    assert (first["a"] == again["a"]).all()
    assert again["a"].dtype == first["a"].dtype
    assert set(again) == {"a", "b"}
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["key.npz"]


def test_another_key_is_made_anew(tmp_path: Path, maker: Maker) -> None:
    remember(tmp_path, "one", maker)
    remember(tmp_path, "two", maker)
    assert maker.calls == 2


def test_without_a_folder_nothing_is_kept(maker: Maker) -> None:
    remember(None, "key", maker)
    remember(None, "key", maker)
    assert maker.calls == 2


@pytest.mark.parametrize("damage", ["flipped", "truncated", "emptied", "resealed"])
def test_a_damaged_file_is_made_anew_and_said(tmp_path: Path, maker: Maker, damage: str) -> None:
    remember(tmp_path, "key", maker)
    path = tmp_path / "key.npz"
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[3000] ^= 1
    elif damage == "truncated":
        content = content[:4000]
    elif damage == "emptied":
        content = bytearray()
    path.write_bytes(content)
    if damage == "resealed":
        # A valid .npz whose arrays are not those that the digest is of.
        np.savez(path, a=np.zeros(1000), b=np.array(3), sha256=np.array("0" * 64))
    with pytest.warns(UserWarning, match=r"damaged and made anew: .*key.npz"):
        arrays = remember(tmp_path, "key", maker)
    assert (arrays["a"] == np.arange(1000.0)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        remember(tmp_path, "key", maker)
    assert maker.calls == 2


def test_a_file_in_place_of_the_folder_is_said_and_done_without(tmp_path: Path, maker: Maker) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.warns(UserWarning, match="cannot be written"):
        assert remember(tmp_path / "cache", "key", maker)["b"] == 3


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_no_part_behind(
    tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.warns(UserWarning, match="No space left on device"):
        remember(tmp_path, "key", maker)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_later(tmp_path: Path, maker: Maker) -> None:
    abandoned, busy = tmp_path / "old.partial", tmp_path / "new.partial"
    abandoned.write_text("half")
    busy.write_text("half")
    os.utime(abandoned, (time.time() - 7200,) * 2)
    remember(tmp_path, "key", maker)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.npz", "new.partial"]
