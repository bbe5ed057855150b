"""``harness classify`` and ``harness compare classify`` as a user types them."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from harness.classification import cost, plot, run, shapes, source
from harness.store.classification import CLASSIFICATIONS
from harness.store.store import Store
from tests.harness.classification.point_models import MODULE
from tests.harness.classification.test_run import SHORT
from tests.harness.classification.test_table import record
from tests.harness.cli.command import harness, require_refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--model"),
        (["--model", "mamba3"], "Unknown model 'mamba3'. Did you mean: mamba3d"),
        (["--model", "mamba3d-xs", "-o", "deptj=2"], "no such option 'deptj' for mamba3d-xs. Did you mean: depth"),
        (["--model", "mamba3d-xs", "--points", "16"], "mamba3d-xs: patches=32 needs as many points, but points=16"),
        (["--model", "posemamba-xs"], "posemamba-xs is no classifier: it lifts poses. Use: harness run"),
        (["--model", "nopkg.x:Y"], "Cannot import 'nopkg.x'"),
        (["--model", f"{MODULE}:tiny", f"{MODULE}:tiny"], "is given twice"),
        (["--model", f"{MODULE}:tiny", "--cost-points", "64", "64"], "--cost-points 64 is given twice"),
        (["--model", f"{MODULE}:tiny", "-o", "depth=2"], "unexpected keyword argument 'depth'"),
        (["--model", f"{MODULE}:tiny", "-o", "points=2"], "-o points: that is decided by --points and --data"),
        (["--model", f"{MODULE}:gone"], "'gone' is not in"),
        (["--model", f"{MODULE}:unbuildable"], "failed: classes % 64 == 0. A model is called as (points=P, classes=K)"),
        (
            ["--model", f"{MODULE}:asserting", "--points", "65"],
            "65 points: P % 64 == 0. A model is called",
        ),
        (["--model", f"{MODULE}:tiny", "--points", "1"], "--points 1 is out of range; it must be at least 2"),
        (["--model", f"{MODULE}:tiny", "--cost-points", "0"], "--cost-points 0 is out of range"),
        (["--model", f"{MODULE}:tiny", "--batch-size", "1"], "--batch-size 1 is out of range; it must be at least 2"),
        (["--model", f"{MODULE}:tiny", "--learning-rate", "nan"], "--learning-rate nan is out of range"),
        (["--model", f"{MODULE}:tiny", "--learning-rate", "inf"], "--learning-rate inf is out of range"),
        (["--model", f"{MODULE}:tiny", "--weight-decay", "inf"], "--weight-decay inf is out of range"),
        (["--model", f"{MODULE}:tiny", "--weight-decay", "-1"], "--weight-decay -1.0 is out of range"),
        (["--model", f"{MODULE}:tiny", "--minutes", "inf"], "a budget of inf seconds is not positive and finite"),
        (["--model", f"{MODULE}:tiny", "--label-smoothing", "1"], "--label-smoothing 1.0 is out of range"),
        (["--model", f"{MODULE}:tiny", "--seed", "-1"], "--seed -1 is out of range"),
        (["--model", f"{MODULE}:tiny", "--steps", "1", "--epochs", "1"], "a budget is one of"),
        (["--model", f"{MODULE}:tiny", "--device", "gpu"], "--device gpu"),
        (["--model", f"{MODULE}:tiny", "--data", "modelnet"], "Did you mean: modelnet40"),
        (["--model", f"{MODULE}:tiny", "--data", "scanobjectnn:/nowhere"], "not found: /nowhere/training"),
        (["--model", f"{MODULE}:tiny", f"{MODULE}:misshapen"], "misshapen returned (2, 1024, 2)"),
    ],
)
def test_bad_input_is_named_and_ends_with_2(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    require_refused(["classify", *words], message, capsys)


def test_models_and_seeds_in_one_table_and_again_from_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shapes, "TRAIN_CLOUDS_PER_CLASS", 8)
    monkeypatch.setattr(shapes, "TEST_CLOUDS_PER_CLASS", 4)
    monkeypatch.setattr(cost, "PROTOCOL", SHORT)
    words = ["classify", "--model", f"{MODULE}:tiny", f"{MODULE}:patched", "--seed", "0", "1", "--steps", "2"]
    words += ["--points", "64", "--cost-points", "64", "128", "--threads", "1", "--results", str(tmp_path)]
    loaded, tried, load, build = list[str](), list[str](), source.load, run.require_buildable
    monkeypatch.setattr(source, "load", lambda spec, *rest: loaded.append(spec) or load(spec, *rest))
    monkeypatch.setattr(run, "require_buildable", lambda planned: tried.append(planned.model) or build(planned))
    code, out, err = harness(*words, capsys=capsys)
    assert code == 0, err
    # Once for both models and both seeds, and once for each model.
    assert loaded == ["shapes"]
    assert tried == [f"{MODULE}:tiny", f"{MODULE}:patched"]
    assert "no --data given" in err
    assert len(Store(tmp_path, CLASSIFICATIONS).latest()) == 4
    assert "OA|data:shapes|points:64|test:40" in out
    assert "One cloud, by its number of points" in out
    code, again, _ = harness("compare", "classify", "--results", tmp_path, capsys=capsys)
    assert code == 0
    assert again.startswith(out)
    written = {Path(line).name for line in again.splitlines() if line.startswith(str(tmp_path))}
    assert written == {"classification.md", "classification.csv", "classification.svg", "classification.png"}


def test_a_model_that_fails_does_not_keep_the_others_from_being_run_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shapes, "TRAIN_CLOUDS_PER_CLASS", 8)
    monkeypatch.setattr(shapes, "TEST_CLOUDS_PER_CLASS", 4)
    monkeypatch.setattr(cost, "PROTOCOL", SHORT)
    words = ["classify", "--model", f"{MODULE}:broken", f"{MODULE}:tiny", "--steps", "2", "--points", "64"]
    words += ["--cost-points", "64", "--threads", "1", "--results", str(tmp_path)]
    code, out, err = harness(*words, capsys=capsys)
    assert code == 1
    assert "1 of 2 runs failed: " in err
    assert ("point_models:tiny" in out, "broken" in out) == (True, False)
    assert [record["status"] for record in Store(tmp_path, CLASSIFICATIONS).records()] == ["failed", "ok"]


def test_comparing_what_is_not_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    require_refused(["compare", "classify", "--results", str(tmp_path)], "nothing is classified", capsys)
    Store(tmp_path, CLASSIFICATIONS).append(record())
    words = ["compare", "classify", "--results", str(tmp_path), "--model", "mamba3d"]
    require_refused(words, "no run of 'mamba3d' is stored. Did you mean: mamba3d-xs", capsys)


def test_what_drawing_warns_of_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def draw(records: object, say: object) -> dict[str, bytes]:
        warnings.warn("a glyph is missing", stacklevel=1)
        return {}

    Store(tmp_path, CLASSIFICATIONS).append(record())
    monkeypatch.setattr(plot, "draw", draw)
    assert "note: a glyph is missing" in harness("compare", "classify", "--results", tmp_path, capsys=capsys)[2]


def test_a_results_folder_that_is_a_file_ends_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "results").write_text("")
    words = ["classify", "--model", f"{MODULE}:tiny", "--points", "64", "--results", tmp_path / "results"]
    assert harness(*words, capsys=capsys)[0] == 4
