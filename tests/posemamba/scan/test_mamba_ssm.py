"""What the CUDA kernel would be called with, by a stand-in for the package."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
import torch

from posemamba.scan import mamba_ssm, selective_scan
from tests.posemamba.scan.inputs import random_inputs

INTERFACE = "mamba_ssm.ops.selective_scan_interface"


@pytest.fixture(autouse=True)
def _forget_what_was_found() -> Iterator[None]:
    mamba_ssm.missing.cache_clear()
    yield
    mamba_ssm.missing.cache_clear()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Installs the stand-in, which computes by the reference; the arguments of its calls."""
    made: list[dict[str, Any]] = []

    def selective_scan_fn(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, **others):  # type: ignore[no-untyped-def]
        made.append({"u": u, "delta": delta, "A": A, "B": B, "C": C, "D": D, "delta_bias": delta_bias, **others})
        return selective_scan(u, delta, A, B, C, D, delta_bias, delta_softplus, backend="reference")

    for name in ("mamba_ssm", "mamba_ssm.ops", INTERFACE):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules[INTERFACE].selective_scan_fn = selective_scan_fn  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kernel_gets_the_layout_and_dtypes_it_wants(calls: list[dict[str, Any]], dtype: torch.dtype) -> None:
    u, delta, A, B, C, D, bias = (tensor.detach() for tensor in random_inputs(2, 2, 3, 4, 20))
    channels_last = u.to(dtype).transpose(1, 2).contiguous().transpose(1, 2)
    y = mamba_ssm.selective_scan(channels_last, delta, A, B, C, D, bias, True)

    (call,) = calls
    assert all(call[name].stride(-1) == 1 for name in ("u", "delta", "A", "B", "C", "D", "delta_bias"))
    assert all(call[name].dtype == dtype for name in ("u", "delta", "B", "C"))
    assert all(call[name].dtype == torch.float32 for name in ("A", "D", "delta_bias"))
    expected = selective_scan(u, delta, A, B, C, D, bias, True, backend="reference")
    torch.testing.assert_close(y, expected.to(dtype), rtol=0.02, atol=0.05)


def test_skip_and_bias_may_be_absent(calls: list[dict[str, Any]]) -> None:
    *tensors, _, _ = random_inputs(1, 1, 2, 3, 9, torch.float32)
    mamba_ssm.selective_scan(*tensors, None, None, False)
    assert calls[0]["D"] is None
    assert calls[0]["delta_bias"] is None


@pytest.mark.usefixtures("calls")
def test_gradients_that_are_not_deterministic_are_warned_of_where_they_are_wanted_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensors = random_inputs(1, 1, 2, 3, 9, torch.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: False)
        mamba_ssm.selective_scan(*tensors, True)
        monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
        with torch.no_grad():
            mamba_ssm.selective_scan(*tensors, True)
    with pytest.warns(UserWarning, match="backward pass does not have a deterministic implementation"):
        mamba_ssm.selective_scan(*tensors, True)


def test_too_many_states_are_refused(calls: list[dict[str, Any]]) -> None:
    tensors = random_inputs(1, 1, 1, 257, 2, torch.float32)
    with pytest.raises(ValueError, match="at most 256 states, A has 257"):
        mamba_ssm.selective_scan(*tensors, True)
    assert not calls


def test_absent_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "not installed" in mamba_ssm.missing()
    assert "--no-build-isolation" in mamba_ssm.missing()


@pytest.mark.usefixtures("calls")
def test_package_without_gpu_and_broken_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "PyTorch sees none" in mamba_ssm.missing()
    mamba_ssm.missing.cache_clear()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert mamba_ssm.missing() == ""
    mamba_ssm.missing.cache_clear()
    monkeypatch.setitem(sys.modules, INTERFACE, None)
    assert "does not import" in mamba_ssm.missing()
