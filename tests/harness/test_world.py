"""Where a process finds its place, and that one alone needs nobody."""

from __future__ import annotations

import pytest
import torch

from harness import world
from harness.errors import BadInput, RunFailed
from harness.world import ALONE, World

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
SLURM = {
    "SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "7", "SLURM_LOCALID": "1", "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4,3", "SLURM_STEP_NODELIST": "gpu[03-04]", "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ALONE),
        (TORCHRUN, World(5, 8, 1, 4)),
        (SLURM, World(5, 7, 1, 3)),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "2(x3),1", "SLURM_NODEID": "2"}, World(5, 7, 1, 2)),
        # torchrun inside of a step of one task for each node
        ({**SLURM, **TORCHRUN}, World(5, 8, 1, 4)),
        # a job's script is one process, however many tasks the job has
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, ALONE),
        ({**SLURM, "SLURM_STEP_NUM_TASKS": "1"}, ALONE),
    ],
)
def test_the_place_is_read_from_the_environment(environment: dict[str, str], expected: World) -> None:
    assert world.here(environment) == expected


@pytest.mark.parametrize(
    "wrong", [{"RANK": "8"}, {"RANK": "-1"}, {"LOCAL_RANK": "4"}, {"WORLD_SIZE": "many"}, {"LOCAL_RANK": ""}]
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="in the environment"):
        world.here({**TORCHRUN, **wrong})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("gpu[003-005,9],login", "gpu003"),
        ("one", "one"),
        ("one,two", "one"),
        ("rack[1-2]node[3-4],x", "rack1node3"),
        ("r1[7]-x,b", "r17-x"),
        ("r1n[2-3]", "r1n2"),
    ],
)
def test_the_first_of_slurms_nodes(nodes: str, first: str) -> None:
    assert world.first_node(nodes) == first


def test_processes_meet_where_they_are_told_to_and_steps_of_a_job_do_not() -> None:
    assert world.meeting_point({"MASTER_ADDR": "there", "MASTER_PORT": "29"}) == "there:29"
    host, _, port = world.meeting_point(SLURM).partition(":")
    assert (host, 1024 < int(port) < 65536) == ("gpu03", True)
    assert world.meeting_point({**SLURM, "SLURM_STEP_ID": "1"}) != world.meeting_point(SLURM)


def test_what_is_a_process_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    second = World(1, 4, 1, 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert second.device("cuda") == torch.device("cuda:1")
    assert second.device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)  # a scheduler shows each process its own alone
    assert second.device("cuda") == torch.device("cuda:0")
    assert ALONE.device("cuda:3") == torch.device("cuda:3")
    assert [second.threads(threads) for threads in (1, 2, 5)] == [1, 1, 2]


def test_one_alone_needs_nobody() -> None:
    assert ALONE.sums([1.5, True]) == [1.5, 1]
    assert ALONE.gathered("it") == ["it"]
    assert ALONE.of_first(lambda: 7) == 7
    ALONE.require_same("it", "whatever")
    with world.joined(ALONE, "cpu") as here:
        assert here is ALONE


def test_a_failed_exchange_is_another_s_end_and_other_errors_are_what_they_are() -> None:
    two = World(0, 2, 0, 2)
    gone = r"another process of this run is gone \(Connection closed\); the same command"
    with pytest.raises(RunFailed, match=gone), two.speaking():
        raise RuntimeError("[/a/gloo/pair.cc:1] Connection closed. This is typically caused by …")
    for here in (two, ALONE):
        with pytest.raises(RuntimeError, match="shapes"), here.speaking():
            raise RuntimeError("shapes do not fit")
