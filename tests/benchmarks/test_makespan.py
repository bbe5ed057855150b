"""The comparison on paper: its grid, its workloads, and how the longest points are shared out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import makespan
from benchmarks.makespan import OfHuman36M
from harness.sweep.estimate import SOURCES


def test_the_grid_is_every_lifter_as_it_is_published_and_trained() -> None:
    planned, left_out = makespan.grid(["posemamba-s", "poseformer", "posemagic", "motionagformer-xxs"], [27, 81])
    assert left_out == []
    assert [(one.model, one.frames) for one in planned[:3]] == [
        ("posemamba-s", 27),
        ("posemamba-s", 81),
        ("poseformer", 27),
    ]
    epochs = {one.model: (one.recipe, one.budget.epochs, one.in_channels) for one in planned}
    assert epochs == {
        "posemamba-s": ("posemamba", 120, 2),
        "poseformer": ("poseformer", 200, 2),
        "posemagic": ("posemamba", 120, 3),  # nothing was published: PoseMamba's
        "motionagformer-xxs": ("motionagformer", 60, 3),  # of another size of its family
    }


def test_a_lifter_of_single_frames_is_there_once() -> None:
    planned, _ = makespan.grid(["martinez", "mhformer"], [27, 81])
    assert [(one.model, one.frames) for one in planned] == [("martinez", 1), ("mhformer", 27), ("mhformer", 81)]


def test_a_length_that_a_lifter_does_not_take_is_left_out_with_the_reason() -> None:
    planned, left_out = makespan.grid(["mhformer"], [27, 28])
    assert [one.frames for one in planned] == [27]
    assert left_out[0].startswith("mhformer at T = 28: ")


def test_workloads_have_the_size_of_human36m() -> None:
    (every, centre, valid), _ = makespan.grid(["posemamba-s", "poseformer", "videopose3d"], [243])
    of_every, of_centre, of_valid = (OfHuman36M().of(one) for one in (every, centre, valid))
    # A clip every 81 frames, 4 a step; in the evaluation 10 windows for each of 236 videos, plain and mirrored.
    assert (of_every.steps_per_epoch, of_every.clips_per_step) == (1_559_752 // 81 // 4, 4)
    assert of_every.forwards == pytest.approx(2 * 10 * 566_920 / 2402)
    # A clip for every frame, plain and mirrored.
    assert of_centre.steps_per_epoch == 2 * 1_559_752 // 512
    assert of_centre.forwards == pytest.approx(2 * 566_920)
    # Windows of 243 answers in 485 frames, so that far fewer are read.
    assert of_valid.forwards == pytest.approx(2 * 10 * 485 / 243 * 566_920 / 2402)


def test_the_longest_points_get_as_many_devices_as_halve_the_time() -> None:
    """800 s on 8 devices are 100 s at best: a point aims at 50 s, on at most 8 devices with 90 % of their speed."""
    durations, widths = makespan.shared_out([600, 90, 60, 50], devices=8, efficiency=0.9)
    assert widths == [8, 2, 2, 1]
    assert durations == [pytest.approx(600 / 7.2), pytest.approx(50), pytest.approx(60 / 1.8), 50]


def test_sharing_beats_what_the_longest_point_bounds() -> None:
    found = makespan.schedules([100.0, 1.0, 1.0, 1.0], devices=8, overhead_s=0.0, efficiency=0.9)
    assert found["in order"].makespan_s == found["longest first"].makespan_s == 100
    assert found["longest shared"].makespan_s == pytest.approx(100 / 7.2 + 1)


def test_the_table_and_its_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "makespan.json"
    words = ["--model", "posemamba-s", "motionagformer-xs", "--devices", "2", "--speed", "100", "200", "--seeds", "2"]
    assert makespan.main([*words, "--json", str(file)]) == 0
    document = json.loads(file.read_text())
    text = capsys.readouterr().out
    assert text.startswith("2 lifters, T = 27, 81, 243, 2 seeds: 12 runs, ")
    assert f"6 of 6 durations by {SOURCES['forward']}" in text
    runs, schedules = document["runs"], document["schedules"]
    assert {(run["model"], run["source"]) for run in runs} == {
        ("posemamba-s", "forward"),
        ("motionagformer-xs", "forward"),
    }
    assert [(row["speed"], row["order"]) for row in schedules] == [
        (speed, order) for speed in (100, 200) for order in ("in order", "longest first", "longest shared")
    ]
    work_s = 2 * sum(30 + run["core_s"] / 100 for run in runs)
    assert schedules[0]["work_s"] == pytest.approx(work_s)
    assert schedules[1]["bound_s"] <= schedules[1]["makespan_s"] <= schedules[0]["makespan_s"] * 7 / 6
