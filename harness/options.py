"""Options of a model, ``name=value``, read against the fields of its config dataclass."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from harness.errors import BadInput, suggestion

#: A whole number that no size of a model is, and that overflows what is computed with it.
_ENDLESS = 2**63
_LONGEST_QUOTE = 200
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def split(pairs: Iterable[str]) -> dict[str, str]:
    """``["depth=8"]`` to ``{"depth": "8"}``. Raises BadInput where the equals sign is missing or a name repeats."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise BadInput(f"-o {_shortened(pair)}: expected name=value, such as -o depth=8")
        if name in found:
            raise BadInput(_shortened(f"-o {name} is given twice: {found[name]} and {text}"))
        found[name] = text
    return found


def parse(config: Any, overrides: Mapping[str, Any], owner: str) -> dict[str, Any]:
    """Overrides as values of the types that ``config``'s fields have.

    Raises BadInput naming ``owner`` for an unknown option or a value of another type.
    """
    hints = typing.get_type_hints(type(config))
    known = {field.name: hints[field.name] for field in dataclasses.fields(config)}
    values = {}
    for name, given in overrides.items():
        if name not in known:
            raise BadInput(_unknown(config, name, known, owner))
        values[name] = _as(known[name], given, name, owner)
    return values


def _unknown(config: Any, name: str, known: Mapping[str, Any], owner: str) -> str:
    settings = ", ".join(f"{field} ({_name(kind)}, now {getattr(config, field)!r})" for field, kind in known.items())
    return f"no such option {_shortened(name)!r} for {owner}. {suggestion(name, known)}Options: {settings}"


def _name(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return " | ".join(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return f"{_name(typing.get_args(kind)[0])},…"
    return getattr(kind, "__name__", str(kind))


def _as(kind: Any, given: Any, name: str, owner: str) -> Any:
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        members = typing.get_args(kind)
        if type(None) in members and (given is None or str(given).lower() == "none"):
            return None
        kind = next(member for member in members if member is not type(None))
        origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return given
    if kind is bool and str(given).lower() in _TRUE + _FALSE:
        return str(given).lower() in _TRUE
    if kind is str and isinstance(given, str):
        return given
    if kind in (int, float) and not isinstance(given, bool):
        try:
            number = kind(given)
        except (TypeError, ValueError):
            number = None
        endless = isinstance(number, int) and abs(number) >= _ENDLESS
        if number is not None and not endless and (isinstance(given, str) or number == given):
            return number
    if origin is tuple and (numbers := _numbers(typing.get_args(kind)[0], given)):
        return numbers
    raise BadInput(f"{owner}: option {name} wants {_article(_name(kind))}, got {_shortened(repr(given))}")


def _numbers(kind: Any, given: Any) -> tuple[Any, ...] | None:
    """``3,3,9``, or a list, as a tuple of ``kind``; None where that is not what was given."""
    members = given.strip("()[]").split(",") if isinstance(given, str) else given
    try:
        return tuple(kind(member) for member in members)
    except (TypeError, ValueError):
        return None


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeio' else 'a'} {word}"


def guess(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Values for options whose types nobody declared: numbers, booleans, none and lists of numbers are recognised."""
    return {name: _guess(value) if isinstance(value, str) else value for name, value in overrides.items()}


def _guess(text: str) -> Any:
    if text.lower() in ("true", "false", "none"):
        return {"true": True, "false": False}.get(text.lower())
    if "," in text and (numbers := _numbers(int, text)):
        return list(numbers)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
