"""Bodies whose joints have the colours of their errors."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from harness.data.skeleton import BONES, JOINT_NAMES, LEFT, RIGHT
from harness.reporting.palette import INK, PAPER
from harness.reporting.run_figures import heat_map, skeletons
from tests.harness.reporting import records
from tests.harness.reporting.run_figures import cases


def joints(figure: Figure, body: int) -> PathCollection:
    (found,) = [one for one in figure.axes[body].collections if isinstance(one, PathCollection)]
    return found


def test_the_pose_is_a_person_who_faces_the_reader() -> None:
    assert set(skeletons.POSE) == set(JOINT_NAMES)
    for left, right in zip(LEFT, RIGHT, strict=True):
        (left_x, left_y), (right_x, right_y) = skeletons.POSE[JOINT_NAMES[left]], skeletons.POSE[JOINT_NAMES[right]]
        assert left_x > 0 > right_x
        assert (left_x, left_y) == (-right_x, right_y)
    assert skeletons.POSE["head"][1] > skeletons.POSE["neck"][1] > skeletons.POSE["thorax"][1] > 0
    assert skeletons.POSE["left ankle"][1] < skeletons.POSE["left knee"][1] < 0


def test_each_entry_has_a_body_with_its_own_errors_on_one_scale() -> None:
    group, evidence = cases.of(records.typical())
    figure = skeletons.draw(group, evidence)
    assert figure is not None
    *bodies, bar = figure.axes
    assert [axes.get_title() for axes in bodies] == [entry.title for entry in group.scored]
    names = [name for name in JOINT_NAMES if name != "pelvis"]
    values = np.array(
        [[entry.mean(f"accuracy.per_joint.{name}.p1_mm") for name in names] for entry in group.scored], dtype=float
    )
    assert bar.get_xlim() == (values.min(), values.max())
    shades = heat_map.colours()
    for body, row in enumerate(values):
        drawn = joints(figure, body)
        for place, name in enumerate(names):
            assert tuple(drawn.get_offsets()[place]) == skeletons.POSE[name]
            expected = shades((row[place] - values.min()) / np.ptp(values))
            assert np.allclose(drawn.get_facecolor()[place], expected, atol=0.01)
        (bones,) = [one for one in figure.axes[body].collections if isinstance(one, LineCollection)]
        assert len(bones.get_segments()) == len(BONES)


def test_the_worst_joint_is_ringed_and_has_its_figure() -> None:
    run = records.record()
    run["accuracy"]["per_joint"]["left knee"]["p1_mm"] = 321.4
    figure = skeletons.draw(*cases.of([run]))
    assert figure is not None
    names = [name for name in JOINT_NAMES if name != "pelvis"]
    rings = [place for place, edge in enumerate(joints(figure, 0).get_edgecolor()) if same_color(edge, INK)]
    assert rings == [names.index("left knee")]
    written = {text.get_text() for text in figure.axes[0].texts}
    assert written == {"321", "L", "R"}
    sides = {text.get_text(): text.get_position()[0] for text in figure.axes[0].texts if text.get_text() in "LR"}
    assert sides["R"] < 0 < sides["L"]


def test_a_joint_without_a_figure_is_open() -> None:
    run = records.record()
    del run["accuracy"]["per_joint"]["head"]
    figure = skeletons.draw(*cases.of([run]))
    assert figure is not None
    names = [name for name in JOINT_NAMES if name != "pelvis"]
    assert same_color(joints(figure, 0).get_facecolor()[names.index("head")], PAPER)
    run["accuracy"]["per_joint"] = {}
    assert skeletons.draw(*cases.of([run])) is None


def test_rows_of_bodies_are_of_one_length() -> None:
    for count, (columns, rows) in {1: (1, 1), 6: (6, 1), 8: (4, 2), 13: (5, 3)}.items():
        runs = [cases.renamed(records.record(), f"lifter-{place}") for place in range(count)]
        figure = skeletons.draw(*cases.of(runs))
        assert figure is not None
        boxes = [axes.get_position() for axes in figure.axes[:-1]]
        assert len({round(box.x0, 6) for box in boxes}) == columns
        assert len({round(box.y0, 6) for box in boxes}) == rows
