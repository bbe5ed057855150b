"""The space that weights are scored in, from who made them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from harness.checkpoint_file import Loaded
from harness.contract import Contract
from harness.errors import BadInput
from harness.evaluating import Request, _space_of, evaluate
from harness.store.store import Store
from tests.harness.reporting import records


@pytest.mark.parametrize(
    ("extra", "stated", "space"),
    [
        ({"config": {"recipe": "posemamba"}}, "camera", "image"),
        ({"config": {"recipe": "common"}}, "image", "camera"),
        ({}, "image", "image"),
        ({}, "camera", "camera"),
        ({"config": {"dim": 3}}, "image", "image"),
    ],
)
def test_the_space_is_that_of_the_run_else_of_the_authors(extra: dict[str, Any], stated: str, space: str) -> None:
    loaded = Loaded(Path("w.pt"), "", "model", False, extra)
    assert _space_of(loaded, Contract(target_space=stated)) == space


EDITED: list[tuple[dict[str, Any], str]] = [
    ({"weights": None}, "no run 'the-run' with weights is stored"),
    ({"weights": {}}, "no run 'the-run' with weights is stored"),
    ({"weights": {"path": 5, "sha256": "0"}}, r"weights\.path is 5 \(int\), not a text"),
    ({"weights": {"path": "runs/x"}}, r"'the-run' in .*records\.jsonl has no weights\.sha256"),
    ({"weights": "weights.pt"}, r"weights is 'weights\.pt' \(str\), not an object"),
    ({"config": {}}, r"has no config\.model"),
    ({"config": []}, r"has no config\.model"),
    ({"config": {"model": "martinez", "frames": 9, "in_channels": 3}}, r"has no config\.options"),
    ({"config": {"model": "martinez", "frames": "9", "in_channels": 3, "options": {}}}, r"has config\.frames '9'"),
    ({"signature": {"fields": 3}}, r"signature\.fields is 3"),
    ({"signature": {"fields": {}}}, r"has no signature\.fields\.space"),
]


@pytest.mark.parametrize(("edited", "message"), EDITED)
def test_a_record_that_was_edited_is_refused_by_the_field(edited: dict[str, Any], message: str, tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.append({**records.record(), "id": "the-run"})
    (record,) = store.records()
    store.path.write_text(json.dumps({**record, **edited}) + "\n")
    with pytest.raises(BadInput, match=message):
        evaluate(Request(run_id="the-run"), tmp_path, lambda line: None)


def test_a_torn_line_is_said_once(tmp_path: Path) -> None:
    Store(tmp_path).path.write_text('{"schema":1,"id":')
    said: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadInput, match="no run 'the-run' with weights"):
            evaluate(Request(run_id="the-run"), tmp_path, said.append)
    assert [line.partition(str(tmp_path))[0] for line in said] == ["note: "]
