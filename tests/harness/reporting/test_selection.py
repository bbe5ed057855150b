"""Rows of some models alone."""

from __future__ import annotations

import pytest

from harness.errors import BadInput
from harness.reporting import selection
from tests.harness.complexity import rows
from tests.harness.reporting import records


def test_rows_of_the_machine_stay() -> None:
    made = rows.survey(frames=(9, 27))
    kept = selection.of_models(["posemamba-s"], made)
    assert {selection.model_of(row) for row in kept} == {None, "posemamba-s"}
    assert selection.of_models([], made) == made


def test_an_unknown_model_is_named_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"here has nothing of 'posemaba-s'\. Did you mean: posemamba-s"):
        selection.require_known(["posemaba-s"], rows.survey(frames=(9,)), "here")


def test_runs_and_published_figures_have_a_model_too() -> None:
    assert selection.model_of(records.record()) == records.record()["config"]["model"]
    assert selection.model_of({"model": "mixste"}) == "mixste"


def test_rows_in_the_order_of_models() -> None:
    made = rows.survey({name: rows.power_law(1.0) for name in ("b", "a", "third.party:model")}, (9, 27))
    ordered = selection.in_order(["a", "b"], made)
    names = [name for row in ordered if (name := selection.model_of(row))]
    assert list(dict.fromkeys(names)) == ["a", "b", "third.party:model"]
    assert [row for row in ordered if selection.model_of(row) == "a"] == selection.of_models(["a"], made)[1:]
