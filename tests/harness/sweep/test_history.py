"""What of a store's rows says how fast something is, and durations at other T."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from harness.config import RunConfig
from harness.sweep import history
from harness.training.budget import Budget
from tests.harness.sweep import stored

CONFIG = RunConfig("posemamba-xs", frames=27, budget=Budget(steps=100), options={"drop_path": 0.0})
DEFAULTS = history.defaults_of(CONFIG)


def trained(*records: dict[str, Any]) -> list[history.Trained]:
    return history.trained(records, DEFAULTS)


def test_a_finished_run_says_how_long_a_clip_trains_and_what_else_there_was() -> None:
    (one,) = trained(stored.finished(CONFIG, 0.5, core_share=0.8, step_operations=10**9))
    assert one.clip_s == pytest.approx(0.5)
    assert one.wall_per_core == pytest.approx(1.25)
    assert one.rest_s == pytest.approx(stored.FIXED_S + 200 * stored.FORWARD_S, abs=0.5)
    assert (one.frames, one.forwards, one.step_operations) == (27, 200, 10**9)
    assert one.machine == stored.PROCESSOR


def test_a_centre_frame_lifter_answers_for_one_frame_a_clip() -> None:
    (one,) = trained(stored.finished(CONFIG, 0.5, answered=1, rest_s=60))
    assert one.clip_s == pytest.approx(0.5)
    assert one.forwards is None


def test_a_resumed_run_does_not_say_how_long_the_rest_took() -> None:
    (one,) = trained(stored.finished(CONFIG, 0.5, resumed=True))
    assert one.rest_s is None


def test_processes_that_share_a_run_are_another_setting_and_changing_ones_say_nothing() -> None:
    (alone, shared) = trained(stored.finished(CONFIG, 0.5), stored.finished(CONFIG, 0.5, processes=(4,)))
    assert alone.setting == history.setting_of(CONFIG.as_dict(), DEFAULTS)
    assert shared.setting == history.setting_of(CONFIG.as_dict(), DEFAULTS, 4)
    assert shared.setting != alone.setting
    assert trained(stored.finished(CONFIG, 0.5, processes=(4, 2))) == []


def test_what_did_not_finish_or_did_not_train_says_nothing() -> None:
    failed = stored.finished(CONFIG, 0.5) | {"status": "failed"}
    evaluation = {name: entry for name, entry in stored.finished(CONFIG, 0.5).items() if name != "training"}
    interrupted = {name: failed[name] for name in ("id", "config", "environment")} | {"status": "interrupted"}
    assert trained(failed, evaluation, interrupted) == []


def test_a_record_of_before_a_choice_is_in_the_setting_of_its_default() -> None:
    old = stored.finished(CONFIG, 0.5)
    del old["config"]["activation_checkpointing"]
    slow = stored.finished(dataclasses.replace(CONFIG, activation_checkpointing=True), 0.7)
    (first, second) = trained(old, slow)
    assert first.setting == history.setting_of(CONFIG.as_dict(), DEFAULTS)
    assert second.setting != first.setting


def test_a_drop_path_leaves_the_lifter_as_it_is_and_a_depth_does_not() -> None:
    plain = history.lifter_of("posemamba-xs", 3, {})
    assert history.lifter_of("posemamba-xs", 3, {"drop_path": 0.2}) == plain
    assert history.lifter_of("posemamba-xs", 3, {"depth": 2}) != plain
    assert history.lifter_of("posemamba-xs", 2, {}) != plain
    assert history.lifter_of("m", 3, {"widths": (1, 2)}) == history.lifter_of("m", 3, {"widths": [1, 2]})


def test_threads_tell_apart_on_a_cpu_and_gpus_are_one_kind() -> None:
    on_cpu = {history.setting_of({"device": "cpu", "threads": threads}, DEFAULTS) for threads in (1, 2)}
    on_gpu = {
        history.setting_of({"device": device, "threads": threads}, DEFAULTS)
        for device, threads in (("cuda", 1), ("cuda:1", 2))
    }
    assert (len(on_cpu), len(on_gpu)) == (2, 1)
    assert history.device_of(on_gpu.pop()) == "cuda"


def test_the_machine_is_the_gpu_where_one_was_used() -> None:
    environment = {"processor": "CPU", "gpu": "GPU"}
    assert history.machine_of(environment, "cuda:0") == "GPU"
    assert history.machine_of(environment, "cpu") == "CPU"
    assert history.machine_of({}, "cpu") == "unknown"


def test_of_timed_points_only_plain_single_clips_say_something() -> None:
    rows = [
        *stored.timed("posemamba-xs", 27, 0.02),
        *stored.timed("posemamba-s", 27, 0.02, batch=4, batch_asked="4"),
        *stored.timed("posemamba-b", 27, 0.02, precision="bf16"),
        *stored.timed("posemamba-l", 27, 0.02, compiled=True),
        *stored.timed("posemamba-causal", 27, 0.02, streaming=True),
    ]
    (one,) = history.timed(rows, DEFAULTS)
    assert one.lifter == history.lifter_of("posemamba-xs", 3, {})
    assert one.forward_s == pytest.approx(0.02)
    assert one.setting == history.setting_of(CONFIG.as_dict(), DEFAULTS)


def test_a_point_measured_again_elsewhere_counts_as_it_was_last() -> None:
    early, late = stored.timed("posemamba-xs", 27, 0.02), stored.timed("posemamba-xs", 27, 0.03)
    for row in late:
        row["environment_key"], row["id"] = "another", f"{row['id']} elsewhere"
        row["started"] = "2026-04" + row["started"][7:]
    for rows in ([*early, *late], [*late, *early]):
        (one,) = history.timed(rows, DEFAULTS)
        assert one.forward_s == pytest.approx(0.03)


def test_at_the_very_t_it_is_the_median() -> None:
    assert history.at(27, [(27, 1.0), (27, 9.0), (27, 2.0), (81, 50.0)]) == (2.0, "same")


def test_elsewhere_it_follows_the_power_of_t_that_fits() -> None:
    seconds, ground = history.at(243, [(27, 27**1.5), (81, 81**1.5), (9, 9**1.5)]) or (0.0, "")
    assert (seconds, ground) == (pytest.approx(243**1.5), "growth")
    # Least squares by hand on logarithms to base 3: (2, 0), (3, 1), (4, 4) have slope 2 and mean 5/3 at 3.
    assert history.at(243, [(9, 1.0), (27, 3.0), (81, 81.0)]) == (pytest.approx(3 ** (5 / 3 + 2 * 2)), "growth")


def test_of_one_other_t_it_is_proportional() -> None:
    assert history.at(81, [(27, 2.0), (27, 4.0)]) == (pytest.approx(9.0), "proportional")
    assert history.at(81, []) is None
