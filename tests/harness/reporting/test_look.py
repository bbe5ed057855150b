"""How entries are drawn: those that share a panel as lines differ in colour or dashes."""

from __future__ import annotations

import pytest

from harness.comparison.group import Entry, group
from harness.reporting import look
from tests.harness.reporting import records
from tests.harness.reporting.run_figures import cases


def entries(titles: list[str]) -> tuple[Entry, ...]:
    """The best first."""
    runs = [cases.renamed(records.record("posemamba-s"), title) for title in titles]
    for place, run in enumerate(runs):
        run["accuracy"]["p1_mm"] = 60.0 + place
    return group(runs)[0].scored


@pytest.mark.parametrize("title", ["lifter-{}", "package.lifters:size_{}"])
def test_the_best_differ_whatever_their_families(title: str) -> None:
    shown = entries([title.format(place) for place in range(40)])
    found = look.looks_of(shown)
    best = {(found[entry.title].colour, str(found[entry.title].dashes)) for entry in shown[: look.MOST_LINES]}
    assert len(best) == look.MOST_LINES
    assert set(found) == {entry.title for entry in shown}


def test_lines_that_would_be_alike_get_other_dashes() -> None:
    one = next(iter(look.looks_of(entries(["lifter"])).values()))
    made = look._distinct({"a": one, "b": one, "c": one})
    assert made["a"] == one
    assert len({str(each.dashes) for each in made.values()}) == 3


def test_the_best_of_one_family_are_not_a_shade_apart() -> None:
    shown = entries([f"package.lifters:size_{place}" for place in range(40)])
    alone = look.looks_of(shown[: look.MOST_LINES])
    found = look.looks_of(shown)
    assert {title: found[title] for title in alone} == alone
