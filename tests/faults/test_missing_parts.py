"""What need not be there: packages of single features, git, and runs of a comparison."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import environment
from harness.comparison.group import group
from harness.measurement import energy, inference
from harness.measurement.timing import Protocol
from harness.reporting.facts import facts
from harness.store.store import Store
from posemamba.scan import mamba_ssm
from tests.faults.test_bad_inputs import TINY, Capture, refused
from tests.harness.cli.command import harness
from tests.harness.reporting import records

OPTIONAL = ("mamba_ssm", "causal_conv1d", "thop", "tensorboard", "pynvml", "numba", "pyarrow", "h5py", "scipy")


@pytest.fixture
def _bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if none of the optional packages were installed, loaded or not."""
    loaded = [name for name in sys.modules if name.partition(".")[0] in OPTIONAL]
    for name in (*OPTIONAL, *loaded):
        monkeypatch.setitem(sys.modules, name, None)
    # Looked for once in a process.
    mamba_ssm.missing.cache_clear()
    yield
    mamba_ssm.missing.cache_clear()


@pytest.mark.usefixtures("_bare")
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("run", "--model", "posemamba-xs", "--tensorboard"), "--tensorboard needs tensorboard"),
        (("run", "--model", "posemamba-xs", "--tensorboard"), "pip install tensorboard"),
        (("export", "parquet", "--out", "runs.parquet"), "writing Parquet needs pyarrow: pip install pyarrow"),
        (
            ("run", "--model", "posemamba-xs", "-o", "scan_backend=mamba-ssm"),
            "scan backend 'mamba-ssm' cannot run: the package mamba-ssm is not installed; pip install",
        ),
    ],
)
def test_a_feature_whose_package_is_missing_says_what_installs_it(
    words: tuple[str, ...], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hint in refused(*words, capsys=capsys)


@pytest.mark.usefixtures("_bare")
def test_everything_else_works_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    assert energy.meter_for("cuda:0") is None
    words = ("--data", "synthetic:train_minutes=0.2,test_minutes=0.1", "--frames", "9", *TINY)
    code, _, err = harness(
        "run", "--model", "posemamba-xs", "--steps", "1", *words, "--results", tmp_path / "results", capsys=capsys
    )
    assert code == 0, err
    (record,) = Store(tmp_path / "results").latest()
    assert record["status"] == "ok"
    assert record["cost"]["macs_thop"] > 0, "thop's rules are our own code"
    assert record["cost"]["scan_backend"] in ("native", "chunked")
    code, exported, _ = harness("export", "csv", "--results", tmp_path / "results", capsys=capsys)
    assert code == 0
    assert record["id"] in exported


# git


def git(folder: Path, *words: str) -> None:
    command = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *words]
    subprocess.run(command, check=True, capture_output=True)


def no_checkout(folder: Path) -> None:
    (folder / "code.py").write_text("")


def committed(folder: Path) -> None:
    git(folder, "init", "-q")
    (folder / "code.py").write_text("")
    git(folder, "add", "code.py")
    git(folder, "commit", "-q", "-m", "one")


def changed(folder: Path) -> None:
    committed(folder)
    (folder / "code.py").write_text("x = 1\n")


def broken(folder: Path) -> None:
    committed(folder)
    shutil.rmtree(folder / ".git" / "objects")


def unborn(folder: Path) -> None:
    git(folder, "init", "-q")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize(
    ("make", "dirty"), [(no_checkout, None), (unborn, None), (broken, None), (committed, False), (changed, True)]
)
def test_a_commit_is_recorded_as_far_as_there_is_one(
    make: Callable[[Path], None], dirty: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)
    monkeypatch.setattr(environment, "_ROOT", tmp_path)
    commit = environment.capture()["commit"]
    if dirty is None:
        assert commit is None
    else:
        assert commit is not None
        assert commit["dirty"] is dirty
        assert len(commit["id"]) == 40
    monkeypatch.setenv("PATH", "")
    assert environment.capture()["commit"] is None


def test_a_commit_that_is_not_known_is_a_doubt_in_the_report() -> None:
    runs = [records.record(seed=seed) for seed in range(3)]
    runs[1]["environment"]["commit"] = None
    (members,) = group(runs)
    (fact,) = (fact for fact in facts(members) if fact.name == "commit")
    assert "not known" in fact.value
    assert fact.doubt


# Runs of a comparison


def test_gaps_are_shown_with_their_reason_and_one_seed_without_a_spread(tmp_path: Path, capsys: Capture) -> None:
    runs = [run for run in records.typical() if run["seed"] == 0 or run["config"]["model"] == "posemamba-s"]
    (tmp_path / "results").mkdir()
    for run in runs:
        Store(tmp_path / "results").append(run)
    words = ("compare", "report", "--format", "md", "--results", tmp_path / "results")
    code, out, err = harness(*words, capsys=capsys)
    assert (code, err) == (0, "")
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    of_one_seed, of_three = lines["posemamba-xs"], lines["posemamba-s"]
    assert "±" in of_three
    assert "±" not in of_one_seed
    assert "oom" in lines["dstformer-lite"]
    assert "(1 seed)" in of_one_seed
    assert "* dstformer-lite, seed 0: oom: out of memory: tried to allocate 1.2 GiB" in out
