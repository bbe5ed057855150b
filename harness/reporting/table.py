"""The comparison table of stored runs: for the terminal, as Markdown, LaTeX and CSV, and as rows for the HTML report.

One table for each group of runs that may be ranked against each other; floors stand below the models, and runs that
did not finish are gaps with their reason. CSV has the raw figures, the others what is worth reading of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from harness.comparison import latency, standing
from harness.comparison.group import SEEDS_FOR_SPREAD, Entry, Group
from harness.comparison.significance import MARKS_IN_WORDS, REVERSIBLE, marks
from harness.comparison.standing import Standing
from harness.evaluation.statistics import CONFIDENCE, RESAMPLES
from harness.measurement.samples import INVALID, STABLE
from harness.quantity import (
    MISSING,
    change,
    decimal,
    prefixed,
    speed,
    three_digits,
    whole_numbers,
    with_spread,
)
from harness.reporting import latex as tex
from harness.reporting.cautions import cautions
from harness.reporting.grid import Grid, Heading, bullets, code, wrapped
from harness.spreadsheet import inert
from harness.store.schema import look_up

#: Names in a record and in a table of the guesses that learn nothing from a network.
FLOOR_NAMES = {"mean_pose": "mean pose", "zero_depth": "zero depth", "linear": "linear per frame"}
#: Of figures computed here: far finer than what is known, and the same on every processor.
_DIGITS = 8
#: A difference from the best that could not be tested.
UNTESTED = "?"


@dataclass(frozen=True)
class Row:
    """Raw figures of one entry, means over its seeds, or of one floor; its fields are the columns of the CSV.

    ``seed_list``, ``p1_by_seed_mm`` and ``runs`` belong together, separated by spaces. ``p1_low_mm`` and
    ``p1_high_mm`` are the test-set interval. The difference is the entry's P1 minus the best one's; ``p_value`` is of
    that pair alone, ``p_value_holm`` corrected over all comparisons with the best. ``seeds_margin_mm`` is what the
    seeds alone may add to the difference or take from it, its 95 % interval's half (``SeedSpread``).
    """

    kind: str
    model: str
    rank: int | None = None
    frames: int | None = None
    seeds: int | None = None
    seed_list: str | None = None
    p1_mm: float | None = None
    p1_sd_mm: float | None = None
    p1_by_seed_mm: str | None = None
    p1_low_mm: float | None = None
    p1_high_mm: float | None = None
    takes: int | None = None
    difference_mm: float | None = None
    difference_low_mm: float | None = None
    difference_high_mm: float | None = None
    p_value: float | None = None
    p_value_holm: float | None = None
    seeds_standard_error_mm: float | None = None
    seeds_margin_mm: float | None = None
    seeds_may_reverse: bool | None = None
    untested: str | None = None
    p2_mm: float | None = None
    n_mpjpe_mm: float | None = None
    mpjve_mm_per_frame: float | None = None
    acceleration_mm_per_frame2: float | None = None
    pck150_percent: float | None = None
    auc_percent: float | None = None
    params_total: int | None = None
    flops_exact_per_frame: float | None = None
    macs_fvcore_per_frame: float | None = None
    train_frames_per_s: float | None = None
    inference_frames_per_s: float | None = None
    latency_ms_per_frame: float | None = None
    latency_low_ms_per_frame: float | None = None
    latency_high_ms_per_frame: float | None = None
    latency_verdict: str | None = None
    latency_machine: str | None = None
    below_every_floor: str = ""
    status: str = ""
    reason: str | None = None
    runs: str | None = None


@dataclass(frozen=True)
class Column:
    """A column as it is printed: heading with unit, and what stands in it for a row.

    ``number`` ones align right; one that is not ``always`` there is left out of a table where no row has its figure.
    ``ranked`` gives the figure by which the best and the second best of the column are set off, the lowest first.
    ``places`` are where it is printed: every column stands in Markdown and HTML.
    """

    heading: str
    unit: str
    cell: Callable[[Row], str]
    meaning: str
    number: bool = True
    always: bool = True
    ranked: Callable[[Row], float | None] | None = None
    places: frozenset[str] = frozenset()


_INTERVAL_HEADING = f"{CONFIDENCE:.0%} test"
_TEXT, _LATEX = "text", "latex"
_BOTH = frozenset((_TEXT, _LATEX))


def _p1_cell(row: Row) -> str:
    few = row.seeds is not None and 0 < row.seeds < SEEDS_FOR_SPREAD
    return with_spread(row.p1_mm, row.p1_sd_mm) + (f" ({_counted(row.seeds or 0, 'seed')})" if few else "")


def _interval_cell(row: Row) -> str:
    if row.p1_low_mm is None or row.p1_high_mm is None:
        return MISSING
    return f"[{decimal(row.p1_low_mm)}, {decimal(row.p1_high_mm)}]"


def _difference_cell(row: Row) -> str:
    if row.rank == 1:
        return "best"
    if row.difference_mm is None:
        return MISSING
    return f"{change(row.difference_mm)} {_mark(row)}".rstrip()


def _mark(row: Row) -> str:
    if row.p_value_holm is None:
        return UNTESTED
    mark = marks(row.p_value_holm)
    return REVERSIBLE if mark and row.seeds_may_reverse else mark


def _latency_cell(row: Row) -> str:
    if row.latency_verdict == INVALID:
        return INVALID
    shown = three_digits(row.latency_ms_per_frame)
    return shown if row.latency_verdict in (None, STABLE) else f"{shown} {row.latency_verdict}"


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


COLUMNS = (
    Column("model", "", lambda row: row.model, "rows marked floor are guesses that need no network", False,
           places=_BOTH),
    Column("T", "", lambda row: _whole(row.frames), "frames the model sees at once", places=_BOTH),
    Column("seeds", "", lambda row: _seeds_cell(row), "those of the finished runs, which differ in nothing else",
           places=_BOTH),
    Column("P1", "mm", _p1_cell,
           "mean per joint position error; ± is the standard deviation over seeds, from three on",
           ranked=lambda row: row.p1_mm, places=_BOTH),
    Column(_INTERVAL_HEADING, "mm", _interval_cell,
           "interval of P1 over the takes of the test set, errors averaged over seeds first, conditional on the test "
           "subjects; it says nothing of other seeds", places=_BOTH),
    Column("to best", "mm", _difference_cell,
           f"difference from the best P1, paired by take; {MARKS_IN_WORDS}, by Holm over all comparisons with the "
           f"best; {REVERSIBLE}: p < 0.05, but the seeds overlap; {UNTESTED}: it could not be tested", places=_BOTH),
    Column("P2", "mm", lambda row: decimal(row.p2_mm), "P1 after Procrustes alignment",
           ranked=lambda row: row.p2_mm, places=_BOTH),
    Column("N-P1", "mm", lambda row: decimal(row.n_mpjpe_mm), "P1 after scaling", ranked=lambda row: row.n_mpjpe_mm),
    Column("veloc.", "mm/f", lambda row: decimal(row.mpjve_mm_per_frame, 2), "velocity error, mm per frame",
           ranked=lambda row: row.mpjve_mm_per_frame),
    Column("accel.", "mm/f²", lambda row: decimal(row.acceleration_mm_per_frame2, 2),
           "acceleration error, mm per frame squared", ranked=lambda row: row.acceleration_mm_per_frame2),
    Column("PCK", "%", lambda row: decimal(row.pck150_percent), "joints nearer than 150 mm", always=False,
           ranked=lambda row: _negative(row.pck150_percent), places=_BOTH),
    Column("AUC", "%", lambda row: decimal(row.auc_percent), "PCK, mean over thresholds up to 150 mm", always=False,
           ranked=lambda row: _negative(row.auc_percent), places=_BOTH),
    Column("params", "", lambda row: prefixed(row.params_total), "all parameters", places=_BOTH),
    Column("ops", "/frame", lambda row: prefixed(row.flops_exact_per_frame),
           "every operation for each frame that comes out, counted exactly", always=False, places=_BOTH),
    Column("MACs", "/frame", lambda row: prefixed(row.macs_fvcore_per_frame),
           "multiply-accumulates for each frame that comes out, by fvcore with attention and scan counted",
           always=False, places=_BOTH),
    Column("latency", "ms/f", _latency_cell,
           "median time of one clip's forward for each frame that comes out, one clip at a time; STABLE unless NOISY "
           "or INVALID stands beside it", places=_BOTH),
    Column("train", "f/s", lambda row: speed(row.train_frames_per_s), "frames answered for in training in a second"),
    Column("beats", "floors", lambda row: row.below_every_floor, "whether P1 is below every floor", False,
           places=frozenset((_TEXT,))),
    Column("status", "", lambda row: row.status, "", False, places=frozenset((_TEXT,))),
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """The table of one group. ``rows`` hold raw figures: the models by rank, then the floors.

    ``legend`` says under which conditions intervals and marks hold, ``notes`` what is missing and what to know.
    """

    group: Group
    rows: tuple[Row, ...]
    legend: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def heading(self) -> str:
        """The protocol and, where there are several, what sets this group apart."""
        return f"{self.group.protocol or 'not scored'}{self._apart}"

    @property
    def _apart(self) -> str:
        apart = ", ".join(f"{field} {value}" for field, value in self.group.differs.items())
        return f" (apart from the others by {apart})" if apart else ""

    @property
    def columns(self) -> list[Column]:
        """Those of COLUMNS that this table has."""
        return [column for column in COLUMNS if column.always or any(column.cell(row) != MISSING for row in self.rows)]

    def cells(self) -> list[list[str]]:
        """What is printed, row by row. A floor has no cost, so that nothing is missing there."""
        return self._cells(self.columns)

    def frame(self) -> pd.DataFrame:
        """The raw figures, and texts that UTF-8 can hold and no spreadsheet takes for formulas."""
        whole = dict.fromkeys(("rank", "frames", "seeds", "takes", "params_total"), "Int64")
        rows = [{name: inert(value) for name, value in asdict(row).items()} for row in self.rows]
        return pd.DataFrame(rows).astype(whole)

    def to_text(self) -> str:
        """For a terminal of 120 columns, so without the lesser ones."""
        # A signature has no spaces to wrap at, so it is given some for the time of wrapping.
        heading = wrapped(self.heading.replace("|", "| "))
        return "\n".join([*(line.replace("| ", "|") for line in heading), "", self.grid(self._few(_TEXT)).to_text()])

    def to_markdown(self) -> str:
        """A pipe table with its protocol above and its notes below, the best of each column in bold."""
        return f"{code(self.heading)}\n\n{self.grid().to_markdown()}"

    def to_latex(self) -> str:
        """A booktabs table: best in bold, second underlined, protocol and conditions in the caption."""
        failures = tuple(_failures(self.group))
        grid = self.grid(self._few(_LATEX), notes=failures)
        floors = sum(row.kind == "floor" for row in self.rows)
        return tex.table(
            grid,
            label=f"tab:{self.group.name}",
            short=f"Lifters compared ({self.group.name}).",
            caption=" ".join([self._latex_title(), *map(tex.escaped, map(_sentence, self.legend))]),
            rule_above=len(self.rows) - floors if 0 < floors < len(self.rows) else None,
        )

    def _latex_title(self) -> str:
        if self.group.protocol is None:
            return "Runs that were not scored."
        signature = f"{tex.code(self.group.protocol)} {tex.escaped(self._apart)}".strip()
        protocol = f"Lifters ranked by P1 (mean per joint position error) under the protocol {signature}."
        return f"{protocol} {self._latex_seeds()} Best in bold, second underlined."

    def _latex_seeds(self) -> str:
        counts = sorted({len(entry.runs) for entry in self.group.scored})
        if not counts:
            return "Nothing was scored."
        few = f"{counts[0]} to {counts[-1]} seeds" if len(counts) > 1 else _counted(counts[0], "seed")
        return tex.escaped(f"Mean over {few}; ± is the standard deviation over seeds, from {SEEDS_FOR_SPREAD} on.")

    def grid(self, columns: Sequence[Column] | None = None, notes: Sequence[str] | None = None) -> Grid:
        """What is printed: these ``columns``, all that the table has where none are given, above legend and notes."""
        chosen = self.columns if columns is None else columns
        headings = tuple(Heading(column.heading, column.unit, column.number) for column in chosen)
        strong, second = self._best_two(chosen)
        shown = (*self.legend, *self.notes) if notes is None else tuple(notes)
        return Grid("", headings, tuple(map(tuple, self._cells(chosen))), shown, strong, second)

    def _few(self, place: str) -> list[Column]:
        columns = [column for column in self.columns if place in column.places]
        exact = any(column.heading == "ops" for column in columns)
        return [column for column in columns if not (exact and column.heading == "MACs")]

    def _cells(self, columns: Sequence[Column]) -> list[list[str]]:
        return [
            [column.cell(row).replace(MISSING, "") if row.kind == "floor" else column.cell(row) for column in columns]
            for row in self.rows
        ]

    def _best_two(self, columns: Sequence[Column]) -> tuple[frozenset[tuple[int, int]], frozenset[tuple[int, int]]]:
        """(row, column) of the best and of the second best models' figures; none where all are equal."""
        best: set[tuple[int, int]] = set()
        second: set[tuple[int, int]] = set()
        for place, column in enumerate(columns):
            if column.ranked is None:
                continue
            figures = {
                index: figure
                for index, row in enumerate(self.rows)
                if row.kind == "model" and (figure := column.ranked(row)) is not None
            }
            levels = sorted(set(figures.values()))
            if len(levels) > 1:
                best |= {(index, place) for index, figure in figures.items() if figure == levels[0]}
                second |= {(index, place) for index, figure in figures.items() if figure == levels[1]}
        return frozenset(best), frozenset(second)


def build(groups: Iterable[Group]) -> list[Table]:
    """A table for each group of runs that may be ranked against each other, in their order."""
    return [_table(members) for members in groups]


def text(groups: Iterable[Group]) -> str:
    """Every table for the terminal."""
    return "\n\n".join(table.to_text() for table in build(groups))


def markdown(groups: Iterable[Group]) -> str:
    """Every table as Markdown, with what the columns mean."""
    tables = build(groups)
    headings = {column.heading for table in tables for column in table.columns}
    shown = [column for column in COLUMNS if column.meaning and column.heading in headings]
    meanings = bullets(f"{column.heading}: {column.meaning}" for column in shown)
    return "\n\n".join([*(table.to_markdown() for table in tables), meanings]) + "\n"


def latex(groups: Iterable[Group]) -> str:
    """Every table as LaTeX to be read in by a document; its head says what the preamble needs."""
    return tex.HEAD + "\n" + "\n".join(table.to_latex() for table in build(groups))


def csv(groups: Iterable[Group]) -> str:
    """Every row of every table with its raw figures and its group."""
    frames = [
        table.frame().assign(group=inert(table.group.name), protocol=inert(table.group.protocol or ""))
        for table in build(groups)
    ]
    return str(pd.concat(frames).to_csv(index=False, lineterminator="\n")) if frames else ""


def _table(members: Group) -> Table:
    standings = {id(found.entry): found for found in standing.of(members)}
    models = [
        _model_row(rank, entry, standings.get(id(entry)), members.entries[0].p1_mm)
        for rank, entry in enumerate(members.entries, start=1)
    ]
    floors = [
        Row("floor", f"floor: {FLOOR_NAMES.get(name, name)}", p1_mm=floor["p1_mm"], p2_mm=floor["p2_mm"])
        for name, floor in sorted(members.floors.items(), key=lambda item: item[1]["p1_mm"])
    ]
    return Table(members, (*models, *floors), tuple(_legend(standings.values())), tuple(_notes(members)))


def _legend(standings: Iterable[Standing]) -> list[str]:
    """Under which conditions intervals and marks hold, said once."""
    standings = list(standings)
    intervals = [found.interval for found in standings if found.interval]
    tests = sum(found.to_best is not None for found in standings)
    said = []
    if intervals:
        said.append(
            f"{_INTERVAL_HEADING}: interval conditional on the test subjects, from {RESAMPLES:,} resamples of the "
            f"{intervals[0].takes} takes (all cameras of a take together), errors averaged over seeds first; the "
            "spread over seeds is the ± of P1, and another matter"
        )
    if tests:
        said.append(
            f"to best: {MARKS_IN_WORDS}; paired by take, sign flips, Holm over {_counted(tests, 'comparison')} with "
            "the best"
        )
    if any(_is_reversible(found) for found in standings):
        said.append(
            f"{REVERSIBLE}: p < 0.05, but the seeds overlap: the difference is within the 95 % interval over seeds "
            "(Welch), and another training may reverse it"
        )
    untested: dict[str, list[str]] = {}
    for found in standings:
        for obstacle in found.obstacles:
            untested.setdefault(obstacle, []).append(found.entry.title)
    for obstacle, titles in untested.items():
        whose = "" if len(titles) == len(standings) else f"{'; '.join(titles)}: "
        said.append(f"{whose}no test-set interval or no test: {obstacle}")
    return said + _machines(standings)


def _is_reversible(found: Standing) -> bool:
    """Whether the takes are sure of a difference that other seeds may turn round."""
    return bool(found.p_value is not None and marks(found.p_value) and found.seeds and found.seeds.may_reverse)


def _machines(standings: Sequence[Standing]) -> list[str]:
    """On what the latencies were measured, where that was not the same for all."""
    timed: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for found in standings:
        measured = latency.of(found.entry)
        if measured:
            timed.setdefault(tuple(sorted(measured.settings)), []).append((found.entry.title, measured.machine))
    if len(timed) < 2:
        return []
    parts = [f"{', '.join(title for title, _ in members)} on {members[0][1]}" for members in timed.values()]
    return [f"latency was not measured alike and cannot be compared across: {'; '.join(parts)}"]


def _model_row(rank: int, entry: Entry, found: Standing | None, best_mm: float | None) -> Row:
    interval, to_best = (found.interval, found.to_best) if found else (None, None)
    gap = to_best.difference if to_best else None
    seeds = found.seeds if found else None
    measured = latency.of(entry)
    return Row(
        kind="model",
        model=entry.label,
        rank=rank if entry.runs else None,
        frames=entry.frames,
        seeds=len(entry.runs),
        seed_list=" ".join(map(str, entry.seeds)) or None,
        p1_mm=entry.p1_mm,
        p1_sd_mm=entry.p1_sd_mm,
        p1_by_seed_mm=" ".join(map(repr, entry.values("accuracy.p1_mm"))) or None,
        p1_low_mm=_rounded(interval.low_mm if interval else None),
        p1_high_mm=_rounded(interval.high_mm if interval else None),
        takes=interval.takes if interval else None,
        difference_mm=_rounded(gap.mean_mm if gap else _above(best_mm, entry) if rank > 1 else None),
        difference_low_mm=_rounded(gap.low_mm if gap else None),
        difference_high_mm=_rounded(gap.high_mm if gap else None),
        p_value=_rounded(to_best.p_value if to_best else None),
        p_value_holm=_rounded(found.p_value if found else None),
        seeds_standard_error_mm=_rounded(seeds.standard_error_mm if seeds else None),
        seeds_margin_mm=_rounded(seeds.margin_mm if seeds else None),
        seeds_may_reverse=None if seeds is None or seeds.margin_mm is None else seeds.may_reverse,
        untested="; ".join(found.obstacles) or None if found else None,
        p2_mm=entry.mean("accuracy.p2_mm"),
        n_mpjpe_mm=entry.mean("accuracy.n_mpjpe_mm"),
        mpjve_mm_per_frame=entry.mean("accuracy.mpjve_mm_per_frame"),
        acceleration_mm_per_frame2=entry.mean("accuracy.acceleration_mm_per_frame2"),
        pck150_percent=entry.mean("accuracy.pck150_percent"),
        auc_percent=entry.mean("accuracy.auc_percent"),
        params_total=next(iter(entry.values("cost.params_total")), None),
        flops_exact_per_frame=entry.mean("cost.per_frame.flops_exact"),
        macs_fvcore_per_frame=entry.mean("cost.macs_fvcore_per_frame"),
        train_frames_per_s=entry.mean("cost.train_frames_per_s"),
        inference_frames_per_s=entry.mean("cost.inference_frames_per_s"),
        latency_ms_per_frame=measured.ms if measured else None,
        latency_low_ms_per_frame=measured.low_ms if measured else None,
        latency_high_ms_per_frame=measured.high_ms if measured else None,
        latency_verdict=measured.verdict if measured else None,
        latency_machine=measured.machine if measured else None,
        below_every_floor=_below_floors(entry),
        status=_status(entry),
        reason="; ".join(str(gap.get("error")) for gap in entry.gaps) or None,
        runs=" ".join(run["id"] for run in entry.runs) or None,
    )


def _above(best_mm: float | None, entry: Entry) -> float | None:
    return None if best_mm is None or entry.p1_mm is None else entry.p1_mm - best_mm


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


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


def _failures(members: Group) -> list[str]:
    return [
        f"{entry.title}, seed {gap.get('seed')}: {gap['status']}: {gap.get('error')}"
        for entry in members.entries
        for gap in entry.gaps
    ]


def _notes(members: Group) -> list[str]:
    notes = _failures(members)
    return notes + cautions(members.entries) + _cuttings(members)


def _cuttings(members: Group) -> list[str]:
    """How the clips were cut, where it was not the same for all: no part of the protocol, but of what a figure cost."""
    cut: dict[str, list[str]] = {}
    for entry in members.scored:
        clips = look_up(entry.any_run, "signature.fields.clips")
        if clips:
            cut.setdefault(clips, []).append(entry.title)
    return [f"clips:{clips}: {', '.join(titles)}" for clips, titles in cut.items()] if len(cut) > 1 else []


def _seeds_cell(row: Row) -> str:
    """``0–2`` where the seeds follow each other, ``0, 3`` where they do not, their number where they are not known."""
    seeds = [int(seed) for seed in (row.seed_list or "").split()]
    if not seeds:
        return _whole(row.seeds or None) or (MISSING if row.kind == "model" else "")
    return whole_numbers(seeds)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."


def _whole(value: float | None) -> str:
    return "" if value is None else str(value)
