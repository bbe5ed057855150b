"""Whatever a reader could look for and not find is said, with its reason."""

from __future__ import annotations

from pathlib import Path

from harness.comparison.group import group
from harness.reporting import plots
from harness.reporting.evidence import Evidence
from harness.reporting.missing import _FIGURES, damaged, gaps, shortfalls
from harness.reporting.page import CHAPTERS
from tests.harness.reporting import records


def test_runs_that_did_not_finish_have_their_reason() -> None:
    (members,) = group(records.typical())
    assert [(gap.title, gap.seed, gap.status, gap.error) for gap in gaps(members)] == [
        ("motionagformer-s", 1, "failed", "the loss is not finite at step 412 (learning rate 2.0e-03)"),
        ("dstformer-lite", 0, "oom", "out of memory: tried to allocate 1.2 GiB"),
    ]
    assert gaps(members)[1].meaning == "ran out of memory"


def test_few_seeds_are_named() -> None:
    (members,) = group(records.typical())
    (said,) = shortfalls(members, {*_FIGURES, "published"}, has_viewer=True)
    assert said.startswith("motionagformer-s: 1 seed, too few")


def test_figures_that_could_not_be_drawn_have_a_reason() -> None:
    (members,) = group([records.record(seed=seed) for seed in range(3)])
    said = shortfalls(members, {*_FIGURES, "published"} - {"growth"}, has_viewer=False)
    assert [line.partition(":")[0] for line in said] == ["Worst sequences, error over time", "Growth of cost with T"]


def test_what_is_published_of_other_networks_is_told() -> None:
    runs = [records.record(model) for model in ("posemamba-s", "motionagformer-xs")]
    runs[1]["config"]["options"] = {"dim": 8}
    said = shortfalls(group(runs)[0], set(), has_viewer=True)[-1]
    assert said == (
        "Published against counted cost: what is published is of other networks than those that ran: "
        "posemamba-s at T = 27 here, at 243 there; motionagformer-xs with dim = 8 here, as it is by default there."
    )


def test_what_nobody_published_is_told() -> None:
    said = shortfalls(group([records.record("posemamba-xs")])[0], set(), has_viewer=True)[-1]
    assert said == "Published against counted cost: no sizes or counts of these models are published."


def test_damaged_files_of_the_group_are_told(tmp_path: Path) -> None:
    run, other = records.record(), records.record(detector="gt")
    run["traces"] = {"path": "runs/a/traces.npz", "sha256": "0" * 64}
    evidence = Evidence(tmp_path, [run, other], damaged={"runs/a/traces.npz": "it is cut off", "elsewhere": "no"})
    found = [damaged(members, evidence) for members in group([run, other])]
    assert sorted(found) == [[], ["it is cut off"]]
    said = shortfalls(group([run])[0], set(_FIGURES) | {"published"}, has_viewer=False, broken=["it is cut off"])
    assert said[-1] == "it is cut off"
    assert not any("lie beside" in line for line in said)


def test_without_floors() -> None:
    run = records.record()
    run["floors"] = {}
    assert any("No floors" in line for line in shortfalls(group([run])[0], _FIGURES, has_viewer=True))


def test_a_group_without_results_says_it_once() -> None:
    assert shortfalls(group([records.failed()])[0], (), has_viewer=False) == []


def test_reasons_are_of_figures_that_there_are() -> None:
    placed = {"accuracy-cost", *(name for chapter in CHAPTERS for name in chapter.figures)}
    assert set(_FIGURES) <= placed
    assert {plot.name for plot in plots.PLOTS} <= placed
