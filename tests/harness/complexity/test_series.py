"""Points as curves."""

from __future__ import annotations

import numpy as np

from harness.complexity.series import series
from harness.complexity.summary import summarise
from tests.harness.complexity import rows


def test_one_series_for_each_label_and_environment() -> None:
    other = {**rows.ENVIRONMENT, "processor": "another"}
    made = rows.survey(frames=(9, 27)) + rows.survey(frames=(9, 27), environment=other)
    found = series(summarise(made))
    assert [one.label for one in found] == [*rows.LAWS, *rows.LAWS]
    assert len({one.environment_key for one in found}) == 2
    assert all([member.point.frames for member in one.members] == [9, 27] for one in found)


def test_what_cannot_be_used_is_left_out_and_said() -> None:
    found = {one.label: one for one in series(summarise([*rows.survey(), *rows.invalid(), rows.out_of_memory()]))}
    motionbert = found["motionbert"]
    assert [member.point.frames for member in motionbert.usable] == [27, 81, 243, 486, 729]
    assert motionbert.left_out[0] == "T=9: INVALID: the clock went backwards by 3 ms"
    assert motionbert.left_out[1].startswith("T=2187: oom: out of memory")
    assert set(motionbert.draws) == {27, 81, 243, 486, 729}


def test_noisy_points_are_used() -> None:
    found = {one.label: one for one in series(summarise(rows.typical()))}
    assert any(member.verdict == "NOISY" for member in found["motionbert"].usable)


def test_draws_of_two_points_do_not_go_together() -> None:
    law = rows.power_law(0)
    first, second = series(summarise(rows.survey({"a": law, "b": law}, frames=(27,), samples=200)))
    assert abs(np.corrcoef(first.draws[27], second.draws[27])[0, 1]) < 0.1
