"""What the page says, section by section, before it is HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from harness.reporting import plots
from harness.reporting.evidence import Evidence
from harness.reporting.page import CHAPTERS, Section, page
from harness.reporting.plots import Plot
from tests.harness.reporting import records


@pytest.fixture(autouse=True)
def _one_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(group: Any, evidence: Any) -> Figure | None:
        return Figure(figsize=(1, 1)) if group.scored else None

    names = ("learning-curves", "accuracy-cost", "brand-new")
    monkeypatch.setattr(plots, "PLOTS", tuple(Plot(name, f"caption of {name}", draw) for name in names))


def section(runs: list[dict[str, Any]]) -> Section:
    (found,) = page(Evidence(Path(), runs), "title").sections
    return found


def names(found: Section) -> list[str]:
    return [chapter.name for chapter in found.chapters]


def test_chapters_come_in_the_order_of_the_page_and_only_with_something_in_them() -> None:
    found = names(section(records.typical()))
    assert found == [chapter.name for chapter in CHAPTERS if chapter.name in found]
    assert found == ["actions-joints", "worst", "learning", "more", "missing", "reproduce", "runs"]


def test_every_figure_has_exactly_one_place() -> None:
    found = section(records.typical())
    placed = [one.name for chapter in found.chapters for one in found.figures(chapter)]
    assert [one.name for one in found.first] == ["motion-sh-accuracy-cost"]
    assert placed == ["motion-sh-learning-curves", "motion-sh-brand-new"]


def test_what_did_not_finish_is_told_once() -> None:
    found = section(records.typical())
    errors = [gap.error for gap in found.gaps]
    assert len(errors) == 2
    assert not any(error in note for error in errors for note in found.notes)
    assert any("NOISY" in note for note in found.notes)


def test_a_configuration_has_every_commit_that_its_runs_were_made_with() -> None:
    runs = [records.record(seed=seed) for seed in range(3)]
    runs[2]["environment"]["commit"] = {"id": "f" * 40, "dirty": True}
    (recipe,) = section(runs).recipes
    assert recipe.commits == [(runs[0]["environment"]["commit"]["id"], False), ("f" * 40, True)]
    assert recipe.commands[0].endswith("--seed 0 1 2")


def test_what_a_command_will_not_make_as_it_was_is_told_beside_it() -> None:
    (recipe,) = section([records.record(seed=seed) for seed in range(3)]).recipes
    assert any(note.startswith("The budget is a time") for note in recipe.notes)


def test_files_that_are_broken_are_told(tmp_path: Path) -> None:
    run = records.record()
    (tmp_path / "traces.npz").write_bytes(b"no archive")
    run["traces"] = {"path": "traces.npz", "sha256": "0" * 64}
    (found,) = page(Evidence(tmp_path, [run]), "title").sections
    assert any("traces.npz" in line for line in found.shortfalls)


def test_notes_of_a_figure_are_apart_from_its_caption(monkeypatch: pytest.MonkeyPatch) -> None:
    plot = Plot("accuracy-cost", "what it shows.", lambda *_: Figure(figsize=(1, 1)), lambda *_: ("One.", "Two."))
    monkeypatch.setattr(plots, "PLOTS", (plot,))
    (found,) = section([records.record()]).first
    assert (found.caption, found.notes, found.says) == ("what it shows.", "One. Two.", "what it shows. One. Two.")


def test_breakdowns_are_means_over_seeds() -> None:
    runs = [records.record("posemamba-s", seed) for seed in range(2)] + [records.record("posemamba-xs")]
    runs[0]["accuracy"]["per_action"] = {"a.b": {"p1_mm": 10.0}, "walk": {"p1_mm": 1.0}}
    runs[1]["accuracy"]["per_action"] = {"a.b": {"p1_mm": 20.0}}
    runs[2]["accuracy"]["per_action"] = {}
    by_action = section(runs).breakdowns[0]
    assert (by_action.title, list(by_action.headings)) == ("by action", ["a.b", "walk"])
    assert by_action.rows == [("posemamba-s", ["15.0", "1.0"])]


def test_the_best_figures_are_set_off() -> None:
    runs = [records.record(model, seed) for model in ("posemamba-s", "posemamba-xs") for seed in range(3)]
    found = section([*runs, records.failed("dstformer-lite")])
    (models, rows), (floors, _) = found.bodies
    assert (models, floors) == ("model", "floor")
    place = [column.heading for column in found.table.columns].index("P1")
    assert [row.cells[place].classes for row in rows] == ["number best", "number second", "number"]
    assert [row.is_gap for row in rows] == [False, False, True]


def test_two_protocols_are_two_sections() -> None:
    found = page(Evidence(Path(), records.two_protocols()), "title")
    assert [one.name for one in found.sections] == ["motion-sh", "motion-gt"]
    assert found.why_groups.endswith("These groups differ in: 2d, test set.")
    assert found.summary.startswith("16 of 18 runs finished · newest run 2026-03-0")
    assert "finished" not in page(Evidence(Path(), records.typical()), "title").summary
