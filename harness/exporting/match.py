"""Where a path of a schema leads in one record: ``*`` to names that it does not spell out, ``[]`` to entries."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

#: Names and numbers that stand for the wildcards of a path, one for each.
Key = tuple[Any, ...]


def tokens(path: str) -> tuple[str, ...]:
    """``a.*.b[]`` to ``("a", "*", "b", "[]")``; nothing for the empty path."""
    return tuple(token for token in path.replace("[]", ".[]").split(".") if token)


def matches(
    value: Any, path: tuple[str, ...], named: Mapping[tuple[str, ...], Collection[str]]
) -> Iterator[tuple[Key, Any]]:
    """What stands for the wildcards of ``path`` (tokens), and the value there; a value of null is none.

    ``named``: the names spelled out after each beginning of a path, which its ``*`` does not stand for.
    """
    return _matches(value, (), path, named)


def _matches(
    value: Any, before: tuple[str, ...], path: tuple[str, ...], named: Mapping[tuple[str, ...], Collection[str]]
) -> Iterator[tuple[Key, Any]]:
    if value is None:
        return
    if not path:
        yield (), value
        return
    head, rest = path[0], path[1:]
    here = (*before, head)
    if head == "[]":
        entries = list(enumerate(value))
    elif head == "*":
        entries = [(name, entry) for name, entry in value.items() if name not in named.get(before, ())]
    else:
        yield from _matches(value.get(head), here, rest, named)
        return
    for name, entry in entries:
        for key, found in _matches(entry, here, rest, named):
            yield (name, *key), found


def named_in(paths: Collection[str]) -> dict[tuple[str, ...], set[str]]:
    """The names that a schema of these paths spells out, by what comes before them."""
    named: dict[tuple[str, ...], set[str]] = {}
    for path in map(tokens, paths):
        for position, token in enumerate(path):
            named.setdefault(path[:position], set()).update({token} - {"*", "[]"})
    return named


def leaves(value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The names that lead to every text, number, truth value and list in a tree of objects; null is none."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            for names, leaf in leaves(entry):
                yield (name, *names), leaf
    elif value is not None:
        yield (), value


def spelled(path: tuple[str, ...], key: Key, below: tuple[str, ...] = ()) -> str:
    """The dotted path with ``key`` in place of the wildcards, and ``below`` after it.

    A name that has a dot of its own stands in quotation marks, so that no two paths are spelled alike.
    """
    rest = iter(key)
    names = [str(next(rest)) if token in ("*", "[]") else token for token in path]
    return ".".join(json.dumps(name) if "." in name or '"' in name else name for name in (*names, *below))
