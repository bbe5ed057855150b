"""The hardest takes are those where models err most for what they are, all cameras and seeds together."""

from __future__ import annotations

from typing import Any

import pytest

from harness.comparison.group import group
from harness.reporting.hardest import hardest
from tests.harness.reporting import records


def run(model: str, seed: int, errors: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Two cameras of each take, the second with three times as many frames."""
    made = records.record(model, seed)
    made["accuracy"]["per_sequence"] = [
        {
            "sequence": f"{take}@{camera}",
            "take": take,
            "action": "run",
            "frames": frames,
            "p1_mm": error,
            "p2_mm": error,
        }
        for take, pair in errors.items()
        for camera, (error, frames) in enumerate(zip(pair, (100, 300), strict=True))
    ]
    return made


def test_frames_and_seeds_are_weighed() -> None:
    first = run("posemamba-s", 0, {"a": (10.0, 20.0), "b": (50.0, 50.0)})
    again = run("posemamba-s", 1, {"a": (12.0, 22.0), "b": (50.0, 50.0)})
    other = run("posemamba-xs", 0, {"a": (90.0, 90.0), "b": (40.0, 40.0)})
    b, a = sorted(hardest(group([first, again, other])[0]), key=lambda one: one.take, reverse=True)
    assert (a.take, a.frames, a.best) == ("a", 400, "posemamba-s")
    assert a.best_mm == pytest.approx(18.5)
    assert a.p1_mm == pytest.approx((18.5 + 90.0) / 2)
    assert (b.best, b.p1_mm) == ("posemamba-xs", 45.0)
    assert [one.take for one in hardest(group([first, again, other])[0])] == ["a", "b"]


def test_takes_that_one_model_lacks_are_left_out() -> None:
    found = hardest(group([
        run("posemamba-s", 0, {"a": (1.0, 1.0), "b": (2.0, 2.0)}), run("posemamba-xs", 0, {"b": (3.0, 3.0)}),
    ])[0])  # fmt: skip
    assert [one.take for one in found] == ["b"]


def test_without_errors_of_sequences_there_are_none() -> None:
    bare = records.record()
    del bare["accuracy"]["per_sequence"]
    assert hardest(group([bare])[0]) == []
    assert hardest(group([records.failed()])[0]) == []


def bad(errors: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """A model that is worse than every floor, and where it is worst."""
    made = run("motionagformer-xs", 0, errors)
    made["accuracy"]["p1_mm"] = 300.0
    return made


def test_a_model_that_beats_no_floor_does_not_decide_what_is_hard() -> None:
    good = [run(model, 0, {"a": (60.0, 60.0), "b": (90.0, 90.0)}) for model in ("posemamba-s", "posemamba-xs")]
    found = hardest(group([*good, bad({"a": (1500.0, 1500.0), "b": (10.0, 10.0)})])[0])
    assert [one.take for one in found] == ["b", "a"]
    # Nor is it in the figures.
    assert [(one.p1_mm, one.best_mm) for one in found] == [(90.0, 90.0), (60.0, 60.0)]


def test_where_none_beats_the_floors_or_there_are_none_all_decide() -> None:
    errors = {"a": (1500.0, 1500.0), "b": (10.0, 10.0)}
    assert [one.take for one in hardest(group([bad(errors)])[0])] == ["a", "b"]
    without = [run("posemamba-s", 0, {"a": (60.0, 60.0), "b": (90.0, 90.0)}), bad(errors)]
    for one in without:
        one["floors"] = {}
    assert [one.take for one in hardest(group(without)[0])] == ["a", "b"]


def test_no_model_weighs_more_because_it_errs_more_everywhere() -> None:
    precise = run("posemamba-s", 0, {"a": (20.0, 20.0), "b": (40.0, 40.0)})
    coarse = run("posemamba-xs", 0, {"a": (120.0, 120.0), "b": (90.0, 90.0)})
    precise["accuracy"]["p1_mm"], coarse["accuracy"]["p1_mm"] = 20.0, 100.0
    b, a = hardest(group([precise, coarse])[0])
    # In millimetres it would be the other way round: 70 for a, 65 for b.
    assert (b.take, a.take) == ("b", "a")
    assert (b.difficulty, a.difficulty) == (pytest.approx((2.0 + 0.9) / 2), pytest.approx((1.0 + 1.2) / 2))
    assert (b.p1_mm, a.p1_mm) == (65.0, 70.0)
