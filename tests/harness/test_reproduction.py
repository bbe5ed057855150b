"""Printed figures against our counts: which match, and that whatever does not says why."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import pytest

from harness import published, reproduction
from harness.measurement.fvcore import MacCount
from harness.published import Figure, Row
from harness.reporting.grid import WIDTH
from harness.reproduction import CUT_OFF, METRICS, NOT_MATCHED, ROUNDED, Comparison, Costs

NOTHING = MacCount(0, {}, {}, {}, 0, "meta")


def rows(model: str, source: str) -> list[Row]:
    return [row for row in published.of(model) if row.source.key == source]


@pytest.fixture(scope="module")
def layers_alone() -> list[Comparison]:
    """All figures on file; what costs longest to count, and no verdict rests on, is left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Costs, "everything", dataclasses.replace(NOTHING, macs=10**9))
        patch.setattr(Costs, "flops_exact", 10**9)
        patch.setattr(Costs, "amortised", 8_545_280)
        return reproduction.compare()


@pytest.fixture(scope="module")
def few() -> list[Comparison]:
    return reproduction.compare(
        [*rows("poseformerv2", "hstgformer"), *rows("motionagformer-l", "posemamba-readme"), *rows("pstmo", "pstmo")]
    )


def test_every_figure_of_cost_is_there(layers_alone: list[Comparison]) -> None:
    wanted = [
        (row, figure) for row in published.load() if row.model for figure in row.figures if figure.metric in METRICS
    ]
    assert len(layers_alone) == len(wanted)
    for pair in wanted:
        assert any((one.row, one.figure) == pair for one in layers_alone)


def test_what_does_not_match_says_why(layers_alone: list[Comparison]) -> None:
    for one in layers_alone:
        assert one.matched or len(one.why) > 20, one
        assert one.verdict == ROUNDED or one.why, one


@pytest.mark.parametrize(
    ("system", "metric", "printed"),
    [
        ("PoseMamba-S", "parameters", 0.86),
        ("PoseMamba-S", "compute", 3.587),
        ("PoseMamba-B", "parameters", 3.358),
        ("PoseMamba-B", "compute", 13.9),
        ("PoseMamba-L", "parameters", 6.714),
        ("PoseMamba-L", "compute", 27.9),
        ("MotionAGFormer-XS", "compute", 1.0),
        ("MotionAGFormer-S", "compute", 6.6),
        ("MotionAGFormer-B", "compute", 48.3),
        ("MotionAGFormer-L", "compute", 78.3),
        ("MotionBERT, from scratch", "compute", 174.8),
        ("MixSTE", "compute", 139.0),
    ],
)
def test_the_papers_main_figures(layers_alone: list[Comparison], system: str, metric: str, printed: float) -> None:
    found = [
        one for one in layers_alone
        if (one.row.system, one.figure.metric, one.figure.value) == (system, metric, printed)
    ]  # fmt: skip
    assert found
    assert {one.verdict for one in found} == {ROUNDED}


def test_the_known_errors_are_not_passed_off_as_matches(layers_alone: list[Comparison]) -> None:
    """Copied from another row, halved, or counted by hand."""
    found = {(one.row.model, one.row.source.key, one.figure.metric): one for one in layers_alone}
    for key in (
        ("motionagformer-l", "posemamba-readme", "compute"), ("motionagformer-l", "posemamba-readme", "parameters"),
        ("stcformer-l", "sbahgnet", "parameters"), ("poseformerv2", "sbahgnet", "compute"),
        ("pstmo", "hstgformer", "compute"), ("pstmo", "hstgformer", "compute per output frame"),
        ("mixste", "mixste", "compute per output frame"),
        ("poseformer", "poseformer-issue-15", "compute per output frame"),
        ("motionagformer-b", "motionagformer-issue-16", "compute"),
    ):  # fmt: skip
        assert found[key].verdict == NOT_MATCHED
        assert found[key].row.doubt
        assert str(found[key].row.doubt) in found[key].why
    halved = found["ktpformer", "hstgformer", "compute"]
    assert halved.matched
    assert halved.convention == "half the thop MACs"
    assert "139.06 G" in halved.why
    assert found["stcformer-l", "sbahgnet", "compute"].why == ""  # its doubt is of the parameters


def test_everything_beside_what_was_printed(few: list[Comparison]) -> None:
    whole, size, frame = (
        next(one for one in few if one.row.model == "poseformerv2" and one.figure.metric == metric)
        for metric in ("compute", "parameters", "compute per output frame")
    )
    assert whole.everything == pytest.approx(0.5471, abs=1e-4)
    assert whole.times == pytest.approx(whole.everything / 0.5)
    assert whole.flops_exact is not None
    assert whole.flops_exact > 2 * 0.99 * whole.everything
    assert frame.everything == pytest.approx(1e3 * whole.everything)  # answers for the centre alone
    assert (size.everything, size.flops_exact) == (14.381899, None)


def test_a_count_of_two_a_product_is_set_against_two(few: list[Comparison]) -> None:
    once, twice = (
        next(one for one in few if one.figure.metric == "compute" and one.convention == convention)
        for convention in ("MACs by thop 0.0.31", "2 x MACs by thop 0.0.31")
    )
    assert once.times == pytest.approx(once.everything / once.figure.value)
    assert twice.times == pytest.approx(2 * twice.everything / twice.figure.value)
    assert once.why.startswith("Printed as FLOPs")
    assert "head for all frames" in twice.why


def figure(value: float, **changes: object) -> Figure:
    given = {"metric": "compute", "value": value, "unit": "G", "label": "MACs", "convention": "thop MACs"} | changes
    return Figure(**given)  # type: ignore[arg-type]


def one_row(*figures: Figure, **changes: object) -> Row:
    (original,) = rows("poseformerv2", "hstgformer")
    return dataclasses.replace(original, figures=figures, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("printed", "verdict"),
    [
        (0.5286, ROUNDED),   # 0.528622208 G
        (0.529, ROUNDED),
        (0.53, ROUNDED),
        (0.5, ROUNDED),
        (0.528, CUT_OFF),
        (0.52, CUT_OFF),
        (0.527, NOT_MATCHED),
        (1, ROUNDED),
        (0.528622208, ROUNDED),
        (0.528622209, NOT_MATCHED),
    ],
)  # fmt: skip
def test_a_match_is_one_of_every_printed_digit(printed: float, verdict: str) -> None:
    (found,) = reproduction.compare([one_row(figure(printed))])
    assert found.verdict == verdict
    assert ("cut off" in found.why) == (verdict == CUT_OFF)


def test_a_figure_that_no_counter_gives_names_the_nearest() -> None:
    near, far, by_hand = (
        reproduction.compare([one_row(made)])[0]
        for made in (figure(1.06, label="FLOPs", convention=None), figure(40), figure(3, convention="counted by hand"))
    )
    assert "nearest is 2 x thop MACs with 1.057, from which it is +0.3 %" in near.why
    assert near.times is None
    assert "thop MACs are 0.5286" in far.why
    assert "counted by hand" in by_hand.why.lower()


def test_a_doubt_stands_with_the_figure_that_it_is_about() -> None:
    wrong = figure(19.9, metric="parameters", unit="M", label=None, convention="thop parameters")
    size, clip = reproduction.compare([one_row(figure(0.529), wrong, doubt="A copy error.")])
    assert size.why.endswith("A copy error.")
    assert clip.why == ""
    (alone,) = reproduction.compare([one_row(figure(0.529), doubt="Printed under another name.")])
    assert alone.why == "Printed under another name."


def test_rows_without_a_model_or_a_cost_are_passed_over() -> None:
    assert reproduction.compare([one_row(figure(0.5), model=None, options={}), *rows("martinez", "no such")]) == []


def test_progress_names_what_is_counted() -> None:
    said: list[str] = []
    reproduction.compare([one_row(figure(0.5)), one_row(figure(0.529))], say=said.append)
    assert said == ["counting poseformerv2, T = 243 {'kept_frames': 27, 'kept_coefficients': 27}"]


def test_the_tables_for_a_terminal(layers_alone: list[Comparison]) -> None:
    page = reproduction.text(layers_alone)
    assert max(map(len, page.splitlines())) <= WIDTH
    for metric, title in METRICS.items():
        members = [one for one in layers_alone if one.figure.metric == metric]
        matched = sum(one.matched for one in members)
        assert f"{title}: {matched} of {len(members)} printed figures matched" in page


def test_markdown_names_the_sources(few: list[Comparison]) -> None:
    page = reproduction.markdown(few)
    assert "* `posemamba-readme`: nankingjing/PoseMamba, README.md" in page
    assert page.count("\n| ") == len(few) + 2 * 3


def test_csv_and_json_hold_every_figure(few: list[Comparison]) -> None:
    table = list(csv.DictReader(io.StringIO(reproduction.csv(few))))
    stored = json.loads(reproduction.json(few))
    assert len(table) == len(stored) == len(few)
    assert stored == [one.as_dict() for one in few]
    assert {row["verdict"] for row in table} == {ROUNDED, CUT_OFF, NOT_MATCHED}
    assert float(table[0]["ours"]) == stored[0]["ours"]


def test_the_same_twice(few: list[Comparison]) -> None:
    assert reproduction.compare([few[0].row])[0] == few[0]
