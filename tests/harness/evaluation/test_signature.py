"""Signatures written, read back, and told apart."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.evaluation.signature import Signature

HUMAN36M = Signature(data="h36m", detector="sh", test=("S9", "S11"), window=243, scored_frames=566920)
LONG = (
    "MPJPE|protocol:all|data:h36m|2d:sh|test:S9,S11|T:243|frames:all:566920|clips:overlap-last|avg:frame|joints:17|root:0|"
    "align:none|flip:yes|unit:mm|space:camera|v:1"
)
SHORT = (
    "MPJPE|P:all|d:h36m|2:sh|s:S9,S11|T:243|n:all:566920|c:overlap-last|a:frame|j:17|r:0|l:none|f:yes|u:mm|x:camera|v:1"
)

words = st.text(st.characters(codec="utf-8", exclude_characters="|,:", exclude_categories=("Z", "C")), min_size=1)
signatures = st.builds(
    Signature,
    data=words,
    detector=words,
    test=st.lists(words, min_size=1, max_size=4).map(tuple),
    window=st.integers(1, 1000),
    scored_frames=st.integers(0, 10**7),
    metric=words,
    frame_set=words,
    flip=st.booleans(),
    padded_sequences=st.integers(0, 500),
    missing_truth_frames=st.integers(0, 500),
    space=words,
    precision=words,
)


def changed(**fields: Any) -> Signature:
    return dataclasses.replace(HUMAN36M, **fields)


def test_both_forms_letter_by_letter() -> None:
    assert HUMAN36M.long() == LONG
    assert HUMAN36M.short() == SHORT


def test_padding_and_missing_truth_are_shown_where_there_are_any() -> None:
    assert "|pad:edge:67|missing:5|v:1" in changed(padded_sequences=67, missing_truth_frames=5).long()
    assert "|p:edge:67|m:5|v:1" in changed(padded_sequences=67, missing_truth_frames=5).short()


def test_a_precision_is_shown_where_it_is_not_float32() -> None:
    reduced = changed(precision="bf16", missing_truth_frames=5)
    assert "|missing:5|precision:bf16|v:1" in reduced.long()
    assert "|m:5|i:bf16|v:1" in reduced.short()
    assert Signature.parse(LONG).precision == "fp32"


@pytest.mark.parametrize("frame_set", ["all", "valid", "split"])
def test_a_precision_is_of_the_lifter_and_parts_no_group(frame_set: str) -> None:
    plain, reduced = (changed(frame_set=frame_set, precision=name) for name in ("fp32", "bf16"))
    assert plain != reduced
    assert plain.comparable(reduced)
    assert plain.group() == reduced.group()


@given(signatures)
def test_both_forms_are_read_back(signature: Signature) -> None:
    assert Signature.parse(signature.long()) == signature
    assert Signature.parse(signature.short()) == signature


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"data": "motion"}, "data"),
        ({"detector": "gt"}, "2d"),
        ({"test": ("S9",)}, "test"),
        ({"scored_frames": 500000}, "frames"),
        ({"frame_set": "motionbert"}, "frames"),
        ({"average": "action"}, "avg"),
        ({"joints": "14:smpl"}, "joints"),
        ({"root": "0:kept"}, "root"),
        ({"protocol": "videopose3d"}, "protocol"),
        ({"blocked": 12}, "blocked"),
        ({"truth": "image"}, "truth"),
        ({"xy": "input"}, "xy"),
        ({"align": "procrustes"}, "align"),
        ({"flip": False}, "flip"),
        ({"unit": "m"}, "unit"),
        ({"space": "image"}, "space"),
        ({"missing_truth_frames": 3}, "missing"),
        ({"version": 2}, "v"),
        ({"metric": "P-MPJPE"}, "metric"),
    ],
)
def test_protocols_that_differ_are_not_ranked_and_the_field_is_named(fields: dict[str, Any], key: str) -> None:
    other = changed(**fields)
    assert HUMAN36M.difference(other) == other.difference(HUMAN36M) == [key]
    assert not HUMAN36M.comparable(other)
    assert HUMAN36M.group() != other.group()


def test_the_window_does_not_part_models_scored_on_every_frame() -> None:
    longer = changed(window=729, padded_sequences=12, clips="sliding-centre")
    assert longer != HUMAN36M
    assert HUMAN36M.comparable(longer)
    assert HUMAN36M.group() == longer.group()


def test_the_window_parts_models_where_it_decides_which_frames_count() -> None:
    shorter = changed(frame_set="motionbert")
    longer = changed(frame_set="motionbert", window=729, padded_sequences=12, clips="drop-tail")
    assert shorter.difference(longer) == ["T", "clips", "pad"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "frames is not given"),
        ("MPJPE|data:h36m", "frames is not given"),
        (LONG.replace("|flip:yes", ""), "flip is not given"),
        (LONG.replace("flip:yes", "flip:perhaps"), "flip yes or no"),
        (LONG.replace("T:243", "T:many"), "many"),
        (LONG.replace("data:h36m", "dta:h36m"), "cannot read 'dta:h36m'. Did you mean: data"),
        (LONG + "|flip:no", "cannot read 'flip:no'"),
        (LONG + "|pad:zero:3", "pad must be edge"),
    ],
)
def test_what_is_no_signature_is_refused(text: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        Signature.parse(text)


@pytest.mark.parametrize(
    "fields", [{"data": "a|b"}, {"data": ""}, {"test": ("a,b",)}, {"test": ()}, {"frame_set": "a:b"}]
)
def test_values_that_could_not_be_read_back_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="signature"):
        changed(**fields)
