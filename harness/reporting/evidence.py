"""All that a report may draw on: stored runs, measurements stored beside them, and what was kept of sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.store import traces
from harness.store.measurement import MEASUREMENTS
from harness.store.schema import Record, look_up
from harness.store.store import Store
from harness.traces import Traces


@dataclass(frozen=True)
class Evidence:
    """``records`` are the report's runs, ``measurements`` the rows of ``harness measure`` in the same ``folder``."""

    folder: Path
    records: Sequence[Record]
    measurements: Sequence[Record] = ()
    _read: dict[str, Traces] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, folder: Path, records: Iterable[Record]) -> Evidence:
        """The given runs of the store in ``folder``, with all that was measured there."""
        return cls(folder, tuple(records), tuple(Store(folder, MEASUREMENTS).latest()))

    def traces(self, record: Record) -> Traces | None:
        """What was kept of a run's sequences; None where nothing was, or the file is not here (a copied store).

        Raises BadInput where the file is there and is not the one that was recorded.
        """
        path, sha256 = look_up(record, "traces.path"), look_up(record, "traces.sha256")
        if not path or not (self.folder / path).is_file():
            return None
        if path not in self._read:
            self._read[path] = traces.load(self.folder / path, sha256)
        return self._read[path]
