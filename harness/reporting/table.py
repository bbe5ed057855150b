"""The comparison table of stored runs: for the terminal, as Markdown, as CSV, and as rows for the HTML report.

One table for each group of runs that may be ranked against each other; floors stand below the models, and runs that
did not finish are gaps with their reason. CSV has the raw figures, the others what is worth reading of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import pandas as pd

from harness.reporting.grid import Grid, Heading, wrapped
from harness.reporting.group import Entry, Group, group
from harness.reporting.quantity import MISSING, decimal, prefixed, speed, with_spread
from harness.store.schema import Record, look_up

#: Names in a record and in a table of the guesses that learn nothing from a network.
FLOOR_NAMES = {"mean_pose": "mean pose", "zero_depth": "zero depth", "linear": "linear per frame"}


@dataclass(frozen=True)
class Row:
    """Raw figures of one entry, means over its seeds, or of one floor; its fields are the columns of the CSV."""

    kind: str
    model: str
    rank: int | None = None
    frames: int | None = None
    seeds: int | None = None
    p1_mm: float | None = None
    p1_sd_mm: float | None = None
    p2_mm: float | None = None
    n_mpjpe_mm: float | None = None
    mpjve_mm_per_frame: float | None = None
    acceleration_mm_per_frame2: float | None = None
    pck150_percent: float | None = None
    auc_percent: float | None = None
    params_total: int | None = None
    macs_fvcore_per_frame: float | None = None
    train_frames_per_s: float | None = None
    inference_frames_per_s: float | None = None
    inference_verdict: str | None = None
    below_every_floor: str = ""
    status: str = ""
    reason: str | None = None


@dataclass(frozen=True)
class Column:
    """A column as it is printed: heading with unit, and what stands in it for a row.

    ``number`` ones align right; one that is not ``always`` there is left out of a table where no row has its figure.
    """

    heading: str
    unit: str
    cell: Callable[[Row], str]
    meaning: str
    number: bool = True
    always: bool = True


def _speed_cell(row: Row) -> str:
    verdict = row.inference_verdict
    figure = speed(row.inference_frames_per_s)
    return figure if verdict in (None, "STABLE") else f"{figure} {verdict}"


COLUMNS = (
    Column("model", "", lambda row: row.model, "rows marked floor are guesses that need no network", False),
    Column("T", "", lambda row: _whole(row.frames), "frames the model sees at once"),
    Column("seeds", "", lambda row: _whole(row.seeds), "finished runs that differ in their seed alone"),
    Column("P1", "mm", lambda row: with_spread(row.p1_mm, row.p1_sd_mm),
           "mean per joint position error; ± is the standard deviation over seeds, from three on"),
    Column("P2", "mm", lambda row: decimal(row.p2_mm), "the same after Procrustes alignment"),
    Column("N-P1", "mm", lambda row: decimal(row.n_mpjpe_mm), "the same after scaling"),
    Column("veloc.", "mm/f", lambda row: decimal(row.mpjve_mm_per_frame, 2), "velocity error, mm per frame"),
    Column("accel.", "mm/f²", lambda row: decimal(row.acceleration_mm_per_frame2, 2),
           "acceleration error, mm per frame squared"),
    Column("PCK", "%", lambda row: decimal(row.pck150_percent), "joints nearer than 150 mm", always=False),
    Column("AUC", "%", lambda row: decimal(row.auc_percent), "the same, mean over thresholds up to it", always=False),
    Column("params", "", lambda row: prefixed(row.params_total), "all parameters"),
    Column("MACs", "/frame", lambda row: prefixed(row.macs_fvcore_per_frame),
           "multiply-accumulates for each frame that comes out, by fvcore with attention and scan counted"),
    Column("train", "f/s", lambda row: speed(row.train_frames_per_s), "frames answered for in training in a second"),
    Column("infer", "f/s", _speed_cell,
           "frames in a second, one clip at a time; STABLE unless NOISY or INVALID stands beside it"),
    Column("beats", "floors", lambda row: row.below_every_floor, "whether P1 is below every floor", False),
    Column("status", "", lambda row: row.status, "", False),
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """The table of one group. ``rows`` hold raw figures: the models by rank, then the floors."""

    group: Group
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def heading(self) -> str:
        """The protocol and, where there are several, what sets this group apart."""
        protocol = self.group.protocol or "not scored"
        apart = ", ".join(f"{field} {value}" for field, value in self.group.differs.items())
        return f"{protocol} (apart from the others by {apart})" if apart else protocol

    @property
    def columns(self) -> list[Column]:
        """Those of COLUMNS that this table has."""
        return [column for column in COLUMNS if column.always or any(column.cell(row) != MISSING for row in self.rows)]

    def cells(self) -> list[list[str]]:
        """What is printed, row by row. A floor has no cost, so that nothing is missing there."""
        columns = self.columns
        return [
            [column.cell(row).replace(MISSING, "") if row.kind == "floor" else column.cell(row) for column in columns]
            for row in self.rows
        ]

    def frame(self) -> pd.DataFrame:
        """The raw figures."""
        whole = dict.fromkeys(("rank", "frames", "seeds", "params_total"), "Int64")
        return pd.DataFrame([asdict(row) for row in self.rows]).astype(whole)

    def to_text(self) -> str:
        """For a terminal of 120 columns."""
        # A signature has no spaces to wrap at, so it is given some for the time of wrapping.
        heading = wrapped(self.heading.replace("|", "| "))
        return "\n".join([*(line.replace("| ", "|") for line in heading), "", self._grid().to_text()])

    def to_markdown(self) -> str:
        """A pipe table with its protocol above and its notes below."""
        return f"`{self.heading}`\n\n{self._grid().to_markdown()}"

    def _grid(self) -> Grid:
        headings = (Heading(column.heading, column.unit, column.number) for column in self.columns)
        return Grid("", tuple(headings), tuple(map(tuple, self.cells())), self.notes)


def build(records: Iterable[Record]) -> list[Table]:
    """A table for each group of runs that may be ranked against each other, the largest first."""
    return [_table(members) for members in group(records)]


def text(records: Iterable[Record]) -> str:
    """Every table for the terminal."""
    return "\n\n".join(table.to_text() for table in build(records))


def markdown(records: Iterable[Record]) -> str:
    """Every table as Markdown, with what the columns mean."""
    meanings = "; ".join(f"{column.heading}: {column.meaning}" for column in COLUMNS if column.meaning)
    return "\n\n".join([*(table.to_markdown() for table in build(records)), meanings]) + "\n"


def csv(records: Iterable[Record]) -> str:
    """Every row of every table with its raw figures and its group."""
    frames = [
        table.frame().assign(group=table.group.name, protocol=table.group.protocol or "") for table in build(records)
    ]
    return str(pd.concat(frames).to_csv(index=False, lineterminator="\n")) if frames else ""


def _table(members: Group) -> Table:
    models = [_model_row(rank, entry) for rank, entry in enumerate(members.entries, start=1)]
    floors = [
        Row("floor", f"floor: {FLOOR_NAMES.get(name, name)}", p1_mm=floor["p1_mm"], p2_mm=floor["p2_mm"])
        for name, floor in sorted(members.floors.items(), key=lambda item: item[1]["p1_mm"])
    ]
    return Table(members, (*models, *floors), tuple(_notes(members)))


def _model_row(rank: int, entry: Entry) -> Row:
    return Row(
        kind="model",
        model=entry.label,
        rank=rank if entry.runs else None,
        frames=entry.frames,
        seeds=len(entry.runs),
        p1_mm=entry.p1_mm,
        p1_sd_mm=entry.p1_sd_mm,
        p2_mm=entry.mean("accuracy.p2_mm"),
        n_mpjpe_mm=entry.mean("accuracy.n_mpjpe_mm"),
        mpjve_mm_per_frame=entry.mean("accuracy.mpjve_mm_per_frame"),
        acceleration_mm_per_frame2=entry.mean("accuracy.acceleration_mm_per_frame2"),
        pck150_percent=entry.mean("accuracy.pck150_percent"),
        auc_percent=entry.mean("accuracy.auc_percent"),
        params_total=next(iter(entry.values("cost.params_total")), None),
        macs_fvcore_per_frame=entry.mean("cost.macs_fvcore_per_frame"),
        train_frames_per_s=entry.mean("cost.train_frames_per_s"),
        inference_frames_per_s=entry.mean("cost.inference_frames_per_s"),
        inference_verdict=_worst_verdict(entry),
        below_every_floor=_below_floors(entry),
        status=_status(entry),
        reason="; ".join(str(gap.get("error")) for gap in entry.gaps) or None,
    )


def _worst_verdict(entry: Entry) -> str | None:
    verdicts = {look_up(run, "cost.inference.verdict") for run in entry.runs}
    return next((verdict for verdict in ("INVALID", "NOISY", "STABLE") if verdict in verdicts), None)


def _below_floors(entry: Entry) -> str:
    # A set without training sequences has no floors, which is another thing than not beating them.
    beaten = [run["beats_floors"] for run in entry.runs if run.get("beats_floors") is not None]
    if not beaten:
        return MISSING
    return "yes" if all(beaten) else "NO" if not any(beaten) else f"{sum(beaten)} of {len(beaten)}"


def _status(entry: Entry) -> str:
    endings = [str(gap["status"]) for gap in entry.gaps]
    gaps = ", ".join(f"{endings.count(ending)} {ending}" for ending in dict.fromkeys(endings))
    if entry.runs:
        return f"ok, {gaps}" if gaps else "ok"
    return endings[0] if len(endings) == 1 else gaps


def _notes(members: Group) -> list[str]:
    notes = [
        f"{entry.title}, seed {gap.get('seed')}: {gap['status']}: {gap.get('error')}"
        for entry in members.entries
        for gap in entry.gaps
    ]
    runs = [(entry, run) for entry in members.entries for run in entry.runs]
    said: dict[str, list[str]] = {}
    for entry, run in runs:
        for warning in dict.fromkeys(run.get("warnings") or []):
            said.setdefault(warning, []).append(f"{entry.title}, seed {run.get('seed')}")
    for warning, sources in said.items():
        notes.append(f"{'every run' if len(sources) == len(runs) > 1 else '; '.join(sources)}: {warning}")
    return notes + _cuttings(members)


def _cuttings(members: Group) -> list[str]:
    """How the clips were cut, where it was not the same for all: no part of the protocol, but of what a figure cost."""
    cut: dict[str, list[str]] = {}
    for entry in members.scored:
        clips = look_up(entry.any_run, "signature.fields.clips")
        if clips:
            cut.setdefault(clips, []).append(entry.title)
    return [f"clips:{clips}: {', '.join(titles)}" for clips, titles in cut.items()] if len(cut) > 1 else []


def _whole(value: float | None) -> str:
    return "" if value is None else str(value)
