"""What can be asked for, what cannot, and the points that come of it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from harness.errors import BadInput
from harness.measurement.request import QUICK_FRAMES, Request
from harness.measurement.timing import Protocol

HERE = "tests.harness.measurement.lifters:"


def test_what_is_left_out_is_filled_in() -> None:
    whole = Request(["posemamba-xs"]).resolved()
    assert whole.frames == QUICK_FRAMES
    assert whole.threads == (torch.get_num_threads(),)
    assert whole.device in ("cpu", "cuda")
    assert whole.protocol == Protocol()
    quick = Request(["posemamba-xs"], quick=True).resolved()
    assert quick.protocol == Protocol.quick()
    assert (quick.timeout_s or 0) < (whole.timeout_s or 0)
    assert Request(["martinez"], quick=True, protocol=Protocol()).resolved().protocol == Protocol()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"models": []}, "no model"),
        ({"models": ["posemaba"]}, "Did you mean: posemamba"),
        ({"models": ["nopkg.x:Y"]}, "Cannot import 'nopkg.x'"),
        ({"models": [HERE + "absent"]}, "'absent' is not in"),
        ({"frames": [9, 0]}, "--frames 0"),
        ({"threads": [0]}, "--threads 0"),
        ({"batches": ["0"]}, "--batch 0"),
        ({"batches": ["atuo"]}, "--batch atuo: Did you mean: auto"),
        ({"batches": ["-1"]}, "--batch -1"),
        ({"precisions": ["fp32", "fp8"]}, "--precision fp8: .*bf16"),
        ({"in_channels": 4}, "--in-channels 4"),
        ({"seed": -1}, "--seed -1"),
        ({"timeout_s": -1.0}, "--timeout"),
        ({"memory_limit_bytes": 0}, "--memory-limit 0"),
        ({"batch_seconds": 0.0}, "--batch-seconds"),
        ({"device": "gpu7"}, "--device gpu7"),
        ({"options": {"dephth": 8}}, "no such option 'dephth'.*depth"),
        ({"options": {"depth": "eight"}}, "depth wants an int"),
        ({"scan_backends": ["fast"]}, "fast"),
        ({"models": ["motionbert-lite"], "attention": ["flash"]}, "flash"),
        ({"timeout_s": math.inf}, "--timeout inf"),
        ({"timeout_s": 1e300}, "--timeout 1e.300"),
        ({"batch_seconds": math.inf}, "--batch-seconds inf"),
        ({"batch_seconds": math.nan}, "--batch-seconds nan"),
        ({"memory_limit_bytes": 2**63}, "--memory-limit"),
        ({"device": "meta"}, "--device meta"),
        ({"attention": ["explicit"]}, "--attention explicit: none of posemamba-xs"),
        ({"models": ["martinez", HERE + "sound"], "scan_backends": ["native"]}, "--scan-backend native: none of"),
        (
            {"models": ["motionbert-lite"], "attention": ["sdpa"], "options": {"attention": "explicit"}},
            "attention is given twice, with -o attention=explicit and --attention sdpa",
        ),
    ],
)
def test_what_cannot_be_asked_for(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        Request(**{"models": ["posemamba-xs"], **change}).resolved()


def points(**given: Any) -> list[tuple[Any, str | None]]:
    return Request(**{"threads": [1], "device": "cpu", "frames": [9], **given}).resolved().points()


def test_a_number_of_frames_that_a_model_does_not_take_is_a_finding() -> None:
    found = points(models=["mhformer"], frames=[10, 27])
    assert [point.frames for point, refusal in found if refusal is None] == [27]
    assert "multiple" in next(refusal for point, refusal in found if point.frames == 10 and refusal)


def test_an_option_under_any_name_and_as_text_is_one_point() -> None:
    ways: list[dict[str, Any]] = [{"depth": 2}, {"depth": "2"}]
    keys = {points(models=["posemamba-xs"], options=options)[0][0].key() for options in ways}
    assert len(keys) == 1


def test_an_option_as_it_is_published_is_none() -> None:
    usual = points(models=["motionbert-lite"])
    assert points(models=["motionbert-lite"], attention=["sdpa"]) == usual
    both = points(models=["motionbert-lite"], attention=["sdpa", "explicit", "sdpa"])
    assert [dict(point.options) for point, _ in both] == [{}, {"attention": "explicit"}]


def test_axes_of_other_models_do_not_multiply_a_model() -> None:
    found = points(models=["posemamba-xs", "motionbert-lite"], scan_backends=["reference", "native"])
    assert [(point.model, dict(point.options)) for point, _ in found] == [
        ("posemamba-xs", {"scan_backend": "reference"}),
        ("posemamba-xs", {"scan_backend": "native"}),
        ("motionbert-lite", {}),
    ]


def test_channels_are_the_models_own_unless_asked_for() -> None:
    assert [point.in_channels for point, _ in points(models=["posemamba-xs", HERE + "sound"])] == [2, 3]
    assert [point.in_channels for point, _ in points(models=["posemamba-xs"], in_channels=3)] == [3]


def test_a_third_partys_options_are_read_as_they_look() -> None:
    ((point, _),) = points(models=[HERE + "sound"], options={"depth": "2", "name": "x"})
    assert dict(point.options) == {"depth": 2, "name": "x"}
