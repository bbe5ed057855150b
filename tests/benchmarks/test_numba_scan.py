"""The peer in numba, where it is installed."""

from __future__ import annotations

import pytest

from benchmarks import numba_scan, scan_peers
from benchmarks.scan_peers import Size


@pytest.mark.skipif(bool(numba_scan.missing()), reason="numba is not installed")
def test_it_scans() -> None:
    inputs = scan_peers.made_up(Size(batch=2, channels=3, frames=2))
    arranged = [*inputs[:3], *map(scan_peers.by_token, inputs[3:5]), *inputs[5:]]
    exact = scan_peers.exact(scan_peers.ours("reference"), inputs)
    assert scan_peers.relative_error([numba_scan.selective_scan(*arranged)], [exact.y]) < 1e-6


def test_where_it_is_missing_the_reason_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install '.[bench]'" in numba_scan.missing()
