"""The benchmark of streams on the smallest lifters: steps beside windows, and long streams that do not grow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks import stream, streaming
from benchmarks.stream import STEP, WINDOW
from benchmarks.streaming import KIB
from posemamba import PoseMamba

SMALL = ["--threads", "1", "--samples", "1", "--seconds", "0.01", "--frames", "5"]
MODEL = "posemamba-causal-xs"


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(tmp_path: Path, *words: str) -> list[dict[str, Any]]:
    file = tmp_path / "streaming.json"
    assert streaming.main([*SMALL, *words, "--json", str(file)]) == 0
    sections: list[dict[str, Any]] = json.loads(file.read_text())["sections"]
    return sections


def test_a_step_is_beside_the_window(tmp_path: Path) -> None:
    latency, _ = run(tmp_path, "--model", MODEL, "--beside", "motionagformer-xxs", "--long-model")
    assert [(row["model"], row["way"]) for row in latency["rows"]] == [
        (MODEL, STEP), (MODEL, WINDOW), ("motionagformer-xxs", WINDOW),
    ]  # fmt: skip
    step, window, other = latency["rows"]
    assert window["over_step"] == pytest.approx(window["median_ms"] / step["median_ms"])
    assert other["over_step"] is None
    assert [one["what"] for one in latency["derived"]] == [f"{WINDOW} over a step, {MODEL}"]


def test_a_long_stream(tmp_path: Path) -> None:
    _, long = run(tmp_path, "--model", MODEL, "--beside", "--long-model", MODEL, "--long", "200")
    (row,) = long["rows"]
    assert row["frames"] == 200
    assert len(row["looked_ms"]) == len(row["resident_bytes"]) == stream.LOOKS
    window, hidden = 2 * 17 * 48, (2 + 2 * 17) * 8 * 48  # of each block; see posemamba.causal.ScanState
    assert row["state_bytes"] == 8 * 4 * (window + hidden)


class Growing(nn.Module):
    """Remembers every frame."""

    def step(self, frame: Tensor, state: tuple[Tensor, ...] | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        return frame, (*(state or ()), frame.clone())


def test_a_state_that_grows_is_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Growing()
    model.config = type("Config", (), {"in_channels": 2})()
    monkeypatch.setattr(stream, "build", lambda name, frames: model)
    result = stream.long({"model": "growing", "frames": 200, "threads": 1})
    assert result["status"] == "failed"
    assert "the state grows" in result["error"]


def test_a_stream_that_is_not_the_clip_is_not_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = PoseMamba.step
    monkeypatch.setattr(PoseMamba, "step", lambda self, frame, state: step(self, frame, None))
    assert streaming.main([*SMALL, "--model", MODEL, "--beside", "--long-model"]) == 2
    assert "gives other poses as a stream than for the clip" in capsys.readouterr().err


def test_growth_of_the_second_half() -> None:
    resident = [100 * KIB + 2 * KIB * look for look in range(4)]
    row = {"threads": 1, "model": "m", "frames": 4, "state_bytes": KIB, "growth_bytes": 4 * KIB, "early_ms": 1.0}
    section = streaming.long_section()
    section.add([{**row, "late_ms": 1.0, "resident_bytes": resident}])
    assert section.markdown().splitlines()[-1] == "| 1 | m | 4 | 1 | 4 | 4 | 1 | 1 |"


def test_a_lifter_without_a_stream_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert streaming.main([*SMALL, "--model", "posemamba-xs"]) == 2
    assert "posemamba-xs takes no stream" in capsys.readouterr().err
