"""The entries that a user means by a name: the id of a run, or a configuration or model as the report prints it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.comparison.group import Entry, Group, group
from harness.comparison.pair import require_comparable
from harness.errors import BadInput, suggestion
from harness.store.schema import Record

#: Name of a group -> the entries of it that a name may mean.
_Found = Mapping[str, Sequence[Entry]]


def chosen_groups(groups: Sequence[Group], names: Iterable[str]) -> list[Group]:
    """Those of ``groups`` with these names, all where none is named. Raises BadInput for a name that none has."""
    known = {members.name: members for members in groups}
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name not in known:
            raise BadInput(f"no group {name!r}. {suggestion(name, known)}There are: {', '.join(known)}")
    return [members for members in groups if not wanted or members.name in wanted]


def chosen_pair(
    records: Sequence[Record], name_a: str, name_b: str, where: str, group_name: str | None = None
) -> tuple[Entry, Entry]:
    """The two entries of ``records``, of the store ``where``, that are meant; a run's id is that run alone.

    A name that was scored under several protocols, or on several test sets, means the one that the other was scored
    under, too, or that of the group ``group_name``. Raises BadInput for a name that nothing has, with the nearest ones,
    and for one that several configurations have, with their names and groups, and for two that are the same.
    """
    groups = chosen_groups(group(records), [group_name] if group_name else [])
    found_a, found_b = (_called(records, groups, name, where) for name in (name_a, name_b))
    every = [(a, b) for a in _entries(found_a) for b in _entries(found_b)]
    # Where nothing may be ranked the first pair goes on, so that what differs can be said.
    pairs = [(a, b) for a, b in every if _comparable(a, b)] or every[:1]
    if len(pairs) > 1:
        raise BadInput(_ambiguity({name_a: found_a, name_b: found_b}))
    _require_two(*pairs[0], name_a, name_b)
    return pairs[0]


def _require_two(a: Entry, b: Entry, name_a: str, name_b: str) -> None:
    ids, others = ({run["id"] for run in (*entry.runs, *entry.gaps)} for entry in (a, b))
    if ids == others:
        raise BadInput(f"{name_a!r} and {name_b!r} are the same: {', '.join(sorted(ids))}. Name two that differ")


def _called(records: Sequence[Record], groups: Sequence[Group], name: str, where: str) -> _Found:
    run = next((record for record in reversed(records) if record["id"] == name), None)
    if run is not None:
        return {"": [Entry.of(run)]}
    ways: tuple[Callable[[Entry], str], ...] = (
        lambda entry: entry.title, lambda entry: entry.label, lambda entry: entry.model,
    )  # fmt: skip
    for called in ways:
        found = {one.name: [entry for entry in one.entries if called(entry) == name] for one in groups}
        if _entries(found):
            return {group_name: entries for group_name, entries in found.items() if entries}
    known = dict.fromkeys([entry.title for one in groups for entry in one.entries] + [run["id"] for run in records])
    raise BadInput(
        f"{where} has no run or configuration {name!r}. {suggestion(name, known)}"
        "All: harness list runs, or harness compare report"
    )


def _entries(found: _Found) -> list[Entry]:
    return [entry for entries in found.values() for entry in entries]


def _comparable(a: Entry, b: Entry) -> bool:
    try:
        require_comparable(a, b)
    except BadInput:
        return False
    return True


def _ambiguity(found: Mapping[str, _Found]) -> str:
    said, groups = [], dict.fromkeys(name for groups in found.values() for name in groups if name)
    for name, by_group in found.items():
        if len(_entries(by_group)) > 1:
            listed = "; ".join(
                f"{entry.title} (group {group_name}, such as {entry.any_run['id']})"
                for group_name, entries in by_group.items()
                for entry in entries
            )
            said.append(f"{name!r} may be any of: {listed}")
    several = f", a group with --group (one of: {', '.join(groups)})" if len(groups) > 1 else ""
    return f"{'. '.join(said)}. Give a whole name{several}, or the ids of runs: harness list runs"
