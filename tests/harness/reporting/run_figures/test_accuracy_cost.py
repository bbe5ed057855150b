"""The first figure of the page: two costs on one height, the same marks as ``harness plot`` draws."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from harness.comparison.group import group as groups_of
from harness.reporting.bubbles import Bubble
from harness.reporting.cost_figures import accuracy_cost as cost_figure
from harness.reporting.palette import PAPER
from harness.reporting.run_figures import accuracy_cost
from harness.store.store import Store
from tests.browser import store
from tests.harness.complexity import rows
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.run_figures import cases


def marks(figure: Figure, panel: int) -> dict[tuple[float, float], list[PathCollection]]:
    """(cost, P1) -> what is drawn there, bubble and marker."""
    found: dict[tuple[float, float], list[PathCollection]] = {}
    for drawn in figure.axes[panel].collections:
        if isinstance(drawn, PathCollection):
            x, y = (float(value) for value in drawn.get_offsets()[0])
            found.setdefault((x, y), []).append(drawn)
    return found


def test_without_measurements_each_run_has_timed_itself_and_the_notes_say_so() -> None:
    group, evidence = cases.of(records.typical())
    figure = accuracy_cost.draw(group, evidence)
    assert figure is not None
    assert [axes.get_xlabel() for axes in figure.axes] == [cost_figure.FVCORE, cost_figure.LATENCY]
    for entry in group.scored:
        frames_per_s = entry.mean("cost.inference_frames_per_s")
        assert frames_per_s is not None
        places = {(round(x, 6), y) for x, y in marks(figure, 1)}
        assert (round(1000 / frames_per_s, 6), entry.p1_mm) in places
    said = " ".join(accuracy_cost.notes(group, evidence))
    assert "timed by each run itself beside other work" in said
    assert "AMD EPYC 9R14" in said
    assert "motionagformer-s: NOISY, and hollow" in said
    assert "Not scored: dstformer-lite." in said


def test_both_panels_have_one_height_and_the_floor_if_it_is_near() -> None:
    figure = accuracy_cost.draw(*cases.of([*records.typical(), records.untrained("motionagformer-xs", 0)]))
    assert figure is not None
    first, second = figure.axes
    assert first.get_ylim() == second.get_ylim()
    near = records.untrained("dstformer-lite")
    figure = accuracy_cost.draw(*cases.of([records.record(), near]))
    assert figure is not None
    assert "best floor 115.3" in layout.words(figure)
    figure = accuracy_cost.draw(*cases.of([records.record()]))
    assert "floor" not in layout.words(figure)


def test_noisy_timings_are_hollow_and_invalid_ones_left_out() -> None:
    steady, noisy, worthless = (records.record(model) for model in ("posemamba-s", "posemamba-xs", "motionagformer-s"))
    noisy["cost"]["inference"]["verdict"] = "NOISY"
    worthless["cost"]["inference"].update(verdict="INVALID", call_ms=3.0)
    group, evidence = cases.of([steady, noisy, worthless])
    figure = accuracy_cost.draw(group, evidence)
    assert figure is not None
    latencies = {place[1]: drawn for place, drawn in marks(figure, 1).items()}
    assert worthless["accuracy"]["p1_mm"] not in latencies
    assert worthless["accuracy"]["p1_mm"] in {y for _, y in marks(figure, 0)}
    from matplotlib.colors import same_color

    def fill(run: dict[str, object]) -> object:
        return latencies[run["accuracy"]["p1_mm"]][-1].get_facecolor()[0]  # type: ignore[index]

    assert same_color(fill(noisy), PAPER)
    assert not same_color(fill(steady), PAPER)
    assert len(latencies[noisy["accuracy"]["p1_mm"]]) == 2  # no filled bubble
    assert len(latencies[steady["accuracy"]["p1_mm"]]) == 3
    said = " ".join(accuracy_cost.notes(group, evidence))
    assert "posemamba-xs: NOISY" in said
    assert "INVALID: motionagformer-s" in said


def test_stable_runs_of_an_entry_count_before_its_noisy_ones() -> None:
    runs = [records.record("posemamba-s", seed) for seed in range(3)]
    runs[0]["cost"]["inference"].update(verdict="NOISY", call_ms=9999.0)
    group, evidence = cases.of(runs)
    figure = accuracy_cost.draw(group, evidence)
    assert figure is not None
    ((x, _),) = set(marks(figure, 1))
    assert x == pytest.approx(1000 / 690.0)
    assert "NOISY" not in " ".join(accuracy_cost.notes(group, evidence))


def test_measurements_of_the_store_are_better_than_what_runs_timed_of_themselves() -> None:
    runs = [records.record(model) for model in ("posemamba-s", "motionagformer-xs")]
    measured = rows.survey(frames=(27,), in_channels=3)
    group, evidence = cases.of(runs, measurements=measured)
    figure = accuracy_cost.draw(group, evidence)
    assert figure is not None
    said = " ".join(accuracy_cost.notes(group, evidence))
    assert "Latency: Median of 90 samples" in said
    assert "timed by each run itself" not in said
    few = [*runs, *(records.record(model) for model in ("posemamba-xs", "dilated-convolution", "dstformer-lite"))]
    said = " ".join(accuracy_cost.notes(*cases.of(few, measurements=measured)))
    assert "timed by each run itself" in said


def test_the_figure_of_the_page_is_that_of_the_terminal_without_title_and_caption() -> None:
    group, evidence = cases.of(records.typical())
    page = accuracy_cost.draw(group, evidence)
    (terminal,) = cost_figure.draw([group], []).values()
    assert page is not None
    for one, other in zip(page.axes, terminal.axes, strict=True):
        assert one.get_xlabel() == other.get_xlabel()
        assert [text.get_text() for text in one.texts] == [text.get_text() for text in other.texts]
    assert "What accuracy costs" in layout.words(terminal)
    assert "What accuracy costs" not in layout.words(page)
    assert " ".join(accuracy_cost.notes(group, evidence)) in layout.words(terminal)


def ranked(count: int, title: str) -> list[dict[str, Any]]:
    """So many lifters of one run each, in the order of their names."""
    runs = [cases.renamed(records.record("posemamba-s"), title.format(place)) for place in range(count)]
    for place, run in enumerate(runs):
        run["accuracy"]["p1_mm"] = 60.0 + place
    return runs


def test_many_have_numbers_by_rank_and_a_key() -> None:
    figure = accuracy_cost.draw(*cases.of(ranked(20, "lifter-{:02}")))
    assert figure is not None
    layout.check(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == [str(place) for place in range(1, 21)]
    key = [text.get_text() for text in figure.texts]
    assert key[key.index("1") + 1] == "lifter-00"
    assert key[key.index("20") + 1] == "lifter-19"


def test_long_names_become_numbers_sooner_than_short_ones() -> None:
    for title, numbered in (("lifter-{}", False), ("lifter-{} (with many options=1, and others=2)", True)):
        figure = accuracy_cost.draw(*cases.of(ranked(9, title)))
        assert figure is not None
        layout.check(figure)
        assert (figure.axes[0].texts[0].get_text() == "1") == numbered


def on(processor: str, model: str, seed: int = 0) -> dict[str, Any]:
    run = records.record(model, seed)
    run["environment"]["processor"] = processor
    return run


def test_latencies_of_one_machine_are_drawn_and_the_others_named() -> None:
    here = [on("EPYC", model) for model in ("posemamba-xs", "motionagformer-xs")]
    there = on("Xeon", "posemamba-s")
    group, evidence = cases.of([*here, there])
    figure = accuracy_cost.draw(group, evidence)
    assert figure is not None
    assert len(marks(figure, 0)) == 3
    assert {y for _, y in marks(figure, 1)} == {run["accuracy"]["p1_mm"] for run in here}
    said = " ".join(accuracy_cost.notes(group, evidence))
    assert "one clip at a time, on EPYC, 2 of 2 cores, fp32;" in said
    assert "timed on another machine or with other software, threads or precision: posemamba-s (Xeon, 2 of 2" in said
    assert "Without a figure" not in said
    # No front leads across machines.
    (front,) = [line for line in figure.axes[1].lines if line.get_drawstyle() == "steps-post"]
    assert there["accuracy"]["p1_mm"] not in front.get_ydata()


def test_of_machines_with_as_many_entries_that_of_the_best_is_drawn() -> None:
    for machines in (("EPYC", "Xeon"), ("Xeon", "EPYC")):
        runs = [on(machine, model) for machine, model in zip(machines, ("posemamba-s", "posemamba-xs"), strict=True)]
        for given in (runs, runs[::-1]):
            figure = accuracy_cost.draw(*cases.of(given))
            assert figure is not None
            assert {y for _, y in marks(figure, 1)} == {runs[0]["accuracy"]["p1_mm"]}


def test_of_an_entry_that_was_timed_on_two_machines_the_runs_of_the_drawn_one_count() -> None:
    runs = [on("EPYC", "posemamba-xs"), on("EPYC", "posemamba-s"), on("Xeon", "posemamba-s", 1)]
    runs[2]["cost"]["inference"]["call_ms"] = 9999.0
    group, evidence = cases.of(runs)
    figure = accuracy_cost.draw(group, evidence)
    assert figure is not None
    assert max(x for x, _ in marks(figure, 1)) == pytest.approx(1000 / 690.0)
    assert "another machine" not in " ".join(accuracy_cost.notes(group, evidence))


def test_no_front_leads_above_the_best_floor() -> None:
    cheap = records.untrained("dilated-convolution")
    group, evidence = cases.of([cheap, *(records.record(model) for model in ("posemamba-s", "posemamba-xs"))])
    figure = accuracy_cost.draw(group, evidence)
    assert figure is not None
    for axes in figure.axes:
        (front,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
        assert len(front.get_ydata()) == 2
        assert max(front.get_ydata()) < 115.3
    assert "not below the best floor is never on it" in accuracy_cost.CAPTION


def test_letters_are_large_enough_on_the_first_screen() -> None:
    # What the figure has of a window of 1440 pixels.
    for runs in (records.typical(), ranked(20, "lifter-{:02}"), [records.record(), records.untrained()]):
        figure = accuracy_cost.draw(*cases.of(runs))
        assert figure is not None
        smallest = min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text())
        assert smallest * 823 / (72 * figure.get_size_inches()[0]) >= 10.5


def crowded() -> list[dict[str, Any]]:
    """Sixteen lifters with the same cost, a step of 0.05 mm apart."""
    runs = ranked(16, "crowded-lifter-{:02}")
    for place, run in enumerate(runs):
        run["accuracy"]["p1_mm"] = 60.0 + 0.05 * place
    return runs


def test_names_that_find_no_room_of_their_own_become_numbers() -> None:
    figure = accuracy_cost.draw(*cases.of(crowded()))
    assert figure is not None
    layout.check(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == [str(place) for place in range(1, 17)]
    assert "crowded-lifter-00" in layout.texts(figure)


def test_no_name_stands_at_the_mark_of_another(tmp_path: Path) -> None:
    store.fill(tmp_path)
    for members in groups_of(Store(tmp_path).latest()):
        shown = cost_figure.planes(members, [])
        figure = accuracy_cost.draw(members, cases.Kept([]))
        assert shown is not None
        assert figure is not None
        for axes, bubbles in zip(figure.axes, shown.panels.values(), strict=True):
            labels = [text for text in axes.texts if isinstance(text, Annotation)][-len(bubbles) :]
            for label, own in zip(labels, bubbles, strict=True):
                _check_clear(axes, label, [bubble for bubble in bubbles if bubble is not own])


def _check_clear(axes: Axes, label: Annotation, others: list[Bubble]) -> None:
    box, scale = Text.get_window_extent(label), axes.figure.dpi / 72
    margin = 3 if label.arrow_patch is not None else 6.5
    for other in others:
        x, y = axes.transData.transform((other.cost, other.p1_mm))
        nearest = math.hypot(max(box.x0 - x, x - box.x1, 0), max(box.y0 - y, y - box.y1, 0)) / scale
        assert nearest >= max(0.5 * other.area**0.5, 3) + margin - 0.5, (label.get_text(), other.title)
