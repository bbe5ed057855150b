"""Where the duration of a run comes from, and what it is, on stores that obey a law."""

from __future__ import annotations

import dataclasses
import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from harness.config import RunConfig
from harness.sweep.estimate import SOURCES, CostModel, Estimate
from harness.sweep.workload import Workload
from harness.training.budget import Budget
from tests.harness.sweep import stored

CONFIG = RunConfig("posemamba-xs", frames=27, budget=Budget(steps=1000))
OTHER = dataclasses.replace(CONFIG, model="mixste")
STEP_OPERATIONS = 2e9
#: Of a matrix product on the made-up machine, operations a second.
PRODUCT_RATE = 6e10
RESULTS = Path(__file__).resolve().parents[3] / "results"


class Made:
    """Workloads by hand: 50 steps an epoch of at most 4 clips, 200 clips answered in the evaluation."""

    def __init__(self, operations: float | None = STEP_OPERATIONS, countable: bool = True) -> None:
        self.operations, self.countable = operations, countable
        self.counted: list[str] = []

    def of(self, config: RunConfig) -> Workload | None:
        if not self.countable:
            return None
        return Workload(steps_per_epoch=50, clips_per_step=min(config.batch_size, 4), forwards=200)

    def step_operations(self, config: RunConfig) -> float | None:
        self.counted.append(config.model)
        return self.operations


def model(*records: dict[str, Any], rows: Any = (), **given: Any) -> CostModel:
    workloads = given.pop("workloads", Made())
    rate = given.pop("product_rate", PRODUCT_RATE)
    return CostModel(records, rows, workloads, lambda device: rate, **given)


def at(frames: int, config: RunConfig = CONFIG, **fields: Any) -> RunConfig:
    return dataclasses.replace(config, frames=frames, **fields)


def test_a_budget_in_minutes_is_the_training_and_needs_no_store() -> None:
    found = model().of_run(dataclasses.replace(CONFIG, budget=Budget(seconds=600)))
    assert (found.training_s, found.source) == (600, "budget")


def test_core_minutes_are_shared_by_the_threads_or_last_as_they_did() -> None:
    config = dataclasses.replace(CONFIG, budget=Budget(core_seconds=600), threads=2)
    assert model().of_run(config).training_s == 300
    assert model().of_run(config, processes=3).training_s == 100
    assert model(stored.finished(config, 0.5, core_share=1.6)).of_run(config).training_s == pytest.approx(375)


def test_the_same_lifter_with_another_seed_takes_as_long_for_each_step() -> None:
    records = [stored.finished(dataclasses.replace(CONFIG, seed=seed), clip_s) for seed, clip_s in ((1, 0.1), (2, 0.3))]
    found = model(*records).of_run(CONFIG)
    assert (found.training_s, found.source) == (pytest.approx(1000 * 4 * 0.2), "trained")
    assert found.rest_s == pytest.approx(stored.FIXED_S + 200 * stored.FORWARD_S, abs=0.5)
    assert found.seconds == pytest.approx((found.training_s or 0) + (found.rest_s or 0))


def test_a_batch_as_planned_tells_more_than_another() -> None:
    small, large = stored.finished(CONFIG, 0.4), stored.finished(dataclasses.replace(CONFIG, batch_size=64), 0.1)
    by_batch = {
        batch: model(small, large).of_run(dataclasses.replace(CONFIG, batch_size=batch)).training_s
        for batch in (4, 64, 32)
    }
    assert by_batch == {
        4: pytest.approx(1000 * 4 * 0.4),
        64: pytest.approx(1000 * 64 * 0.1),
        32: pytest.approx(1000 * 32 * 0.25),
    }


def test_a_budget_in_epochs_is_counted_in_steps() -> None:
    known = stored.finished(CONFIG, 0.1)
    found = model(known).of_run(dataclasses.replace(CONFIG, budget=Budget(epochs=3), batch_size=100))
    assert found.training_s == pytest.approx(3 * 50 * 4 * 0.1)


def test_other_t_follow_a_power_law() -> None:
    records = [stored.finished(at(frames), 0.001 * frames**1.2) for frames in (27, 81)]
    found = model(*records).of_run(at(243))
    assert (found.training_s, found.source) == (pytest.approx(4 * 1000 * 0.001 * 243**1.2), "growth")


def test_a_timed_forward_is_a_training_step_by_its_excess() -> None:
    """Of the lifter itself where it was trained at one other T: 0.12 s a clip, where its forward takes 0.01 s."""
    rows = stored.timed("posemamba-xs", 243, 0.5)
    records = [stored.finished(CONFIG, 0.12), stored.finished(OTHER, 0.06), stored.finished(at(81, OTHER), 0.06)]
    found = model(*records, rows=rows).of_run(at(243))
    assert (found.training_s, found.source) == (pytest.approx(4 * 1000 * 0.5 * 12), "forward")
    of_others = model(*records[1:], rows=rows).of_run(at(243))
    assert of_others.training_s == pytest.approx(4 * 1000 * 0.5 * 6)


def test_a_timed_forward_alone_is_a_third_of_a_training_step() -> None:
    found = model(rows=stored.timed("posemamba-xs", 27, 0.5)).of_run(CONFIG)
    assert (found.training_s, found.source) == (pytest.approx(4 * 1000 * 0.5 * 3), "forward")
    assert found.rest_s == pytest.approx(20 + 200 * 0.5)


def test_a_counted_training_step_tells_what_it_is_of_a_forward() -> None:
    rows = stored.timed("posemamba-xs", 27, 0.5)
    forward = rows[0]["counts"]["flops_exact"]
    rows[0]["counts"]["training_step"] = {"flops_exact": 5 * forward}
    assert model(rows=rows).of_run(CONFIG).training_s == pytest.approx(4 * 1000 * 0.5 * 5)


def test_one_other_t_alone_is_taken_as_proportional() -> None:
    found = model(stored.finished(CONFIG, 0.1)).of_run(at(81))
    assert (found.training_s, found.source) == (pytest.approx(4 * 1000 * 0.3), "proportional")


def test_another_setting_is_taken_as_it_was() -> None:
    found = model(stored.finished(CONFIG, 0.1)).of_run(dataclasses.replace(CONFIG, threads=2))
    assert (found.training_s, found.source) == (pytest.approx(400), "setting")


def test_a_shared_run_takes_as_long_as_shared_ones_did_or_is_divided() -> None:
    alone, shared = stored.finished(CONFIG, 0.4), stored.finished(CONFIG, 0.15, processes=(4,), rest_s=300)
    divided, seen = model(alone).of_run(CONFIG, processes=4), model(alone, shared).of_run(CONFIG, processes=4)
    assert (divided.training_s, divided.source) == (pytest.approx(1000 * 4 * 0.1), "trained")
    assert divided.rest_s == pytest.approx(stored.FIXED_S + 50 * stored.FORWARD_S, abs=0.5)
    assert (seen.training_s, seen.source) == (pytest.approx(1000 * 4 * 0.15), "trained")
    assert seen.rest_s == pytest.approx(300, abs=0.5)
    both = model(alone, shared)
    taken_s = [both.of_run(CONFIG, processes=processes).training_s for processes in (1, 2, 4)]
    assert taken_s == [pytest.approx(1000 * 4 * clip_s) for clip_s in (0.4, 0.2, 0.15)]


def test_an_unknown_lifter_is_counted_and_trains_at_the_rate_of_the_others() -> None:
    """The median over lifters: one that was trained with many seeds does not outweigh the others."""
    slow = [stored.finished(dataclasses.replace(OTHER, seed=seed), 1.0, step_operations=10**9) for seed in range(3)]
    fast = stored.finished(dataclasses.replace(CONFIG, model="stcformer"), 1.0, step_operations=3 * 10**9)
    workloads = Made()
    found = model(*slow, fast, workloads=workloads).of_run(CONFIG)
    assert (found.training_s, found.source) == (pytest.approx(4 * 1000 * STEP_OPERATIONS / 2e9), "operations")
    assert set(workloads.counted) == {"posemamba-xs"}


def test_other_lifters_forwards_and_other_settings_have_a_rate_too() -> None:
    """1e9 operations in 0.5 s of a forward are, at an excess of 2, as many in a second of a step; on 4 threads, 4e9."""
    rows = stored.timed("posemamba-s", 27, 0.5)
    rows[0]["counts"]["flops_exact"] = 10**9
    of_excess_2 = stored.finished(
        dataclasses.replace(OTHER, threads=4), 6 * stored.FORWARD_S, step_operations=4 * 10**9
    )
    in_setting, elsewhere = (model(of_excess_2, rows=known).of_run(CONFIG) for known in (rows, ()))
    assert (in_setting.training_s, in_setting.source) == (pytest.approx(4 * 1000 * STEP_OPERATIONS / 1e9), "operations")
    assert elsewhere.training_s == pytest.approx(4 * 1000 * STEP_OPERATIONS / 4e9 * 6 * stored.FORWARD_S)
    on_gpu = dataclasses.replace(CONFIG, device="cuda")
    assert model(of_excess_2, rows=rows).of_run(on_gpu).source == "product"


def test_operations_that_the_store_has_are_not_counted_again() -> None:
    workloads = Made()
    known = stored.finished(OTHER, 1.0, step_operations=10**9)
    rows = stored.timed("posemamba-xs", 27, 0.5, threads=8)
    rows[0]["counts"]["training_step"] = {"flops_exact": 4 * 10**9}
    found = model(known, rows=rows, workloads=workloads).of_run(CONFIG)
    assert (found.training_s, found.source) == (pytest.approx(4 * 1000 * 4), "operations")
    assert workloads.counted == []


def test_an_empty_store_guesses_by_the_machines_matrix_product() -> None:
    found = model().of_run(CONFIG)
    assert (found.training_s, found.source) == (pytest.approx(4 * 1000 * STEP_OPERATIONS / 2e10), "product")
    assert found.rest_s == pytest.approx(20 + 200 * STEP_OPERATIONS / 2e10 / 3)


def test_what_cannot_be_counted_is_unknown_and_no_number() -> None:
    assert model(workloads=Made(operations=None)).of_run(CONFIG) == Estimate(None, None, "unknown")
    on_budget = dataclasses.replace(CONFIG, budget=Budget(seconds=60))
    assert model(workloads=Made(operations=None)).of_run(on_budget).seconds is None


def test_a_device_that_is_not_here_has_no_rate_to_guess_by() -> None:
    assert model(product_rate=None).of_run(CONFIG) == Estimate(None, None, "unknown")


def test_steps_and_clips_that_cannot_be_counted_are_unknown() -> None:
    known = stored.finished(dataclasses.replace(CONFIG, data="motion:elsewhere"), 0.1)
    in_epochs = dataclasses.replace(CONFIG, budget=Budget(epochs=3))
    found = [model(known, workloads=Made(countable=False)).of_run(config) for config in (CONFIG, in_epochs)]
    assert [(estimate.source, estimate.rest_s) for estimate in found] == [("trained", None), ("unknown", None)]


def test_the_rest_is_by_what_is_scored() -> None:
    """The same data: as it was. Other data: the clips to answer, and the fixed part of the store's runs."""
    known = stored.finished(CONFIG, 0.1, rest_s=500)
    assert model(known).of_run(dataclasses.replace(CONFIG, seed=1)).rest_s == pytest.approx(500, abs=0.5)
    elsewhere = model(known).of_run(dataclasses.replace(CONFIG, data="motion:elsewhere"))
    assert elsewhere.rest_s == pytest.approx(500, abs=0.5)  # of 200 clips, too
    half = stored.finished(CONFIG, 0.1, rest_s=500) | {"accuracy": {"frames": stored.TEST_FRAMES // 2}}
    assert model(half).of_run(dataclasses.replace(CONFIG, data="motion:elsewhere")).rest_s == pytest.approx(
        500 + 100 * stored.FORWARD_S, abs=0.5
    )


def test_this_machine_is_believed_before_others() -> None:
    here = stored.finished(CONFIG, 0.1)
    there = stored.finished(dataclasses.replace(CONFIG, seed=1), 0.9, machine=stored.OTHER)
    of_here = model(here, there, machines=[stored.PROCESSOR])
    assert of_here.of_run(CONFIG).training_s == pytest.approx(400)
    assert of_here.machines() == [stored.PROCESSOR]
    of_all = model(here, there, machines=["a third one"])
    assert of_all.of_run(CONFIG).training_s == pytest.approx(2000)
    assert of_all.machines() == [stored.PROCESSOR, stored.OTHER]


def test_every_source_is_in_words() -> None:
    assert all(SOURCES.values())


# ---- the committed stores, as far as their machines were not disturbed ----


def hidden(records: list[dict[str, Any]], of_whole_lifter: bool) -> dict[str, float]:
    """By model: the estimate of each of ``records`` from the others, over what it took; of several seeds the median.

    With ``of_whole_lifter`` the others are those of other lifters.
    """
    found: dict[str, list[float]] = {}
    for record in records:
        config = RunConfig(
            **{**record["config"], "budget": Budget(steps=record["training"]["steps"])},
        )
        others = [
            other
            for other in records
            if other is not record and not (of_whole_lifter and other["config"]["model"] == config.model)
        ]
        counted = Made(record["cost"]["training_step"]["flops_exact"])
        training_s = model(*others, workloads=counted).of_run(config).training_s
        assert training_s is not None
        found.setdefault(config.model, []).append(training_s / record["training"]["seconds"])
    return {name: statistics.median(ratios) for name, ratios in found.items()}


def test_what_was_measured_is_foreseen() -> None:
    lines = (RESULTS / "motion-cpu-2026-11-26" / "records.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if (record.get("training") or {}).get("steps")]
    assert len(records) == 24
    by_seed, by_operations = hidden(records, of_whole_lifter=False), hidden(records, of_whole_lifter=True)
    assert {name for name, ratio in by_seed.items() if not 0.8 < ratio < 1.25} == set()
    assert {name for name, ratio in by_operations.items() if not 0.4 < ratio < 2.5} == set()
