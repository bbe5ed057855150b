"""Which changes of a machine or of the code make figures incomparable."""

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
    "code": "1234",
}


@pytest.mark.parametrize(
    "change",
    [{"processor": "another"}, {"code": "5678"}, {"memory_bytes": 16 << 30}, {"packages": {"torch": "2.14.0"}}],
)
def test_what_can_change_a_figure_changes_the_key(change: dict[str, Any]) -> None:
    assert environment.key({**BASE, **change}) != environment.key(BASE)


@pytest.mark.parametrize(
    "change",
    [
        {"commit": {"id": "b", "dirty": True}},
        {"threads": 2},
        {"memory_bytes": (8 << 30) + 4096},
        {"packages": {"torch": "2.13.0", "seaborn": "0.14"}},
    ],
)
def test_what_cannot_does_not(change: dict[str, Any]) -> None:
    assert environment.key({**BASE, **change}) == environment.key(BASE)


def test_a_real_environment_has_a_key_and_is_json() -> None:
    captured = environment.capture()
    assert environment.key(captured) == environment.key(json.loads(json.dumps(captured)))


def test_the_code_is_that_of_the_lifters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_ROOT", tmp_path)
    for name in ("posemamba/scan/kernel.hpp", "posemamba/scan/built.so", "baselines/a.py", "harness/b.py", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    before = environment.code_digest()
    for name, changes in (
        ("posemamba/scan/kernel.hpp", True),
        ("posemamba/scan/built.so", True),
        ("baselines/a.py", True),
        ("harness/b.py", False),
        ("README.md", False),
    ):
        (tmp_path / name).write_text("2")
        assert (environment.code_digest() != before) is changes, name
        before = environment.code_digest()
    (tmp_path / "baselines/a.py").rename(tmp_path / "baselines/b.py")
    assert environment.code_digest() != before


def test_the_code_of_a_third_partys_model_is_its_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "their_lifter.py"
    digests = set()
    for content in ("A = 1\n", "A = 22\n"):
        module.write_text(content)
        digests.add(environment.module_digest("their_lifter:build"))
    assert len(digests | {None}) == 3
    assert environment.module_digest("posemamba-s") is None
