"""What a stored line may hold: dotted paths with a kind and a meaning, in one table, and the check against it.

``*`` stands for any name and ``[]`` for the entries of a list. ``null`` (or no entry at all) means not known or not
applicable, except for the required fields. A number is finite: NaN and infinity are not JSON, and no figure either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.errors import BadInput, suggestion

Record = dict[str, Any]

TEXT, WHOLE, NUMBER, YES_NO, ANYTHING = "text", "whole number", "number", "yes or no", "anything"

#: What a message quotes of the names in a damaged record.
_LONGEST_NAME = 200

#: How a piece of work can have ended.
STATUSES: Mapping[str, str] = {
    "ok": "finished; its figures can be used",
    "failed": "stopped by an error",
    "oom": "ran out of memory",
    "timeout": "stopped because it took too long",
    "interrupted": "stopped by the user or the scheduler; can be resumed",
    "unsupported": "cannot be done with this model or on this machine",
}

_PYTHON_TYPES: Mapping[str, tuple[type, ...]] = {
    TEXT: (str,),
    WHOLE: (int,),
    NUMBER: (int, float),
    YES_NO: (bool,),
}


def _as_tree(fields: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, (kind, _) in fields.items():
        *above, last = path.replace("[]", ".[]").split(".")
        level = tree
        for name in above:
            level = level.setdefault(name, {})
        level[last] = kind
    return tree


@dataclass(frozen=True)
class Schema:
    """One kind of line. ``fields`` is path -> (kind, meaning), ``where`` the file to look it up in.

    ``accuracy_needs``: the fields without which a record may not have any accuracy, its protocol and test set.
    ``version`` is raised when a field changes its meaning or goes away; a new field that old readers may ignore does
    not raise it.
    """

    file_name: str
    version: int
    required: tuple[str, ...]
    fields: Mapping[str, tuple[str, str]]
    where: str
    accuracy_needs: tuple[str, ...] = ()

    @cached_property
    def tree(self) -> dict[str, Any]:
        """``fields`` by levels: a name, ``*`` or ``[]`` leads to the next level, the last one to the kind."""
        return _as_tree(self.fields)

    def validate(self, record: Mapping[str, Any]) -> None:
        """Raises BadInput naming a field of ``record`` that is missing, unknown or of another kind."""
        name = f"record {str(record.get('id', 'without id'))[:_LONGEST_NAME]!r}"
        for path in self.required:
            if look_up(record, path) is None:
                raise BadInput(f"{name} has no {path}")
        if not 1 <= record["schema"] <= self.version:
            raise BadInput(f"{name}: schema {record['schema']} is none that this version knows (1 to {self.version})")
        status = record["status"]
        if not isinstance(status, str) or status not in STATUSES:
            known = f"{suggestion(str(status), STATUSES)}One of: {', '.join(STATUSES)}"
            raise BadInput(f"{name}: unknown status {status!r}. {known}")
        if status != "ok" and not record.get("error"):
            raise BadInput(f"{name}: status {status} needs an error that says why")
        if record.get("accuracy") and not all(look_up(record, path) for path in self.accuracy_needs):
            needs = " and ".join(self.accuracy_needs)
            raise BadInput(f"{name} has accuracy without {needs}: nobody could compare it")
        for path, problem in _problems("", self.tree, record, self.where):
            raise BadInput(f"{name}: {path[:_LONGEST_NAME]} {problem}")


def look_up(record: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, or None."""
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _problems(path: str, schema: Any, value: Any, where: str) -> Iterator[tuple[str, str]]:
    """(path, what is wrong there) for everything in ``value`` that ``schema``, a level of the tree, does not allow."""
    if value is None:
        return
    if schema == ANYTHING:
        yield from _not_json(path, value)
    elif isinstance(schema, str):
        yield from _not_of_kind(path, schema, value)
    elif "[]" in schema:
        if not isinstance(value, (list, tuple)):
            yield path, f"is {_shown(value)}, not a list"
            return
        for index, entry in enumerate(value):
            yield from _problems(f"{path}[{index}]", schema["[]"], entry, where)
    elif not isinstance(value, Mapping):
        yield path, f"is {_shown(value)}, not an object"
    else:
        for name, entry in value.items():
            here = f"{path}.{name}" if path else str(name)
            below = schema.get(name, schema.get("*"))
            if below is None:
                yield (
                    here,
                    f"is no field of the schema ({where}). {suggestion(str(name), schema)}".strip(),
                )
            yield from _problems(here, below, entry, where) if below else ()


def _not_of_kind(path: str, kind: str, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, _PYTHON_TYPES[kind]) or (isinstance(value, bool) and kind != YES_NO):
        yield path, f"is {_shown(value)}, not a {kind}"
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"is {value}: a figure must be finite"


def _not_json(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _not_json(f"{path}.{name}", entry)
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _not_json(f"{path}[{index}]", entry)
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, f"is {value}: a figure must be finite"
    elif not isinstance(value, (str, int, float, type(None))):
        yield path, f"is a {type(value).__name__}, which JSON does not have"


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(value).__name__})"
