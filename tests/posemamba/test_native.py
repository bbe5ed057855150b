"""The library: its instruction sets, what it must not do to the process, and how its absence is explained."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
import torch

from posemamba import native
from posemamba.scan import selective_scan
from tests.posemamba.scan.inputs import random_inputs, relative_error, value_and_gradients

built = pytest.mark.skipif(bool(native.missing()), reason=native.missing())


@built
@pytest.mark.parametrize("states", [1, 6, 16])
def test_instruction_sets_agree(states: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = random_inputs(2, 2, 37, states, 150)
    best = native.INSTRUCTION_SETS.index(native.instruction_set())
    for dtype, tolerance in ((torch.float32, 2e-6), (torch.float64, 1e-13)):
        runs = []
        for instruction_set in range(best + 1):
            monkeypatch.setattr(native, "_instruction_set", instruction_set)
            runs.append(value_and_gradients(tensors, "native", dtype))
        for name, value in runs[-1].items():
            assert all(relative_error(run[name], value) < tolerance for run in runs[:-1]), name


@built
def test_exponentials_to_the_last_bits() -> None:
    """With B u = dt u = 1 in the first token and 0 after it, the outputs are products of single exponentials."""
    step = torch.logspace(-6, 2, 4096, dtype=torch.float64).float()
    u = torch.stack([1 / step, torch.zeros_like(step)], dim=-1)[None]  # (1, K*D, 2)
    ones = torch.ones(1, 1, 1, 2)
    rate = torch.full((4096, 1), -1.0)
    y = selective_scan(u, step[None, :, None].expand_as(u), rate, ones, ones, backend="native")
    expected = torch.exp(-step.double()) * (step * u[0, :, 0]).double()
    error = (y[0, :, 1].double() - expected).abs() / expected
    normal = expected > 2.0**-126
    assert (error / (1 + step.double()))[normal].max() < 1.5e-7
    assert y[0, ~normal, 1].abs().max() < 2.0**-125


@built
def test_softplus_to_the_last_bits() -> None:
    """u = 1 / C B of one token makes the output the step itself."""
    for dtype, tolerance in ((torch.float32, 4e-7), (torch.float64, 1e-15)):
        delta = torch.linspace(-80, 40, 5001, dtype=dtype)[None, :, None]  # (1, K*D, 1)
        one = torch.ones(1, 1, 1, 1, dtype=dtype)
        rate = -torch.ones(5001, 1, dtype=dtype)
        y = selective_scan(torch.ones_like(delta), delta, rate, one, one, delta_softplus=True, backend="native")
        wide = delta.double()
        expected = wide.clamp(min=0) + torch.log1p(torch.exp(-wide.abs()))
        assert ((y.double() - expected).abs() / expected).max() < tolerance


@built
def test_process_keeps_its_denormal_numbers() -> None:
    selective_scan(*random_inputs(1, 1, 8, 4, 70, torch.float32), backend="native")
    assert (torch.tensor([1e-40]) * 0.5).item() > 0


def test_missing_library_says_how_to_get_it(tmp_path: Path) -> None:
    library, reason = native._load(tmp_path)
    assert library is None
    assert "not built" in reason
    assert "build_ext --inplace" in reason


def test_broken_library_says_so(tmp_path: Path) -> None:
    (tmp_path / f"_native{EXTENSION_SUFFIXES[0]}").write_bytes(b"not a library")
    library, reason = native._load(tmp_path)
    assert library is None
    assert "does not load" in reason


@built
def test_library_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "CHECKPOINT_TOKENS", native.CHECKPOINT_TOKENS + 1)
    library, reason = native._load(Path(native.__file__).parent)
    assert library is None
    assert "another version" in reason
