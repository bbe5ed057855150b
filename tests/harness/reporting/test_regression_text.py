"""A regression check in words: a line a check, the verdict last."""

from __future__ import annotations

import json

from harness.comparison.regression import NOT_JUDGED, NOT_WORSE, WORSE, Check, Limits, Regression
from harness.reporting import regression_text

LIMITS = Limits(worth_having_mm=0.2)
FINE = Check("a", "accuracy", "P1 61 -> 61 mm", NOT_WORSE)
SLOW = Check("b", "speed", "1.0 -> 2.0 ms", WORSE)
UNTIMED = Check("a", "speed", "1.0 -> 2.0 NOISY ms", NOT_JUDGED, "NOISY timings")
OPEN = Check("c", "accuracy", "not stored", NOT_JUDGED)


def last(found: Regression) -> str:
    return regression_text.text(found, LIMITS).splitlines()[-1]


def test_one_line_a_check_and_the_verdict_last() -> None:
    lines = regression_text.text(Regression((FINE, SLOW), ("d",), ("e",)), LIMITS).splitlines()
    assert lines[1:] == [
        "a: accuracy: P1 61 -> 61 mm: not worse",
        "b: speed: 1.0 -> 2.0 ms: worse",
        "d: only in BASE: not compared",
        "e: only in NEW: not compared",
        "verdict: WORSE in speed of b",
    ]
    assert "at least 0.2 mm" in lines[0]
    assert "more than 5 %" in lines[0]


def test_verdicts_agree_with_the_exit_code() -> None:
    assert (last(Regression((FINE,))), Regression((FINE,)).exit_code) == ("verdict: not worse", 0)
    assert (last(Regression((OPEN, FINE))), Regression((OPEN,)).exit_code) == ("verdict: CANNOT BE COMPARED: c", 2)
    assert last(Regression((OPEN, SLOW))) == "verdict: WORSE in speed of b"
    assert last(Regression(())) == "verdict: CANNOT BE COMPARED: no configuration is in both"


def test_an_unjudged_speed_is_in_the_verdict_with_why() -> None:
    elsewhere = Check("b", "speed", "here -> there", NOT_JUDGED, "not timed alike")
    assert last(Regression((FINE, UNTIMED, elsewhere))) == (
        "verdict: not worse in accuracy; speed not judged (NOISY timings: a; not timed alike: b)"
    )
    required = Regression((FINE, UNTIMED), require_speed=True)
    assert (last(required), required.exit_code) == ("verdict: CANNOT BE COMPARED: speed of a", 2)


def test_json() -> None:
    content = json.loads(regression_text.as_json(Regression((SLOW,), only_new=("e",)), LIMITS))
    assert (content["exit_code"], content["verdict"]) == (1, "WORSE in speed of b")
    assert content["checks"][0]["ending"] == "worse"
    assert content["only_new"] == ["e"]
    assert content["limits"]["worth_having_mm"] == 0.2
