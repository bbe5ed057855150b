"""Points as tasks of a Ray cluster: one that exists, or one on this machine alone that is started for the sweep.

What a point made travels back through Ray, so that no shared file system is needed. Every node needs the same harness;
whether it has it is asked before anything starts, and on nodes that join later by every point.

Ray's servers listen on every network that the machine is on, also those of a cluster that is started here, and whoever
may connect may run anything. From 2.59 on, the oldest Ray that setup.py allows, such a cluster asks for a token, kept
in ~/.ray/auth_token, unless RAY_AUTH_MODE=disabled is set; one that exists asks for it where it was started with
RAY_AUTH_MODE=token. Nothing that Ray sends is encrypted by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from harness.errors import BadInput, RunFailed
from harness.progress import Say
from harness.sweep import installation, loss, worker
from harness.sweep.task import Outcome, Task

#: For what was asked to stop: the worker gives a training its own grace, and then ends it.
GRACE_S = worker.GRACE_S + 10.0
#: For the first process on a node, which imports Ray.
_ANSWER_S = 120.0
#: For Ray to find out that a node is gone, which it takes for alive until then.
_SHUNNED_S = 60.0
#: Between two looks at a point.
_LOOK_S = 0.05
#: For the head of a cluster to take a connection.
_CONNECT_S = 10.0
_INSTALL = "pip install 'pose-lifting-harness[ray]'"

#: A line of a traceback that names an error.
_ERROR = re.compile(r"^[A-Za-z_][\w.]*: (.+)", re.MULTILINE)
#: Of a cluster that asks for a token, or a token that it is not.
_TOKEN = re.compile(r"auth(entication)? ?token", re.IGNORECASE)

#: Runs a task where it is called.
Run = Callable[[Task], Outcome]


def run_until_stopped(task: Task) -> Outcome:
    """As ``worker.run``; but asked to stop, as ``RayCluster.close`` does, it still says how the task ended.

    It may have been about to finish, and does so within the worker's grace.
    """
    running = worker.Running(task)
    try:
        while (outcome := running.poll()) is None:
            time.sleep(_LOOK_S)
        return outcome
    except KeyboardInterrupt:
        return running.stop()
    except BaseException:
        running.stop()
        raise


class RayCluster:
    """An executor on Ray. An exclusive task takes every CPU and GPU of the node that it is placed on.

    address  of the cluster (``HOST:PORT``, ``ray://HOST:PORT``, or ``auto`` for the one of this machine); None for that
             in RAY_ADDRESS, and where there is none, for a cluster that is started here and ends with ``close``
    shared   whether every node sees the store's folder
    run      what is called for each task

    Raises BadInput where Ray is not installed, there is no cluster, or a node of it has another harness or none.
    """

    def __init__(self, address: str | None, say: Say, *, shared: bool = False, run: Run = run_until_stopped) -> None:
        self.shared = shared
        self._ray = _ray()
        self._say = say
        self._connected_here = not self._ray.is_initialized()
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        self._own = self._connected_here and address == "local"
        self._running: dict[Any, tuple[Task, float]] = {}
        self._waiting: list[Task] = []  # exclusive ones, for a node that has none
        self._alone: dict[Any, str] = {}  # of the exclusive ones that run, the node
        self._shunned: dict[str, float] = {}  # nodes that have lost one, until when
        self._said: set[tuple[int, int]] = set()
        self._brought: list[Outcome] = []  # what ended and was not handed over yet
        if self._connected_here:
            _connect(self._ray, address)
        wanted = installation.digest()
        try:
            alike = self._require_harness(wanted)
        except BaseException:
            self.close()
            raise
        # Ray would give the same task to another node by itself; what is lost is the sweep's to count.
        self._remote = self._ray.remote(max_retries=0)(_work(run, wanted, alike))

    def submit(self, tasks: Sequence[Task]) -> None:
        """Hand them to Ray, which queues them.

        BadInput for one that is too large for the cluster started here, RunFailed where the cluster itself is gone.
        """
        with self._reachable():
            nodes = self._nodes()
            for task in tasks:
                self._require_room(task, nodes)
            for task in tasks:
                if task.exclusive:
                    self._waiting.append(task)
                else:
                    self._start(task, num_cpus=task.cores, num_gpus=task.gpus)
            self._place()

    def wait(self, timeout_s: float) -> list[Outcome]:
        """What ended; RunFailed where the cluster itself is gone. Once closed, what ended until then."""
        if self._brought:
            return self._handed_over()
        with self._reachable():
            self._place()
            if not self._running:
                time.sleep(min(timeout_s, 1.0) if self._waiting else 0.0)
                return []
            references = list(self._running)
            ended, _ = self._ray.wait(references, num_returns=1, timeout=timeout_s)
            if ended:
                ended, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
            for reference in ended:
                self._bring(reference)
            self._place()
            return self._handed_over()

    def close(self) -> None:
        """Interrupt what runs, wait until it has ended, keep what finished by itself, and disconnect."""
        self._waiting = []
        if self._running:
            self._end()
        if self._connected_here and self._ray.is_initialized():
            self._ray.shutdown()

    def _end(self) -> None:
        running = list(self._running)
        # What cannot be reached is not ours to end any more: Ray ends the processes of a driver that left.
        with contextlib.suppress(self._ray.exceptions.RayError):
            for reference in running:
                self._ray.cancel(reference)
            ended, left = self._ray.wait(running, num_returns=len(running), timeout=GRACE_S)
            for reference in left:
                self._ray.cancel(reference, force=True)
            for reference in ended:
                self._bring(reference)
        # A training that was stopped says that it goes on from its checkpoint, which stays behind.
        self._brought = [outcome for outcome in self._brought if outcome.ending != "lost"]
        self._running, self._alone = {}, {}

    def _bring(self, reference: Any) -> None:
        """Its outcome, which an interruption at whatever place does not lose; at worst it is there twice."""
        self._brought.append(self._outcome(reference))
        self._running.pop(reference)
        self._alone.pop(reference, None)

    def _handed_over(self) -> list[Outcome]:
        brought, self._brought = self._brought, []
        return brought

    def _start(self, task: Task, **options: Any) -> Any:
        reference = self._remote.options(name=task.id, **options).remote(dataclasses.asdict(task))
        self._running[reference] = (task, time.monotonic())
        return reference

    def _place(self) -> None:
        """Give every node without an exclusive task the first that waits and fits.

        It asks for all that the node has, so that it starts when the node is empty and nothing starts beside it.
        """
        if not self._waiting:
            return
        for node in self._nodes():
            task = next((task for task in self._waiting if _fits(task, node)), None)
            taken = node["NodeID"] in self._alone.values() or time.monotonic() < self._shunned.get(node["NodeID"], 0.0)
            if task is None or taken:
                continue
            self._waiting.remove(task)
            resources = node["Resources"]
            reference = self._start(
                task,
                num_cpus=resources["CPU"],
                num_gpus=resources.get("GPU", 0),
                scheduling_strategy=_on(self._ray, node),
            )
            self._alone[reference] = node["NodeID"]

    def _outcome(self, reference: Any) -> Outcome:
        task, started = self._running[reference]
        node = self._alone.get(reference)
        errors = self._ray.exceptions
        seconds = time.monotonic() - started
        try:
            return loss.judged(self._ray.get(reference), task)
        except errors.OutOfMemoryError as error:
            return Outcome(task.id, "ended", -signal.SIGKILL, f"memory ran out on its node: {_line(error)}", seconds)
        except errors.RayTaskError as error:
            code = getattr(error.cause, "exit_code", 1)
            return Outcome(task.id, "ended", code, f"{type(error.cause).__name__}: {error.cause}", seconds)
        except errors.RayError as error:
            if node is not None:
                self._shunned[node] = time.monotonic() + _SHUNNED_S
            return Outcome(task.id, "lost", None, f"{type(error).__name__}: {_line(error)}", seconds)

    def _nodes(self) -> list[Mapping[str, Any]]:
        """Those that are alive and may compute."""
        return [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) > 0]

    def _require_room(self, task: Task, nodes: Sequence[Mapping[str, Any]]) -> None:
        if any(_fits(task, node) for node in nodes):
            return
        text = f"{task.id} takes {task.cores} CPUs and {task.gpus} GPUs, which no node of the Ray cluster has"
        if self._own:
            raise BadInput(f"{text}; lower --threads, or name a larger cluster by --address")
        if (task.cores, task.gpus) not in self._said:  # a cluster may grow
            self._said.add((task.cores, task.gpus))
            self._say(f"{text} now; such points wait for one")

    def _require_harness(self, wanted: str) -> frozenset[str]:
        """The nodes that have it, by their names at Ray; BadInput where one has not."""
        look = self._ray.remote(num_cpus=0, max_retries=0)(_look(wanted))
        nodes = self._nodes()
        asked = {look.options(scheduling_strategy=_on(self._ray, node)).remote(): node for node in nodes}
        self._ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_S)
        wrong = [f"{node['NodeManagerHostname']} {said}" for ask, node in asked.items() if (said := self._answer(ask))]
        if wrong:
            raise BadInput(
                f"every node needs this harness (code {wanted}): {'; '.join(wrong)}. Install the same version there, "
                "for the Python that runs Ray"
            )
        return frozenset(node["NodeID"] for node in nodes)

    def _answer(self, reference: Any) -> str:
        """What is wrong with a node's harness; of a node that died meanwhile nothing is wanted."""
        try:
            return str(self._ray.get(reference, timeout=0))
        except self._ray.exceptions.GetTimeoutError:
            return f"did not answer within {_ANSWER_S:.0f} s"
        except self._ray.exceptions.RayTaskError as error:
            return f"fails with {type(error.cause).__name__}: {error.cause}"
        except self._ray.exceptions.RayError:
            return ""

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise RunFailed(
                f"the Ray cluster cannot be reached any more: {_line(error)}. What arrived is stored; start it again, "
                "and the same command goes on"
            ) from error


def _ray() -> Any:
    # Nothing of the user's is to be reported to Ray's makers unless they ask for it.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise BadInput(f"--executor ray needs Ray ({error}): {_INSTALL}") from error


def _connect(ray: Any, address: str) -> None:
    _require_answer(address)
    from harness import environment  # imports torch

    own = {"num_cpus": environment.usable_cores(), "include_dashboard": False} if address == "local" else {}
    try:
        with _sigterm_kept():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        if address == "local":
            raise BadInput(f"Ray does not start here: {_why(error)}") from error
        raise BadInput(f"cannot join the Ray cluster at {address}: {_why(error)}. {_advice(error)}") from error


def _require_answer(address: str) -> None:
    """Raises BadInput where nothing listens at ``HOST:PORT``, which Ray would try to reach for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # a word, or something that Ray itself refuses
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise BadInput(
            f"nothing answers at {address}: {error}. Start Ray there by ray start --head --port {port}, or leave out "
            "--address and RAY_ADDRESS for a cluster on this machine alone"
        ) from error


@contextlib.contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself; here it is an interruption like any other."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _look(wanted: str) -> Callable[[], str]:
    """A function that says on a node what is wrong with the harness there, or nothing.

    It is one inside another, as such ones travel whole: it runs where there is no harness, too.
    """

    def look() -> str:
        try:
            from harness.sweep import installation
        except ImportError as error:
            return f"has none that could run this sweep ({error})"
        found = installation.digest()
        return "" if found == wanted else f"has another one (code {found})"

    return look


def _work(run: Run, wanted: str, alike: frozenset[str]) -> Callable[[dict[str, Any]], Any]:
    """A function that runs a task, given as a dict, on a node; it travels as that of ``_look`` does.

    Those that are ``alike`` were asked at the start: an edit there meanwhile is no reason to end a sweep of days.
    """
    look = _look(wanted)
    # The harness's own is looked up there: it would travel by name, and without a harness there could not even arrive.
    given = None if run is run_until_stopped else run

    def work(fields: dict[str, Any]) -> Any:
        import os
        import socket

        import ray

        if ray.get_runtime_context().get_node_id() not in alike and (wrong := look()):
            raise RuntimeError(
                f"{socket.gethostname()} {wrong}; every node needs the harness that the sweep started with"
            )
        from harness.sweep import ray_cluster
        from harness.sweep.task import Task

        # Ray sets it to the CPUs that the task takes, which are a whole node's for an exclusive one.
        os.environ["OMP_NUM_THREADS"] = str(fields["cores"])
        return (given or ray_cluster.run_until_stopped)(Task(**fields))

    return work


def _on(ray: Any, node: Mapping[str, Any]) -> Any:
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    return strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)


def _fits(task: Task, node: Mapping[str, Any]) -> bool:
    resources = node["Resources"]
    return bool(resources.get("CPU", 0) >= task.cores and resources.get("GPU", 0) >= task.gpus)


def _line(error: BaseException) -> str:
    """The first sentence of what Ray says, which goes on over many lines."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).partition(". ")[0]


def _why(error: BaseException) -> str:
    """What Ray says, and the reason that it keeps behind it, at times as the text of a traceback."""
    said = _line(error)
    if error.__cause__ is None:
        return said
    reason = (_ERROR.findall(str(error.__cause__)) or [_line(error.__cause__)])[-1].partition(". ")[0]
    return f"{said} ({reason})"


def _advice(error: BaseException) -> str:
    if _TOKEN.search(_why(error)):
        return "Set RAY_AUTH_MODE=token, and have the cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN"
    return "Start one by ray start --head, or leave out --address and RAY_ADDRESS for one on this machine alone"
