from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness.errors import BadInput
from harness.exporting.json_schema import json_schema
from harness.exporting.table import KINDS, Kind
from harness.store.store import Store
from tests.harness.reporting import records

RESULTS = Path(__file__).parents[3] / "results"
STORES = [(path.parent, kind) for kind in KINDS.values() for path in sorted(RESULTS.glob(f"*/{kind.schema.file_name}"))]
RUNS = KINDS["runs"]


def validator(kind: Kind) -> jsonschema.Draft202012Validator:
    schema = json_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize(("folder", "kind"), STORES, ids=[f"{folder.name}-{kind.name}" for folder, kind in STORES])
def test_every_committed_record_is_as_the_schemas_say(folder: Path, kind: Kind) -> None:
    check = validator(kind)
    stored = Store(folder, kind.schema).records()
    assert stored
    for record in stored:
        kind.schema.validate(record)
        check.validate(record)


def test_there_are_committed_records_of_every_kind() -> None:
    assert {kind.name for _, kind in STORES} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_field_is_in_it_with_its_meaning(kind: Kind) -> None:
    schema = json_schema(kind)
    for path, (_, meaning) in kind.schema.fields.items():
        level: Any = schema
        for token in path.replace("[]", ".[]").split("."):
            inside = {"*": "additionalProperties", "[]": "items"}.get(token)
            level = level[inside] if inside else level["properties"][token]
        assert level["description"] == meaning, path


Change = Callable[[dict[str, Any]], object]
WRONG: dict[str, Change] = {
    "no id": lambda record: record.pop("id"),
    "null id": lambda record: record.update(id=None),
    "no config.frames": lambda record: record["config"].pop("frames"),
    "null config": lambda record: record.update(config=None),
    "unknown status": lambda record: record.update(status="fine"),
    "failed without error": lambda record: record.update(status="failed"),
    "failed with an empty error": lambda record: record.update(status="failed", error=""),
    "unknown field": lambda record: record.update(p1=3.0),
    "unknown field below": lambda record: record["accuracy"].update(p1=3.0),
    "unknown field in a list": lambda record: record["accuracy"]["per_sequence"][0].update(p1=3.0),
    "text for a number": lambda record: record["accuracy"].update(p1_mm="61.2"),
    "fraction for a whole number": lambda record: record.update(seed=0.5),
    "truth value for a whole number": lambda record: record.update(seed=True),
    "number for a list": lambda record: record.update(warnings=3),
    "list for an object": lambda record: record.update(accuracy=[1]),
    "number in a list of texts": lambda record: record.update(warnings=[3]),
    "accuracy without protocol": lambda record: record.pop("signature"),
    "accuracy with an empty protocol": lambda record: record["signature"].update(long=""),
    "accuracy without digest": lambda record: record["data"].pop("digest_test"),
}
RIGHT: dict[str, Change] = {
    "as it is": lambda record: None,
    "failed": lambda record: (record.update(status="failed", error="why"), record.pop("accuracy")),
    "nulls": lambda record: record.update(training=None, warnings=None, seed=None, beats_floors=None),
    "null in a list": lambda record: record["accuracy"]["per_sequence"].append(None),
    "nothing but what must be": lambda record: [
        record.pop(name) for name in set(record) - {"schema", "id", "status", "config"}
    ],
    "free fields": lambda record: record["config"].update(anything=[{"goes": None}]),
    "a whole number for a number": lambda record: record["accuracy"].update(p1_mm=61),
}


@pytest.mark.parametrize("name", WRONG)
def test_both_refuse(name: str) -> None:
    record = copy.deepcopy(records.record("posemamba-xs"))
    WRONG[name](record)
    assert not validator(RUNS).is_valid(record)
    with pytest.raises((BadInput, KeyError)):
        RUNS.schema.validate(record)


@pytest.mark.parametrize("name", RIGHT)
def test_both_take(name: str) -> None:
    record = copy.deepcopy(records.record("posemamba-xs"))
    RIGHT[name](record)
    validator(RUNS).validate(record)
    RUNS.schema.validate(record)
