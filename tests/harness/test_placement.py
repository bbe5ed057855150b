"""Where a process finds its place, and where all of them meet."""

from __future__ import annotations

import pytest

from harness import placement
from harness.errors import BadInput
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
    assert placement.here(environment) == expected


@pytest.mark.parametrize(
    "wrong", [{"RANK": "8"}, {"RANK": "-1"}, {"LOCAL_RANK": "4"}, {"WORLD_SIZE": "many"}, {"LOCAL_RANK": ""}]
)
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(BadInput, match="in the environment"):
        placement.here({**TORCHRUN, **wrong})


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
    assert placement.first_node(nodes) == first


def test_processes_meet_where_they_are_told_to_and_steps_of_a_job_do_not() -> None:
    assert placement.meeting_point({"MASTER_ADDR": "there", "MASTER_PORT": "29"}) == "there:29"
    host, _, port = placement.meeting_point(SLURM).partition(":")
    assert (host, 1024 < int(port) < 65536) == ("gpu03", True)
    assert placement.meeting_point({**SLURM, "SLURM_STEP_ID": "1"}) != placement.meeting_point(SLURM)
