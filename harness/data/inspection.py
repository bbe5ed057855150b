"""What a data set as loaded consists of, as text for a terminal."""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterable
from collections.abc import Sequence as Many

import numpy as np

from harness.data import array_store
from harness.data.sequence import Dataset, Sequence
from harness.data.skeleton import JOINT_COUNT, JOINT_NAMES

WIDTH = 110
_GAP = "   "
_NAMED_CAMERAS = 4
_ABSENT = "–"


def describe(dataset: Dataset, spec: str) -> str:
    """All of ``dataset``, loaded by the name ``spec``: parts, image sizes and cameras, subjects, actions, notes.

    Confidences are read as a whole, keypoints and truth are not.
    """
    heading = [
        ("detector", dataset.detector),
        ("truth", _truth(dataset)),
        ("scored", _joints(dataset)),
        ("arrays", storage(dataset)),
    ]
    blocks = [
        [spec, *(line for name, text in heading for line in _wrapped(f"  {name:10}", text))],
        _parts(dataset),
        _cameras(dataset),
        _by_name(dataset, "subject"),
        _by_name(dataset, "action", dataset.grouped_by),
        [line for note in dataset.notes for line in _wrapped("note: ", note)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def storage(dataset: Dataset) -> str:
    """Where the arrays are, and how large."""
    store = array_store.find(dataset)
    if store is None:
        return f"{_size(sum(map(_bytes, (*dataset.train, *dataset.test))))} in memory, made at every start"
    return f"{_size(sum(path.stat().st_size for path in store.iterdir()))} in {store}"


def _bytes(sequence: Sequence) -> int:
    arrays = (sequence.keypoints, sequence.confidence, sequence.truth, sequence.mm_per_pixel, sequence.valid)
    return sum(array.nbytes for array in arrays if array is not None)


def _size(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 10e6 else f"{count / 1e3:,.0f} kB"


def _truth(dataset: Dataset) -> str:
    if dataset.space == "camera":
        return "in camera space, mm"
    sequences = (*dataset.train, *dataset.test)
    factors = [one.mm_per_pixel for one in sequences if one.mm_per_pixel is not None and len(one)]
    known = [factor for factor in factors if np.isfinite(factor).all()]
    text = f"in the image (2.5-D), pixels; mm per pixel known for {len(known)} of {len(sequences)} sequences"
    if known:
        least, most = min(float(factor.min()) for factor in known), max(float(factor.max()) for factor in known)
        text += f", {least:.2f} to {most:.2f}"
    return text


def _joints(dataset: Dataset) -> str:
    if len(dataset.joints) == JOINT_COUNT:
        return f"all {JOINT_COUNT} joints"
    return f"{len(dataset.joints)} joints ({dataset.joints_name}): " + ", ".join(JOINT_NAMES[j] for j in dataset.joints)


def _parts(dataset: Dataset) -> list[str]:
    groups = f"{dataset.grouped_by}s"
    rows = [["", "sequences", "takes", "frames", "scored", "minutes", "subjects", groups, "a joint lost", "all lost"]]
    for part, sequences in (("train", dataset.train), ("test", dataset.test)):
        frames = sum(map(len, sequences))
        scored = sum(len(one) if one.valid is None else int(one.valid.sum()) for one in sequences)
        minutes = sum(len(one) / one.fps for one in sequences) / 60
        names = [len({getattr(one, field) for one in sequences}) for field in ("take", "subject", "action")]
        lost = [_share(number, frames) for number in _lost(sequences)]
        rows.append([
            part, f"{len(sequences):,}", f"{names[0]:,}", f"{frames:,}", f"{scored:,}", f"{minutes:,.1f}",
            f"{names[1]:,}", f"{names[2]:,}", *lost,
        ])  # fmt: skip
    return [*_table(rows), "lost: with confidence 0, a share of the frames"]


def _lost(sequences: Iterable[Sequence]) -> tuple[int, int]:
    """Frames in which the detector lost a joint, and all."""
    some = every = 0
    for sequence in sequences:
        lost = sequence.confidence == 0
        some, every = some + int(lost.any(axis=1).sum()), every + int(lost.all(axis=1).sum())
    return some, every


def _share(number: int, of: int) -> str:
    return f"{number / of:.1%}" if of else _ABSENT


def _cameras(dataset: Dataset) -> list[str]:
    groups: dict[tuple[int, int, float], list[Sequence]] = defaultdict(list)
    for sequence in (*dataset.train, *dataset.test):
        groups[sequence.camera.width, sequence.camera.height, sequence.fps].append(sequence)
    rows = [["image", "fps", "sequences", "frames", "cameras"]]
    for (width, height, fps), sequences in sorted(groups.items()):
        names = sorted({one.camera.name for one in sequences})
        more = f" and {len(names) - _NAMED_CAMERAS} more" if len(names) > _NAMED_CAMERAS else ""
        frames = sum(map(len, sequences))
        image = f"{width} x {height}"
        rows.append([image, f"{fps:g}", f"{len(sequences):,}", f"{frames:,}", ", ".join(names[:_NAMED_CAMERAS]) + more])
    return _table(rows, texts=(0, 4))


def _by_name(dataset: Dataset, field: str, title: str = "") -> list[str]:
    """Frames of every subject or action in training and test, in blocks side by side."""
    frames = {part: _frames(ones, field) for part, ones in (("train", dataset.train), ("test", dataset.test))}
    rows = [[title or field, "train", "test"]]
    for name in sorted({*frames["train"], *frames["test"]}):
        rows.append([name, *(f"{counts[name]:,}" if name in counts else _ABSENT for counts in frames.values())])
    return _side_by_side(_table(rows))


def _frames(sequences: Iterable[Sequence], field: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for sequence in sequences:
        counts[getattr(sequence, field)] += len(sequence)
    return counts


def _table(rows: Many[Many[str]], texts: tuple[int, ...] = (0,)) -> list[str]:
    """Aligned columns: those in ``texts`` to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(
            cell.ljust(width) if column in texts else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _side_by_side(table: list[str]) -> list[str]:
    """The table in as many blocks as go beside each other, each with its heading."""
    heading, *rows = table
    width = max(map(len, table))
    blocks = max(1, min((WIDTH + 2 * len(_GAP)) // (width + 2 * len(_GAP)), len(rows)))
    height = -(-len(rows) // blocks)
    columns = [[heading, *rows[first : first + height]] for first in range(0, len(rows), height)]
    return [
        (2 * _GAP).join(column[line].ljust(width) for column in columns if line < len(column)).rstrip()
        for line in range(height + 1)
    ]


def _wrapped(start: str, text: str) -> list[str]:
    # Paths stay in one piece, to be copied.
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
