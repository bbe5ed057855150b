"""Turns against a clock of the test's own."""

from __future__ import annotations

from itertools import chain, repeat

import pytest

from benchmarks import turns
from benchmarks.turns import Effort
from tests.benchmarks.durations import Durations


def test_every_peer_gives_its_own_duration() -> None:
    durations = Durations()
    fast, slow = durations.peer("fast", repeat(0.0625)), durations.peer("slow", repeat(0.5))
    durations.take_turns(fast, slow)
    assert fast.samples_ms == [62.5] * 8
    assert slow.samples_ms == [500.0] * 8


def test_in_a_turn_each_peer_has_one_sample_in_an_order_that_changes() -> None:
    durations = Durations()
    peers = [durations.peer(name, repeat(0.5)) for name in "abc"]
    durations.take_turns(*peers)
    turns = [durations.order[-24:][start : start + 3] for start in range(0, 24, 3)]
    assert all(sorted(turn) == ["a", "b", "c"] for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1


def test_the_few_samples_of_a_slow_peer_are_spread_over_the_turns() -> None:
    durations = Durations()
    fast, slow = durations.peer("fast", repeat(0.5)), durations.peer("slow", repeat(4.0))
    durations.take_turns(fast, slow, effort=Effort(samples=18, seconds=9.0))
    assert (len(fast.samples_ms), len(slow.samples_ms)) == (18, 6)
    taken = durations.order[-24:]
    between = "".join("s" if name == "slow" else "f" for name in taken).split("s")
    assert max(map(len, between)) <= 5


@pytest.mark.parametrize(("sample_ms", "wanted"), [(10.0, 15), (800.0, 12), (2000.0, 6), (60_000.0, 6)])
def test_as_many_samples_as_fit_but_those_of_an_interval(sample_ms: float, wanted: int) -> None:
    assert Effort(samples=15, seconds=10.0).wanted(sample_ms) == wanted


def test_short_calls_are_timed_in_blocks_after_one_that_is_not() -> None:
    durations = Durations()
    peer = durations.peer("short", chain(repeat(0.003, 100), repeat(0.004)))
    durations.take_turns(peer)
    warm_up = len(durations.order) - 8 * (1 + 4)
    assert peer.calls == 4
    assert warm_up > 5
    assert peer.row()["samples_wanted"] == 8


def test_the_untimed_call_is_not_in_the_sample() -> None:
    durations = Durations()
    peer = durations.peer("cold", repeat(0.02))
    durations.take_turns(peer, effort=Effort(samples=6))
    before = len(durations.order)
    cold = durations.peer("cold", chain([5.0], repeat(0.02)))
    peer.call = cold.call
    turns._sample(peer, durations.clock)
    assert len(durations.order) == before + 1 + peer.calls
    assert peer.samples_ms[-1] == pytest.approx(20.0)


def test_a_row_has_median_interval_and_verdict() -> None:
    durations = Durations()
    samples = [0.5, 0.51, 0.52, 0.53, 0.54, 0.55]
    peer = durations.peer("one", chain(repeat(0.5, 2), samples), lambda result: {"error": 1e-7})
    durations.take_turns(peer, effort=Effort(samples=6))
    row = peer.row()
    assert row["median_ms"] == pytest.approx(525.0)
    assert (row["low_ms"], row["high_ms"]) == (pytest.approx(500.0), pytest.approx(550.0))
    assert row["verdict"] == "STABLE"
    assert row["error"] == 1e-7
    assert row["samples_ms"] == pytest.approx([1000 * one for one in samples])


def test_scattered_samples_are_noisy_and_few_are_invalid() -> None:
    durations = Durations()
    noisy = durations.peer("noisy", chain(repeat(0.5, 2), [0.3, 0.9, 0.5, 0.4, 0.8, 0.6]))
    few = durations.peer("few", repeat(0.5))
    durations.take_turns(noisy, effort=Effort(samples=6))
    durations.take_turns(few, effort=Effort(samples=3))
    assert noisy.row()["verdict"] == "NOISY"
    assert few.row()["verdict"] == "INVALID"
    assert few.row()["why"] == "only 3 samples fitted in the time"


def test_a_wrong_result_leaves_no_figures_and_takes_no_turns() -> None:
    durations = Durations()
    wrong = durations.peer("wrong", repeat(0.5), lambda result: {"trouble": "the result is not finite"})
    durations.take_turns(wrong, durations.peer("right", repeat(0.5)))
    row = wrong.row()
    assert (row["verdict"], row["why"], row["median_ms"]) == ("INVALID", "the result is not finite", None)
    assert durations.order.count("wrong") == 2


def test_a_clock_that_stands_still_in_a_sample_is_trouble() -> None:
    durations = Durations()
    peer = durations.peer("stopped", chain(repeat(0.5, 5), repeat(0.0)))
    durations.take_turns(peer)
    assert peer.row()["verdict"] == "INVALID"
    assert "clock" in peer.row()["why"]
