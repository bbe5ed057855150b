"""All that a report may draw on: stored runs, measurements stored beside them, and what was kept of sequences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.comparison.group import Group, group
from harness.complexity.summary import Summary, summarise
from harness.errors import BadInput
from harness.store import traces
from harness.store.measurement import MEASUREMENTS
from harness.store.run_file import run_file
from harness.store.schema import Record, look_up
from harness.store.store import Store
from harness.traces import Traces

ABOUT = "about.txt"


@dataclass(frozen=True)
class Evidence:
    """``records`` are all runs of the store in ``folder``, ``measurements`` the rows of ``harness measure`` there.

    ``chosen`` are those groups of the records that a report is of; all of them where none are given.
    """

    folder: Path
    records: Sequence[Record]
    measurements: Sequence[Record] = ()
    chosen: Sequence[Group] | None = None
    #: Path of a file of traces -> what is wrong with it, of those that were asked for.
    damaged: dict[str, str] = field(default_factory=dict, compare=False)
    _read: dict[str, Traces | None] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, folder: Path, records: Iterable[Record], chosen: Sequence[Group] | None = None) -> Evidence:
        """The runs of the store in ``folder``, with all that was measured there."""
        return cls(folder, tuple(records), tuple(Store(folder, MEASUREMENTS).latest()), chosen)

    @cached_property
    def groups(self) -> Sequence[Group]:
        """What the report is of."""
        return group(self.records) if self.chosen is None else self.chosen

    @cached_property
    def summaries(self) -> Sequence[Summary]:
        """Of the measurements, a summary for each point."""
        return summarise(self.measurements)

    @cached_property
    def about(self) -> Sequence[str]:
        """What whoever made the runs says about them, paragraph by paragraph: ``about.txt`` of the store, if any.

        Raises BadInput where it cannot be read as text.
        """
        path = self.folder / ABOUT
        if not path.is_file():
            return ()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"cannot read {path} as UTF-8 text: {error}") from error
        return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]

    def traces(self, record: Record) -> Traces | None:
        """What was kept of a run's sequences; None where nothing was, or the file is not here (a copied store), or it
        is not the one that was recorded: ``damaged`` says so then.
        """
        path, sha256 = look_up(record, "traces.path"), look_up(record, "traces.sha256")
        if not path:
            return None
        if path not in self._read:
            try:
                file = run_file(self.folder, path)
                self._read[path] = traces.load(file, sha256) if file.is_file() else None
            except BadInput as error:
                # A report is worth having without the pictures of one run.
                self._read[path], self.damaged[path] = None, str(error)
        return self._read[path]
