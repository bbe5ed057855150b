"""The stored rows of some models alone, and in their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.errors import BadInput, suggestion
from harness.store.schema import Record, look_up


def model_of(row: Record) -> str | None:
    """Of a measurement, a run or a published figure; None for a row of the machine."""
    found = look_up(row, "point.model") or look_up(row, "config.model") or row.get("model")
    return None if found is None else str(found)


def require_known(models: Sequence[str], rows: Iterable[Record], where: str) -> None:
    """Raises BadInput naming one of ``models`` that none of ``rows``, which lie in ``where``, is of."""
    known = dict.fromkeys(name for row in rows if (name := model_of(row)) is not None)
    for model in models:
        if model not in known:
            raise BadInput(f"{where} has nothing of {model!r}. {suggestion(model, known)}It has: {', '.join(known)}")


def of_models(models: Sequence[str], rows: Sequence[Record]) -> list[Record]:
    """The rows of ``models``, those of the machine among them; all where no model is named."""
    return [row for row in rows if not models or model_of(row) in (None, *models)]


def in_order(models: Sequence[str], rows: Iterable[Record]) -> list[Record]:
    """The rows by the order of ``models``, those of any other model after them; for the rest the order stays."""
    place = {model: index for index, model in enumerate(models)}
    return sorted(rows, key=lambda row: place.get(model_of(row) or "", len(place)))
