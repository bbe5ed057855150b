"""What is read as JSON: lines of the stores, the frame rate beside motion, manifests of converted data, pointers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from harness.data import array_store, motion
from harness.errors import BadInput
from harness.store.store import Store
from harness.training import checkpoint
from tests.fuzz.arrays import npy
from tests.fuzz.checkpoints import saved
from tests.fuzz.damage import damaged
from tests.harness.data.figures import save, standing
from tests.harness.reporting import records

#: What JSON can say and a reader may not think of.
HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 99, 10**400, 1e308, "", "x", "../../etc/passwd", "<script>", "\ud800", [], [[]], {}, {"a": None},
)  # fmt: skip
_TEXTS = (
    b"[" * 30_000, b'{"a":' * 20_000, b"9" * 5000, b"1e999", b"NaN", b"-Infinity", b'"\\ud800"', b"null", b"[]", b"{}",
)  # fmt: skip


RECORD = json.dumps({"schema": 1, **records.record()}).encode() + b"\n"
FRAME_RATE = b'{"fps": 50.0}'
_TRUTH = npy(np.zeros((1, 17, 3), np.float32))
_MANIFEST = {
    "dataset": {"name": "x"}, "cameras": [], "sequences": [],
    "arrays": {"truth": {"sha256": hashlib.sha256(b"truth.npy " + _TRUTH).hexdigest(), "bytes": len(_TRUTH)}},
}  # fmt: skip
_CHECKPOINT = saved({"step": 1})
_POINTER: dict[str, Any] = {"file": "step-00000001.pt", "sha256": hashlib.sha256(_CHECKPOINT).hexdigest(), "step": 1}
POINTER = json.dumps(_POINTER).encode()


def _sealed(manifest: Any) -> bytes:
    """As one who knows how could write it."""
    with contextlib.suppress(TypeError, LookupError):
        manifest = {**manifest, "seal": array_store._seal(manifest)}
    return json.dumps(manifest).encode()


MANIFEST = _sealed(_MANIFEST)


@st.composite
def _changed(draw: DrawFn, value: Any) -> Any:
    """``value`` with one thing in it, at any depth, exchanged, left out or added."""
    if not isinstance(value, (dict, list)) or not value or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(HOSTILE_VALUES))
    if isinstance(value, list):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], draw(_changed(value[index])), *value[index + 1 :]]
    name = draw(st.sampled_from(sorted(value)))
    others = {key: kept for key, kept in value.items() if key != name}
    kind = draw(st.integers(0, 5))
    return others if kind == 0 else {**others, name if kind > 1 else name + "?": draw(_changed(value[name]))}


def _json(value: Any) -> SearchStrategy[bytes]:
    """JSON of ``value``, changed in one place or damaged as text."""
    whole = json.dumps(value).encode()

    @st.composite
    def replaced(draw: DrawFn) -> bytes:
        text = json.dumps(draw(_changed(value))).encode()
        start = draw(st.integers(0, len(text)))
        return text[:start] + draw(st.sampled_from(_TEXTS)) + text[start:]

    return (
        _changed(value).map(lambda one: json.dumps(one).encode())
        | damaged(whole)
        | replaced()
        | st.sampled_from(_TEXTS)
    )


def record_lines() -> SearchStrategy[bytes]:
    lines = _json(json.loads(RECORD)) | st.just(RECORD.strip())
    return st.lists(lines, min_size=1, max_size=3).map(lambda all_lines: b"\n".join(all_lines) + b"\n")


def frame_rates() -> SearchStrategy[bytes]:
    return _json(json.loads(FRAME_RATE))


def pointers() -> SearchStrategy[bytes]:
    return _json(_POINTER)


def manifests() -> SearchStrategy[bytes]:
    return st.booleans().flatmap(lambda sealed: _json(_MANIFEST) if not sealed else _changed(_MANIFEST).map(_sealed))


def read_records(content: bytes, folder: Path) -> None:
    store = Store(folder)
    store.path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        leftovers = store.latest(skip_bad=True)
        for record in leftovers:
            json.dumps(record, allow_nan=False)
        for record in store.latest():
            store.schema.validate(record)


def read_frame_rate(content: bytes, folder: Path) -> None:
    save(folder / "one.npz", {"S1/Walk/a": standing(3)})
    (folder / "motion.json").write_bytes(content)
    takes, _ = motion.takes_at(folder / "one.npz")
    assert takes[0].fps > 0


def read_manifest(content: bytes, folder: Path) -> None:
    (folder / array_store.MANIFEST).write_bytes(content)
    (folder / "truth.npy").write_bytes(_TRUTH)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = folder / "store"
        store.mkdir(exist_ok=True)
        (store / array_store.MANIFEST).write_bytes(content)
        array_store._opened(store)
    if changed := array_store.verify(folder):
        raise BadInput(changed[0])


def read_pointer(content: bytes, folder: Path) -> None:
    (folder / checkpoint.POINTER).write_bytes(content)
    (folder / _POINTER["file"]).write_bytes(_CHECKPOINT)
    assert checkpoint.load(folder) == {"step": 1}
