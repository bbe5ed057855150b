"""Which backend runs, and what is said when it cannot."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from posemamba import native
from posemamba.scan import BACKENDS, available, backend, mamba_ssm, resolve, selective_scan
from tests.posemamba.scan.inputs import random_inputs

ON_CPU = torch.zeros(1)
ON_GPU: Any = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float32)
ON_GPU_IN_DOUBLE: Any = SimpleNamespace(device=torch.device("cuda"), dtype=torch.float64)


@pytest.fixture(autouse=True)
def _nothing_said_yet() -> Iterator[None]:
    backend.warn_of_fallback.cache_clear()
    yield
    backend.warn_of_fallback.cache_clear()


def test_all_names_are_accounted_for() -> None:
    assert tuple(available()) == BACKENDS
    assert available()["reference"] == available()["chunked"] == ""


@pytest.mark.parametrize(
    ("native_reason", "mamba_reason", "tensor", "expected"),
    [
        ("", "", ON_CPU, "native"),
        ("not built", "", ON_CPU, "chunked"),
        ("", "", ON_GPU, "mamba-ssm"),
        ("", "not installed", ON_GPU, "chunked"),
        ("", "", ON_GPU_IN_DOUBLE, "chunked"),
        ("", "", ON_CPU.to("meta"), "chunked"),
    ],
)
def test_auto_takes_the_fastest_that_can_run(
    native_reason: str, mamba_reason: str, tensor: Any, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "_reason", native_reason)
    monkeypatch.setattr(mamba_ssm, "missing", lambda: mamba_reason)
    assert resolve("auto", tensor) == expected


def test_float64_on_cpu_is_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_reason", "")
    assert resolve("auto", ON_CPU.double()) == "native"


def test_unknown_name_gets_the_nearest_and_the_list() -> None:
    with pytest.raises(
        ValueError, match=r"'chunkd'.*Did you mean chunked\?.*auto, reference, chunked, native, mamba-ssm"
    ):
        resolve("chunkd", ON_CPU)


def test_backend_asked_for_by_name_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_reason", "the native scan was not built; install a C++ compiler")
    with pytest.raises(ValueError, match="'native' cannot run: the native scan was not built; install"):
        selective_scan(*random_inputs(1, 1, 2, 2, 3), backend="native")


def test_backend_on_the_wrong_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_reason", "")
    monkeypatch.setattr(mamba_ssm, "missing", lambda: "")
    with pytest.raises(ValueError, match="for tensors on a CPU, these are on cuda"):
        resolve("native", ON_GPU)
    with pytest.raises(ValueError, match="for tensors on a CUDA GPU, these are on cpu"):
        resolve("mamba-ssm", ON_CPU)


def test_fallback_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_reason", "the native scan was not built; install a C++ compiler")
    tensors = random_inputs(1, 1, 2, 2, 3)
    with pytest.warns(RuntimeWarning, match="slower 'chunked' selective scan on cpu: .*not built; install"):
        first = selective_scan(*tensors)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert selective_scan(*tensors).equal(first)


def test_a_chosen_chunked_scan_is_no_fallback() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selective_scan(*random_inputs(1, 1, 2, 2, 3), backend="chunked")
