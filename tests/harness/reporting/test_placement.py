"""Labels keep their distance and stay where there is room for them."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from harness.reporting import placement
from harness.reporting.figure import blank, style
from harness.reporting.placement import Anchor, spaced

GAP, WITHIN = 0.04, (0.02, 0.94)


@given(st.lists(st.floats(-0.5, 1.5), max_size=20).map(sorted))
def test_neighbours_are_a_gap_apart_and_inside(levels: list[float]) -> None:
    found = spaced(levels, GAP, WITHIN)
    assert all(above - below >= GAP - 1e-9 for below, above in pairwise(found))
    assert all(WITHIN[0] - 1e-9 <= level <= WITHIN[1] + 1e-9 for level in found)


def test_what_is_apart_stays_and_what_is_not_moves_evenly() -> None:
    assert spaced([0.1, 0.5, 0.9], GAP, WITHIN) == pytest.approx([0.1, 0.5, 0.9])
    assert spaced([0.5, 0.5], GAP, WITHIN) == pytest.approx([0.48, 0.52])


def test_too_many_begin_at_the_lower_end_and_keep_their_distance() -> None:
    assert spaced([0.5] * 3, 0.6, WITHIN) == pytest.approx([0.02, 0.62, 1.22])


def test_text_is_as_wide_as_it_is() -> None:
    assert placement.text_width("MM", 8) == pytest.approx(2 * placement.text_width("M", 8), rel=0.1)
    assert placement.text_width("posemamba", 16) == pytest.approx(2 * placement.text_width("posemamba", 8), rel=0.1)


def test_labels_at_ends_do_not_overlap() -> None:
    with style():
        figure = blank(4, 3)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.1, 0.1, 0.5, 0.8))
        axes.set_ylim(0, 1)
        placement.at_ends(axes, [Anchor(1, 0.9 + 0.001 * index, f"label {index}") for index in range(10)])
        figure.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    heights = [box.y0 for box in boxes]
    assert heights == sorted(heights)
