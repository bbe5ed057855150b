"""Shares of the roofline, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from harness.complexity.roofline import ARITHMETIC, EXPONENTIALS, MEMORY, WHOLE, Peaks, Share, peaks, shares
from harness.complexity.summary import summarise
from tests.harness.complexity import rows

PEAKS = {"gemm_flops_per_s": 100e9, "copy_bytes_per_s": 10e9, "exp_per_s": 1e9}


def survey(kinds: dict[str, dict[str, Any]], latency_ms: float = 40.0, **fields: Any) -> list[dict[str, Any]]:
    point = rows.point("posemamba-s", 81, **fields)
    made = rows.of_point(rows.power_law(0, latency_ms), point, noise=0)
    made[0]["kinds"] = kinds
    return [rows.machine(**PEAKS), *made]


def work(seconds: float, flops: int, bytes_: int, transcendentals: int = 0) -> dict[str, Any]:
    return {"calls": 1, "seconds": seconds, "flops": flops, "bytes": bytes_, "transcendentals": transcendentals}


KINDS = {
    "projection": work(0.020, 10**9, 10**7),  # 10 ms of arithmetic, 1 ms of memory
    "scan": work(0.010, 10**8, 10**7, 8 * 10**6),  # 1 ms, 1 ms, 8 ms of exponentials
    "elementwise": work(0.005, 10**6, 2 * 10**7),  # 0.01 ms, 2 ms
}


def found(made: list[dict[str, Any]]) -> dict[str, Share]:
    return {share.kind: share for share in shares(summarise(made), made)}


def test_each_kind_is_bound_by_its_own_roof() -> None:
    by_kind = found(survey(KINDS))
    assert {kind: share.bound for kind, share in by_kind.items() if kind != WHOLE} == {
        "projection": ARITHMETIC, "scan": EXPONENTIALS, "elementwise": MEMORY,
    }  # fmt: skip
    assert by_kind["projection"].share == pytest.approx(0.5)
    assert by_kind["scan"].share == pytest.approx(0.8)
    assert by_kind["elementwise"].share == pytest.approx(0.4)
    projection = by_kind["projection"]
    assert projection.intensity == pytest.approx(100)
    assert projection.rate == pytest.approx(50e9)
    assert projection.attainable_rate == pytest.approx(100e9)
    assert by_kind["elementwise"].attainable_rate == pytest.approx(by_kind["elementwise"].intensity * 10e9)  # type: ignore[operator]


def test_the_whole_is_against_the_median_latency() -> None:
    whole = found(survey(KINDS, latency_ms=44.04))[WHOLE]
    assert (whole.flops, whole.bytes, whole.transcendentals) == (1_101_000_000, 40_000_000, 8_000_000)
    assert whole.seconds == pytest.approx(0.04404)
    assert whole.share == pytest.approx(0.25)


def test_the_order_is_that_of_kinds_then_the_whole() -> None:
    backwards = dict(reversed(KINDS.items()))
    assert list(found(survey(backwards))) == ["projection", "scan", "elementwise", WHOLE]


def test_without_a_rate_of_exponentials_there_are_two_roofs() -> None:
    assert Peaks(1e9, 1e9, None).seconds(10, 20, 10**9) == (2e-8, MEMORY)


@pytest.mark.parametrize("fields", [{"precision": "bf16"}, {"threads": 1}, {"device": "cuda"}])
def test_peaks_of_something_else_are_not_used(fields: dict[str, Any]) -> None:
    assert found(survey(KINDS, **fields)) == {}


def test_peaks_of_another_environment_are_not_used() -> None:
    made = survey(KINDS)
    made[0] = rows.machine({**rows.ENVIRONMENT, "processor": "another"}, **PEAKS)
    assert found(made) == {}


def test_the_last_measurement_of_the_machine_counts() -> None:
    twice = [rows.machine(**PEAKS), rows.machine(**{**PEAKS, "exp_per_s": 2e9})]
    (known,) = peaks(twice).values()
    assert known.exp_per_s == 2e9


def test_a_machine_that_failed_has_no_peaks() -> None:
    assert peaks([rows.row("machine", None, status="failed", error="killed")]) == {}


def test_a_kind_without_work_or_time_has_no_share() -> None:
    assert list(found(survey({"projection": work(0.0, 10**9, 10), "scan": work(0.01, 0, 10)}))) == [WHOLE]


def test_invalid_points_have_none() -> None:
    made = [rows.machine(), *rows.invalid()]
    assert found(made) == {}
