from __future__ import annotations

import pytest

from harness.data.split import same_people, split_by_subject
from harness.data.take import Take
from tests.harness.data.figures import take


def parts(takes: list[Take]) -> dict[str, set[str]]:
    return {part: {take.name for take in takes if take.part == part} for part in ("train", "test")}


@pytest.mark.parametrize(("subjects", "tested"), [(2, 1), (5, 1), (6, 2), (10, 2)])
def test_the_last_fifth_of_the_subjects_is_for_testing(subjects: int, tested: int) -> None:
    takes = [take(f"P{number:02d}", clip) for number in range(subjects) for clip in ("a", "b")]
    split, note = split_by_subject(takes[::-1])
    held_out = [f"P{number:02d}" for number in range(subjects - tested, subjects)]
    assert parts(split)["test"] == {f"{subject}/Stand/{clip}" for subject in held_out for clip in "ab"}
    assert len(parts(split)["train"]) == 2 * (subjects - tested)
    assert note.endswith(", ".join(held_out))


def test_one_subject_is_split_by_take_and_the_note_says_so() -> None:
    split, note = split_by_subject([take("P", str(number)) for number in range(5)])
    assert parts(split)["test"] == {"P/Stand/4"}
    assert "one subject only (P)" in note


def test_one_take_is_all_for_testing() -> None:
    split, note = split_by_subject([take("P")])
    assert [each.part for each in split] == ["test"]
    assert "nothing for training" in note


def test_one_person_under_two_names_is_noticed() -> None:
    takes = [take("A"), take("B", part="test"), take("C", part="test", scale=1.1), take("A", "two", part="test")]
    same, again = sorted(same_people(takes))
    assert "test subject A is in training too" in same
    assert "test subject B and training subject A have the same bones" in again
