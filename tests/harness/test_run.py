"""Whole runs on a tiny model and tiny data: records, resume after SIGKILL, what is finished stays finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import config, lock, run
from harness.config import RunConfig
from harness.data import synthetic
from harness.errors import BadInput, Interrupted, ResultsBusy, RunFailed
from harness.store import traces as trace_file
from harness.store.store import Store
from harness.training.budget import Budget
from harness.world import ALONE
from posemamba.block import SpatioTemporalBlock

ROOT = Path(__file__).parents[2]
DATA = "synthetic:train_minutes=0.2,test_minutes=0.1"
TINY = ["--model", "posemamba-xs", "-o", "dim=16", "-o", "depth=1", "-o", "drop_path=0.3", "--data", DATA]
BUDGET = ["--frames", "9", "--batch-size", "2", "--threads", "1"]


pytestmark = pytest.mark.usefixtures("whole_runs")


def tiny(steps: int = 6, **changes: object) -> RunConfig:
    given: dict[str, object] = {"options": {"dim": 16, "depth": 1}, "frames": 9, "data": DATA, "batch_size": 2}
    return config.resolve("posemamba-xs", budget=Budget(steps=steps), threads=1, **{**given, **changes})


def harness(*words: str, results: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *words, "--results", str(results)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_run_is_one_whole_record(tmp_path: Path) -> None:
    said: list[str] = []
    record = run.run(tiny(), tmp_path, said.append)
    assert Store(tmp_path).latest() == [{"schema": 1, **record}]
    assert record["status"] == "ok"
    assert record["training"]["steps"] == 6
    assert record["training"]["core_seconds"] > 0
    kept = trace_file.load(tmp_path / record["traces"]["path"], record["traces"]["sha256"])
    assert [curve.sequence for curve in kept.curves] == [
        sequence["sequence"] for sequence in record["accuracy"]["per_sequence"]
    ]
    assert record["accuracy"]["frames"] == record["data"]["test_frames"]
    assert set(record["floors"]) == {"zero_depth", "mean_pose", "linear"}
    assert record["cost"]["by_operator"]["macs_fvcore"]["scan"] > 0
    assert record["cost"]["scan_backend"] in ("native", "chunked")
    assert record["signature"]["long"].startswith("MPJPE|protocol:all|data:synthetic|2d:sh|test:")
    assert len(record["data"]["digest_test"]) == 64
    # Six steps teach nothing, and the record has to say so.
    assert not record["beats_floors"]
    assert any("has not learned to lift" in line for line in said)


def test_a_precision_is_of_the_scoring_and_not_of_the_training(tmp_path: Path) -> None:
    plain, reduced = (run.run(tiny(precision=name), tmp_path, lambda line: None) for name in ("fp32", "bf16"))
    assert [record["config"]["precision"] for record in (plain, reduced)] == ["fp32", "bf16"]
    assert [record["environment"]["autocast"] for record in (plain, reduced)] == [False, "bf16"]
    assert "precision" not in plain["signature"]["long"]
    assert "|precision:bf16|" in reduced["signature"]["long"]
    assert plain["id"] != reduced["id"]
    loss = [[stretch["loss"] for stretch in record["training"]["curve"]] for record in (plain, reduced)]
    assert loss[0] == loss[1]
    weights = [
        torch.load(tmp_path / record["weights"]["path"], weights_only=True)["model"] for record in (plain, reduced)
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert all(value.dtype == torch.float32 for value in weights[1].values())
    assert plain["accuracy"]["p1_mm"] != reduced["accuracy"]["p1_mm"]
    assert reduced["accuracy"]["p1_mm"] == pytest.approx(plain["accuracy"]["p1_mm"], rel=0.01)


def test_a_precision_that_a_model_cannot_do_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    planned = config.resolve(
        "tests.harness.measurement.lifters:half_refusing", frames=9, data=DATA, budget=Budget(steps=1), precision="bf16"
    )
    with pytest.raises(BadInput, match=r"--precision bf16: .*half_refusing cannot be run in it on cpu \(.*'BFloat16'"):
        run.run(planned, tmp_path, lambda line: None)
    assert Store(tmp_path).latest() == []


def test_activation_checkpointing_changes_nothing_but_the_record_of_it(tmp_path: Path) -> None:
    options = {"dim": 16, "depth": 2, "drop_path": 0.3}
    plain, recomputed = (
        run.run(tiny(options=options, activation_checkpointing=on), tmp_path, lambda line: None) for on in (False, True)
    )
    assert [one["config"]["activation_checkpointing"] for one in (plain, recomputed)] == [False, True]
    assert plain["id"] != recomputed["id"]
    loss = [[stretch["loss"] for stretch in one["training"]["curve"]] for one in (plain, recomputed)]
    assert loss[0] == loss[1]
    assert recomputed["accuracy"] == plain["accuracy"]
    assert recomputed["cost"]["by_operator"] == plain["cost"]["by_operator"]


def test_blocks_are_computed_anew_in_the_training_of_a_run_and_in_its_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[bool] = []
    forward = SpatioTemporalBlock.forward

    def count(block: SpatioTemporalBlock, x: Tensor) -> Tensor:
        calls.append(torch.is_grad_enabled())
        return forward(block, x)

    monkeypatch.setattr(SpatioTemporalBlock, "forward", count)
    counts = {}
    for on in (False, True):
        prepared = run.prepare(tiny(steps=2, activation_checkpointing=on), tmp_path, lambda line: None)
        calls.clear()
        run._train(prepared, tmp_path / str(on), ALONE)
        trained = sum(calls)
        said: list[str] = []
        run.plan(prepared, said.append)
        counts[on] = (trained, sum(calls) - trained)
        assert any("computed anew" in line for line in said) == on
    assert counts == {False: (4, 6), True: (8, 12)}


def test_a_lifter_without_blocks_has_nothing_to_recompute(tmp_path: Path) -> None:
    name = "tests.harness.measurement.lifters:sound"
    planned = config.resolve(name, frames=9, data=DATA, budget=Budget(steps=1), activation_checkpointing=True)
    with pytest.raises(BadInput, match=r"--activation-checkpointing: .*lifters:sound has no blocks.*leave the option"):
        run.run(planned, tmp_path, lambda line: None)
    assert Store(tmp_path).latest() == []


def test_a_batch_of_one_clip_that_batch_norm_cannot_take(tmp_path: Path) -> None:
    planned = config.resolve("pstmo", options={"dim": 16}, frames=9, data=DATA, batch_size=1, budget=Budget(steps=1))
    with pytest.raises(BadInput, match=r"pstmo cannot be trained with --batch-size 1.*use at least 2"):
        run.run(planned, tmp_path, lambda line: None)
    assert Store(tmp_path).latest() == []


def test_a_finished_run_is_not_repeated_unless_asked(tmp_path: Path) -> None:
    first = run.run(tiny(), tmp_path, lambda line: None)
    said: list[str] = []
    assert run.run(tiny(), tmp_path, said.append) == {"schema": 1, **first}
    assert any("already finished" in line for line in said)
    again = run.run(tiny(), tmp_path, lambda line: None, again=True)
    assert again["weights"]["sha256"] == first["weights"]["sha256"]
    assert len(Store(tmp_path).records()) == 2


def test_after_sigkill_the_same_command_ends_with_the_same_weights(tmp_path: Path) -> None:
    command = ["run", *TINY, *BUDGET, "--steps", "40"]
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    dying = harness(*command, results=broken, HARNESS_SAVE_EVERY_S="0")
    deadline = time.monotonic() + 120
    while not list(broken.glob("runs/*/checkpoint.json")):
        assert dying.poll() is None, dying.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.01)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    assert Store(broken).latest() == []
    checkpoint = next(broken.glob("runs/*/checkpoint.json")).read_text()
    for results in (broken, whole):
        done = harness(*command, results=results)
        _, messages = done.communicate(timeout=120)
        assert done.returncode == 0, messages
    records = [Store(results).latest()[0] for results in (broken, whole)]
    assert '"step": 40' not in checkpoint, "it was killed too late to prove anything"
    assert records[0]["weights"]["sha256"] == records[1]["weights"]["sha256"]
    assert records[0]["accuracy"] == records[1]["accuracy"]


def motion(folder: Path, *parts: str, seed: int = 0) -> str:
    """A folder of motion archives made from the built-in motion of ``seed``."""
    folder.mkdir(exist_ok=True)
    for take in synthetic.takes(seed, train_minutes=0.2, test_minutes=0.1):
        if take.part in parts:
            np.savez(folder / f"a_{take.part}.npz", **{take.name: (take.joints_mm / 1000).astype(np.float32)})
    return f"motion:{folder}"


def test_data_that_changed_is_noticed(tmp_path: Path) -> None:
    spec = motion(tmp_path / "data", "train", "test")
    config_ = tiny(data=spec, steps=3)
    run.run(config_, tmp_path / "results", lambda line: None)
    motion(tmp_path / "data", "train", "test", seed=1)
    with pytest.raises(BadInput, match=r"is finished, but motion:.* has changed since; repeat it with --again"):
        run.run(config_, tmp_path / "results", lambda line: None)


def test_a_set_without_test_sequences_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no test sequences"):
        run.run(tiny(data=motion(tmp_path / "data", "train")), tmp_path / "results", lambda line: None)


def test_two_runs_cannot_hold_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / tiny().run_id()
    with (
        lock.held(folder / "lock", str(folder)),
        pytest.raises(ResultsBusy, match=rf"is in use by process {os.getpid()}"),
    ):
        run.run(tiny(), tmp_path, lambda line: None)


def test_a_loss_that_is_not_finite_is_a_failed_record(tmp_path: Path) -> None:
    failing = tiny(steps=200, learning_rate=1e30)
    with pytest.raises(RunFailed, match=r"the loss is \S+ at step"):
        run.run(failing, tmp_path, lambda line: None)
    record = Store(tmp_path).latest()[0]
    assert record["status"] == "failed"
    assert "at step" in record["error"]
    assert "accuracy" not in record


def test_an_interrupted_run_is_recorded_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.progress import ProgressLine

    update = ProgressLine.update

    def interrupt(line: ProgressLine, share: float, detail: str = "") -> None:
        if detail.startswith("step 3 "):
            os.kill(os.getpid(), signal.SIGTERM)
        update(line, share, detail)

    monkeypatch.setattr(ProgressLine, "update", interrupt)
    with pytest.raises(Interrupted, match="the same command goes on from there"):
        run.run(tiny(), tmp_path, lambda line: None)
    assert Store(tmp_path).latest()[0]["status"] == "interrupted"
    monkeypatch.undo()
    broken = run.run(tiny(), tmp_path, lambda line: None)
    whole = run.run(tiny(), tmp_path / "whole", lambda line: None)
    assert broken["weights"]["sha256"] == whole["weights"]["sha256"]


class WrongShape(nn.Module):
    def __init__(self, frames: int, in_channels: int) -> None:
        super().__init__()
        self.layer = nn.Linear(in_channels, 3)

    def forward(self, clips: Tensor) -> Tensor:
        return self.layer(clips)[:, :1]


class Nothing(WrongShape):
    def forward(self, clips: Tensor) -> Tensor:
        return self.layer(clips) * (1.0 if self.training or not clips.any() else float("nan"))


def test_a_wrong_shape_is_refused_before_the_data_is_loaded(tmp_path: Path) -> None:
    wrong = config.resolve(f"{__name__}:WrongShape", data="motion:nowhere", budget=Budget(steps=1), threads=1)
    with pytest.raises(BadInput, match=r"returned \(1, 1, 17, 3\); the contract is"):
        run.run(wrong, tmp_path, lambda line: None)
    assert Store(tmp_path).latest() == []


def test_a_prediction_that_is_no_number_fails_the_run(tmp_path: Path) -> None:
    nothing = config.resolve(f"{__name__}:Nothing", data=DATA, frames=9, budget=Budget(steps=2), threads=1)
    with pytest.raises(RunFailed, match=r"frame \d+"):
        run.run(nothing, tmp_path, lambda line: None)
    assert Store(tmp_path).latest()[0]["status"] == "failed"


def test_a_dry_run_stores_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    run.plan(run.prepare(tiny(), tmp_path, said.append), said.append)
    text = "\n".join(said)
    assert "6 steps" in text
    assert "nothing was trained or stored" in text
    assert not (tmp_path / "records.jsonl").exists()
