"""Against a real Ray: two nodes that are processes here, with three CPUs each as far as Ray knows."""

from __future__ import annotations

import contextlib
import importlib
import pickle
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import BadInput, Interrupted, RunFailed
from harness.sweep import installation, ray_cluster, worker
from harness.sweep.conductor import Conductor, Rules
from harness.sweep.point import Point
from harness.sweep.ray_cluster import RayCluster
from harness.sweep.task import Outcome, Task
from tests.harness.sweep import tiny_points

ray = pytest.importorskip("ray")

CPUS = 2
MEMORY = 80 * 1024**2


class Nodes:
    """A head, which this process belongs to, and one more node."""

    def __init__(self) -> None:
        size = {"num_cpus": CPUS, "object_store_memory": MEMORY}
        quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 3}
        head = {**size, "include_dashboard": False, "_system_config": quick}
        self._cluster = importlib.import_module("ray.cluster_utils").Cluster(True, head_node_args=head)
        self.address: str = self._cluster.address
        self._other = self._cluster.add_node(**size)
        self.other_id: str = self._other.node_id

    def kill_the_other(self) -> None:
        self._cluster.remove_node(self._other, allow_graceful=False)

    def end(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("lifter")
    tiny_points.write_lifter(folder)
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray") as short:
        patch.setenv("PYTHONPATH", str(folder))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_TMPDIR", short)
        patch.setenv("TMPDIR", short)  # what a killed node leaves
        found = Nodes()
        yield found
        found.end()


@contextlib.contextmanager
def executor(nodes: Nodes, run: Callable[[Task], Outcome] | None = None) -> Iterator[RayCluster]:
    said: list[str] = []
    given: dict[str, Any] = {} if run is None else {"run": run}
    made = RayCluster(nodes.address, said.append, **given)
    try:
        yield made
    finally:
        made.close()


def all_of(made: RayCluster, count: int, within_s: float = 60.0) -> dict[str, Outcome]:
    deadline = time.monotonic() + within_s
    found: dict[str, Outcome] = {}
    while len(found) < count and time.monotonic() < deadline:
        found |= {outcome.task_id: outcome for outcome in made.wait(1.0)}
    return found


def test_nothing_runs_beside_an_exclusive_task(nodes: Nodes) -> None:
    def nap(task: Any) -> Any:
        import time

        import ray

        from harness.sweep.task import Outcome

        begun = time.time()
        time.sleep(0.5)
        node = ray.get_runtime_context().get_node_id()
        return Outcome(task.id, "ended", 0, host=node, reason=f"{begun} {time.time()}")

    tasks = [Task(f"run {number}", ()) for number in range(6)]
    alone = [Task(f"measurement {number}", (), exclusive=True) for number in range(3)]
    with executor(nodes, nap) as made:
        made.submit([*tasks[:4], *alone, *tasks[4:]])
        outcomes = all_of(made, 9)
    assert len(outcomes) == 9
    spans = {name: (outcome.host, *map(float, outcome.reason.split())) for name, outcome in outcomes.items()}
    assert {spans[task.id][0] for task in alone} == {span[0] for span in spans.values()}, "both nodes measure"
    for task in alone:
        host, begun, ended = spans.pop(task.id)
        beside = [name for name, (node, start, end) in spans.items() if node == host and start < ended and begun < end]
        assert not beside


def test_a_worker_that_dies_is_no_failure_of_its_point(nodes: Nodes) -> None:
    def perish(task: Any) -> Any:
        import os

        from harness.sweep.task import Outcome

        if task.id == "gone":
            os._exit(3)
        if task.id == "stopped":  # as harness run ends where the node is taken away
            return Outcome(task.id, "ended", 130, host="there", reason="interrupted")
        if task.id == "disk":
            from harness.errors import CannotWrite

            raise CannotWrite("no space left on the disk")
        return Outcome(task.id, "ended", 1, os.environ["OMP_NUM_THREADS"])

    with executor(nodes, perish) as made:
        made.submit([Task(name, (), cores=2) for name in ("gone", "stopped", "disk", "failed")])
        outcomes = all_of(made, 4)
    assert {name: (found.ending, found.exit_code) for name, found in outcomes.items()} == {
        "gone": ("lost", None), "stopped": ("lost", 130), "disk": ("ended", 4), "failed": ("ended", 1),
    }  # fmt: skip
    assert "no space left on the disk" in outcomes["disk"].reason
    assert outcomes["failed"].reason == "2", "threads of the point, and not of the node"


def test_a_node_with_another_harness_is_refused(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    there = installation.digest()
    monkeypatch.setattr(ray_cluster.installation, "digest", lambda: "0123456789abcdef")
    with pytest.raises(BadInput, match=rf"code 0123456789abcdef\): .* has another one \(code {there}\)"):
        RayCluster(nodes.address, print)
    assert not ray.is_initialized()


def test_a_node_without_a_harness_says_so() -> None:
    sent = importlib.import_module("ray.cloudpickle").dumps(ray_cluster._look("0123456789abcdef"))
    program = "import pickle, sys; sys.modules['harness'] = None; print(pickle.loads(sys.stdin.buffer.read())())"
    said = subprocess.run([sys.executable, "-c", program], input=sent, capture_output=True, check=True)
    assert said.stdout.startswith(b"has none that could run this sweep"), pickle.loads(sent)


def test_a_node_that_lost_a_measurement_gets_no_other_at_once(nodes: Nodes) -> None:
    """It may be gone, and Ray not know yet: all that wait would be lost there, one after the other."""

    def perish_there(task: Any) -> Any:
        import os

        import ray

        from harness.sweep.task import Outcome

        if ray.get_runtime_context().get_node_id() == there:
            os._exit(3)
        return Outcome(task.id, "ended", 0)

    there = nodes.other_id
    with executor(nodes, perish_there) as made:
        made.submit([Task(f"measurement {number}", (), exclusive=True) for number in range(4)])
        outcomes = all_of(made, 4)
    assert sorted(outcome.ending for outcome in outcomes.values()) == ["ended", "ended", "ended", "lost"]


def test_sigterm_stays_an_interruption(nodes: Nodes) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with executor(nodes):
        assert signal.getsignal(signal.SIGTERM) is before


def test_an_interruption_loses_no_outcome(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    with executor(nodes, lambda task: Outcome(task.id, "ended", 0)) as made:
        made.submit([Task(name, ()) for name in "abc"])
        ray.wait(list(made._running), num_returns=3, timeout=60)
        outcome_of, seen = made._outcome, []

        def interrupted(reference: Any) -> Outcome:
            seen.append(outcome_of(reference))
            if len(seen) == 2:
                raise KeyboardInterrupt
            return seen[-1]

        monkeypatch.setattr(made, "_outcome", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.wait(60.0)
        assert set(all_of(made, 3)) == set("abc")


def test_a_cluster_that_is_gone_when_more_is_asked_of_it(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable() -> list[Any]:
        raise ray.exceptions.RpcError("the head is away")

    with executor(nodes) as made:
        monkeypatch.setattr(made, "_nodes", unreachable)
        with pytest.raises(RunFailed, match=r"cannot be reached any more: .*the head is away"):
            made.submit([Task("a", ())])


def test_what_no_node_has_room_for_waits_and_is_said(nodes: Nodes) -> None:
    said: list[str] = []
    made = RayCluster(nodes.address, said.append)
    made.submit([Task("wide", (), cores=64), Task("wide too", (), cores=64)])
    made.close()
    assert said == ["wide takes 64 CPUs and 0 GPUs, which no node of the Ray cluster has now; such points wait for one"]


def test_where_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "not-an-address")
    with pytest.raises(BadInput, match="cannot join the Ray cluster at not-an-address"):
        RayCluster(None, print)


TRACEBACK = "No way. Traceback:\n  client\nray.AuthenticationError: RPC error: InvalidAuthToken: wrong. More"


@pytest.mark.parametrize(
    ("error", "cause", "said"),
    [
        (ConnectionError("No way to it"), RuntimeError(TRACEBACK), "No way to it (RPC error: InvalidAuthToken: wrong)"),
        (ray.exceptions.RayError("No authentication token was found. More"), None, "No authentication token was found"),
    ],
)
def test_a_cluster_that_wants_a_token(error: Exception, cause: Exception | None, said: str) -> None:
    def init(**_: Any) -> None:
        raise error from cause

    with pytest.raises(BadInput, match=rf"auto: {re.escape(said)}\. Set RAY_AUTH_MODE=token, and have the cluster's "):
        ray_cluster._connect(SimpleNamespace(init=init, exceptions=ray.exceptions), "auto")


def test_where_nothing_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(BadInput, match=f"nothing answers at {address}"):
            RayCluster(address, print)


def test_without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadInput, match=r"pip install 'pose-lifting-harness\[ray\]'"):
        RayCluster(None, print)


def test_closing_ends_what_runs(nodes: Nodes, tmp_path: Path) -> None:
    note = tmp_path / "note"

    def linger(task: Any) -> Any:
        import time

        (note.with_suffix(f".{task.id}")).touch()
        try:
            while True:
                time.sleep(0.05)
        except BaseException as error:
            note.write_text(type(error).__name__)
            return Outcome(task.id, "ended", 0 if task.id == "ready" else 130)

    made = RayCluster(nodes.address, print, run=linger)
    made.submit([Task("ready", ()), Task("endless", ())])
    deadline = time.monotonic() + 60
    begun = [note.with_suffix(".ready"), note.with_suffix(".endless")]
    while not all(path.exists() for path in begun) and time.monotonic() < deadline:
        time.sleep(0.05)
    made.close()
    assert note.read_text() == "KeyboardInterrupt"
    assert made.wait(0.0) == [Outcome("ready", "ended", 0)], "the other's training is lost with its checkpoint"
    assert made.wait(0.0) == []


def test_what_a_task_made_until_it_is_stopped_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting:
        def __init__(self, task: Task) -> None:
            self.outcome = Outcome(task.id, "ended", 0)

        def poll(self) -> Outcome | None:
            raise KeyboardInterrupt

        def stop(self) -> Outcome:
            return self.outcome

    monkeypatch.setattr(worker, "Running", Interrupting)
    assert ray_cluster.run_until_stopped(Task("a", ())) == Outcome("a", "ended", 0)


@pytest.mark.parametrize(("shared", "said"), [(True, "save their checkpoints"), (False, "only finished ones are kept")])
def test_what_is_kept_of_a_training_is_said(tmp_path: Path, shared: bool, said: str) -> None:
    def interrupt(timeout_s: float) -> list[Outcome]:
        if timeout_s:
            raise KeyboardInterrupt
        return []

    engine = SimpleNamespace(shared=shared, submit=lambda tasks: None, wait=interrupt, close=lambda: None)
    lines: list[str] = []
    with pytest.raises(Interrupted):
        Conductor([Point("a", ("run", "--model", "m"))], engine, tmp_path, lines.append, rules=Rules()).conduct()
    assert said in lines[0]


def test_a_grid_outlives_a_node(nodes: Nodes, tmp_path: Path) -> None:
    """Last, as it kills one: its points are lost with it and run elsewhere, and every record arrives, once."""
    results = tmp_path / "results"
    tiny_points.write_grid(tmp_path / "grid.toml", 12)
    words = ["sweep", str(tmp_path / "grid.toml"), "--results", str(results)]
    words += ["--executor", "ray", "--address", nodes.address]
    sweep = subprocess.Popen([sys.executable, "-m", "harness", *words], stderr=subprocess.PIPE, text=True)
    try:
        while not tiny_points.seeds_in(results) and sweep.poll() is None:
            time.sleep(0.1)
        nodes.kill_the_other()
        _, said = sweep.communicate(timeout=300)
    finally:
        sweep.kill()
    assert sweep.returncode == 0, said
    assert sorted(tiny_points.seeds_in(results)) == list(range(12))
    assert "; started elsewhere" in said, "the node had points when it was killed"
    assert len(list((results / "runs").glob("*/weights.pt"))) == 12
