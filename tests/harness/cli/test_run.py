"""The command line: what it prints where, and the exit code of every kind of end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from harness import models
from harness.cli.run import run_command
from harness.measurement import inference
from harness.measurement.timing import Protocol
from harness.store.store import Store
from harness.training import checkpoint
from tests.harness.cli.command import harness, require_refused
from tests.harness.reporting import records


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "--model", "posemaba"], "Unknown model 'posemaba'. Did you mean: posemamba"),
        (["run", "--model", "posemamba-xs", "posemamba-xs"], "--model posemamba-xs is given twice"),
        (["run", "--model", "posemamba-xs", "--seed", "1", "1"], "--seed 1 is given twice"),
        (["run", "--model", "posemamba-xs", "-o", "depth"], "-o depth: expected name=value"),
        (["run", "--model", "posemamba-xs", "-o", "dephth=8"], "no such option 'dephth'"),
        (["run", "--model", "posemamba-xs", "--frames", "0"], "--frames 0 is out of range"),
        (["run", "--model", "posemamba-xs", "--steps", "1", "--epochs", "1"], "a budget is one of"),
        (["run", "--model", "posemamba-xs", "--minutes", "-1"], "is not positive"),
        (["run", "--model", "posemamba-xs", "--data", "motion:nowhere"], "motion:nowhere"),
        (["run", "--model", "posemamba-xs", "--data", "h36"], "unknown data 'h36'"),
        (["run", "--model", "posemamba-xs", "--data", "h36m:nowhere"], "nowhere"),
        (["run", "--model", "posemamba-xs", "--protocol", "motionbart"], "Did you mean: motionbert"),
        (["run", "--model", "posemamba-xs", "--detector", "shh"], "shh"),
        (["run", "--model", "posemamba-xs", "--precision", "bf61"], "--precision bf61: Did you mean: bf16"),
        (
            ["run", "--model", "tests.harness.measurement.lifters:sound", "--activation-checkpointing"],
            "lifters:sound has no blocks",
        ),
        (["run"], "--model"),
        (["evaluate", "--model", "posemamba-xs"], "--model needs --weights FILE"),
        (["evaluate", "--model", "posemamba-xs", "--weights", "gone.pt", "--precision", "int8"], "--precision int8"),
        (["evaluate"], "give either --run RUN, or --model NAME"),
        (["evaluate", "--run", "nothing"], "no run 'nothing' with weights is stored"),
        (["evaluate", "--model", "posemamba-xs", "--weights", "gone.pt"], "no checkpoint at gone.pt"),
        (["compare", "report"], "nothing is stored yet"),
        (["check", "--model", "nopkg.x:Y"], "Cannot import 'nopkg.x'"),
    ],
)
def test_bad_input_is_named_and_ends_with_2(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    require_refused(words, message, capsys)


def archive(path: Path, poses: np.ndarray) -> None:
    np.savez(path, **{"S1/Walk/1": poses.astype(np.float32)})


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("nan", "a joint"),
        ("joints", "16"),
        ("cut", "set_train.npz"),
        ("empty", "set_train.npz"),
        ("html", "set_train.npz"),
    ],
)
def test_bad_motion_files_end_with_2(
    fault: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "set_train.npz"
    poses = np.random.default_rng(0).normal(size=(40, 17, 3))
    if fault == "nan":
        poses[7, 3] = np.nan
    archive(path, poses[:, :16] if fault == "joints" else poses)
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:500])
    if fault in ("empty", "html"):
        path.write_text("<html>not found</html>" if fault == "html" else "")
    words = ["run", "--model", "posemamba-xs", "--data", f"motion:{tmp_path}", "--results", str(tmp_path / "r")]
    code, _, err = harness(*words, capsys=capsys)
    assert code == 2
    assert "set_train.npz" in err
    if fault in ("nan", "joints"):
        assert "S1/Walk/1" in err


def test_a_results_folder_that_is_a_file_ends_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results").write_text("")
    code, _, err = harness("run", "--model", "posemamba-xs", "--results", str(tmp_path / "results"), capsys=capsys)
    assert code == 4
    assert "results" in err


def test_lists_and_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = harness("list", "models", capsys=capsys)
    assert code == 0
    assert "posemamba-x " in out
    assert "released no such model" in out
    for record in records.typical():
        Store(tmp_path).append(record)
    code, out, _ = harness("list", "runs", "--results", str(tmp_path), capsys=capsys)
    assert code == 0
    assert len(out.splitlines()) == len(Store(tmp_path).latest())
    code, out, _ = harness("compare", "report", "--results", str(tmp_path), capsys=capsys)
    assert code == 0
    written = [Path(line) for line in out.splitlines() if line.startswith(str(tmp_path))]
    assert {"report.html", "table.md", "table.csv"} <= {path.name for path in written}
    assert all(path.stat().st_size > 0 for path in written)


def test_an_unknown_run_in_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(tmp_path).append(records.record())
    code, _, err = harness("compare", "report", "nothing", "--results", str(tmp_path), capsys=capsys)
    assert code == 2
    assert "no run 'nothing' is stored" in err


def test_check_prints_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = harness("check", "--model", "posemamba-xs", "--frames", "5", capsys=capsys)
    assert code == 0
    assert len([line for line in out.splitlines() if line.startswith("ok")]) == 8


def test_check_of_a_broken_model_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = harness("check", "--model", "tests.harness.test_contract:broken_factory", capsys=capsys)
    assert code == 2
    assert "FAIL" in out
    assert "the contract is broken: " in err


def test_activation_checkpointing_is_off_unless_asked_for() -> None:
    for words, on in (([], False), (["--activation-checkpointing"], True)):
        with run_command.make_context("run", ["--model", "a", *words]) as context:
            assert context.params["activation_checkpointing"] is on


def test_several_values_after_one_flag() -> None:
    command = run_command
    with command.make_context("run", ["--model", "a", "b", "--seed", "0", "1", "--model", "c"]) as context:
        assert context.params["names"] == ("a", "b", "c")
        assert context.params["seeds"] == (0, 1)


def test_an_unexpected_error_is_one_line_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def crash(self: Store, skip_bad: bool = False) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(Store, "latest", crash)
    code, _, err = harness("list", "runs", "--results", str(tmp_path), capsys=capsys)
    assert code == 1
    assert err.strip() == "harness: RuntimeError: boom (harness --debug shows where)"


def test_a_command_that_leaves_by_system_exit_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave(self: Store, skip_bad: bool = False) -> None:
        raise SystemExit(0)

    monkeypatch.setattr(Store, "latest", leave)
    code, _, err = harness("list", "runs", "--results", str(tmp_path), capsys=capsys)
    assert (code, "SystemExit: 0" in err) == (1, True)


def test_sigterm_ends_any_command_with_130(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Store, "latest", lambda self, skip_bad=False: os.kill(os.getpid(), signal.SIGTERM))
    code, _, err = harness("list", "runs", "--results", str(tmp_path), capsys=capsys)
    assert (code, err.strip()) == (130, "harness: interrupted")


def test_the_last_model_s_mistake_does_not_wait_for_the_first_one_s_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--model", "posemamba-xs", "nopkg.x:Y", "--steps", "1", "--results", str(tmp_path)]
    code, _, err = harness(*words, capsys=capsys)
    assert code == 2
    assert "Cannot import 'nopkg.x'" in err
    assert "training" not in err
    assert Store(tmp_path).latest() == []


def test_train_then_evaluate_the_run_on_other_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = "synthetic:train_minutes=0.2,test_minutes=0.1"
    common = ["--data", data, "--threads", "1", "--results", str(tmp_path)]
    code, out, _ = harness(
        "run", "--model", "posemamba-xs", "-o", "dim=16", "-o", "depth=1", "--frames", "9", "--steps", "2", *common,
        "--detector", "gt", "--data-seed", "3", capsys=capsys,
    )  # fmt: skip
    assert code == 0
    assert "posemamba-xs" in out
    trained = Store(tmp_path).latest()[0]
    code, _, err = harness("evaluate", "--run", trained["id"], *common[2:], capsys=capsys)
    assert code == 0, err
    evaluated = Store(tmp_path).latest()[1]
    assert evaluated["accuracy"] == trained["accuracy"]
    assert evaluated["signature"] == trained["signature"]
    weights = str(tmp_path / trained["weights"]["path"])
    words = ["evaluate", "--model", "posemamba-xs", "-o", "dim=16", "-o", "depth=1", "--frames", "9"]
    words += ["--in-channels", "3", "--weights", weights, "--detector", "gt", "--data-seed", "3", *common]
    code, _, err = harness(*words, capsys=capsys)
    assert code == 0, err
    assert Store(tmp_path).latest()[-1]["accuracy"] == trained["accuracy"]
    ids = {record["id"] for record in Store(tmp_path).latest()}
    code, _, err = harness(*words, "--space", "image", capsys=capsys)
    assert code == 0, err
    assert len({record["id"] for record in Store(tmp_path).latest()} - ids) == 1
    checkpoint.save_weights(
        Path(weights).parent, {"model": models.build("posemamba-xs", 9, 3, dim=16, depth=1).state_dict()}
    )
    code, _, err = harness("evaluate", "--run", trained["id"], *common, capsys=capsys)
    assert code == 2
    assert "holds other weights than run" in err


def test_the_same_weights_scored_again_in_sixteen_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    common = ["--threads", "1", "--results", str(tmp_path)]
    code, _, err = harness(
        "run", "--model", "posemamba-xs", "-o", "dim=16", "-o", "depth=1", "--frames", "9", "--steps", "2", *common,
        "--data", "synthetic:train_minutes=0.2,test_minutes=0.1", capsys=capsys,
    )  # fmt: skip
    assert code == 0, err
    (trained,) = Store(tmp_path).latest()
    for words in ([], ["--precision", "bf16"]):
        code, out, err = harness("evaluate", "--run", trained["id"], *words, *common, capsys=capsys)
        assert code == 0, err
    assert "posemamba-xs (precision=bf16, dim=16, depth=1)" in " ".join(out.split())
    trained, plain, reduced = Store(tmp_path).latest()
    assert [record["config"]["precision"] for record in (trained, plain, reduced)] == ["fp32", "fp32", "bf16"]
    assert plain["accuracy"] == trained["accuracy"]
    assert plain["signature"] == trained["signature"]
    assert reduced["weights"]["sha256"] == trained["weights"]["sha256"]
    assert reduced["signature"]["long"] == trained["signature"]["long"].replace("|v:1", "|precision:bf16|v:1")
    assert reduced["accuracy"]["p1_mm"] != trained["accuracy"]["p1_mm"]
    assert reduced["accuracy"]["p1_mm"] == pytest.approx(trained["accuracy"]["p1_mm"], rel=0.01)
    code, out, _ = harness("compare", "report", plain["id"], reduced["id"], "--results", tmp_path, capsys=capsys)
    assert code == 0
    shown = " ".join(out.split())
    assert "posemamba-xs (precision=bf16, dim=16, depth=1)" in shown
    assert "posemamba-xs (precision=fp32, dim=16, depth=1)" in shown


def test_a_run_whose_model_cannot_do_sixteen_bits_is_not_scored_in_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    common = ["--threads", "1", "--results", str(tmp_path)]
    code, _, err = harness(
        "run", "--model", "tests.harness.measurement.lifters:half_refusing", "--frames", "9", "--steps", "1", *common,
        "--data", "synthetic:train_minutes=0.2,test_minutes=0.1", capsys=capsys,
    )  # fmt: skip
    assert code == 0, err
    (trained,) = Store(tmp_path).latest()
    words = ["evaluate", "--run", trained["id"], "--precision", "bf16", *common]
    named = [*words, "--model", "tests.harness.measurement.lifters:half_refusing"]
    require_refused(named, "half_refusing cannot be run in it on cpu", capsys)
    assert Store(tmp_path).latest() == [trained]
