"""What is a process's own among several, and that one alone needs nobody."""

from __future__ import annotations

import pytest
import torch

from harness import process_group
from harness.errors import RunFailed
from harness.world import ALONE, World


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
    with process_group.joined(ALONE, "cpu") as here:
        assert here is ALONE


def test_a_failed_exchange_is_another_s_end_and_other_errors_are_what_they_are() -> None:
    two = World(0, 2, 0, 2)
    gone = r"another process of this run is gone \(Connection closed\); the same command"
    with pytest.raises(RunFailed, match=gone), two.speaking():
        raise RuntimeError("[/a/gloo/pair.cc:1] Connection closed. This is typically caused by …")
    for here in (two, ALONE):
        with pytest.raises(RuntimeError, match="shapes"), here.speaking():
            raise RuntimeError("shapes do not fit")
