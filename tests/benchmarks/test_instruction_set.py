"""Older instructions for a while."""

from __future__ import annotations

import pytest

from benchmarks import instruction_set
from harness.errors import BadInput
from posemamba import native

pytestmark = pytest.mark.skipif(bool(native.missing()), reason=native.missing())


def test_the_best_comes_first_and_the_portable_one_last() -> None:
    known = instruction_set.usable()
    assert known[0] == native.instruction_set()
    assert known[-1] == "portable"


def test_it_holds_inside_and_ends_even_with_an_error() -> None:
    best = native.instruction_set()
    with pytest.raises(KeyError), instruction_set.using("portable"):  # noqa: PT012
        assert native.instruction_set() == "portable"
        raise KeyError
    assert native.instruction_set() == best


def test_one_that_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_instruction_set", 0)
    with pytest.raises(BadInput, match=r"'avx512'.*one of: portable"), instruction_set.using("avx512"):
        pass
