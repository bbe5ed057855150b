"""The schema refuses what nobody could read or trust later."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from harness.errors import BadInput
from harness.store.record import FIELDS, RUNS
from harness.store.schema import STATUSES
from tests.harness.reporting import records


def changed(path: str, value: Any) -> dict[str, Any]:
    record = copy.deepcopy(records.record())
    *above, last = path.split(".")
    level: Any = record
    for name in above:
        level = level[int(name)] if isinstance(level, list) else level[name]
    level[int(last) if isinstance(level, list) else last] = value
    return record


def test_real_looking_records_are_valid() -> None:
    for record in records.two_protocols():
        RUNS.validate(record)


def test_every_described_field_can_be_missing_unless_required() -> None:
    RUNS.validate({"schema": 1, "id": "a", "status": "ok", "config": {"model": "m", "frames": 9, "in_channels": 2}})


@pytest.mark.parametrize("path", ["schema", "id", "status", "config", "config.model", "config.frames"])
def test_required_fields(path: str) -> None:
    with pytest.raises(BadInput, match=f"has no {path}"):
        RUNS.validate(changed(path, None))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("accuracy.p1_mm", float("nan"), r"accuracy\.p1_mm is nan: a figure must be finite"),
        ("training.curve.3.loss", float("inf"), r"training\.curve\[3\]\.loss is inf"),
        ("config.options", {"rate": float("-inf")}, r"config\.options\.rate is -inf"),
        ("accuracy.p1_mm", "61.8", r"accuracy\.p1_mm is '61.8' \(str\), not a number"),
        ("accuracy.frames", 10.5, r"accuracy\.frames is 10.5 \(float\), not a whole number"),
        ("accuracy.frames", True, r"not a whole number"),
        ("accuracy.frames", np.int64(10), r"accuracy\.frames is np.int64\(10\) \(int64\), not a whole number"),
        ("beats_floors", 1, r"beats_floors is 1 \(int\), not a yes or no"),
        ("warnings", "one", r"warnings is 'one' \(str\), not a list"),
        ("floors", [1], r"floors is \[1\] \(list\), not an object"),
        ("config.options", {"path": object()}, r"config\.options\.path is a object, which JSON does not have"),
        ("accuracy.p1", 61.8, r"accuracy\.p1 is no field of the schema .*Did you mean: p1_mm"),
        ("acuracy", {}, r"acuracy is no field of the schema .*Did you mean: accuracy"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        RUNS.validate(changed(path, value))


def test_the_vocabulary_of_statuses_is_closed() -> None:
    with pytest.raises(BadInput, match="unknown status 'crashed'"):
        RUNS.validate(changed("status", "crashed"))
    assert set(STATUSES) == {"ok", "failed", "oom", "timeout", "interrupted", "unsupported"}


def test_a_run_that_is_not_ok_says_why() -> None:
    with pytest.raises(BadInput, match="status oom needs an error"):
        RUNS.validate(changed("status", "oom"))


def test_accuracy_without_protocol_or_test_set_is_refused() -> None:
    with pytest.raises(BadInput, match="nobody could compare"):
        RUNS.validate(changed("signature", None))
    with pytest.raises(BadInput, match="nobody could compare"):
        RUNS.validate(changed("data.digest_test", None))


def test_figures_have_their_unit_in_the_name() -> None:
    units = ("_mm", "_mm_per_frame", "_mm_per_frame2", "_mm_per_s2", "_percent", "_share[]")
    for path in FIELDS:
        if path.startswith(("accuracy.", "floors.")) and FIELDS[path][0] == "number":
            assert path.endswith(units), path
