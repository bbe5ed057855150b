from __future__ import annotations

import copy
from typing import Any

import pytest

from harness.errors import BadInput
from harness.exporting.sheet import Column, Sheet, sheet
from harness.exporting.table import KINDS, Kind
from harness.store.schema import NUMBER, TEXT, WHOLE, YES_NO
from tests.harness.reporting import records

RUNS = KINDS["runs"]


def run(**changed: Any) -> dict[str, Any]:
    return {**records.record("posemamba-xs"), **changed}


def of(table: str, *stored: dict[str, Any], kind: Kind = RUNS) -> Sheet:
    return sheet(stored, kind, kind.table(table))


def column(found: Sheet, name: str) -> Column:
    return next(column for column in found.columns if column.name == name)


def values(found: Sheet, name: str) -> list[Any]:
    place = [column.name for column in found.columns].index(name)
    return [row[place] for row in found.rows]


def test_one_row_a_record_with_the_values_of_the_record() -> None:
    first, second = records.record("posemamba-xs"), records.record("posemamba-s", 1)
    found = of("records", first, second)
    assert len(found.rows) == 2
    assert values(found, "id") == [first["id"], second["id"]]
    assert values(found, "accuracy.p1_mm") == [first["accuracy"]["p1_mm"], second["accuracy"]["p1_mm"]]
    assert values(found, "config.model") == ["posemamba-xs", "posemamba-s"]
    assert values(found, "cost.params_total") == [first["cost"]["params_total"], second["cost"]["params_total"]]


def test_columns_are_those_of_the_schema_in_its_order_whatever_the_record_lacks() -> None:
    bare = {"schema": 1, "id": "bare", "status": "failed", "error": "no room", "config": {"model": "m"}}
    plain = [path for path in RUNS.schema.fields if "*" not in path and RUNS.holder(path) is RUNS.tables[0]]
    found = of("records", bare)
    names = [column.name for column in found.columns]
    assert [name for name in names if name != "config.model"] == [path.removesuffix("[]") for path in plain]
    assert values(found, "accuracy.p1_mm") == [None]
    assert values(found, "warnings") == [None]


def test_free_names_stand_in_alphabetical_order_at_their_place() -> None:
    first = run(config={"model": "m", "zeta": 1, "options": {"b": 1, "a": {"c": True}}})
    second = run(config={"model": "m", "alpha": "x"})
    names = [column.name for column in of("records", first, second).columns]
    start = names.index("config_hash") + 1
    free = ["config.alpha", "config.model", "config.options.a.c", "config.options.b", "config.zeta"]
    assert names[start : start + 7] == [*free, "config.precision", "config.activation_checkpointing"]


def test_kinds_of_free_fields_are_those_of_their_values() -> None:
    first = {
        "model": "m",
        "whole": 1,
        "number": 1,
        "text": "1",
        "yes": True,
        "mixed": 1,
        "list": [1, "ö"],
        "none": None,
    }
    second = {"model": "m", "whole": 2, "number": 0.5, "text": "", "yes": False, "mixed": "auto", "none": None}
    found = of("records", run(config=first), run(config=second))
    kinds = {"whole": WHOLE, "number": NUMBER, "text": TEXT, "yes": YES_NO, "mixed": TEXT, "list": TEXT}
    assert {name: column(found, f"config.{name}").kind for name in kinds} == kinds
    assert values(found, "config.mixed") == ["1", '"auto"']
    assert values(found, "config.list") == ['[1,"ö"]', None]
    assert [type(value) for value in values(found, "config.number")] == [float, float]
    assert values(found, "config.text") == ["1", ""]
    assert "config.none" not in [column.name for column in found.columns]


def test_a_list_without_a_table_is_json_text() -> None:
    found = of("records", run(warnings=["a, b", 'c "d"']), run(warnings=[]))
    assert values(found, "warnings") == ['["a, b","c \\"d\\""]', "[]"]


def test_sequences_are_a_row_each_with_the_run_they_are_of() -> None:
    stored = records.record("posemamba-xs")
    found = of("sequences", stored, run(id="empty", accuracy={}))
    expected = stored["accuracy"]["per_sequence"]
    names = [column.name for column in found.columns]
    assert names[:4] == ["id", "config.model", "config.frames", "seed"]
    assert names[4:] == ["sequence", "take", "action", "frames", "p1_mm", "p2_mm"]
    assert values(found, "p1_mm") == [entry["p1_mm"] for entry in expected]
    assert values(found, "sequence") == [entry["sequence"] for entry in expected]
    assert set(values(found, "id")) == {stored["id"]}


def test_keys_are_columns_and_parts_of_one_table_meet_in_a_row() -> None:
    shares = {"bin_mm": 5, "joint_share": [0.5, 0.25, 0.25], "frame_share": [0.0, 1.0, 0.0]}
    found = of("distribution", run(accuracy={"distribution": shares}))
    assert values(found, "bin") == [0, 1, 2]
    assert values(found, "joint_share") == [0.5, 0.25, 0.25]
    assert values(found, "frame_share") == [0.0, 1.0, 0.0]
    cost = {"by_kind": {"macs_thop": {"scan": 3}, "flops_exact": {"scan": 7}}}
    cost["training_step"] = {"by_kind": {"flops_exact": {"scan": 21}}}
    kinds = of("kinds", run(cost=cost))
    assert [row[4:] for row in kinds.rows] == [("macs_thop", "scan", 3, None), ("flops_exact", "scan", 7, 21)]


def test_measurements_and_classifications_have_their_tables() -> None:
    row = {"schema": 1, "id": "r", "status": "ok", "pass": "timing", "round": 2, "environment_key": "e"}
    row |= {"timing": {"samples_ms": [1.25, 1.5]}, "point": {"model": "m", "frames": 9}, "point_key": "k"}
    samples = of("samples", row, kind=KINDS["measurements"])
    assert samples.rows == (("r", "m", 9, "k", "timing", 2, 0, 1.25), ("r", "m", 9, "k", "timing", 2, 1, 1.5))
    classified = {"id": "c", "config": {"model": "p", "points": 64}, "accuracy": {"confusion": [[3, 1], [0, 4]]}}
    confusion = of("confusion", classified, kind=KINDS["classifications"])
    assert [row[-3:] for row in confusion.rows] == [(0, 0, 3), (0, 1, 1), (1, 0, 0), (1, 1, 4)]


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 2**63), ("p1_mm", 2**53 + 1), ("p1_mm", 10**400), ("error", "\ud800")]
)
def test_what_a_column_cannot_hold_exactly_is_refused(field: str, value: Any) -> None:
    stored = copy.deepcopy(records.record("posemamba-xs"))
    (stored["accuracy"] if field == "p1_mm" else stored)[field] = value
    with pytest.raises(BadInput, match=rf"{stored['id']}.*{field}.*harness export jsonl"):
        of("records", stored)


@pytest.mark.parametrize(("value", "kept"), [(2**63 - 1, 2**63 - 1), (-(2**63), -(2**63))])
def test_the_largest_whole_numbers_are_held(value: int, kept: int) -> None:
    assert values(of("records", run(seed=value)), "seed") == [kept]


@pytest.mark.parametrize("stored", KINDS.values(), ids=KINDS)
def test_no_two_columns_of_a_table_have_one_name(stored: Kind) -> None:
    for table in stored.tables:
        names = [column.name for column in sheet([{"id": "x", "config": {}}], stored, table).columns]
        assert len(set(names)) == len(names), table.name
