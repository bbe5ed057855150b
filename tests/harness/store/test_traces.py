"""The file of traces: exact, compact, the same bytes, and refused where it is not what was recorded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import BadInput, CannotWrite
from harness.store import traces as trace_file
from harness.traces import ErrorCurve, Excerpt, Traces


def made(scale_mm: float = 400.0, seed: int = 0) -> Traces:
    rng = np.random.default_rng(seed)
    curves = tuple(
        ErrorCurve(f"S1/Größe/{index}/c", f"S1/Größe/{index}", "Größe", 0.1, rng.uniform(0, 90, length).astype("f4"))
        for index, length in enumerate((7, 1, 12))
    )
    curves[0].p1_mm[2] = np.nan

    def poses(length: int) -> np.ndarray:
        return rng.normal(0, scale_mm, (length, 17, 3)).astype(np.float32)

    prediction = poses(3)
    prediction[1] = np.nan
    excerpts = (
        Excerpt(curves[2].sequence, curves[2].take, "Größe", "unusual", 1.25, 12.5, poses(3), prediction),
        Excerpt(curves[0].sequence, curves[0].take, "Größe", "worst", 0.0, 15.0, poses(5), poses(5)),
    )
    return Traces(curves, excerpts)


@pytest.mark.parametrize("scale_mm", [400.0, 40_000.0])
def test_what_is_read_is_what_was_written(tmp_path: Path, scale_mm: float) -> None:
    written = made(scale_mm)
    sha256 = trace_file.save(tmp_path / "runs" / "one" / trace_file.FILE_NAME, written)
    read = trace_file.load(tmp_path / "runs" / "one" / trace_file.FILE_NAME, sha256)
    for one, other in zip(read.curves, written.curves, strict=True):
        assert (one.sequence, one.take, one.action, one.step_s) == (
            other.sequence, other.take, other.action, other.step_s,
        )  # fmt: skip
        np.testing.assert_array_equal(one.p1_mm, other.p1_mm)
    largest = max(np.nanmax(np.abs(pose)) for one in written.excerpts for pose in (one.truth_mm, one.prediction_mm))
    tolerance_mm = 0.51 * max(trace_file.UNIT_MM, largest / 32767)
    for one, other in zip(read.excerpts, written.excerpts, strict=True):
        assert (one.sequence, one.take, one.action, one.reason, one.start_s, one.fps) == (
            other.sequence, other.take, other.action, other.reason, other.start_s, other.fps,
        )  # fmt: skip
        np.testing.assert_allclose(one.truth_mm, other.truth_mm, rtol=0, atol=tolerance_mm)
        np.testing.assert_allclose(one.prediction_mm, other.prediction_mm, rtol=0, atol=tolerance_mm)


def test_nothing_kept_is_read_as_nothing(tmp_path: Path) -> None:
    trace_file.save(tmp_path / "t.npz", Traces((), ()))
    assert trace_file.load(tmp_path / "t.npz") == Traces((), ())


def test_the_same_traces_give_the_same_bytes(tmp_path: Path) -> None:
    assert trace_file.save(tmp_path / "a.npz", made()) == trace_file.save(tmp_path / "b.npz", made())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_it_is_read_without_our_code(tmp_path: Path) -> None:
    trace_file.save(tmp_path / "t.npz", made())
    with np.load(tmp_path / "t.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {name for name in arrays if name in (trace_file.__doc__ or "")}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"<html>"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.npz").write_bytes(content)
    with pytest.raises(BadInput, match=r"t\.npz holds no traces"):
        trace_file.load(tmp_path / "t.npz")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    sha256 = trace_file.save(tmp_path / "t.npz", made())
    content = bytearray((tmp_path / "t.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "t.npz").write_bytes(bytes(content))
    with pytest.raises(BadInput, match=f"not the recorded {sha256[:12]}"):
        trace_file.load(tmp_path / "t.npz", sha256)


def test_a_truncated_file_is_refused_without_a_digest_too(tmp_path: Path) -> None:
    trace_file.save(tmp_path / "t.npz", made())
    content = (tmp_path / "t.npz").read_bytes()
    for length in range(1, len(content), 97):
        (tmp_path / "t.npz").write_bytes(content[:length])
        with pytest.raises(BadInput, match="holds no traces"):
            trace_file.load(tmp_path / "t.npz")


def test_a_file_that_cannot_be_written_or_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotWrite, match="file"):
        trace_file.save(tmp_path / "file" / "t.npz", made())
    with pytest.raises(BadInput, match="cannot read"):
        trace_file.load(tmp_path / "none.npz")


def test_flipped_bytes_are_refused_without_a_digest_or_give_traces(tmp_path: Path) -> None:
    """Whatever they hit: zlib, tokenize and numpy have errors of their own."""
    trace_file.save(tmp_path / "t.npz", made())
    content = (tmp_path / "t.npz").read_bytes()
    refused = 0
    for place in range(0, len(content), 53):
        (tmp_path / "t.npz").write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            trace_file.load(tmp_path / "t.npz")
        except BadInput:
            refused += 1
    assert refused > 10
