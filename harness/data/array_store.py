"""A data set as plain arrays in files that are mapped into memory: slow formats are read once, then opened at once.

A store is a folder ``.harness/NAME-KEY`` beside the files that it was made from (else in the results' cache): one array
over the frames of all sequences for each of their fields, and ``manifest.json`` with the rest. KEY is a sha256 over the
contents of the files and the version of what converts them, so that a changed file is converted anew. The folder is
written under another name and renamed, so that a kill leaves a whole store or none.

On opening, the files' sizes and times are compared with those noted; where they differ their contents decide. The
manifest carries its own digest, which is checked every time; those of the arrays are for ``verify``: reading them all
takes longer than opening.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from harness.data import partial
from harness.data.camera import Camera
from harness.data.sequence import Dataset, Sequence
from harness.data.skeleton import JOINT_COUNT
from harness.errors import BadInput
from harness.progress import ProgressLine

FOLDER = ".harness"
MANIFEST = "manifest.json"
#: Raised when stores written before can no longer be read as they are.
FORMAT = 2

_FIELDS = ("keypoints", "confidence", "truth", "mm_per_pixel", "valid")
#: A partial store older than this is of a process that was killed, on whichever machine.
_ABANDONED_S = 6 * 3600.0
_CHUNK = 1 << 22
#: What opening a store raises where it is not as it was written.
_DAMAGED = (
    OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, SyntaxError,
)  # fmt: skip
#: What it raises also where the store is sound and this process has no room, so that it says nothing of the store.
_NO_ROOM = (MemoryError, RecursionError)


def stored(
    files: Many[Path],
    name: str,
    make: Callable[[], Dataset],
    *,
    version: int,
    cache: Path | None = None,
    beside: Path | None = None,
) -> Dataset:
    """``make()``, which reads ``files``; from the second time on, its arrays mapped from a store.

    name     of the store, unlike that of others made of the same files
    version  of ``make``: to be raised when its result for the same files changes
    beside   folder that the store lies in, where it is not that of the first file
    cache    where the store goes when the folder of the files cannot be written to; without it, or when that cannot
             be written to either, the set stays in memory, which is said in a warning

    Raises BadInput naming a file that cannot be read, and what ``make`` raises.
    """
    origin = _origin(files, name, version)
    places = [(beside or files[0].parent) / FOLDER, *([cache / "data"] if cache else [])]
    for store in _matching(places, origin):
        if (dataset := _opened(store)) is not None:
            return dataset
    folder = f"{name}-{_key(files, name, version)}"
    for store in [place / folder for place in places if os.path.exists(place / folder)]:
        if (dataset := _opened(store)) is not None:
            _note_origin(store, origin)
            return dataset
    dataset = make()
    _require_whole(dataset)
    if _origin(files, name, version) != origin:
        raise BadInput(f"{files[0].parent}: the files changed while they were read; start again")
    written = _write_somewhere(dataset, places, folder, origin)
    return dataset if written is None else _open(written)


def find(dataset: Dataset) -> Path | None:
    """The store that the set's arrays are mapped from, or None for a set in memory."""
    for sequence in (*dataset.train, *dataset.test):
        array: Any = sequence.truth
        while array is not None and not isinstance(array, np.memmap):
            array = getattr(array, "base", None)
        store = None if array is None else Path(str(array.filename)).parent
        return store if store and os.path.exists(store / MANIFEST) else None
    return None


def verify(store: Path) -> list[str]:
    """What of a store is not as it was written: a sentence for each file, none where all is well."""
    try:
        noted = _read_manifest(store)["arrays"]
        changed = [field for field, entry in noted.items() if not _is_as_written(store / f"{field}.npy", entry)]
    except (*_DAMAGED, *_NO_ROOM) as error:
        return [f"{store / MANIFEST} is damaged ({error}); delete {store} and it is made anew"]
    return [
        f"{store / field}.npy has changed since it was written; delete {store} and it is made anew" for field in changed
    ]


def _is_as_written(path: Path, entry: Mapping[str, Any]) -> bool:
    return path.exists() and _file_digest([path]) == entry["sha256"]


def _origin(files: Many[Path], name: str, version: int) -> dict[str, Any]:
    """What a store is made of, as its manifest notes it."""
    return {
        "made_by": [FORMAT, name, version],
        "folder": str(files[0].parent.resolve()),
        "sources": [_stat(path) for path in files],
    }


def _stat(path: Path) -> dict[str, Any]:
    try:
        status = path.stat()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error
    return {"name": path.name, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _key(files: Many[Path], name: str, version: int) -> str:
    total = hashlib.sha256(f"{FORMAT} {name} {version} {_file_digest(files)}".encode())
    return total.hexdigest()[:16]


def _file_digest(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                total.update(os.fsencode(f"{path.name} "))
                while chunk := file.read(_CHUNK):
                    total.update(chunk)
        except OSError as error:
            raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from error
    return total.hexdigest()


def _matching(places: Many[Path], origin: Mapping[str, Any]) -> Iterator[Path]:
    """Stores made of files of these names, sizes and times."""
    beside = places[0]
    for place in places:
        # The cache serves many folders; a store beside its files may be moved together with them.
        compared = ("made_by", "sources") if place == beside else ("made_by", "sources", "folder")
        for store in sorted(place.glob(f"{glob.escape(origin['made_by'][1])}-*")):
            with contextlib.suppress(*_DAMAGED, *_NO_ROOM):
                noted = json.loads((store / MANIFEST).read_text(encoding="utf-8"))
                if store.suffix != partial.ENDING and all(noted[key] == origin[key] for key in compared):
                    yield store


def _opened(store: Path) -> Dataset | None:
    """The set in ``store``, or None with a warning; a damaged one is removed where that can be done."""
    try:
        return _open(store)
    except _NO_ROOM as error:
        what = f"{type(error).__name__}: {error}".strip(": ")
        warnings.warn(f"converted data in {store} cannot be opened by this process ({what})", stacklevel=3)
        return None
    except _DAMAGED as error:
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            # Not to be read by this user or at this moment: no reason to take it from others.
            warnings.warn(f"converted data in {store} cannot be read ({error.strerror or error})", stacklevel=3)
            return None
        warnings.warn(f"converted data in {store} are damaged ({error}) and made anew", stacklevel=3)
        shutil.rmtree(store, ignore_errors=True)
        return None


def _note_origin(store: Path, origin: Mapping[str, Any]) -> None:
    """The files were copied or touched, their contents are the same: not to be read again next time."""
    # A start that is killed in here leaves its part, in a folder that stays.
    partial.remove_abandoned(store, _ABANDONED_S)
    try:
        _write_manifest(store, {**_read_manifest(store), **origin})
    except OSError as error:
        warnings.warn(f"{store}: cannot be written ({error}); the files are read through at every start", stacklevel=3)


def _require_whole(dataset: Dataset) -> None:
    """Arrays of other lengths or shapes would shift all that comes after them in the store."""
    for one in (*dataset.train, *dataset.test):
        frames = len(one)
        shapes = {
            "keypoints": (frames, JOINT_COUNT, 2), "confidence": (frames, JOINT_COUNT),
            "truth": (frames, JOINT_COUNT, 3), "mm_per_pixel": (frames,), "valid": (frames,),
        }  # fmt: skip
        for field, wanted in shapes.items():
            array = getattr(one, field)
            if array is not None and array.shape != wanted:
                raise BadInput(
                    f"{one.name}: {frames} frames of keypoints, but {field} has shape {array.shape}, not {wanted}"
                )


def _write_somewhere(dataset: Dataset, places: Iterable[Path], folder: str, origin: Mapping[str, Any]) -> Path | None:
    for place in places:
        try:
            return _write(dataset, place, folder, origin)
        except OSError as error:
            warnings.warn(f"converted data cannot be kept in {place} ({error.strerror or error})", stacklevel=3)
    warnings.warn("the data are converted at every start and held in memory", stacklevel=3)
    return None


def _write(dataset: Dataset, place: Path, folder: str, origin: Mapping[str, Any]) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    partial.remove_abandoned(place, _ABANDONED_S)
    written = place / partial.name(folder)
    written.mkdir()
    line = ProgressLine(f"converting to {place / folder}, once")
    try:
        manifest = _manifest(dataset)
        sequences = (*dataset.train, *dataset.test)
        fields = [field for field in _FIELDS if any(getattr(sequence, field) is not None for sequence in sequences)]
        for done, field in enumerate(fields):
            line.update(done / len(fields))
            manifest["arrays"][field] = _write_array(written / f"{field}.npy", field, sequences)
        line.update(1.0)
        _write_manifest(written, {**manifest, "seal": _seal(manifest), **origin})
        return _put_in_place(written, place / folder)
    finally:
        line.close()
        shutil.rmtree(written, ignore_errors=True)


def _put_in_place(written: Path, store: Path) -> Path:
    try:
        written.rename(store)
    except OSError:
        # Another process was faster: a folder that is not empty is not replaced.
        if not os.path.exists(store):
            raise
        if _opened(store) is None:
            written.rename(store)
    return store


def _write_array(path: Path, field: str, sequences: Many[Sequence]) -> dict[str, Any]:
    """All sequences' frames of one field, one after the other; those that lack it have its neutral value."""
    rows = [_rows(sequence, field) for sequence in sequences]
    dtype = np.result_type(*{array.dtype for array in rows})
    shape = (sum(map(len, rows)), *rows[0].shape[1:])
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": shape})
        for array in rows:
            file.write(np.ascontiguousarray(array, dtype=dtype).data)
        file.flush()
        os.fsync(file.fileno())
    return {"sha256": _file_digest([path]), "bytes": path.stat().st_size}


def _rows(sequence: Sequence, field: str) -> NDArray[Any]:
    array: NDArray[Any] | None = getattr(sequence, field)
    if array is not None:
        return array
    neutral = {"valid": np.ones(1, dtype=bool), "mm_per_pixel": np.full(1, np.nan, dtype=np.float32)}[field]
    return np.broadcast_to(neutral, len(sequence))


def _manifest(dataset: Dataset) -> dict[str, Any]:
    cameras: dict[Camera, int] = {}
    rows = [
        [part, one.name, one.subject, one.action, one.take, cameras.setdefault(one.camera, len(cameras)), one.fps,
         len(one), one.mm_per_pixel is not None, one.valid is not None]
        for part, sequences in (("train", dataset.train), ("test", dataset.test))
        for one in sequences
    ]  # fmt: skip
    described = {
        field.name: getattr(dataset, field.name)
        for field in dataclasses.fields(dataset)
        if field.name not in ("train", "test")
    }
    cameras_as_dicts = [dataclasses.asdict(camera) for camera in cameras]
    return _as_plain({"dataset": described, "cameras": cameras_as_dicts, "sequences": rows, "arrays": {}})


def _as_plain(value: Any) -> Any:
    """As it comes back from JSON, numpy's numbers as Python's."""
    return json.loads(json.dumps(value, default=lambda number: number.item()))


def _seal(manifest: Mapping[str, Any]) -> str:
    """Digest of what a manifest says of the data; where they came from may be noted anew."""
    sealed = [manifest[key] for key in ("dataset", "cameras", "sequences", "arrays")]
    return hashlib.sha256(json.dumps(sealed).encode()).hexdigest()


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    written = folder / partial.name(MANIFEST)
    try:
        with written.open("w", encoding="utf-8") as file:
            json.dump(manifest, file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(folder / MANIFEST)
    except BaseException:
        with contextlib.suppress(OSError):
            written.unlink(missing_ok=True)
        raise


def _read_manifest(store: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((store / MANIFEST).read_text(encoding="utf-8"))
    if manifest["seal"] != _seal(manifest):
        raise ValueError(f"{MANIFEST} is not as it was written")
    if unknown := sorted(manifest["arrays"].keys() - set(_FIELDS)):
        raise ValueError(f"{MANIFEST} names an array {unknown[0]!r}")
    return manifest


def _open(store: Path) -> Dataset:
    manifest = _read_manifest(store)
    arrays = {field: _map(store / f"{field}.npy", entry) for field, entry in manifest["arrays"].items()}
    cameras = [_camera(fields) for fields in manifest["cameras"]]
    parts: dict[str, list[Sequence]] = {"train": [], "test": []}
    first = 0
    for part, name, subject, action, take, camera, fps, length, in_image, has_valid in manifest["sequences"]:
        frames = slice(first, first + length)
        parts[part].append(
            Sequence(
                name, subject, action, take, cameras[camera], fps,
                keypoints=arrays["keypoints"][frames],
                confidence=arrays["confidence"][frames],
                truth=arrays["truth"][frames],
                mm_per_pixel=arrays["mm_per_pixel"][frames] if in_image else None,
                valid=arrays["valid"][frames] if has_valid else None,
            )
        )  # fmt: skip
        first += length
    described = {name: _as_tuples(value) for name, value in manifest["dataset"].items()}
    return Dataset(train=tuple(parts["train"]), test=tuple(parts["test"]), **described)


def _map(path: Path, entry: Mapping[str, Any]) -> NDArray[Any]:
    if path.stat().st_size != entry["bytes"]:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes of {entry['bytes']}")
    return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))


def _camera(fields: dict[str, Any]) -> Camera:
    return Camera(**{name: _as_tuples(value) for name, value in fields.items()})


def _as_tuples(value: Any) -> Any:
    """JSON has lists where the dataclasses have tuples."""
    return tuple(_as_tuples(entry) for entry in value) if isinstance(value, list) else value
