"""Labels keep their distance and stay where there is room for them."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

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


def beside(anchors: list[Anchor], taken: list[Bbox] | None = None) -> tuple[list[Annotation], Axes]:
    """The labels of ``anchors`` on a plane from 0 to 1."""
    with style():
        figure = blank(4, 3)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        axes.set(xlim=(0, 1), ylim=(0, 1))
        placement.beside(axes, anchors, taken or [])
        figure.draw_without_rendering()
    return [text for text in axes.texts if isinstance(text, Annotation)], axes


def test_a_label_alone_stands_right_of_its_mark_without_a_line() -> None:
    (label,), axes = beside([Anchor(0.5, 0.5, "alone")])
    box = Text.get_window_extent(label)
    x, y = axes.transData.transform((0.5, 0.5))
    assert box.x0 > x
    assert box.y0 < y < box.y1
    assert label.arrow_patch is None


def test_labels_of_one_place_do_not_overlap_and_lines_lead_to_those_far_away() -> None:
    labels, axes = beside([Anchor(0.5, 0.5, f"label number {place}\nin two lines") for place in range(10)])
    boxes = [Text.get_window_extent(label) for label in labels]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(axes.bbox.x0 - 1 <= box.x0 and box.x1 <= axes.bbox.x1 + 1 for box in boxes)
    assert any(label.arrow_patch is not None for label in labels)


def test_a_label_keeps_off_what_is_taken() -> None:
    everything_right = Bbox.from_extents(200, 0, 400, 300)
    (label,), _ = beside([Anchor(0.45, 0.5, "label")], [everything_right])
    assert not Text.get_window_extent(label).overlaps(everything_right)


def test_a_label_is_not_nearer_to_another_mark_without_a_line() -> None:
    labels, axes = beside([Anchor(0.5, 0.5, "first one"), Anchor(0.53, 0.5, "second one")])
    for label, own, other in zip(labels, (0.5, 0.53), (0.53, 0.5), strict=True):
        box = Text.get_window_extent(label)
        near, far = (placement._Box.of(box).distance(tuple(axes.transData.transform((x, 0.5)))) for x in (own, other))
        assert near <= far + 1 or label.arrow_patch is not None


def test_the_same_marks_give_the_same_places() -> None:
    anchors = [Anchor(0.3 + 0.02 * place, 0.5, f"label {place}") for place in range(8)]
    first, second = ([label.get_position() for label in beside(anchors)[0]] for _ in range(2))
    assert first == second


def test_labels_of_two_lines_at_ends_do_not_overlap() -> None:
    with style():
        figure = blank(4, 3)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.1, 0.1, 0.5, 0.8))
        axes.set_ylim(0, 1)
        placement.at_ends(axes, [Anchor(1, 0.5, f"label {index}\nsecond line") for index in range(6)])
        figure.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def gaps(labels: list[Annotation], axes: Axes, anchors: list[Anchor]) -> list[tuple[float, bool]]:
    """Of every label and every mark of another: points between them, and whether a line leads from the label."""
    scale = axes.figure.dpi / 72
    found = []
    for label, own in zip(labels, anchors, strict=True):
        box = placement._Box.of(Text.get_window_extent(label))
        for other in anchors:
            if other is not own:
                distance = box.distance(tuple(axes.transData.transform((other.x, other.y)))) / scale
                found.append((distance - other.radius, label.arrow_patch is not None))
    return found


def test_a_label_keeps_clear_of_the_marks_of_others() -> None:
    # Right of the first, where its label would stand, is the mark of the second; below both a large one.
    anchors = [Anchor(0.3, 0.5, "first of them"), Anchor(0.52, 0.53, "second"), Anchor(0.4, 0.4, "third", radius=12)]
    labels, axes = beside(anchors)
    assert all(gap > (2.5 if leads else 5.5) for gap, leads in gaps(labels, axes, anchors))


#: Marks close to each other: on a grid, and where lines to the nearest free places would cross.
GRID = tuple((0.5 + 0.02 * (place % 3), 0.5 + 0.02 * (place // 3)) for place in range(6))
SCATTERED = ((0.59, 0.47), (0.52, 0.51), (0.53, 0.44), (0.48, 0.47), (0.46, 0.47), (0.48, 0.49))


@pytest.mark.parametrize("places", [GRID, SCATTERED], ids=["grid", "scattered"])
def test_lines_do_not_cross_each_other_nor_pass_over_marks(places: tuple[tuple[float, float], ...]) -> None:
    anchors = [Anchor(x, y, f"lifter {number}", radius=2) for number, (x, y) in enumerate(places)]
    with style():
        figure = blank(5, 4)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
        axes.set(xlim=(0, 1), ylim=(0, 1))
        had_room = placement.beside(axes, anchors, [])
    labels = [text for text in axes.texts if isinstance(text, Annotation)]
    ends = [
        (axes.transData.transform((anchor.x, anchor.y)), label.get_position())
        for anchor, label in zip(anchors, labels, strict=True)
        if label.arrow_patch is not None
    ]
    scale = figure.dpi / 72
    lines = [(tuple(start), (start[0] + right * scale, start[1] + up * scale)) for start, (right, up) in ends]
    crossings = sum(placement._cross(one, other) for one, other in combinations(lines, 2))
    assert had_room
    assert len(lines) > 1
    assert crossings == 0


def test_lines_cross_where_each_has_its_ends_on_both_sides_of_the_other() -> None:
    rising, falling, apart = ((0.0, 0.0), (2.0, 2.0)), ((0.0, 2.0), (2.0, 0.0)), ((3.0, 0.0), (3.0, 9.0))
    assert placement._cross(rising, falling)
    assert not placement._cross(rising, apart)
    assert not placement._cross(rising, None)


def test_the_answer_is_whether_there_was_room() -> None:
    def room(count: int, words: str) -> bool:
        with style():
            figure = blank(3, 2)
            figure.set_layout_engine("none")
            axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
            axes.set(xlim=(0, 1), ylim=(0, 1))
            return placement.beside(axes, [Anchor(0.5, 0.1 + 0.8 * place / count, words) for place in range(count)], [])

    assert room(3, "short")
    assert not room(12, "a label that is longer than there is room for")
