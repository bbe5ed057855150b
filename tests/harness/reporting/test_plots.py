"""What holds for every figure of runs: bytes, gaps, names that are no markup, and text that can be read."""

from __future__ import annotations

import math
from itertools import combinations

import pytest

from harness.comparison.group import Group
from harness.reporting.evidence import Evidence
from harness.reporting.figure import to_png, to_svg
from harness.reporting.plots import PLOTS, Plot
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout
from tests.harness.reporting.run_figures import cases

every_plot = pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.name)
#: One that has published figures, at the T of them, and at another T for growth.
PUBLISHED, FRAMES = "motionagformer-xs", (27, 81)


def full(title: str | None = None) -> tuple[Group, Evidence]:
    """Runs of which every figure has something to show; ``title`` is that of one more lifter."""
    runs = [cases.whole(model, seed) for model in ("posemamba-xs", "dilated-convolution") for seed in range(3)]
    runs += [cases.whole(PUBLISHED, frames=frames) for frames in FRAMES]
    if title is not None:
        runs.append(cases.renamed(cases.whole("posemamba-s"), title))
    return cases.of(runs, kept={run["id"]: cases.traces(run) for run in runs})


def test_names_are_those_of_files_and_of_one_figure_each() -> None:
    names = [plot.name for plot in PLOTS]
    assert len(set(names)) == len(names)
    assert all(name == name.lower() and " " not in name for name in names)
    assert names[0] == "accuracy-cost"


@every_plot
def test_the_same_runs_give_the_same_bytes(plot: Plot) -> None:
    first, second = (plot.draw(*full()) for _ in range(2))
    assert first is not None
    assert second is not None
    assert to_svg(first) == to_svg(second)
    png = to_png(first)
    assert png == to_png(second)
    assert not any(word in png for word in (b"Software", b"tIME"))
    assert b"<metadata" not in to_svg(first)
    assert b"<image" not in to_svg(first)


@every_plot
def test_text_is_large_enough_inside_and_not_on_other_text(plot: Plot) -> None:
    for title in (None, "a lifter with a name that is long enough for two lines (width=512, heads=8)"):
        figure = plot.draw(*full(title))
        assert figure is not None
        layout.check(figure)


@every_plot
def test_runs_that_only_failed_give_no_figure_and_no_notes(plot: Plot) -> None:
    alone = cases.of([records.failed()])
    assert plot.draw(*alone) is None
    assert not plot.notes(*alone)


@every_plot
def test_a_name_is_neither_a_formula_nor_markup(plot: Plot) -> None:
    group, evidence = full(cases.HOSTILE)
    figure = plot.draw(group, evidence)
    assert figure is not None
    source = to_svg(figure).decode()
    assert "<b>" not in source
    if plot.name not in ("growth", "published"):
        words = layout.words(figure).replace(" ", "")
        assert cases.HOSTILE[:14].replace(" ", "") in words


@every_plot
def test_records_of_an_early_version_are_drawn_or_left_out(plot: Plot) -> None:
    early = records.record()
    for name in ("per_joint", "per_action", "per_sequence"):
        del early["accuracy"][name]
    del early["cost"]["inference"]
    del early["training"]["curve"]
    plot.draw(*cases.of([early]))


@every_plot
def test_a_figure_for_twelve_lifters_is_small(plot: Plot) -> None:
    runs = []
    for place in range(12):
        title = f"lifter-{place} (a setting=0.{place}, another setting={place})"
        runs += [cases.renamed(cases.whole("posemamba-xs", seed, frames=27), title) for seed in range(3)]
    figure = plot.draw(*cases.of(runs, kept={run["id"]: cases.traces(run, bins=900) for run in runs}))
    if plot.name in ("growth", "published"):
        assert figure is None
    else:
        assert figure is not None
        layout.check(figure)
        assert len(to_svg(figure)) < 160_000


@every_plot
def test_captions_are_sentences(plot: Plot) -> None:
    for said in (plot.caption, *plot.notes(*full())):
        assert said.endswith(".")
        assert "  " not in said


def test_one_lifter_has_one_colour_in_every_figure() -> None:
    from harness.reporting.look import looks_of

    group, _ = full()
    looks = looks_of(group.scored)
    assert looks == looks_of(tuple(reversed(group.scored)))
    assert len({look.colour for look in looks.values()}) == len(looks)
    assert len({str(look.dashes) for look in looks.values()}) == len(looks)


def test_colours_are_seen_on_white_and_on_black() -> None:
    from harness.models import MODELS
    from harness.reporting.palette import COLOURS, contrast_with_white, looks

    members = [(name, name, float(entry.parameters)) for name, entry in MODELS.items()]
    for look in looks(members, on_dark_too=True).values():
        if look.colour in COLOURS:  # alone in its family
            continue
        assert 2.5 < contrast_with_white(look.colour) < 6
    families = looks(members[:3], on_dark_too=True)
    assert all(math.isfinite(contrast_with_white(look.colour)) for look in families.values())
    assert not any(one == other for one, other in combinations([look.colour for look in families.values()], 2))
