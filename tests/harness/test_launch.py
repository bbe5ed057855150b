"""``--devices 2`` through the command line: the same run, and what becomes of it when a process is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from harness.store.schema import Record
from harness.store.store import Store
from tests.harness.cli import command
from tests.harness.training.test_shared_training import free_port

ROOT = Path(__file__).resolve().parents[2]
DATA = "synthetic:train_minutes=0.1,test_minutes=0.05"
RUN = (
    "run", "--model", "posemamba-xs", "-o", "dim=16", "-o", "depth=1", "--frames", "9", "--data", DATA,
    "--threads", "1", "--steps", "12",
)  # fmt: skip
#: Float32: AdamW makes whole steps of a gradient that is hardly more than rounding, whose sign may then be another.
TOLERANCE = 1e-4
HARNESS = (sys.executable, "-m", "harness")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


def start(words: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    clean = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    return subprocess.Popen(words, cwd=ROOT, env={**clean, **(environment or {})}, text=True, **pipes)


def ended(process: subprocess.Popen[str]) -> Ended:
    try:
        out, err = process.communicate(timeout=180)
    finally:
        process.kill()  # of nothing, or of one that waits for ever
    return Ended(process.returncode, out, err)


def harness(*words: str, results: Path) -> Ended:
    return ended(start([*HARNESS, *words, "--results", str(results)]))


def record(results: Path) -> Record:
    return Store(results).records()[-1]


def weights(results: Path) -> dict[str, torch.Tensor]:
    content: dict[str, dict[str, torch.Tensor]] = torch.load(next(results.glob("runs/posemamba*/weights.pt")))
    return content["model"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("alone")
    assert harness(*RUN, results=results).code == 0
    return results


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("shared")
    done = harness(*RUN, "--devices", "2", results=results)
    assert done.code == 0, done.err
    assert done.out.count("MPJPE|protocol") == 1, "one table, of the first process"
    assert done.err.count("12 steps, 2 processes") == 1
    return results


def test_two_processes_make_the_run_of_one(alone: Path, shared: Path) -> None:
    one, two = record(alone), record(shared)
    assert two["id"] == one["id"]
    assert len(Store(shared).records()) == 1
    assert two["training"]["processes"] == [{"from_step": 0, "processes": 2}]
    for name, value in weights(alone).items():
        torch.testing.assert_close(weights(shared)[name], value, rtol=TOLERANCE, atol=TOLERANCE)
    assert two["accuracy"]["p1_mm"] == pytest.approx(one["accuracy"]["p1_mm"], abs=0.1)
    assert two["accuracy"]["frames"] == one["accuracy"]["frames"]


def test_an_evaluation_in_shares_is_the_same_to_the_last_bit(alone: Path) -> None:
    words = ("evaluate", "--run", record(alone)["id"], "--threads", "1")
    assert harness(*words, results=alone).code == 0
    whole = record(alone)
    done = harness(*words, "--devices", "2", results=alone)
    assert done.code == 0, done.err
    assert record(alone)["finished"] >= whole["finished"]
    assert len(Store(alone).records()) == 3
    assert record(alone)["accuracy"] == whole["accuracy"]
    assert record(alone)["traces"] == whole["traces"]


def test_torchrun_and_slurm_are_recognised(shared: Path) -> None:
    """By a run that is finished: every process has to learn of it from the first one."""
    words = [*RUN, "--results", str(shared)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "harness", *words]
    by_torchrun = start([sys.executable, *torchrun], {"OMP_NUM_THREADS": "1"})
    slurm = {
        "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_STEP_NODELIST": "localhost",
        "SLURM_JOB_ID": str(free_port()), "SLURM_STEP_ID": "0",
    }  # fmt: skip
    tasks = [
        start([*HARNESS, *words], {**slurm, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)}) for rank in (0, 1)
    ]
    for processes in ([by_torchrun], tasks):
        done = [ended(process) for process in processes]
        assert [one.code for one in done] == [0] * len(done), done
        assert sum(one.err.count("already finished") for one in done) == 1
    assert len(Store(shared).records()) == 1


def workers(agent: subprocess.Popen[str], results: Path) -> list[int]:
    """Process numbers of the workers, the first process's first, once there is a checkpoint."""
    deadline = time.monotonic() + 120
    while not list(results.glob("runs/*/checkpoint.json")):
        assert agent.poll() is None, agent.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoint was written"
        time.sleep(0.01)
    children = Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()
    ranks = {}
    for child in children:
        words = Path(f"/proc/{child}/environ").read_text().split("\0")
        ranks.update({int(word[5:]): int(child) for word in words if word.startswith("RANK=")})
    return [ranks[rank] for rank in sorted(ranks)]


def long_run(results: Path, *more: str) -> subprocess.Popen[str]:
    words = [*HARNESS, *RUN[:-1], "200", "--devices", "2", *more, "--results", str(results)]
    return start(words, {"HARNESS_SAVE_EVERY_S": "0"})


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the processes in /proc")


@needs_proc
def test_a_killed_process_ends_the_run_cleanly_and_fewer_go_on_with_it(tmp_path: Path) -> None:
    agent = long_run(tmp_path)
    os.kill(workers(agent, tmp_path)[1], signal.SIGKILL)
    done = ended(agent)
    assert done.code == 1
    assert "process 1 of 2 was ended by SIGKILL" in done.err
    assert "goes on from the last checkpoint" in done.err
    assert "Traceback" not in done.err
    assert [one["status"] for one in Store(tmp_path).records()] == ["failed"]
    assert "another process of this run is gone" in record(tmp_path)["error"]
    assert harness(*RUN[:-1], "200", results=tmp_path).code == 0
    first, second = record(tmp_path)["training"]["processes"]
    assert first == {"from_step": 0, "processes": 2}
    assert second["processes"] == 1
    assert 0 < second["from_step"] <= 200


@needs_proc
def test_all_processes_save_once_and_end_on_a_signal(tmp_path: Path) -> None:
    agent = long_run(tmp_path)
    own = workers(agent, tmp_path)
    agent.send_signal(signal.SIGINT)
    done = ended(agent)
    assert done.code == 130
    assert "stopped by SIGINT" in done.err
    assert [one["status"] for one in Store(tmp_path).records()] == ["interrupted"]
    assert not any(Path(f"/proc/{process}").exists() for process in own)


@needs_proc
def test_none_is_left_when_the_one_that_started_them_is_killed(tmp_path: Path) -> None:
    agent = long_run(tmp_path)
    own = workers(agent, tmp_path)
    agent.kill()
    agent.communicate()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{process}").exists() for process in own):
        assert time.monotonic() < deadline, "they are still there"
        time.sleep(0.05)
    assert [one["status"] for one in Store(tmp_path).records()] == ["interrupted"]


def test_a_dry_run_is_of_so_many_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (*RUN, "--devices", "5", "--dry-run", "--results", str(tmp_path))
    code, _, err = command.harness(*words, capsys=capsys)
    assert (code, "less than one for each of 5 processes" in err) == (2, True)


@needs_proc
def test_processes_that_wait_for_ever_are_ended_after_the_time_they_were_given(tmp_path: Path) -> None:
    """The second waits for nothing, and the first for the second, in code that hears no signal."""
    stuck = (*RUN[:2], "tests.faults.lifters:hanging_in_one", "--frames", "9", "--data", DATA, "--threads", "1")
    more = ("--steps", "9", "--devices", "2", "--timeout", "0.12", "--results", str(tmp_path))
    done = ended(start([*HARNESS, *stuck, *more], {"HARNESS_LEAVE_S": "1"}))
    assert done.code == 1, done.err
    assert [one["status"] for one in Store(tmp_path).latest()] == ["timeout"]
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < deadline, "some are still there"
        time.sleep(0.1)


@needs_proc
def test_it_starts_again_by_itself_where_that_is_asked_for_from_the_checkpoint(tmp_path: Path) -> None:
    """A repetition, which would start from nothing if it were begun once more."""
    assert harness(*RUN[:-1], "200", results=tmp_path).code == 0
    agent = long_run(tmp_path, "--again", "--max-restarts", "1")
    os.kill(workers(agent, tmp_path)[1], signal.SIGKILL)
    done = ended(agent)
    assert done.code == 0, done.err
    assert "going on with the repetition that --again has begun" in done.err
    assert [one["status"] for one in Store(tmp_path).records()] == ["ok", "ok"]
    assert record(tmp_path)["training"]["steps"] == 200


def test_a_batch_too_small_for_its_processes_is_refused_as_by_one(tmp_path: Path) -> None:
    done = harness(*RUN, "--batch-size", "1", "--devices", "2", results=tmp_path)
    assert (done.code, Store(tmp_path).records()) == (2, [])
    assert done.err.startswith("harness: a batch of 1 clips is less than one for each of 2 processes")
    assert done.err.count("\n") == 1, "the first one says it"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--devices", "0"), "--devices 0 is out of range; it must be at least 1"),
        (("--devices", "2", "--max-restarts", "-1"), "--max-restarts -1 is out of range"),
        (("--max-restarts", "1"), "--max-restarts is of --devices 2 and more"),
        (
            ("--accumulate", "3", "--batch-size", "2"),
            "clips is less than one for each of 1 processes and 3 accumulated",
        ),
        (
            ("--accumulate", "2", "--recipe", "mixste"),
            "--accumulate: recipe mixste squares the loss of the whole batch",
        ),
        (("--compile", "--activation-checkpointing"), "--compile and --activation-checkpointing do not go together"),
        (("--training-precision", "fp8"), "--training-precision fp8: Did you mean: fp32, fp16?"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path, words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = command.harness(*RUN, *words, "--results", str(tmp_path), capsys=capsys)
    assert code == 2, err
    assert said in err
    assert Store(tmp_path).records() == []
