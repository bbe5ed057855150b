"""Passes over real points, in fresh processes as they are in a survey."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from harness import models
from harness.measurement import fresh_process, worker
from harness.measurement.point import Point
from harness.measurement.timing import Protocol
from harness.store.measurement import MEASUREMENTS
from harness.store.schema import look_up

SHORT = Protocol(1, 6, 0.0, 5.0, 1, 0.1, 0.0)
HERE = "tests.harness.measurement.lifters:"


def found(
    kind: str,
    model: str,
    frames: int = 27,
    limit_mb: int | None = None,
    timeout_s: float = 60.0,
    seed: int = 0,
    **point: Any,
) -> dict[str, Any]:
    task = {
        "pass": kind,
        "point": Point(model, frames, **{"threads": 1, **point}).as_dict(),
        "seed": seed,
        "protocol": SHORT.as_dict(),
        "memory_limit_bytes": limit_mb and limit_mb << 20,
    }
    return fresh_process.call(worker.run, task, timeout_s=timeout_s, preload=worker.PRELOAD)


def test_costs_of_a_registered_lifter_fit_the_store() -> None:
    part = found("cost", "posemamba-xs", 9)
    assert part["status"] == "ok", part
    parameters = sum(parameter.numel() for parameter in models.build("posemamba-xs", 9, 2).parameters())
    assert part["counts"]["params_total"] == parameters
    assert part["memory"]["weights_bytes"] >= 4 * parameters
    assert part["memory"]["peak_bytes"] > 9 * 17 * 64 * 4
    assert (part["output_frames"], part["warnings"]) == (9, [])
    assert part["kinds"]["scan"]["calls"] == 8
    assert part["kinds"]["scan"]["seconds"] > 0
    assert sum(kind["flops"] for kind in part["kinds"].values()) == part["counts"]["flops_exact"]
    MEASUREMENTS.validate({"schema": 1, "id": "x", "pass": "cost", "environment_key": "e", **part})


def test_kinds_are_of_the_whole_batch_and_counts_of_one_clip() -> None:
    part = found("cost", "martinez", 1, batch=4)
    flops = sum(kind["flops"] for kind in part["kinds"].values())
    assert flops == pytest.approx(4 * part["counts"]["flops_exact"], rel=0.01)


def test_a_timing_is_of_what_the_model_computes() -> None:
    part = found("timing", "martinez", 1)
    assert part["status"] == "ok", part
    timing = part["timing"]
    assert len(timing["samples_ms"]) == 6
    assert all(sample > 0 for sample in timing["samples_ms"])
    assert part["output_difference"] < 1e-6
    assert timing["compile_s"] is None
    MEASUREMENTS.validate({"schema": 1, "id": "x", "pass": "timing", "environment_key": "e", **part})


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_is_compared_to_float32(precision: str) -> None:
    part = found("timing", "posemamba-xs", 9, precision=precision)
    if part["status"] == "unsupported":
        pytest.skip(part["error"])
    assert 1e-6 < part["output_difference"] < 0.2
    assert part["timing"]["samples_ms"]


def test_an_output_that_is_not_finite_leaves_no_figure() -> None:
    part = found("timing", HERE + "not_finite")
    assert part["timing"]["verdict"] == "INVALID"
    assert part["timing"]["reason"] == "the model's output is not finite"
    assert part["timing"]["samples_ms"] == []
    MEASUREMENTS.validate({"schema": 1, "id": "x", "pass": "timing", "environment_key": "e", **part})


def test_an_output_that_changes_leaves_no_figure() -> None:
    part = found("timing", HERE + "wandering")
    assert part["timing"]["verdict"] == "INVALID"
    assert "off the one that the model gives by itself" in part["timing"]["reason"]
    assert part["timing"]["samples_ms"] == []


@pytest.mark.parametrize(
    ("vice", "status", "words"),
    [
        ("aborting", "failed", "SIGABRT"),
        ("raising", "failed", "ValueError: this one never works"),
        ("short", "failed", "the contract is (B, T, 17, 3)"),
        ("choosy", "unsupported", "27 frames or nothing"),
    ],
)
def test_a_model_that_does_not_work_is_a_status(vice: str, status: str, words: str) -> None:
    part = found("cost", HERE + vice, 9)
    assert (part["status"], words in part["error"]) == (status, True), part


def test_a_model_that_hangs_is_a_timeout() -> None:
    assert found("timing", HERE + "sleeping", timeout_s=0.5)["status"] == "timeout"


def test_a_batch_beyond_the_memory_limit_is_out_of_memory() -> None:
    assert found("probe", HERE + "hungry", batch=2, limit_mb=300)["status"] == "ok"
    part = found("probe", HERE + "hungry", batch=64, limit_mb=300)
    assert part["status"] == "oom"
    assert "memory" in part["error"]


def test_peak_memory_is_that_of_the_forward() -> None:
    peak_bytes = found("cost", HERE + "hungry", 1, batch=3)["memory"]["peak_bytes"]
    assert peak_bytes == pytest.approx(96 << 20, abs=2 << 20)


def test_warnings_are_kept_once() -> None:
    assert "an approximation is used" in found("timing", HERE + "warning")["warnings"]
    assert len(found("timing", HERE + "warning")["warnings"]) == 1


def test_what_torch_cannot_do_in_a_precision_is_unsupported() -> None:
    part = found("timing", HERE + "half_refusing", precision="bf16")
    assert part["status"] == "unsupported"
    assert "not implemented for 'BFloat16'" in part["error"]


def test_streaming_by_windows_and_by_steps() -> None:
    for model in ("last", "stepping"):
        part = found("timing", HERE + model, streaming=True)
        assert (part["status"], part["output_frames"]) == ("ok", 1), part
        assert part["output_difference"] < 1e-6
    assert found("timing", HERE + "wrong_step", streaming=True)["timing"]["verdict"] == "INVALID"
    part = found("cost", HERE + "sound", streaming=True)
    assert part["status"] == "unsupported"
    assert "frames that have not come yet" in part["error"]


def test_a_compiled_stream_begins_anew_before_it_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled is the step alone, and the step that compiled it is none of the stream's."""
    monkeypatch.setattr(worker, "_compile", lambda function: function)
    part = found("timing", HERE + "stepping", streaming=True, compiled=True)
    assert part["output_difference"] < 1e-6
    assert part["timing"]["verdict"] != "INVALID"


def test_weights_are_seeded() -> None:
    weights = [found("probe", HERE + "revealing", seed=seed)["warnings"] for seed in (0, 0, 1)]
    assert weights[0] == weights[1] != weights[2]


def test_clips_are_seeded() -> None:
    """The difference between bf16 and float32 depends on every bit of them."""
    differences = [
        found("timing", HERE + "sound", seed=seed, precision="bf16")["output_difference"] for seed in (0, 0, 1)
    ]
    assert differences[0] == differences[1] != differences[2]
    assert all(map(math.isfinite, differences))


def test_the_machine_has_rates() -> None:
    part = found("machine", "", 1)
    assert part["status"] == "ok"
    assert all(look_up(part, f"machine.{rate}") > 0 for rate in ("gemm_flops_per_s", "copy_bytes_per_s", "exp_per_s"))


def test_bytes_by_kind_are_those_of_the_counts() -> None:
    """Of one clip: the operators that are timed are the ones that are counted."""
    part = found("cost", "motionagformer-xxs", 9)
    assert part["warnings"] == []
    assert sum(kind["bytes"] for kind in part["kinds"].values()) == part["counts"]["bytes"]


def test_a_forward_whose_operators_are_timed_casts_its_weights() -> None:
    """As every timed forward does: of a linear layer its weight and its bias, beside what goes into it."""
    calls = {
        precision: found("cost", HERE + "sound", precision=precision)["kinds"]["elementwise"]["calls"]
        for precision in ("fp32", "bf16")
    }
    assert calls["bf16"] == calls["fp32"] + 3


def test_a_compiled_model_is_probed_by_a_call_that_does_not_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def compiled(function: Any) -> Any:
        durations = iter((100.0, 1.0, 1.0))

        def call(clips: Any) -> Any:
            now[0] += next(durations)
            return function(clips)

        return call

    monkeypatch.setattr(worker, "_compile", compiled)
    monkeypatch.setattr(worker.time, "perf_counter", lambda: now[0])
    point = Point("martinez", 1, threads=torch.get_num_threads(), compiled=True)
    assert worker._probe({"point": point.as_dict(), "seed": 0}) == {"seconds": 1.0}
