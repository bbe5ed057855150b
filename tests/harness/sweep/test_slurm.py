"""Through submitit, with its two engines that need no Slurm, and with a stand-in for Slurm's commands."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadInput
from harness.sweep import slurm, worker
from harness.sweep.slurm import Slurm
from harness.sweep.slurm_array import SlurmOptions
from harness.sweep.task import Outcome, Task
from tests.harness.sweep import tiny_points

pytest.importorskip("submitit")

NAMES = ("killed", "disk", "preempted", "stopped", "good", "out of time")
OPTIONS = SlurmOptions.parsed(["time=10"])


def all_of(made: Slurm, count: int, within_s: float = 30.0) -> list[Outcome]:
    deadline = time.monotonic() + within_s
    found: list[Outcome] = []
    while len(found) < count and time.monotonic() < deadline:
        found += made.wait(1.0)
    return found


def test_a_grid_as_jobs_that_share_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_points.write_lifter(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    results = tmp_path / "results"
    results.mkdir()
    made = Slurm(results / "sweeps" / "slurm", OPTIONS, engine="local")
    made.submit(tiny_points.tasks(12, results))
    outcomes = all_of(made, 12, within_s=300.0)
    made.close()
    assert [outcome.reason for outcome in outcomes if outcome.exit_code != 0] == []
    assert sorted(outcome.task_id for outcome in outcomes) == sorted(task.id for task in tiny_points.tasks(12))
    assert sorted(tiny_points.seeds_in(results)) == list(range(12))


def test_a_grid_inside_this_process(tmp_path: Path) -> None:
    ran: list[str] = []

    def note(task: Task) -> Outcome:
        ran.append(task.id)
        return Outcome(task.id, "ended", 1 if task.id == "seed-3" else 0)

    made = Slurm(tmp_path / "slurm", OPTIONS, engine="debug", run=note)
    tasks = tiny_points.tasks(12)
    made.submit(tasks)
    outcomes = all_of(made, 12)
    made.close()
    assert ran == [outcome.task_id for outcome in outcomes] == [task.id for task in tasks]
    assert [outcome.task_id for outcome in outcomes if outcome.exit_code] == ["seed-3"]
    assert made.wait(0.0) == []


def test_how_jobs_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "RESULT_S", 0.0)
    calls = tmp_path / "calls"

    def end(task: Any) -> Any:
        import os
        import signal

        from harness.errors import CannotWrite
        from harness.sweep.task import Outcome

        if task.id == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if task.id == "disk":
            raise CannotWrite("no space left on the disk")
        if task.id == "out of time":  # as submitit's handler does where a job has had its time too often
            from submitit.core.utils import UncompletedJobError

            raise UncompletedJobError("Job not requeued because: timed-out too many times.")
        if task.id == "preempted" and not calls.exists():
            calls.write_text("first")
            os.kill(os.getpid(), signal.SIGURG)  # as Slurm does before it takes the node away
            calls.write_text("gone on with, as if nothing had been")
        return Outcome(task.id, "ended", 130 if task.id == "stopped" else 0, host="node")

    made = Slurm(tmp_path / "slurm", OPTIONS, engine="local", run=end)
    made.submit([Task(name, ()) for name in NAMES])
    outcomes = {outcome.task_id: outcome for outcome in all_of(made, len(NAMES))}
    made.close()
    assert {name: (found.ending, found.exit_code) for name, found in outcomes.items()} == {
        "killed": ("lost", None), "disk": ("ended", 1), "preempted": ("ended", 0), "stopped": ("lost", 130),
        "good": ("ended", 0), "out of time": ("timeout", 1),
    }  # fmt: skip
    assert outcomes["disk"].reason.startswith("harness.errors.CannotWrite: no space left on the disk; see /")
    assert calls.read_text() == "first", "it was ended, and queued again"


SACCT = """#!/bin/bash
echo "JobID|State|NodeList"
echo "31_0|NODE_FAIL|a"
echo "31_1|TIMEOUT|a"
echo "31_2|CANCELLED by 1000|a"
echo "31_3|OUT_OF_MEMORY|a"
echo "31_4|RUNNING|a"
echo "31_5|FAILED|a"
echo "31_6|PREEMPTED|a"
"""

#: Runs what follows its own options.
SRUN = f"""#!/bin/bash
until [[ "$1" == "{sys.executable}" ]]; do shift; done
exec "$@"
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Slurm]:
    """Makes an executor where commands called as Slurm's are found, which note what they are called with."""
    commands = tmp_path / "bin"
    commands.mkdir()

    def make(sbatch: str) -> Slurm:
        note = f'#!/bin/bash\necho "$(basename "$0") $*" >> {tmp_path}/notes\n'
        texts = {"sbatch": note + sbatch, "scancel": note, "srun": SRUN, "sacct": SACCT}
        for name, text in texts.items():
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(slurm, "RESULT_S", 0.0)
        options = SlurmOptions.parsed(["partition=gpu", "setup=export SET=up"])
        return Slurm(tmp_path / "slurm", options, run=lambda task: Outcome(task.id, "ended", 0, os.environ["SET"]))

    return make


def test_what_slurm_says_of_jobs_without_a_result(site: Callable[..., Slurm], tmp_path: Path) -> None:
    made = site("echo Submitted batch job 31")
    made.submit([Task(f"seed {seed}", (), cores=3, timeout_s=120.0) for seed in range(7)])
    script = Path((tmp_path / "notes").read_text().split()[1])
    job = {"SLURM_JOB_ID": "35", "SLURM_ARRAY_JOB_ID": "31", "SLURM_ARRAY_TASK_ID": "4"}
    subprocess.run(["bash", str(script)], env={**os.environ, **job}, check=True, capture_output=True)
    outcomes = {outcome.task_id: outcome for outcome in all_of(made, 6)}
    made.close()
    assert outcomes.pop("seed 4") == Outcome("seed 4", "ended", 0, "up"), "by its result, whatever accounting says"
    assert {name: (found.ending, found.exit_code) for name, found in outcomes.items()} == {
        "seed 0": ("lost", None), "seed 1": ("timeout", None), "seed 2": ("ended", 130), "seed 3": ("ended", -9),
        "seed 5": ("ended", 1),
    }  # fmt: skip
    assert "job 31_2 ended as CANCELLED by 1000; see" in outcomes["seed 2"].reason
    _, *cancelled = (tmp_path / "notes").read_text().splitlines()
    assert cancelled == ["scancel 31_0", "scancel 31"], "what is asked for anew, and in the end what still runs"
    text = script.read_text()
    for line in (
        "#SBATCH --array=0-6%7", "#SBATCH --cpus-per-task=3", "#SBATCH --time=7", "#SBATCH --partition=gpu",
        "#SBATCH --signal=URG@90", "export SUBMITIT_PREEMPT_SIGNAL=URG",
    ):  # fmt: skip
        assert line in text.splitlines()
    assert "#SBATCH --exclusive" not in text
    assert "--cpus-per-task=3" in text.partition("\nsrun ")[2]


def test_a_measurement_has_a_node_for_itself(site: Callable[..., Slurm], tmp_path: Path) -> None:
    made = site("echo Submitted batch job 32")
    made.submit([Task("m", (), exclusive=True, gpus=1, timeout_s=60.0)])
    made.close()
    script = Path((tmp_path / "notes").read_text().split()[1]).read_text()
    assert {"#SBATCH --exclusive", "#SBATCH --gpus-per-node=1"} <= set(script.splitlines())


def test_what_sbatch_refuses(site: Callable[..., Slurm]) -> None:
    made = site("echo 'sbatch: error: invalid partition specified: gpu' >&2; exit 1")
    with pytest.raises(BadInput, match="invalid partition specified: gpu"):
        made.submit([Task("a", (), timeout_s=60.0)])


def test_what_sbatch_refuses_later_is_lost_after_a_while_and_nothing_else_is(
    site: Callable[..., Slurm], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = site("echo Submitted batch job 31")
    made.submit([Task(f"seed {seed}", (), timeout_s=60.0) for seed in range(5)])
    site("echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1")
    made.submit([Task("later", (), timeout_s=60.0)])
    monkeypatch.setattr(slurm, "REFUSED_S", 0.0)
    made.submit([Task("soon", (), timeout_s=60.0)])
    outcomes = {outcome.task_id: outcome for outcome in all_of(made, 5)}
    assert set(outcomes) == {"seed 0", "seed 1", "seed 2", "seed 3", "soon"}
    assert (outcomes["soon"].ending, outcomes["soon"].exit_code) == ("lost", None)
    assert "Socket timed out on send/recv" in outcomes["soon"].reason
    assert "scancel 31\n" not in (tmp_path / "notes").read_text()
    made.close()
    assert made.wait(0.0) == []


def test_where_there_is_no_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="--print"):
        Slurm(tmp_path / "slurm", OPTIONS)


def test_without_submitit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(BadInput, match=r"pip install 'pose-lifting-harness\[slurm\]'"):
        Slurm(tmp_path / "slurm", OPTIONS)


def test_a_job_calls_the_worker(tmp_path: Path) -> None:
    made = Slurm(tmp_path / "slurm", OPTIONS, engine="debug")
    assert made._run is worker.run
