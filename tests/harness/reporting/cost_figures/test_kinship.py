"""Which lifters share a panel."""

from __future__ import annotations

from harness.complexity.series import series
from harness.complexity.summary import summarise
from harness.models import MODELS
from harness.reporting.cost_figures import kinship
from tests.harness.complexity import rows


def of(*models: str) -> list:
    laws = dict.fromkeys(models, rows.LAWS["posemamba-s"])
    return series(summarise(rows.survey(laws, (27,), rounds=1, samples=1)))


def test_up_to_eight_share_one_panel() -> None:
    eight = of(*list(MODELS)[:8])
    assert kinship.panels(eight) == [("", eight)]


def test_more_are_together_with_their_kin_and_never_more_than_eight() -> None:
    strangers = [f"package.module:build_{index}" for index in range(9)]
    every = of(*MODELS, *strangers)
    found = kinship.panels(every)
    assert sorted(one.label for _, members in found for one in members) == sorted([*MODELS, *strangers])
    assert all(len(members) <= kinship.MOST_TOGETHER for _, members in found)
    for name, members in found:
        assert {kinship.kinship(one.label) for one in members} == {name}
    assert [len(members) for name, members in found if name == kinship.OTHERS] == [4, 5]


def test_models_are_in_the_registrys_order_whenever_they_were_measured() -> None:
    laws = dict.fromkeys(["package.module:build", *reversed(MODELS)], rows.LAWS["posemamba-s"])
    summaries = summarise(rows.survey(laws, (27,), rounds=1, samples=1))
    assert [one.label for one in kinship.in_order(summaries)] == [*MODELS, "package.module:build"]


def test_a_lifter_of_one_frame_is_known_by_what_came_out() -> None:
    summaries = summarise(rows.survey(frames=(27,)))
    found = {one.label: kinship.answers_for_one_frame(one) for one in summaries}
    assert found == {"posemamba-s": False, "motionagformer-xs": False, "motionbert": False, "videopose3d": True}
