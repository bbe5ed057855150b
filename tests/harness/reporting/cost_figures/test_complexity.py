"""The figure of growth: its panels, labels and caption, for one lifter or for all that are registered."""

from __future__ import annotations

from typing import Any

import pytest

from harness.complexity.summary import summarise
from harness.models import MODELS
from harness.reporting.cost_figures import complexity
from tests.harness.complexity import rows
from tests.harness.reporting.cost_figures import layout


def every_model() -> list[dict[str, Any]]:
    """A short survey of everything that is registered, with one lifter out of memory at the longest clip."""
    laws = dict.fromkeys(MODELS, rows.LAWS["motionagformer-xs"])
    made = rows.survey(laws, (27, 81, 243, 729), rounds=1, samples=8)
    failed = rows.out_of_memory("mixste", 729)
    return [row for row in made if row.get("point") != failed["point"]] + [failed]


def test_a_typical_survey_has_four_panels_with_exponents_at_the_ends() -> None:
    (figure,) = complexity.draw(summarise(rows.typical())).values()
    layout.check(figure)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        quantity.title for quantity in complexity.QUANTITIES
    ]
    latency = layout.panel(figure, "Latency of a clip")
    assert any(text.get_text().startswith("posemamba-s  0.9") for text in latency.texts)
    published = layout.panel(figure, complexity.PUBLISHED.title)
    assert {text.get_text()[-4:] for text in published.texts} == {"1.00"}
    quadratic = layout.panel(figure, complexity.QUADRATIC.title)
    assert {text.get_text().split()[0] for text in quadratic.texts} == {
        "motionbert",
        "motionagformer-xs",
        "posemamba-s",
    }


def test_the_caption_has_protocol_verdicts_gaps_and_what_one_frame_means() -> None:
    said = layout.words(complexity.draw(summarise(rows.typical()))["complexity"])
    for part in (
        "Median of 90 samples in 3 rounds", "AMD EPYC 9R14", "NOISY", "motionbert T = 27", "INVALID",
        "Out of memory (×): motionbert T = 2187", "Answering for one frame of the clip only: videopose3d",
    ):  # fmt: skip
        assert part in said


def test_one_lifter_and_one_length() -> None:
    laws = {"posemamba-s": rows.LAWS["posemamba-s"]}
    for made in (rows.survey(laws), rows.survey(frames=(243,)), rows.survey(laws, (243,))):
        (figure,) = complexity.draw(summarise(made)).values()
        layout.check(figure)
    said = layout.words(figure)
    assert "exponent" not in said
    assert "extrapolated" not in said


def test_without_timing_the_counts_remain() -> None:
    made = [row for row in rows.typical() if row["pass"] != "timing"]
    (figure,) = complexity.draw(summarise(made)).values()
    layout.check(figure)
    assert "Latency of a clip" not in layout.texts(figure)
    assert "Nothing was timed." in layout.words(figure)


def test_a_stream_is_not_titled_as_a_clip() -> None:
    laws = {"videopose3d-causal": rows.LAWS["videopose3d"]}
    (figure,) = complexity.draw(summarise(rows.survey(laws, streaming=True))).values()
    layout.check(figure)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Latency of a new frame", "Operations of the whole window", "MACs of the whole window (thop)"]
    said = layout.words(figure)
    assert "What a new frame costs" in said
    assert "of a clip and" not in said
    assert "one that keeps a state needs less" in said
    # The latency has its exponent as any other.
    assert any(text.get_text().startswith("videopose3d-causal  0.79 ±") for text in figure.axes[0].texts)


def test_counts_of_nothing_are_no_figure() -> None:
    made = [row for row in rows.survey(frames=(27, 81)) if row["pass"] == "cost"]
    for row in made:
        row["counts"] |= {"flops_exact": 0, "macs_thop": 0, "by_kind": {"flops_exact": {}}}
    assert complexity.draw(summarise(made)) == {}


def test_nothing_without_a_figure() -> None:
    assert complexity.draw(summarise([rows.out_of_memory()])) == {}


@pytest.fixture(scope="module")
def many() -> dict[str, Any]:
    return complexity.draw(summarise(every_model()))


def test_many_lifters_have_panels_by_kinship(many: dict[str, Any]) -> None:
    assert list(many) == ["complexity", "complexity-terms"]
    for figure in many.values():
        layout.check(figure)
        labels = {text.get_text().split("  ")[0] for axes in figure.axes for text in axes.texts}
        assert set(MODELS) <= labels


def test_others_stand_faint_behind_on_the_same_axes(many: dict[str, Any]) -> None:
    panels = [axes for axes in many["complexity"].axes if axes.get_title(loc="left").startswith("Latency")]
    assert {len(axes.lines) >= len(MODELS) for axes in panels} == {True}
    assert len({axes.get_ylim() for axes in panels}) == 1
