"""Bad inputs as a user gives them: each is named with what to do, ends with 2, and leaves no result.

Those of data files are in test_bad_data.py; the order is that of the list in README.md.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import cli
from harness.data.skeleton import JOINT_NAMES
from harness.measurement import inference
from harness.measurement.timing import Protocol
from harness.store.store import Store
from tests.harness.cli.command import harness
from tests.harness.data.figures import save, standing
from tests.harness.reporting import records

Capture = pytest.CaptureFixture[str]
BAD = "tests.faults.bad_lifters"
TINY = ("-o", "dim=16", "-o", "depth=1", "--threads", "1")
BUILD = ("run", "--steps", "1", "--model")
RUN = (*BUILD, "posemamba-xs")
FRAMES, T = 12, 9


def refused(*words: str | Path, capsys: Capture, code: int = 2) -> str:
    """What the refusal says, in one line: nothing is on stdout, and no traceback."""
    ended, out, err = harness(*words, capsys=capsys)
    assert (ended, out) == (code, "")
    assert "Traceback" not in err
    (said,) = (line.removeprefix("harness: ") for line in err.splitlines() if line.startswith("harness: "))
    return said


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        # names of models
        ((*BUILD, "posemaba"), "Unknown model 'posemaba'. Did you mean: posemamba, posemamba-x, posemamba-s? "
                                        "All: harness list models"),
        ((*BUILD, "nopkg.x:Y"), "Cannot import 'nopkg.x': No module named 'nopkg'. Expected "
                                         "'package.module:attribute'"),
        ((*BUILD, ":build"), "'' is no name of a module. Expected 'package.module:attribute'"),
        ((*BUILD, ".own:build"), "'.own' is no name of a module"),
        # models that are not as the contract says
        ((*BUILD, f"{BAD}:not_callable"), f"{BAD}:not_callable: 'not_callable' is not callable. Expected a "
                                                   "callable (frames=T, in_channels=C) -> nn.Module"),
        ((*BUILD, f"{BAD}:nothing"), f"'nothing' is not in {BAD}"),
        ((*BUILD, f"{BAD}:first_frame"), "first_frame returned (1, 1, 17, 3); the contract is (B, T, 17, 3) = "
                                                  "(1, 27, 17, 3)."),
        ((*BUILD, f"{BAD}:first_frame"), "See harness check"),
        ((*BUILD, f"{BAD}:of_five_channels"), "of_five_channels fails on (1, 27, 17, 3): RuntimeError: "),
        ((*BUILD, f"{BAD}:raising"), "failed: RuntimeError: no such backbone"),
        ((*BUILD, f"{BAD}:leaving"), "failed: SystemExit: 0"),
        (("check", "--model", f"{BAD}:raising"), "failed: RuntimeError: no such backbone"),
        # options of a model
        ((*RUN, "-o", "dephth=8"), "no such option 'dephth' for posemamba-xs. Did you mean: depth"),
        ((*RUN, "-o", "dephth=8"), "depth (int, now 4)"),
        ((*RUN, "-o", "depth=eight"), "posemamba-xs: option depth wants an int, got 'eight'"),
        ((*RUN, "-o", "depth=-1"), "posemamba-xs: depth must be a whole number of at least 1, not -1"),
        # numbers
        ((*RUN, "--frames", "0"), "--frames 0 is out of range; it must be at least 1"),
        ((*RUN, "--batch-size", "0"), "--batch-size 0 is out of range; it must be at least 1"),
        ((*RUN, "--seed", "-1"), "--seed -1 is out of range; it must be at least 0"),
        ((*RUN, "--seed", "1", "-1"), "--seed -1 is out of range; it must be at least 0"),
        ((*RUN, "--seed", str(2**32)), "--seed 4294967296 is out of range; it must be at least 0 and at most 429"),
        ((*RUN, "--seed", "1", "1"), "--seed 1 is given twice"),
        ((*RUN, "--learning-rate", "inf"), "--learning-rate inf is out of range; it must be positive and finite"),
        (("classify", "--model", "pointabm-xs", "--seed", str(2**32)), "--seed 4294967296 is out of range"),
        # no data, no GPU
        ((*RUN, "--data", "h36m"), "h36m: which path? Expected VideoPose3D's data_3d_h36m.npz"),
        ((*RUN, "--data", "h36m:data/h36m"), "h36m:data/h36m: no such file or folder. Expected"),
        ((*RUN, "--data", "h36m:data/h36m"), "Human3.6M's licence is given at vision.imar.ro/human3.6m. To try without "
                                             "data: --data synthetic"),
        ((*RUN, "--data", "h36"), "unknown data 'h36'. Did you mean: h36m? There are: "),
    ],
)  # fmt: skip
def test_what_is_asked_for(words: tuple[str, ...], message: str, tmp_path: Path, capsys: Capture) -> None:
    assert message in refused(*words, capsys=capsys)
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} <= {"lock"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("command", [RUN, ("measure", "--model", "martinez"), ("classify", "--model", "pointabm-xs")])
def test_a_gpu_that_is_not_there(command: tuple[str, ...], capsys: Capture) -> None:
    message = refused(*command, "--device", "cuda", capsys=capsys)
    assert message == "no CUDA device on this machine; use --device cpu (the scan runs on its native CPU kernel)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def build(:\n", "SyntaxError"),
        ("raise RuntimeError('at import')\n", "RuntimeError: at import"),
        ("import sys; sys.exit(0)\n", "SystemExit: 0"),
    ],
)
def test_a_module_that_cannot_be_imported(
    content: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (tmp_path / "broken_lifter.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    said = refused("run", "--model", "broken_lifter:build", "--steps", "1", capsys=capsys)
    assert said.startswith(f"Cannot import 'broken_lifter': it raises {message}")


# A run that is there


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one run of T = 9 on clips of 12 frames."""
    folder = tmp_path_factory.mktemp("finished")
    for part, subject in (("train", "S1"), ("test", "S2")):
        save(folder / f"clips_{part}.npz", {f"{subject}/Walk/{clip}": standing(FRAMES) for clip in ("one", "two")})
    words = ["--data", f"motion:{folder}", "--frames", str(T), "--results", str(folder / "results"), *TINY]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
        with pytest.raises(SystemExit) as ended:
            cli.main([*RUN, *words])
    assert ended.value.code == 0
    return folder / "results"


@pytest.fixture
def weights(finished: Path) -> Path:
    return finished / str(Store(finished).latest()[0]["weights"]["path"])


@pytest.fixture
def scoring(finished: Path) -> tuple[str | Path, ...]:
    """The command but for the checkpoint and what it is of."""
    return ("evaluate", "--data", f"motion:{finished.parent}", "--results", finished, *TINY[-2:])


def test_a_checkpoint_that_is_not_there(scoring: tuple[str | Path, ...], weights: Path, capsys: Capture) -> None:
    absent = weights.with_name("best.pt")
    said = refused(*scoring, "--model", "posemamba-xs", "--weights", absent, capsys=capsys)
    assert said == f"no checkpoint at {absent} (nearest: weights.pt). Nothing evaluated"


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        (
            ("posemamba-xs", *TINY, "--frames", "81"),
            ("0 keys missing, 0 unexpected, 1 wrong shape", "temporal_position (1, 9, 16) against (1, 81, 16)",
             "it was made for frames=9; add --frames 9"),
        ),
        (("posemamba-xs", "--frames", "9"), ("it was made for dim=16 and depth=1; add -o dim=16 -o depth=1",)),
        (
            ("motionagformer-xs", "--frames", "9"),
            ("keys missing", "unexpected: spatial_position",
             "it fits --model posemamba-xs --frames 9 --in-channels 3 -o dim=16 -o depth=1"),
        ),
    ],
)  # fmt: skip
def test_a_checkpoint_of_something_else(
    given: tuple[str, ...], messages: tuple[str, ...], scoring: tuple[str | Path, ...], weights: Path, capsys: Capture
) -> None:
    before = (weights.parents[2] / "records.jsonl").read_bytes()
    said = refused(*scoring, "--model", *given, "--in-channels", "3", "--weights", weights, capsys=capsys)
    assert said.startswith(f"{weights} does not fit: ")
    for message in messages:
        assert message in said
    assert (weights.parents[2] / "records.jsonl").read_bytes() == before


State = dict[str, torch.Tensor]


@pytest.mark.parametrize(
    ("wrap", "account"),
    [
        (lambda state: {f"module.{name}": value for name, value in state.items()}, "bare"),
        (lambda state: {"model_pos": {f"module.{name}": value for name, value in state.items()}}, "under 'model_pos'"),
        (lambda state: {"state_dict": state, "epoch": 3}, "under 'state_dict'"),
    ],
)
def test_the_field_s_wrappings_are_accepted_and_said(
    wrap: Callable[[State], dict[str, Any]],
    account: str,
    scoring: tuple[str | Path, ...],
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    path = tmp_path / "wrapped.bin"
    torch.save(wrap(torch.load(weights, weights_only=True)["model"]), path)
    words = ("--model", "posemamba-xs", *TINY, "--frames", "9", "--in-channels", "3", "--weights", path)
    # Refused for the space, which such a file does not tell, before anything is computed: but read it was.
    code, _, err = harness(*scoring, *words, "--space", "camera", "--protocol", "motionbert", capsys=capsys)
    assert code == 2
    assert f"{path}: our names, {account}, every entry fits" in err.splitlines()


@pytest.mark.parametrize("number", ["0", "-3"])
@pytest.mark.parametrize("flag", ["--frames", "--in-channels", "--threads"])
def test_a_number_that_cannot_be_is_not_taken_for_none(
    flag: str, number: str, finished: Path, weights: Path, capsys: Capture
) -> None:
    run_id = weights.parent.name
    assert f"{flag} {number}" in refused(
        "evaluate", "--run", run_id, flag, number, "--results", finished, capsys=capsys
    )


def test_a_run_and_a_checkpoint_are_not_both_scored(finished: Path, weights: Path, capsys: Capture) -> None:
    words = ("evaluate", "--run", weights.parent.name, "--weights", weights, "--results", finished)
    assert "give either --run RUN, or --model NAME with --weights FILE" in refused(*words, capsys=capsys)


def test_sequences_shorter_than_a_clip_are_filled_up_said_and_in_the_signature(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    words = (*RUN, *TINY, "--data", f"motion:{finished.parent}", "--frames", "27", "--results", tmp_path / "results")
    code, _, err = harness(*words, capsys=capsys)
    assert code == 0
    note = "8 of 8 test sequences are shorter than T = 27 and filled up to it, such as S2/Walk/one/"
    assert note in err
    assert f"with {FRAMES} frames" in err
    (record,) = Store(tmp_path / "results").latest()
    assert any(warning.startswith(note) for warning in record["warnings"])
    assert record["signature"]["fields"]["pad"] == "edge:8"
    assert record["accuracy"]["frames"] == 8 * FRAMES, "what is filled up is not scored"


# Stores


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two runs under one protocol, and one under another."""
    models = (records.record("posemamba-xs"), records.record("posemamba-s"))
    for run in (*models, records.record("posemamba-s", detector="gt")):
        Store(tmp_path).append(run)
    return tmp_path


READING = (
    ("list", "runs"),
    ("compare", "report", "--format", "csv"),
    ("compare", "runs", "posemamba-xs", "posemamba-s"),
    ("compare", "regress", "posemamba-xs", "posemamba-s"),
    ("export", "csv"),
)


@pytest.mark.parametrize("command", READING)
def test_a_line_that_is_no_record(command: tuple[str, ...], store: Path, capsys: Capture) -> None:
    path = store / "records.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], "{" + lines[0], *lines[2:]]))
    message = f"{path} line 3, column 2: "
    words = (*command, "--results", store)
    assert refused(*words, capsys=capsys).startswith(message)
    code, out, err = harness(*words, "--skip-bad", capsys=capsys)
    assert code == 0
    assert message in err
    assert "left out" in err
    assert "posemamba-xs" in out


@pytest.mark.parametrize("command", READING)
def test_a_record_of_a_newer_version(command: tuple[str, ...], store: Path, capsys: Capture) -> None:
    path = store / "records.jsonl"
    newer = {**json.loads(path.read_text().splitlines()[0]), "schema": 99}
    with path.open("a") as file:
        file.write(json.dumps(newer) + "\n")
    said = refused(*command, "--results", store, capsys=capsys)
    expected = f"{path} line 4 was written by a newer version: its schema is 99, this one reads up to 1. Update the"
    assert said.startswith(expected)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("posemamba-xs", "posemamba-xs"), r"'posemamba-xs' and 'posemamba-xs' are the same: \S+\. Name two"),
        (
            ("posemamba-xs", "{gt}"),
            r"scored under different protocols, which nothing compares: 2d sh against gt\. Score",
        ),
        (("posemamba-xs", "posemaba-s"), r"has no run or configuration 'posemaba-s'\. Did you mean: posemamba-s"),
    ],
)
def test_what_may_not_be_compared(names: tuple[str, str], message: str, store: Path, capsys: Capture) -> None:
    others = {"{gt}": Store(store).latest()[-1]["id"]}
    named = [others.get(name, name) for name in names]
    assert re.search(message, refused("compare", "runs", *named, "--results", store, capsys=capsys))


def test_runs_without_a_sequence_in_common(tmp_path: Path, capsys: Capture) -> None:
    one, other = records.record("posemamba-xs"), records.record("posemamba-s")
    for row in other["accuracy"]["per_sequence"]:
        row["sequence"] = f"other/{row['sequence']}"
    for run in (one, other):
        Store(tmp_path).append(run)
    said = refused("compare", "runs", one["id"], other["id"], "--results", tmp_path, capsys=capsys)
    assert said.endswith("have no sequence in common: nothing is paired")


def test_a_comparison_wants_two(store: Path, capsys: Capture) -> None:
    code, out, err = harness("compare", "runs", "posemamba-xs", "--results", store, capsys=capsys)
    assert (code, out) == (2, "")
    assert "Missing argument 'B'" in err


@pytest.mark.parametrize(
    "kept", ["records.jsonl", "runs/one/weights.pt", "runs/one/traces.npz", "elsewhere/link to weights.csv"]
)
def test_an_output_that_is_another_run_s_result(kept: str, store: Path, capsys: Capture) -> None:
    (store / "runs" / "one").mkdir(parents=True)
    (store / "elsewhere").mkdir()
    for name in ("weights.pt", "traces.npz"):
        (store / "runs" / "one" / name).write_bytes(b"of hours")
    (store / "elsewhere" / "link to weights.csv").symlink_to(store / "runs" / "one" / "weights.pt")
    before = (store / kept).read_bytes()
    said = refused("export", "csv", "--results", store, "--out", store / kept, capsys=capsys)
    assert said == f"--out {store / kept} is a store, or a file of its runs, which would be lost; name another file"
    assert (store / kept).read_bytes() == before
    code, _, _ = harness("export", "csv", "--results", store, "--out", store / "new.csv", capsys=capsys)
    assert code == 0


def test_a_finished_run_is_shown_and_not_run_again(finished: Path, tmp_path: Path, capsys: Capture) -> None:
    results = tmp_path / "copied"
    shutil.copytree(finished, results)
    before = {path: path.read_bytes() for path in results.rglob("*.*") if path.is_file()}
    words = (*RUN, *TINY, "--data", f"motion:{finished.parent}", "--frames", str(T), "--results", results)
    code, _, err = harness(*words, capsys=capsys)
    assert code == 0
    assert "is already finished; shown from" in err
    assert "Repeat it with --again" in err
    assert {path: path.read_bytes() for path in results.rglob("*.*") if path.is_file()} == before


def test_joints_are_named_in_the_order_they_are_expected_in(tmp_path: Path, capsys: Capture) -> None:
    save(tmp_path / "set_train.npz", {"S1/Walk/1": standing(FRAMES)[:, :16]})
    said = refused(*RUN, "--data", f"motion:{tmp_path}", capsys=capsys)
    order = ", ".join(f"{number} {name}" for number, name in enumerate(JOINT_NAMES))
    assert f"array 'S1/Walk/1': has 16 joints; expected the 17 of Human3.6M in this order: {order}" in said
    save(tmp_path / "set_train.npz", {"S1/Walk/1": np.asarray(standing(FRAMES))[..., :2]})
    said = refused(*RUN, "--data", f"motion:{tmp_path}", capsys=capsys)
    assert f"has shape ({FRAMES}, 17, 2); expected (frames, 17, 3)" in said
