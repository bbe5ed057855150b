"""Which changes of a machine make figures incomparable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness import environment

BASE: dict[str, Any] = {
    "commit": {"id": "a", "dirty": False},
    "processor": "one",
    "threads": 1,
    "memory_bytes": 8 << 30,
    "packages": {"torch": "2.13.0", "seaborn": "0.13"},
    "measurement_code": "1234",
    "model_code": "5678",
}


@pytest.mark.parametrize(
    "change",
    [{"processor": "another"}, {"cores": 2}, {"memory_bytes": 16 << 30}, {"packages": {"torch": "2.14.0"}}],
)
def test_what_can_change_a_figure_changes_the_key(change: dict[str, Any]) -> None:
    assert environment.key({**BASE, **change}) != environment.key(BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"commit": {"id": "b", "dirty": True}},
        {"threads": 2},
        {"measurement_code": "4321"},
        {"model_code": "8765"},
        {"code": "what it was called in older rows"},
        {"memory_bytes": (8 << 30) + 4096},
        {"packages": {"torch": "2.13.0", "seaborn": "0.14"}},
    ],
)
def test_what_cannot_does_not(change: dict[str, Any]) -> None:
    assert environment.key({**BASE, **change}) == environment.key(BASE)


def test_an_autocast_is_told_and_does_not_part_the_models_of_a_machine() -> None:
    plain, reduced = environment.capture(), environment.capture("bf16")
    assert (plain["autocast"], reduced["autocast"]) == (False, "bf16")
    assert environment.key(plain) == environment.key(reduced)


def test_a_real_environment_has_a_key_and_is_json() -> None:
    captured = environment.capture()
    assert environment.key(captured) == environment.key(json.loads(json.dumps(captured)))


@pytest.mark.parametrize(
    ("quota", "cores"),
    [(None, 4), ("max 100000", 4), ("250000 100000", 2), ("50000 100000", 1), ("900000 100000", 4)],
)
def test_cores_are_those_that_may_be_used(
    quota: str | None, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment.os, "sched_getaffinity", lambda process: {1, 2, 5, 7}, raising=False)
    monkeypatch.setattr(environment.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(environment, "_CPU_QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert environment.usable_cores() == environment.capture()["cores"] == cores


def test_without_affinity_all_cores_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(environment.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(environment.os, "cpu_count", lambda: 64)
    monkeypatch.setattr(environment, "_CPU_QUOTA", tmp_path / "cpu.max")
    assert environment.usable_cores() == 64
