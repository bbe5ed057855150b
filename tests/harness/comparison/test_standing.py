"""Where entries stand: interval of each, and the corrected difference from the best."""

from __future__ import annotations

from harness.comparison import pair, standing
from harness.comparison.group import group
from harness.evaluation.statistics import holm
from tests.harness.reporting import records


def test_every_scored_entry_by_rank_against_the_best() -> None:
    (members,) = group(records.typical())
    found = standing.of(members)
    assert tuple(one.entry for one in found) == members.scored
    assert found[0].to_best is None
    assert found[0].p_value is None
    for one in found[1:]:
        assert one.to_best == pair.tested(one.entry, members.scored[0])[0]
        assert one.to_best is not None
        assert one.to_best.difference.mean_mm > 0
    raw = [one.to_best.p_value for one in found if one.to_best]
    assert [one.p_value for one in found[1:]] == list(holm(raw))
    assert any(one.p_value != raw[index] for index, one in enumerate(found[1:]))


def test_what_stands_in_the_way_is_said_and_does_not_count_in_the_correction() -> None:
    runs = [records.record(model) for model in ("posemamba-s", "posemamba-xs", "motionagformer-xs")]
    del runs[1]["accuracy"]["per_sequence"]
    (members,) = group(runs)
    best, second, third = standing.of(members)
    assert (second.interval, second.to_best, second.p_value) == (None, None, None)
    assert second.obstacles == ("errors of single sequences are not stored",)
    assert third.to_best is not None
    assert third.p_value == third.to_best.p_value
    assert best.obstacles == third.obstacles == ()


def test_a_single_entry_and_one_that_failed() -> None:
    (members,) = group([records.record()])
    (alone,) = standing.of(members)
    assert alone.interval is not None
    assert alone.to_best is None
    (members,) = group([records.failed()])
    assert standing.of(members) == []
