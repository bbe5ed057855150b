"""Several runs of one command: what ends one, what ends all, and how the command ends."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.errors import BadInput, CannotWrite, Interrupted, ResultsBusy, RunFailed
from harness.sweep import in_turn


@dataclass(frozen=True)
class Planned:
    """Ends by ``error``, where there is one."""

    name: str
    error: BaseException | None = None

    def run_id(self) -> str:
        return self.name


def tried(*errors: BaseException | None) -> tuple[list[str], BaseException | None, list[str]]:
    """(ids of the finished runs, what is to be raised, what was said) of runs a, b, c that end so."""

    def one(planned: Planned) -> dict[str, str]:
        if planned.error is not None:
            raise planned.error
        return {"id": planned.name}

    said: list[str] = []
    planned = [Planned(name, error) for name, error in zip("abc", errors, strict=False)]
    records, error = in_turn.run_all(planned, one, said.append)
    return [record["id"] for record in records], error, said


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (BadInput("damaged"), ResultsBusy("busy"), BadInput),
        (ResultsBusy("busy"), BadInput("damaged"), ResultsBusy),
        (BadInput("damaged"), RunFailed("nan"), RunFailed),
        (KeyError("theirs"), BadInput("damaged"), RunFailed),
        (SystemExit(0), None, RunFailed),
        (MemoryError(), None, RunFailed),
    ],
)
def test_the_others_go_on(first: BaseException, second: BaseException | None, kind: type[Exception]) -> None:
    finished, error, said = tried(first, second, None)
    failed = 1 if second is None else 2
    assert finished == ["a", "b", "c"][failed:]
    assert type(error) is kind
    assert str(error).startswith(f"{failed} of 3 runs failed: a: ")
    assert len(said) == failed
    assert said[0].endswith(". The others go on")


@pytest.mark.parametrize("stopping", [CannotWrite("full"), Interrupted("stopped"), KeyboardInterrupt()])
def test_what_ends_all(stopping: BaseException) -> None:
    assert tried(None, stopping, None) == (["a"], stopping, [])


def test_every_error_ends_all_where_others_would_wait_for_this_process() -> None:
    def fail(planned: Planned) -> dict[str, str]:
        raise BadInput(planned.name)

    records, error = in_turn.run_all([Planned("a"), Planned("b")], fail, lambda line: None, stop=True)
    assert (records, str(error)) == ([], "a")


def test_one_run_s_error_is_its_own() -> None:
    theirs = KeyError("theirs")
    assert tried(theirs) == ([], theirs, [])
    assert tried(None, None) == (["a", "b"], None, [])
    error = tried(SystemExit(0))[1]
    assert isinstance(error, RunFailed)
    assert "the model left by SystemExit: 0" in str(error)


def test_what_all_meet_is_said_as_of_one() -> None:
    finished, error, _ = tried(BadInput("no such data"), BadInput("no such data"))
    assert (finished, type(error), str(error)) == ([], BadInput, "no such data")
    assert str(tried(BadInput("one"), BadInput("two"))[1]) == "2 of 2 runs failed: a: one; b: two"
