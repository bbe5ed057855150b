"""Training and test where a source does not part them itself: by person, the same way every time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.body import bone_lengths
from harness.data.take import Part, Take

#: Share of subjects (or of takes, of one subject) that becomes the test set, rounded up.
TEST_SHARE = 0.2

#: Subjects whose bones differ by less than this on average may be one person.
SAME_PERSON_MM = 2.0


def split_by_subject(takes: Sequence[Take]) -> tuple[list[Take], str]:
    """The takes with their parts set, and a sentence that says how they were parted.

    The last fifth of the subjects, in order of name, is the test set. One subject alone is parted by take, one take
    alone is all test.
    """
    subjects = sorted({take.subject for take in takes})
    if len(subjects) > 1:
        held_out = subjects[-math.ceil(TEST_SHARE * len(subjects)) :]
        note = f"split by subject, the last fifth by name for testing: {', '.join(held_out)}"
        return _part(takes, {take.name for take in takes if take.subject in held_out}), note
    names = sorted(take.name for take in takes)
    last = names[-math.ceil(TEST_SHARE * len(names)) :]
    if len(names) == 1:
        note = f"one take only ({names[0]}): all of it is for testing, nothing for training"
    else:
        note = (
            f"one subject only ({subjects[0]}): split by take, the last fifth by name for testing;"
            " the test set shows a person seen in training"
        )
    return _part(takes, set(last)), note


def same_people(takes: Sequence[Take]) -> list[str]:
    """Sentences naming those who are, or by the lengths of their bones may be, in training and in testing."""
    bones = {"train": _bones(takes, "train"), "test": _bones(takes, "test")}
    notes = []
    for subject, lengths in bones["test"].items():
        if subject in bones["train"]:
            notes.append(f"test subject {subject} is in training too")
            continue
        for other, other_lengths in bones["train"].items():
            difference_mm = float(np.abs(lengths - other_lengths).mean())
            if difference_mm < SAME_PERSON_MM:
                notes.append(
                    f"test subject {subject} and training subject {other} have the same bones"
                    f" ({difference_mm:.1f} mm apart on average): one person under two names?"
                )
    return notes


def _bones(takes: Sequence[Take], part: Part) -> dict[str, NDArray[Any]]:
    """Bone lengths (16,) of each subject of the part, mean over takes."""
    lengths: dict[str, list[NDArray[Any]]] = {}
    for take in takes:
        if take.part == part:
            lengths.setdefault(take.subject, []).append(bone_lengths(take.joints_mm))
    return {subject: np.mean(rows, axis=0) for subject, rows in sorted(lengths.items())}


def _part(takes: Sequence[Take], test: set[str]) -> list[Take]:
    return [replace(take, part="test" if take.name in test else "train") for take in takes]
