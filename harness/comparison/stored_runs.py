"""The runs of a store that a comparison can rely on: every field that one reads is there and of its kind."""

from __future__ import annotations

from pathlib import Path

from harness.errors import BadInput
from harness.evaluation.signature import Signature
from harness.progress import Say, warnings_said
from harness.store.schema import Record, look_up
from harness.store.store import Store

#: What a finished run's figures are nothing without, and what every row of its sequences and floors has.
_OF_ACCURACY = ("accuracy.p1_mm",)
_OF_SEQUENCE = ("sequence", "take", "frames", "p1_mm")
_OF_FLOOR = ("p1_mm", "p2_mm")
_SKIPPING = "or leave such lines out with --skip-bad"


def stored_runs(folder: Path, say: Say, skip_bad: bool = False) -> list[Record]:
    """The newest record of every run in ``folder``, the oldest first; ``say`` hears of a line that was cut short.

    Raises BadInput where there are none, and naming the line, or record and field, where one is no record, breaks the
    schema or lacks what a comparison needs; with ``skip_bad`` those are left out and ``say`` hears of it.
    """
    store = Store(folder)
    with warnings_said(say):
        records = [record for record in _read(store, skip_bad) if _is_usable(record, store, say, skip_bad)]
    if not records:
        raise BadInput(f"nothing is stored yet in {folder}; start with: harness run --model posemamba-xs")
    return records


def _read(store: Store, skip_bad: bool) -> list[Record]:
    try:
        return store.latest(skip_bad)
    except BadInput as error:
        raise BadInput(f"{error}, {_SKIPPING}") from error


def _is_usable(record: Record, store: Store, say: Say, skip_bad: bool) -> bool:
    try:
        store.schema.validate(record)
        require_comparable_fields(record)
    except BadInput as error:
        if not skip_bad:
            raise BadInput(f"{store.path}: {error}. Mend or remove its line, {_SKIPPING}") from error
        say(f"note: left out: {store.path}: {error}")
        return False
    return True


def require_comparable_fields(record: Record) -> None:
    """Of a record that keeps to the schema. Raises BadInput naming record and field."""
    if not record.get("accuracy"):
        return
    needed = [(path, look_up(record, path)) for path in _OF_ACCURACY]
    needed += [
        (f"accuracy.per_sequence[{index}].{name}", (row or {}).get(name))
        for index, row in enumerate(look_up(record, "accuracy.per_sequence") or [])
        for name in _OF_SEQUENCE
    ]
    floors = (record.get("floors") or {}).items()
    needed += [(f"floors.{floor}.{name}", (row or {}).get(name)) for floor, row in floors for name in _OF_FLOOR]
    for path, value in needed:
        if value is None:
            raise BadInput(f"record {record['id']!r} has no {path}, which a comparison needs")
    try:
        Signature.parse(record["signature"]["long"])
    except BadInput as error:
        raise BadInput(f"record {record['id']!r}: signature.long: {error}") from error
