"""A table with its values in place: typed columns in the schema's order, and a row for every match in the records.

A field with free names (``config.*``) has a column for every name that was found, in alphabetical order at its place;
the columns of other fields are always there. A list that no table takes apart is JSON text, and so is a free field
whose values are of several kinds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import BadInput
from harness.exporting.match import Key, leaves, matches, named_in, spelled, tokens
from harness.exporting.table import RECORDS, Kind, Table
from harness.store.schema import ANYTHING, NUMBER, TEXT, WHOLE, YES_NO, Record, look_up

_KINDS: Mapping[type, str] = {bool: YES_NO, int: WHOLE, float: NUMBER, str: TEXT}
_WILDCARDS = ("*", "[]")


@dataclass(frozen=True)
class Column:
    """``kind`` is TEXT, WHOLE, NUMBER or YES_NO; ``as_json``: the text is JSON. ``meaning`` is the schema's."""

    name: str
    kind: str
    meaning: str = ""
    as_json: bool = False


@dataclass(frozen=True)
class Sheet:
    """A value of a row is of its column's kind, or None."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class _Field:
    """Where a column's values are: ``path`` down to them, of whose wildcards the first ``keys`` tell rows apart.

    ``name`` is the column's, with the rest of the wildcards in it.
    """

    path: tuple[str, ...]
    keys: int
    name: tuple[str, ...]
    kind: str
    meaning: str
    as_json: bool

    @property
    def is_free(self) -> bool:
        return "*" in self.name or self.kind == ANYTHING


def sheet(records: Sequence[Record], kind: Kind, table: Table) -> Sheet:
    """``table`` of ``records``, in their order.

    Raises BadInput for a value that no column holds exactly: a number beyond 64 bits, or a text that is not Unicode.
    """
    fields = list(_fields(kind, table))
    named = named_in(kind.schema.fields)
    rows: list[dict[str, Any]] = []
    names = {field: set() if field.is_free else {spelled(field.name, ())} for field in fields}
    for record in records:
        rows += _rows(record, kind, table, fields, named, names)
    columns = [
        *_heads(kind, table),
        *(_column(name, field, rows) for field in fields for name in sorted(names[field])),
    ]
    return Sheet(tuple(columns), tuple(tuple(_value(row, column) for column in columns) for row in rows))


def _fields(kind: Kind, table: Table) -> Iterator[_Field]:
    seen: set[tuple[str, ...]] = set()
    for path, (value_kind, meaning) in kind.schema.fields.items():
        part = table.part(path)
        if part is None or kind.holder(path) is not table:
            continue
        below = tokens(path[len(part) :])
        shown = below[: below.index("[]")] if "[]" in below else below
        whole = (*tokens(part), *shown)
        if whole not in seen:
            seen.add(whole)
            name = (*tokens(table.parts[part]), *shown)
            is_list = shown != below
            yield _Field(whole, len(_keys(part)), name, TEXT if is_list else value_kind, meaning, is_list)


def _keys(part: str) -> list[str]:
    return [token for token in tokens(part) if token in _WILDCARDS]


def _heads(kind: Kind, table: Table) -> Iterator[Column]:
    """What stands before the fields, to say which record and which of its entries a row is of."""
    if table.name != RECORDS:
        yield from (Column(name, label_kind) for name, label_kind in kind.labels.items())
        for name, token in zip(table.keys, _keys(next(iter(table.parts))), strict=True):
            if name:
                yield Column(name, WHOLE if token == "[]" else TEXT)


def _rows(
    record: Record,
    kind: Kind,
    table: Table,
    fields: Sequence[_Field],
    named: Mapping[tuple[str, ...], set[str]],
    names: Mapping[_Field, set[str]],
) -> list[dict[str, Any]]:
    """One record's rows, column by column; the names of free columns are added to ``names``."""
    found: dict[Key, dict[str, Any]] = {(): {}} if table.name == RECORDS else {}
    for field in fields:
        for key, value in matches(record, field.path, named):
            row = found.setdefault(key[: field.keys], _labels(record, kind, table, key))
            for below, leaf in leaves(value) if field.kind == ANYTHING else [((), value)]:
                name = spelled(field.name, key[field.keys :], below)
                names[field].add(name)
                row[name] = leaf
    return list(found.values())


def _labels(record: Record, kind: Kind, table: Table, key: Key) -> dict[str, Any]:
    labels = {name: look_up(record, name) for name in kind.labels}
    return {**labels, "id": record["id"], **{name: entry for name, entry in zip(table.keys, key, strict=False) if name}}


def _column(name: str, field: _Field, rows: Sequence[Mapping[str, Any]]) -> Column:
    if field.kind != ANYTHING:
        return Column(name, field.kind, field.meaning, field.as_json)
    kinds = {_KINDS.get(type(row[name]), ANYTHING) for row in rows if row.get(name) is not None}
    if kinds == {WHOLE, NUMBER}:
        return Column(name, NUMBER, field.meaning)
    is_one = len(kinds) == 1 and ANYTHING not in kinds
    return Column(name, kinds.pop() if is_one else TEXT, field.meaning, as_json=not is_one)


def _value(row: Mapping[str, Any], column: Column) -> Any:
    value = row.get(column.name)
    if value is None:
        return None
    if column.as_json:
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not _is_exact(value, column.kind):
        raise BadInput(
            f"record {row.get('id')!r}: {column.name} is {value!r}, which a table cannot hold as it is (numbers have "
            "64 bits, texts are Unicode); harness export jsonl can"
        )
    return float(value) if column.kind == NUMBER else value


def _is_exact(value: Any, kind: str) -> bool:
    if kind == TEXT:
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if kind == WHOLE:
        return -(2**63) <= value < 2**63
    return kind == YES_NO or isinstance(value, float) or (abs(value) <= 2**1023 and int(float(value)) == value)
