"""A comparison reads what it can rely on, or names what it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.comparison.stored_runs import stored_runs
from harness.errors import BadInput
from tests.harness.comparison.entries import Run
from tests.harness.reporting import records


def stored(folder: Path, *runs: Run, end: str = "\n") -> Path:
    (folder / "records.jsonl").write_text("\n".join(map(json.dumps, runs)) + end)
    return folder


def test_the_newest_of_every_run(tmp_path: Path) -> None:
    runs = records.typical()
    assert [run["id"] for run in stored_runs(stored(tmp_path, *runs, *runs), print)] == [run["id"] for run in runs]


def _no_row_without(name: str) -> Callable[[Run], None]:
    def spoil(run: Run) -> None:
        del run["accuracy"]["per_sequence"][3][name]

    return spoil


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda run: run.pop("config"), "has no config"),
        (lambda run: run["config"].pop("frames"), "has no config.frames"),
        (lambda run: run.pop("signature"), "has accuracy without signature.long"),
        (lambda run: run["signature"].update(long="MPJPE|nonsense"), "signature.long: signature 'MPJPE|nonsense'"),
        (lambda run: run["accuracy"].update(p1_mm="61"), "accuracy.p1_mm is '61' (str), not a number"),
        (lambda run: run["accuracy"].pop("p1_mm"), "has no accuracy.p1_mm, which a comparison needs"),
        (_no_row_without("take"), "has no accuracy.per_sequence[3].take"),
        (_no_row_without("frames"), "has no accuracy.per_sequence[3].frames"),
        (lambda run: run["floors"]["linear"].pop("p2_mm"), "has no floors.linear.p2_mm"),
    ],
)
def test_a_record_that_cannot_be_relied_on_is_named_with_its_field(
    spoil: Callable[[Run], object], named: str, tmp_path: Path
) -> None:
    run = records.record()
    spoil(run)
    with pytest.raises(BadInput) as refused:
        stored_runs(stored(tmp_path, records.record("posemamba-s"), run), print)
    assert named in str(refused.value)
    assert run["id"] in str(refused.value)
    assert "records.jsonl" in str(refused.value)


def test_a_line_that_was_cut_short_is_said_plainly(tmp_path: Path) -> None:
    said: list[str] = []
    run = records.record()
    stored(tmp_path, run, end='\n{"schema":1,"id":"to')
    assert [one["id"] for one in stored_runs(tmp_path, said.append)] == [run["id"]]
    (note,) = said
    assert note.startswith("note: ")
    assert "was cut short while it was written" in note


def test_nothing_stored(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nothing is stored yet in .*start with: harness run"):
        stored_runs(tmp_path, print)


def test_what_cannot_be_relied_on_is_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    sound, spoiled = records.record("posemamba-s"), records.record()
    del spoiled["config"]["frames"]
    said: list[str] = []
    assert [run["id"] for run in stored_runs(stored(tmp_path, sound, spoiled), said.append, True)] == [sound["id"]]
    assert len(said) == 1
    assert f"left out: {tmp_path / 'records.jsonl'}: record '{spoiled['id']}' has no config.frames" in said[0]
    with pytest.raises(BadInput, match="or leave such lines out with --skip-bad"):
        stored_runs(tmp_path, said.append)
    with pytest.raises(BadInput, match="nothing is stored yet"):
        stored_runs(stored(tmp_path, spoiled), said.append, True)
