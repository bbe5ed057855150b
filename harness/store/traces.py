"""The file of a run's traces (``harness.traces``): a numpy .npz of plain arrays.

For N sequences and E excerpts, texts as arrays of strings:

    sequence, take, action (N,), step_s (N,)         of every test sequence
    curve_end (N,), curve_p1_mm (bins,)              error curves one after the other: where each ends
    excerpt (E,)                                     index of the sequence
    excerpt_reason (E,), start_s (E,), fps (E,)      why it was chosen, from when, poses a second
    excerpt_end (E,)                                 where each ends in the next two
    truth, prediction (poses, 17, 3) int16           times ``unit_mm``; -32768: none

The same traces give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from harness import atomic_file, npy_array, zip_members
from harness.errors import BadInput
from harness.traces import ErrorCurve, Excerpt, Reason, Traces

FILE_NAME = "traces.npz"
#: Finest step of a stored coordinate; a pose that reaches beyond 3.2 m takes a coarser one.
UNIT_MM = 0.1
NONE, _LARGEST = -32768, 32767
#: Shape of one value of what is stored one after the other.
_ONE_SHAPES: Mapping[str, tuple[int, ...]] = {"curve_p1_mm": (), "truth": (17, 3), "prediction": (17, 3)}


def save(path: Path, traces: Traces) -> str:
    """Write ``traces`` to ``path``; returns the sha256 of the file. Raises CannotWrite."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **_arrays(traces))
    content = buffer.getvalue()
    atomic_file.write(path, content)
    return hashlib.sha256(content).hexdigest()


def load(path: Path, sha256: str | None = None) -> Traces:
    """The traces in ``path``.

    Raises BadInput where they cannot be read, are not those of ``sha256``, unpack to far more than the file is, or
    are not in order: other lengths or shapes than the module says, or a reason unknown.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise BadInput(f"{path} is damaged or of another run: its sha256 is not the recorded {sha256[:12]}…")
    try:
        return _traces(_unpacked(content, str(path)))
    except BadInput:
        raise
    except Exception as error:
        # Of a zip of arrays anything may be wrong, and zlib, tokenize and numpy each have errors of their own.
        raise BadInput(f"{path} holds no traces of a run: {str(error)[:200]}") from error


def _unpacked(content: bytes, where: str) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            member.filename.removesuffix(".npy"): npy_array.parse(zip_members.read(archive, member))
            for member in zip_members.listed(archive, len(content), where)
        }


def _arrays(traces: Traces) -> dict[str, NDArray[Any]]:
    curves, excerpts = traces.curves, traces.excerpts
    names = [curve.sequence for curve in curves]
    truth, prediction = (
        np.concatenate([*poses, np.empty((0, 17, 3), np.float32)])
        for poses in ([one.truth_mm for one in excerpts], [one.prediction_mm for one in excerpts])
    )
    unit_mm = max(unit_of(truth), unit_of(prediction))
    return {
        "sequence": np.array(names, dtype=str),
        "take": np.array([curve.take for curve in curves], dtype=str),
        "action": np.array([curve.action for curve in curves], dtype=str),
        "step_s": np.array([curve.step_s for curve in curves]),
        "curve_end": np.cumsum([len(curve.p1_mm) for curve in curves], dtype=np.int64),
        "curve_p1_mm": np.concatenate([*(curve.p1_mm for curve in curves), np.empty(0, np.float32)]),
        "excerpt": np.array([names.index(one.sequence) for one in excerpts], dtype=np.int64),
        "excerpt_reason": np.array([one.reason for one in excerpts], dtype=str),
        "start_s": np.array([one.start_s for one in excerpts]),
        "fps": np.array([one.fps for one in excerpts]),
        "excerpt_end": np.cumsum([len(one.truth_mm) for one in excerpts], dtype=np.int64),
        "unit_mm": np.array(unit_mm),
        "truth": whole(truth, unit_mm),
        "prediction": whole(prediction, unit_mm),
    }


def unit_of(poses_mm: NDArray[np.float32]) -> float:
    """The finest step in mm, UNIT_MM at least, in which every coordinate is a whole number of 16 bits."""
    return max(UNIT_MM, float(np.nanmax(np.abs(poses_mm), initial=0.0)) / _LARGEST)


def whole(poses_mm: NDArray[np.float32], unit_mm: float) -> NDArray[np.int16]:
    """``poses_mm`` of any shape as multiples of ``unit_mm``; NONE stands for NaN."""
    known = np.isfinite(poses_mm)
    return np.where(known, np.rint(np.where(known, poses_mm, 0.0) / unit_mm), NONE).astype(np.int16)


def _traces(arrays: dict[str, NDArray[Any]]) -> Traces:
    _require_order(arrays)
    curves = [
        ErrorCurve(str(sequence), str(take), str(action), float(step_s), values)
        for sequence, take, action, step_s, values in zip(
            arrays["sequence"], arrays["take"], arrays["action"], arrays["step_s"],
            _pieces(arrays["curve_p1_mm"], arrays["curve_end"]), strict=True,
        )
    ]  # fmt: skip
    unit_mm = float(arrays["unit_mm"])
    truth, prediction = (
        _pieces(_millimetres(arrays[name], unit_mm), arrays["excerpt_end"]) for name in ("truth", "prediction")
    )
    excerpts = [
        Excerpt(
            sequence=(curve := curves[index]).sequence, take=curve.take, action=curve.action,
            reason=cast(Reason, str(reason)), start_s=float(start_s), fps=float(fps), truth_mm=own, prediction_mm=other,
        )
        for index, reason, start_s, fps, own, other in zip(
            arrays["excerpt"].tolist(), arrays["excerpt_reason"], arrays["start_s"], arrays["fps"], truth, prediction,
            strict=True,
        )
    ]  # fmt: skip
    return Traces(tuple(curves), tuple(excerpts))


def _require_order(arrays: dict[str, NDArray[Any]]) -> None:
    """Raises ValueError where the arrays cannot be cut into curves and excerpts as they say."""
    for ends, *joined in (("curve_end", "curve_p1_mm"), ("excerpt_end", "truth", "prediction")):
        last = arrays[ends].tolist()
        if any(end < start for start, end in itertools.pairwise([0, *last])):
            raise ValueError(f"{ends} does not rise")
        for name in joined:
            shape, length = arrays[name].shape, last[-1] if last else 0
            if shape != (length, *_ONE_SHAPES[name]):
                raise ValueError(f"{name} has shape {shape}; expected {(length, *_ONE_SHAPES[name])}")
    if any(not 0 <= index < len(arrays["sequence"]) for index in arrays["excerpt"].tolist()):
        raise ValueError("an excerpt is of a sequence that is not there")
    if unknown := set(arrays["excerpt_reason"].tolist()) - set(get_args(Reason)):
        raise ValueError(f"unknown reason {unknown.pop()!r}")
    for name in ("step_s", "start_s", "fps", "unit_mm"):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is not finite")


def _pieces(joined: NDArray[np.float32], ends: NDArray[np.int64]) -> list[NDArray[np.float32]]:
    return np.split(joined, ends[:-1]) if len(ends) else []


def _millimetres(stored: NDArray[np.int16], unit_mm: float) -> NDArray[np.float32]:
    return np.where(stored == NONE, np.nan, stored * unit_mm).astype(np.float32)
