from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.textfile import read_text
from harness.errors import BadInput


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"\n <html><body>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"\x80\x04\x95", "pickle"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"HIER\0ARCHY", "binary data"),
    ],
)
def test_what_is_no_motion_file_is_called_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "walk.bvh"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"walk.bvh: is not a BVH file but .*{message}"):
        read_text(path, "a BVH file")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"gone.bvh: cannot be read .*expected a BVH file"):
        read_text(tmp_path / "gone.bvh", "a BVH file")


def test_national_encodings_and_byte_order_marks_are_read(tmp_path: Path) -> None:
    path = tmp_path / "walk.bvh"
    path.write_bytes(b"\xef\xbb\xbfHIERARCHY # f\xfcr Bonn")
    assert read_text(path, "a BVH file").startswith("HIERARCHY")
