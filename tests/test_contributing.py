"""The worked example of CONTRIBUTING.md, executed as it stands there."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness import config, contract, models, run
from harness.measurement import inference
from harness.measurement.timing import Protocol
from harness.training.budget import Budget

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
NAME, MODULE = "temporal-perceptron", "baselines.temporal_perceptron"


def block(path: str) -> str:
    """The page's Python block whose first line names ``path``."""
    (found,) = re.findall(
        rf"```python\n# {re.escape(path)}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    return str(found)


@pytest.fixture
def _added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = types.ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, module)
    exec(block("baselines/temporal_perceptron.py"), module.__dict__)
    monkeypatch.setattr(models, "MODELS", dict(models.MODELS))
    exec(block("harness/models.py"), vars(models).copy() | {"MODELS": models.MODELS})
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("_added")
def test_the_example_keeps_the_contract_and_its_registry_line_is_true() -> None:
    entry = models.entry(NAME)
    model = models.build(NAME)
    assert sum(parameter.numel() for parameter in model.parameters()) == entry.parameters
    assert (model.config.frames, contract.of(model).answers_for) == (entry.frames[0], entry.answers)
    findings = contract.check(model, NAME, 27, 2)
    assert [finding for finding in findings if not finding.holds] == []


@pytest.mark.usefixtures("_added")
def test_the_example_is_trained_evaluated_and_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    data = "synthetic:train_minutes=0.2,test_minutes=0.1"
    planned = config.resolve(NAME, frames=9, data=data, budget=Budget(steps=3), threads=1)
    record = run.run(planned, tmp_path, lambda line: None)
    assert record["status"] == "ok"
    assert record["accuracy"]["frames"] == record["data"]["test_frames"]
    assert record["signature"]["fields"]["clips"] == "sliding-centre"
    assert record["cost"]["output_frames"] == 1


def test_what_the_page_points_at_exists() -> None:
    for path in re.findall(r"`((?:tests|harness|baselines)/[\w/]+(?:\.\w+)?/?)`", PAGE.read_text(encoding="utf-8")):
        assert (PAGE.parent / path).exists() or path in ("baselines/temporal_perceptron.py",), path
