"""Which points of a sweep the store has already, so that they are not started again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness.progress import Say, warnings_said
from harness.store.measurement import MEASUREMENTS
from harness.store.schema import Record
from harness.store.store import Store
from harness.sweep.point import Point

if TYPE_CHECKING:
    from harness.measurement.request import Request


def finished(points: Sequence[Point], results: Path, say: Say, elsewhere: bool) -> set[str]:
    """Ids of the points that need not be run: of a run by its id and status ok.

    A measurement is finished where ``harness measure`` would find nothing to do: in the environment that this is, or,
    if the workers are ``elsewhere``, in any one that has measured it. Raises BadInput for a damaged store.
    """
    with warnings_said(say):
        runs = {record["id"] for record in Store(results).latest() if record["status"] == "ok"}
        rows = Store(results, MEASUREMENTS).latest() if any(point.request for point in points) else []
    measured = _Measured(results, rows, elsewhere)
    return {
        point.id
        for point in points
        if (point.id in runs if point.request is None else measured.has(point.request))
    }  # fmt: skip


class _Rows(Store):
    """A store that has been read."""

    def __init__(self, results: Path, rows: list[Record]) -> None:
        super().__init__(results, MEASUREMENTS)
        self._rows = rows

    def latest(self, skip_bad: bool = False) -> list[Record]:
        return self._rows


class _Measured:
    def __init__(self, results: Path, rows: list[Record], elsewhere: bool) -> None:
        self._store = _Rows(results, rows)
        self._elsewhere = elsewhere
        self._here: Any = None
        self._known = {
            row["environment_key"]: row["environment"]
            for row in rows
            if row["status"] == "ok" and row["pass"] == "cost"
        }

    def has(self, request: Request) -> bool:
        from harness.measurement.survey import Environments, Survey

        self._here = self._here or Environments()
        if not self._known:
            return False
        environments = [_of_today(known, self._here) for known in self._known.values()] if self._elsewhere else []
        for environment_of in environments or [self._here]:
            survey = Survey(request, self._store, lambda line: None, _never, environment_of)
            if all(job.kind == "machine" or survey.kept(job) for job in survey.jobs):
                return True
        return False


def _of_today(known: Mapping[str, Any], here: Any) -> Any:
    """An environment that there was, with the code of now: what was measured of other code is measured anew."""
    codes = ("model_code", "measurement_code")
    return lambda model: {**known, **{code: here(model)[code] for code in codes}}


def _never(task: Mapping[str, Any]) -> NoReturn:
    raise AssertionError("what is looked up is not measured")
