"""What the page's viewer is given: the poses themselves, to a tenth of a millimetre, and nothing that ends a script."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.comparison.group import group
from harness.reporting.evidence import Evidence
from harness.reporting.still import POSES, stills
from harness.reporting.viewer import Shown, Viewer, frame_errors_mm, label, viewer
from harness.store import traces as trace_file
from harness.traces import ErrorCurve, Excerpt, Traces
from tests.browser import figurant
from tests.harness.reporting import records

HOSTILE = "</script><script>&amp;<b>"


def excerpt(seed: int = 0, reason: Any = "unusual", scale: float = 500.0, **changes: Any) -> Excerpt:
    """The truth is that of the reason, the prediction that of the seed."""
    rng = np.random.default_rng([1, reason == "worst"])
    truth = rng.normal(size=(9, 17, 3)).astype(np.float32) * np.float32(scale)
    prediction = truth + np.random.default_rng(seed).normal(size=truth.shape).astype(np.float32)
    fields = {"sequence": f"s/{reason}@{HOSTILE}", "take": "s", "action": "run", "start_s": 1.25, "fps": 12.5}
    return Excerpt(**{**fields, "reason": reason, "truth_mm": truth, "prediction_mm": prediction, **changes})


def decoded(stored: dict[str, Any]) -> np.ndarray:
    whole = np.frombuffer(base64.b64decode(stored["values"]), dtype="<i2").astype(float)
    whole[whole == -32768] = np.nan
    return whole.reshape(-1, 17, 3) * stored["step_mm"]


def content(*shown: Shown) -> dict[str, Any]:
    return dict(json.loads(Viewer(shown).data))


def test_poses_come_back_to_a_tenth_of_a_millimetre() -> None:
    one = excerpt()
    found = content(Shown("m", 0, (one,)))
    stored = found["models"][0]["excerpts"][0]
    assert np.abs(decoded(found["truths"][stored["truth"]]) - one.truth_mm).max() <= 0.051
    assert np.abs(decoded(stored["prediction"]) - one.prediction_mm).max() <= 0.051
    assert (stored["sequence"], stored["fps"]) == (one.sequence, 12.5)


def test_what_is_far_away_takes_a_coarser_step_and_is_not_cut() -> None:
    one = excerpt(scale=40_000.0)
    stored = content(Shown("m", 0, (one,)))["models"][0]["excerpts"][0]["prediction"]
    assert np.abs(decoded(stored) - one.prediction_mm).max() <= 0.51 * stored["step_mm"]


def test_what_is_not_known_stays_unknown() -> None:
    one = excerpt()
    one.truth_mm[3:5] = np.nan
    found = content(Shown("m", 0, (one,)))
    assert np.isnan(decoded(found["truths"][0])).all(axis=(1, 2)).tolist() == [3 <= frame < 5 for frame in range(9)]


def test_a_truth_that_models_share_is_stored_once() -> None:
    shown = [Shown(f"m{seed}", 0, (excerpt(seed), excerpt(seed, "worst"))) for seed in range(4)]
    found = content(*shown)
    assert len(found["truths"]) == 2
    assert [[one["truth"] for one in model["excerpts"]] for model in found["models"]] == [[0, 1]] * 4


def test_no_name_ends_the_script() -> None:
    data = Viewer((Shown(HOSTILE, 0, (excerpt(),)),)).data
    assert not re.search(r"[<>&]", data)
    assert json.loads(data)["models"][0]["label"] == HOSTILE
    assert HOSTILE in json.loads(data)["models"][0]["excerpts"][0]["label"]


def test_every_bone_has_a_side() -> None:
    found = content(Shown("m", 0, (excerpt(),)))
    assert len(found["bones"]) == 16
    assert [found["sides"][joint] for joint in (1, 4, 7, 11, 16)] == ["right", "left", "ink", "left", "right"]


def test_the_error_is_the_mean_distance() -> None:
    truth = np.zeros((2, 17, 3), np.float32)
    prediction = truth.copy()
    prediction[0, :, 0], prediction[0, :, 1] = 3.0, 4.0
    truth[1] = np.nan
    errors = frame_errors_mm(excerpt(truth_mm=truth, prediction_mm=prediction))
    assert errors[0] == pytest.approx(5.0)
    assert np.isnan(errors[1])


def test_it_shows_the_first_seed_that_kept_traces(tmp_path: Path) -> None:
    runs = [records.record("posemamba-s", seed) for seed in range(3)] + [records.record("posemamba-xs")]
    kept = Traces((ErrorCurve(excerpt().sequence, "s", "run", 0.1, np.ones(3, np.float32)),), (excerpt(),))
    for run in runs[1:3]:
        digest = trace_file.save(tmp_path / "traces.npz", kept)
        run["traces"] = {"path": "traces.npz", "sha256": digest}
    found = viewer(group(runs)[0], Evidence(tmp_path, runs))
    assert found is not None
    assert [(one.title, one.seed) for one in found.shown] == [("posemamba-s", 1)]


def test_without_traces_there_is_no_viewer(tmp_path: Path) -> None:
    runs = [records.record(), records.failed()]
    assert viewer(group(runs)[0], Evidence(tmp_path, runs)) is None


def test_stills_show_poses_in_their_order_and_say_what_they_are() -> None:
    one = excerpt()
    (still,) = stills(Shown(f"model {HOSTILE}", 2, (one,)))
    assert still.svg.count('<g class="predicted">') == still.svg.count('<g class="true">') == POSES
    assert still.svg.count("<path") == 2 * POSES * 16
    assert still.caption.startswith(f"{label(one)}. model {HOSTILE}, seed 2, from left to right:")
    assert [float(time) for time in re.findall(r"at ([\d.]+)\xa0s", still.caption)] == [0.0, 0.2, 0.3, 0.5, 0.6]
    assert "<script" not in still.svg
    assert "<b>" not in still.svg


def test_stills_leave_out_frames_without_truth() -> None:
    one = excerpt()
    one.truth_mm[:7] = np.nan
    (still,) = stills(Shown("m", 0, (one,)))
    assert still.svg.count('<g class="true">') == 2
    assert "nan" not in still.svg
    one.truth_mm[:] = np.nan
    assert stills(Shown("m", 0, (one,))) == []


def places(svg: str, group: str, side: str = r"\w+") -> np.ndarray:
    """(N, 2) ends of the bones of one side, of truth or prediction."""
    drawn = "".join(re.findall(f'<g class="{group}">(.*?)</g>', svg))
    paths = "".join(re.findall(f'<path class="{side}" d="([^"]*)"', drawn))
    return np.array(re.findall(r"[ML]([\d.-]+) ([\d.-]+)", paths), dtype=float)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.6])
def test_stills_stay_within_their_picture(factor: float) -> None:
    one = excerpt()
    far = excerpt(truth_mm=one.truth_mm, prediction_mm=np.float32(factor) * one.truth_mm)
    (still,) = stills(Shown("m", 0, (far,)))
    found = np.concatenate([places(still.svg, "true"), places(still.svg, "predicted")])
    assert (found >= 0).all()
    assert (found <= [750, 190]).all()
    assert "cuts it off" not in still.caption


def test_a_still_says_that_it_cuts_off_a_prediction_beyond_all_measure() -> None:
    one = excerpt()
    (still,) = stills(Shown("m", 0, (excerpt(prediction_mm=20 * one.truth_mm),)))
    assert still.caption.endswith("The prediction reaches beyond the picture, which cuts it off.")
    truth = places(still.svg, "true")
    # The truth is no speck, and every pose is cut off at the edges of its own picture.
    assert np.ptp(truth[:, 1]) > 50
    assert [float(box) for box in re.findall(r'<svg x="([\d.]+)" width="150"', still.svg)] == [0, 150, 300, 450, 600]


def test_in_stills_left_is_left_up_is_up_and_the_truth_is_the_truth() -> None:
    upright, other = (np.repeat(figurant.lifts(side)[np.newaxis], 9, axis=0) for side in ("left", "right"))
    (still,) = stills(Shown("m", 0, (excerpt(truth_mm=upright, prediction_mm=other),)))
    first = still.svg.split('<svg x="')[1]
    for kind, raised, hanging in (("true", "left", "right"), ("predicted", "right", "left")):
        # Who faces the camera has his left side on the picture's right; smaller is higher.
        assert places(first, kind, "left")[:, 0].mean() > places(first, kind, "right")[:, 0].mean()
        assert places(first, kind, raised)[:, 1].min() < places(first, kind, hanging)[:, 1].min() - 10
        assert places(first, kind, "left")[:, 1].max() > places(first, kind, "ink")[:, 1].max()


def test_in_stills_what_is_near_lies_to_the_right_and_below() -> None:
    near = np.repeat(figurant.sits()[np.newaxis], 9, axis=0)
    (still,) = stills(Shown("m", 0, (excerpt(truth_mm=near, prediction_mm=near),)))
    first = still.svg.split('<svg x="')[1]
    legs, trunk = (
        np.concatenate([places(first, "true", side) for side in ("left", "right")]),
        places(first, "true", "ink"),
    )
    assert legs[:, 0].max() > trunk[:, 0].max() + 60
    assert legs[:, 1].max() > trunk[:, 1].max() + 10


def test_stills_begin_with_what_the_model_is_worst_at() -> None:
    found = stills(Shown("m", 0, (excerpt(), excerpt(1, "worst"))))
    assert [still.reason for still in found] == ["worst", "unusual"]
    assert "(worst of the other takes)" in found[0].caption
