"""A schema of the store as a JSON Schema (draft 2020-12), for validators of other languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.exporting.table import Kind
from harness.store.schema import ANYTHING, NUMBER, STATUSES, TEXT, WHOLE, YES_NO

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Mapping[str, str] = {TEXT: "string", WHOLE: "integer", NUMBER: "number", YES_NO: "boolean"}


def json_schema(kind: Kind) -> dict[str, Any]:
    """What one record of ``kind`` must be: what ``Schema.validate`` checks, but for numbers too large for JSON."""
    schema = kind.schema
    tree = _level("", schema.tree, schema.fields)
    for path in schema.required:
        _require(tree, path.split("."))
    tree["properties"]["status"] = {"enum": list(STATUSES), "description": schema.fields["status"][1]}
    tree["properties"]["schema"] |= {"minimum": 1, "maximum": schema.version}
    return {
        "$schema": DIALECT,
        "title": schema.file_name,
        "description": f"One line of {schema.file_name}: {kind.meaning}",
        **tree,
        "type": "object",
        "allOf": [
            _failure_has_a_reason(),
            *([_accuracy_has_a_protocol(schema.accuracy_needs)] if schema.accuracy_needs else []),
        ],
    }


def _level(path: str, tree: Any, fields: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Of a level of the schema's tree; null stands for what is not known, wherever it is not required."""
    if isinstance(tree, str):
        meaning = fields[path][1]
        allowed = {} if tree == ANYTHING else {"type": [_TYPES[tree], "null"]}
        return {**allowed, "description": meaning} if meaning else allowed
    if "[]" in tree:
        return {"type": ["array", "null"], "items": _level(f"{path}[]", tree["[]"], fields)}
    below = {name: _level(f"{path}.{name}".lstrip("."), entry, fields) for name, entry in tree.items()}
    others = below.pop("*", False)
    return {"type": ["object", "null"], "properties": below, "additionalProperties": others}


def _require(tree: dict[str, Any], names: list[str]) -> None:
    """Make the property at ``names``, and each above it, one that must be there and not be null."""
    head, *rest = names
    tree["required"] = [*dict.fromkeys([*tree.get("required", []), head])]
    entry = tree["properties"].setdefault(head, {"not": {"type": "null"}})
    if "type" in entry:
        entry["type"] = next(name for name in _as_list(entry["type"]) if name != "null")
    if rest:
        _require(entry, rest)


def _as_list(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def _failure_has_a_reason() -> dict[str, Any]:
    finished = {"properties": {"status": {"const": "ok"}}}
    return {"if": finished, "else": _present("error", {"type": "string", "minLength": 1})}


def _accuracy_has_a_protocol(needs: tuple[str, ...]) -> dict[str, Any]:
    there = _present("accuracy", {"type": "object", "minProperties": 1})
    return {"if": there, "then": {"allOf": [_present(need, {"not": {"enum": [None, ""]}}) for need in needs]}}


def _present(path: str, schema: dict[str, Any]) -> dict[str, Any]:
    """That there is something at ``path``, and that ``schema`` holds for it."""
    for name in reversed(path.split(".")):
        schema = {"type": "object", "required": [name], "properties": {name: schema}}
    return schema
