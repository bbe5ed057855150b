"""A whole set is checked: one in order has no finding against it, a broken one the finding that it was broken for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data import array_store, source, validation
from harness.data.checks.look import Finding
from harness.data.sequence import Dataset, Sequence
from harness.data.skeleton import MIRRORED
from tests.harness.data.checks.people import filmed, in_image, walker_mm

SYNTHETIC = "synthetic:train_minutes=0.3,test_minutes=0.1"


@pytest.fixture(scope="module")
def made_up() -> Dataset:
    return source.load(SYNTHETIC, detector="sh")


def verdicts(dataset: Dataset, spec: str = SYNTHETIC) -> dict[str, str]:
    return {finding.name: finding.verdict for finding in validation.validate(dataset, spec)}


@pytest.mark.parametrize("detector", ["gt", "sh", "cpn"])
def test_a_set_in_order(detector: str, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = source.load(SYNTHETIC, detector=detector)
    findings = validation.validate(dataset, SYNTHETIC)
    assert validation.failed(findings) == []
    assert [finding.name for finding in findings if finding.verdict == "?"] == ["totals", "stored arrays unchanged"]
    assert validation.summary(findings) == "11 checks: 9 ok, 0 failed, 2 could not be told"
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"checking {len(dataset.train) + len(dataset.test)} sequences")


def _times(factor: float) -> Callable[[Sequence], Sequence]:
    return lambda one: dataclasses.replace(one, truth=one.truth * np.float32(factor))


BROKEN: dict[str, tuple[Callable[[Sequence], Sequence], set[str]]] = {
    "keypoints exchanged": (
        lambda one: dataclasses.replace(one, keypoints=one.keypoints[:, MIRRORED]),
        {"2D agrees with 3D", "left is left in 2D"},
    ),
    "truth exchanged": (
        lambda one: dataclasses.replace(one, truth=one.truth[:, MIRRORED]),
        {"2D agrees with 3D", "left is left in 2D", "left is left in 3D"},
    ),
    "both exchanged": (
        lambda one: dataclasses.replace(one, truth=one.truth[:, MIRRORED], keypoints=one.keypoints[:, MIRRORED]),
        {"left is left in 3D"},
    ),
    "keypoints normalised": (
        lambda one: dataclasses.replace(one, keypoints=one.keypoints / 500 - 1),
        {"keypoints within the image", "2D agrees with 3D", "left is left in 2D"},
    ),
    "confidence in percent": (
        lambda one: dataclasses.replace(one, confidence=one.confidence * 100),
        {"confidence within 0 to 1"},
    ),
    "another person's 2D": (
        lambda one: dataclasses.replace(one, keypoints=one.keypoints + np.float32(150)),
        {"2D agrees with 3D", "left is left in 2D"},
    ),
    "truth of one frame gone": (
        lambda one: dataclasses.replace(
            one, truth=np.where(np.arange(len(one))[:, None, None] == 3, np.nan, one.truth)
        ),
        {"finite values"},
    ),
    "truth in changing size": (
        lambda one: dataclasses.replace(one, truth=one.truth * np.linspace(0.7, 1.3, len(one))[:, None, None]),
        {"limbs keep their lengths"},
    ),
}


@pytest.mark.parametrize("fault", list(BROKEN))
def test_every_fault_has_its_finding(made_up: Dataset, fault: str) -> None:
    breaking, expected = BROKEN[fault]
    broken = dataclasses.replace(made_up, train=tuple(map(breaking, made_up.train)), test=())
    failed = set(validation.failed(validation.validate(broken, SYNTHETIC)))
    assert expected <= failed
    assert failed <= expected | {"bones of the trunk keep their lengths"}


def test_a_detector_may_be_farther_off_than_a_projection(made_up: Dataset) -> None:
    assert verdicts(made_up)["2D agrees with 3D"] == "ok"
    assert verdicts(dataclasses.replace(made_up, detector="gt"))["2D agrees with 3D"] == "FAIL"


def test_annotations_whose_cameras_are_told_from_them() -> None:
    annotated = Dataset("3dhp", "gt", (filmed(noise_px=3.0),), (), grouped_by="scene")
    assert verdicts(annotated)["2D agrees with 3D"] == "ok"
    assert verdicts(dataclasses.replace(annotated, name="h36m"))["2D agrees with 3D"] == "FAIL"


def test_truth_in_the_image_is_checked_as_well() -> None:
    one = in_image(filmed())
    found = verdicts(Dataset("h36m", "gt", (one,), ()))
    assert "FAIL" not in found.values()
    assert [name for name, verdict in found.items() if verdict == "?"] == ["totals", "stored arrays unchanged"]
    unknown = in_image(filmed(), known=False)
    found = verdicts(Dataset("h36m", "gt", (unknown,), ()))
    assert found["limbs keep their lengths"] == found["bones of the trunk keep their lengths"] == "?"
    assert found["left is left in 3D"] == "ok"


def test_names_given_twice() -> None:
    findings = validation.validate(Dataset("x", "gt", (filmed(), filmed("S2/Walk/1/c")), (filmed(),)), "motion:PATH")
    assert (
        Finding("names are unique", "FAIL", "1 names are given to several sequences, such as S1/Walk/1/c") in findings
    )


def test_joints_that_are_not_scored_are_not_checked() -> None:
    poses = walker_mm()
    one = filmed(poses_mm=poses)
    one.truth[:, 10] = np.nan
    joints = tuple(joint for joint in range(17) if joint != 10)
    assert "FAIL" not in verdicts(Dataset("x", "gt", (one,), (), joints=joints)).values()
    assert "FAIL" in verdicts(Dataset("x", "gt", (one,), ())).values()


def test_arrays_of_a_store_are_compared_with_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "set.bin"
    path.write_bytes(b"x")

    def opened() -> Dataset:
        return array_store.stored([path], "set", lambda: Dataset("x", "gt", (filmed(),), ()), version=1)

    assert verdicts(opened())["stored arrays unchanged"] == "ok"
    store = array_store.find(opened())
    assert store is not None
    content = bytearray((store / "confidence.npy").read_bytes())
    content[-1] ^= 1
    (store / "confidence.npy").write_bytes(content)
    (finding,) = [one for one in validation.validate(opened(), "x") if one.name == "stored arrays unchanged"]
    assert finding.verdict == "FAIL"
    assert f"{store / 'confidence.npy'} has changed since it was written" in finding.detail


def test_sequences_of_no_frame_and_values_beyond_measure() -> None:
    huge = filmed()
    huge.truth[:] = 1e38
    huge.keypoints[:] = -1e38
    found = verdicts(Dataset("x", "gt", (filmed().at(slice(0)), huge), ()))
    assert found["keypoints within the image"] == "FAIL"
    assert set(verdicts(Dataset("x", "gt", (filmed().at(slice(0)),), ())).values()) == {"ok", "?"}
