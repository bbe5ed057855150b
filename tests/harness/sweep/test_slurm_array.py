"""Which arrays a sweep comes to, and what Slurm is asked for them."""

from __future__ import annotations

import pytest

from harness.errors import BadInput
from harness.sweep.slurm_array import LARGEST, SlurmOptions, arrays, minutes_of
from harness.sweep.task import Task

RUN = Task("a", (), cores=2, timeout_s=3600.0)


def test_those_that_need_the_same_are_one_array() -> None:
    runs = [Task(f"run {number}", (), cores=2, timeout_s=60.0) for number in range(LARGEST + 1)]
    measurement = Task("measurement", (), exclusive=True, cores=2, timeout_s=60.0)
    found = arrays([*runs[:2], measurement, *runs[2:]])
    assert [len(array.tasks) for array in found] == [LARGEST, 1, 1]
    assert found[2].tasks == (measurement,)
    assert [task for array in found[:2] for task in array.tasks] == runs


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("90:01", 91), ("2:30:00", 150), ("1-2", 1560), ("1-02:30", 1590), ("0-00:00:01", 1)],
)
def test_limits_as_slurm_writes_them(text: str, minutes: int) -> None:
    assert minutes_of(text) == minutes


@pytest.mark.parametrize("text", ["", "one", "1.5", "1-", "-1", "0", "1:2:3:4", "00:00:00"])
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(BadInput, match="--slurm time="):
        minutes_of(text)


def test_what_follows_from_the_points() -> None:
    options = SlurmOptions.parsed(["partition=gpu", "--mail-user=a@b.c", "requeue="])
    assert options.flags(arrays([RUN])[0], margin=5) == {
        "job_name": "harness", "cpus_per_task": "2", "time": "65", "partition": "gpu", "mail_user": "a@b.c",
        "requeue": "",
    }  # fmt: skip
    measurement = arrays([Task("m", (), exclusive=True, gpus=1, timeout_s=61.0)])[0]
    assert options.flags(measurement, margin=0).items() >= {
        ("exclusive", ""), ("gpus_per_node", "1"), ("cpus_per_task", "1"), ("time", "2"),
    }  # fmt: skip


def test_what_the_user_says_goes_before() -> None:
    options = SlurmOptions.parsed(["time=1-00:00:00", "gres=gpu:a100:2", "job_name=poses", "at_once=8", "setup=a; b"])
    flags = options.flags(arrays([Task("a", (), gpus=2)])[0], margin=5)
    assert flags == {"job_name": "poses", "cpus_per_task": "1", "time": "1440", "gres": "gpu:a100:2"}
    assert (options.at_once, options.setup) == (8, "a; b")


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        (["partition"], "--slurm partition: expected KEY=VALUE"),
        (["=gpu"], "--slurm =gpu: expected KEY=VALUE"),
        (["mem=1G", "--mem=2G"], "--slurm mem is given twice"),
        (["cpus-per-task=4"], "--slurm cpus_per_task follows from the points"),
        (["exclusive="], "--slurm exclusive follows from the points"),
        (["at_once=0"], "--slurm at_once=0: expected how many"),
    ],
)
def test_what_slurm_cannot_be_asked(pairs: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        SlurmOptions.parsed(pairs)


def test_a_limit_is_asked_for() -> None:
    with pytest.raises(BadInput, match="add --timeout MINUTES, or --slurm time="):
        SlurmOptions().flags(arrays([Task("a", ())])[0], margin=5)
