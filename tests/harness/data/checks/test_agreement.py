"""2D against the projected truth: the figures are those of the errors put in, and the worst sequence is named."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from harness.data.checks.agreement import (
    LARGEST_DETECTOR_ERROR_PX,
    LARGEST_GT_ERROR_PX,
    Agreement,
    _Distribution,
)
from tests.harness.data.checks.people import CAMERA, filmed, found, in_image, walker_mm


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95, 1.0])
def test_quantiles_to_a_quarter_of_a_percent(share: float) -> None:
    values = np.random.default_rng(0).lognormal(1, 2, 10_001)
    distribution = _Distribution()
    for part in np.array_split(values, 7):
        distribution.add(part)
    assert distribution.quantile(share) == pytest.approx(np.quantile(values, share, method="inverted_cdf"), rel=0.0025)


def test_quantiles_of_zeros_and_of_values_off_the_scale() -> None:
    distribution = _Distribution()
    distribution.add(np.array([0.0, 0.0, 1e-9, 3.0, 1e9]))
    assert distribution.quantile(0.5) == 0
    assert distribution.quantile(0.7) == pytest.approx(3, rel=0.0025)
    assert distribution.quantile(1.0) == pytest.approx(1e6)


@pytest.mark.parametrize("space", ["camera", "image"])
def test_the_projection_itself_is_no_error(space: str) -> None:
    one = filmed() if space == "camera" else in_image(filmed())
    finding = found(Agreement(LARGEST_GT_ERROR_PX), one)
    assert finding.verdict == "ok"
    assert finding.detail.startswith("0.00 px in the median (0.00% of the width)")


def test_figures_are_those_of_the_errors() -> None:
    one = filmed(poses_mm=walker_mm(61))
    one.keypoints[..., 0] += np.linspace(0, 20, 61, dtype=np.float32)[:, None]
    finding = found(Agreement(LARGEST_DETECTOR_ERROR_PX), one)
    assert finding.verdict == "ok"
    assert finding.detail == (
        "10.0 px in the median (1.00% of the width), 95 % within 19.0 px (1.90%); worst S1/Walk/1/c, median 10.0 px"
    )


@pytest.mark.parametrize(("limit", "noise_px", "verdict"), [(1.0, 0.5, "ok"), (1.0, 2.0, "FAIL"), (30.0, 15.0, "ok"),
                                                           (30.0, 40.0, "FAIL")])  # fmt: skip
def test_the_median_decides(limit: float, noise_px: float, verdict: str) -> None:
    finding = found(Agreement(limit), *(filmed(f"S{n}/Walk/1/c", noise_px=noise_px) for n in range(3)))
    assert finding.verdict == verdict
    assert (f"expected below {limit:g} px" in finding.detail) == (verdict == "FAIL")


def test_shares_are_of_the_width() -> None:
    wide = filmed(camera=dataclasses.replace(CAMERA, width=2000, height=500))
    wide.keypoints[..., 1] += 10
    assert "10.0 px in the median (0.50% of the width)" in found(Agreement(LARGEST_DETECTOR_ERROR_PX), wide).detail


def test_one_wrong_sequence_among_many_is_named() -> None:
    many = [filmed(f"S{number}/Walk/1/c", noise_px=3.0) for number in range(9)]
    wrong = filmed("S9/Walk/1/c", poses_mm=walker_mm() + np.array([400.0, 0, 0]), keypoints=many[0].keypoints)
    finding = found(Agreement(LARGEST_DETECTOR_ERROR_PX), *many, wrong)
    assert finding.verdict == "FAIL"
    assert "worst S9/Walk/1/c, median 11" in finding.detail
    assert finding.detail.endswith("1 of 10 sequences above 60 px")


def test_a_camera_that_is_not_known() -> None:
    unknown = filmed(camera=dataclasses.replace(CAMERA, name="handy", focal=(np.nan, np.nan)))
    finding = found(Agreement(LARGEST_GT_ERROR_PX), unknown)
    assert (finding.verdict, finding.detail) == ("?", "focal length not known: handy")
    assert found(Agreement(LARGEST_GT_ERROR_PX), unknown, filmed()).verdict == "ok"


def test_nothing_found() -> None:
    one = filmed()
    one.confidence[:] = 0
    assert found(Agreement(LARGEST_GT_ERROR_PX), one).verdict == "?"
